// After a whole run: every operation that is built was seen to succeed through the official client, and to fail with each error that the
// client documents and this server has, or the reason stands in excuses.ts. `npm test` runs it; alone it has nothing to look at.
import assert from "node:assert/strict";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ServiceDefinition } from "../../src/aws/definition.ts";
import { startApi } from "../support/api.ts";
import { EXCUSES } from "./excuses.ts";

/** Of services whose SigV4 name is not what their client is called, or their folder. */
const PACKAGES: Readonly<Record<string, string>> = { logs: "cloudwatch-logs", monitoring: "cloudwatch", events: "eventbridge" };
const FOLDERS: Readonly<Record<string, string>> = { lambda: "src/lambda", monitoring: "src/services/cloudwatch" };
const ROOT = join(import.meta.dirname, "..", "..");
const directory = process.env["LAMBENT_SEEN_OPERATIONS"];

/** What its documentation says that it throws. */
function documentedErrors(service: string, operation: string): readonly string[] {
  const file = `node_modules/@aws-sdk/client-${PACKAGES[service] ?? service}/dist-types/commands/${operation}Command.d.ts`;
  return [...readFileSync(join(ROOT, file), "utf8").matchAll(/@throws \{@link (\w+)\}/g)].map(([, name = ""]) => name);
}

/** Whether the code of the service names the error at all: what it never throws, no test can see. */
function thrownBy(service: string): (error: string) => boolean {
  const folder = FOLDERS[service] ?? `src/services/${service}`;
  const files = globSync(`${folder}/**/*.ts`, { cwd: ROOT }).filter((file) => !/\.(?:test|fixture)\.ts$/.test(file));
  const text = files.map((file) => readFileSync(join(ROOT, file), "utf8")).join("\n");
  const named = new Set([...text.matchAll(/\b(\w+)\$/g), ...text.matchAll(/"(\w+)"/g)].map(([, name = ""]) => name));
  return (error) => named.has(error) || named.has(error.replace(/Exception$/, ""));
}

function wantedOf({ name, clientClass, operations }: ServiceDefinition): string[] {
  const client = clientClass.replace(/Client$/, "");
  const isThrown = thrownBy(name);
  return Object.entries(operations).flatMap(([operation, perform]) =>
    typeof perform === "function"
      ? ["success", ...documentedErrors(name, operation).filter(isThrown)].map((outcome) => `${client} ${operation} ${outcome}`)
      : [],
  );
}

const isOf = (one: string, client: string, outcome: string) => one.startsWith(`${client} `) && one.endsWith(` ${outcome}`);

test("every built operation was seen to succeed, and to fail with each error", { skip: directory === undefined }, async (t) => {
  const files = directory === undefined ? [] : readdirSync(directory).map((file) => readFileSync(join(directory, file), "utf8"));
  const seen = new Set(files.flatMap((text) => text.split("\n")));
  const { server } = await startApi(t);
  const services = await server.services();
  // Were the documentation written otherwise, there would be nothing to be missed.
  for (const one of services)
    assert.ok(
      wantedOf(one).some((outcome) => !outcome.endsWith(" success")),
      `${one.name} documents no error`,
    );
  const wanted = services.flatMap(wantedOf);
  const excused = new Map(
    EXCUSES.flatMap(({ client, operations, except = [], outcome, isChance }) => {
      const named = (names: readonly string[]) => names.map((name) => `${client} ${name} ${outcome}`);
      const seenAnyway = named(except);
      const all = () => wanted.filter((one) => isOf(one, client, outcome) && !seenAnyway.includes(one));
      return (operations === "all" ? all() : named(operations)).map((one) => [one, isChance === true] as const);
    }),
  );
  const missing = wanted.filter((outcome) => !seen.has(outcome) && !excused.has(outcome));
  assert.deepEqual(missing, [], "not seen by any test, and not excused");
  // An excuse that is not needed any more hides the next gap.
  const idle = [...excused].filter(([outcome, mayBeSeen]) => !wanted.includes(outcome) || (seen.has(outcome) && !mayBeSeen));
  assert.deepEqual(
    idle.map(([outcome]) => outcome),
    [],
    "excused for nothing",
  );
  t.diagnostic(`${wanted.length} outcomes, ${excused.size} of them excused`);
});
