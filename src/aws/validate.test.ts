// Constraint tables against the schemas, and patterns against long input.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as logs from "@aws-sdk/client-cloudwatch-logs";
import * as iam from "@aws-sdk/client-iam";
import * as lambda from "@aws-sdk/client-lambda";
import * as s3 from "@aws-sdk/client-s3";
import * as sts from "@aws-sdk/client-sts";
import { ruleOf, type Constraint } from "./constraint.ts";
import { CommonFault } from "./fault.ts";
import { serviceModel } from "./model.ts";
import type { Shape } from "./shape.ts";
import { readConstraints, validator } from "./validate.ts";
import { threadCpuMs } from "../../tests/support/cpu-time.ts";

const SERVICES = [
  ["lambda", lambda, "LambdaClient"],
  ["logs", logs, "CloudWatchLogsClient"],
  ["iam", iam, "IAMClient"],
  ["sts", sts, "STSClient"],
  ["s3", s3, "S3Client"],
] as const;

/** Members by structure, of everything that an input can hold. */
function inputMembers(name: string, client: object, clientClass: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const visit = (shape: Shape): void => {
    if (shape.kind === "list") visit(shape.item);
    if (shape.kind === "map") visit(shape.value);
    if (shape.kind !== "structure" || found.has(shape.name)) return;
    found.set(shape.name, new Set(shape.members.map((member) => member.name)));
    for (const member of shape.members) visit(member.shape);
  };
  const model = serviceModel(name, client as Readonly<Record<string, unknown>>, clientClass);
  for (const { input } of model.operations.values()) if (input !== undefined) visit(input);
  return found;
}

test("every constraint belongs to a member that the SDK's schemas have", async () => {
  for (const [name, client, clientClass] of SERVICES) {
    if (name === "s3") continue; // The table has older names for some of its shapes, and its constraints are not checked by the wire.
    const members = inputMembers(name, client, clientClass);
    for (const [structure, constraints] of await readConstraints(name))
      for (const member of constraints.keys()) assert.ok(members.get(structure)?.has(member), `${name}: ${structure}.${member}`);
  }
});

function* constraintsIn(value: unknown): Generator<Constraint> {
  if (typeof value !== "object" || value === null) return;
  yield value;
  for (const one of Object.values(value)) yield* constraintsIn(one);
}

test("no pattern takes long for a text that is as long as it may be", () => {
  const seen = new Set<string>();
  for (const [name] of SERVICES) {
    const table: unknown = JSON.parse(readFileSync(new URL(`./constraints/${name}.json`, import.meta.url), "utf8"));
    for (const constraint of constraintsIn(table)) {
      if (typeof constraint.pattern !== "string" || seen.has(constraint.pattern)) continue;
      seen.add(constraint.pattern);
      const length = Math.min(constraint.max ?? 10_000, 10_000);
      for (const text of ["a", "0", "-", "arn:aws:", "a.", "a/", "a,", " "].map(
        (one) => `${one.repeat(length).slice(0, length - 1)}\u0001`,
      )) {
        const beganMs = threadCpuMs();
        ruleOf({ kind: "string" }, constraint)(text);
        const tookMs = threadCpuMs() - beganMs;
        assert.ok(tookMs < 1000, `${constraint.pattern} took ${tookMs} ms for ${JSON.stringify(text.slice(0, 10))}`);
      }
    }
  }
  assert.ok(seen.size > 100);
});

test("structures in lists are checked each for itself, secrets are not shown, and long values are cut", async () => {
  const checkIam = validator(serviceModel("iam", iam, "IAMClient"), await readConstraints("iam"));
  const model = serviceModel("iam", iam, "IAMClient");
  const message = (operation: string, input: Record<string, unknown>): string => {
    const found = model.operations.get(operation);
    assert.ok(found);
    try {
      checkIam(found, input);
    } catch (error) {
      assert.ok(error instanceof CommonFault);
      assert.deepEqual([error.code, error.status], ["ValidationError", 400]);
      return error.message;
    }
    return "";
  };
  const role = { RoleName: "r", AssumeRolePolicyDocument: "{}" };
  assert.equal(
    message("CreateRole", {
      ...role,
      Tags: [
        { Key: "k", Value: "v" },
        { Key: "", Value: "v" },
      ],
    }).split(": Member")[0],
    "2 validation errors detected: Value '' at 'tags.2.member.key' failed to satisfy constraint",
  );
  assert.match(message("CreateRole", { ...role, Tags: [{ Key: "k" }] }), /Value null at 'tags\.1\.member\.value' failed/);
  assert.doesNotMatch(message("ChangePassword", { OldPassword: "a", NewPassword: "\u0001secret" }), /secret/);
  assert.ok(message("CreateRole", { ...role, RoleName: "x".repeat(100_000) }).length < 11_000);
  assert.equal(message("CreateRole", role), "");
});
