// Bad input of every kind gets AWS's error and changes nothing: 1,000 generated requests for each service, signed by the root; no 5xx.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ListFunctionsCommand } from "@aws-sdk/client-lambda";
import * as iam from "@aws-sdk/client-iam";
import * as lambda from "@aws-sdk/client-lambda";
import * as sqs from "@aws-sdk/client-sqs";
import type { ServiceDefinition } from "../../src/aws/definition.ts";
import { serviceModel } from "../../src/aws/model.ts";
import type { Change } from "../../src/store/storage.ts";
import { startApi } from "../support/api.ts";
import { zipOf } from "../support/zip.ts";
import { hostileRequest, random } from "../support/hostile-requests.ts";
import { sender, VERSIONS } from "../support/raw-requests.ts";

const REQUESTS = 1_000;
const SEED = Number(process.env["SEED"] ?? 20_261_123);

const KEEPS_NO_RECORDS = new Set(["sts", "monitoring", "xray"]);
const TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
});

/** Sends them to a server of their own: any operation that is built, and one that is not. */
async function attack(t: TestContext, { name, client, clientClass, operations }: ServiceDefinition): Promise<void> {
  const { server, storage, clients } = await startApi(t);
  const model = serviceModel(name, client, clientClass);
  const isBuilt = (operation: string) => typeof operations[operation] === "function";
  const names = Object.keys(operations).filter(isBuilt);
  names.push(
    ...Object.keys(operations)
      .filter((operation) => !isBuilt(operation))
      .slice(0, 1),
  );
  const send = sender(name, new URL(server.endpoint), server.keys);
  const known = new Set<string>();
  let keysChanged = 0;
  const kinds = [
    "lambda.function",
    "lambda.alias",
    "lambda.version",
    "lambda.layer-version",
    "iam.user",
    "iam.group",
    "iam.role",
    "iam.policy",
    "iam.access-key",
    "logs.group",
    "s3.bucket",
    "sqs.queue",
    "sns.topic",
    "events.bus",
    "events.rule",
    "scheduler.group",
    "scheduler.schedule",
    "sns.subscription",
  ];
  await storage.meta.follow(kinds, (changes: readonly Change[]) => {
    for (const { key, value } of changes) {
      const id = `${key.kind}/${key.account}/${key.region}/${key.id}`;
      if (known.has(id) !== (value !== undefined)) keysChanged += 1;
      if (value === undefined) known.delete(id);
      else known.add(id);
    }
  });
  await clients().iam.send(new iam.CreateRoleCommand({ RoleName: "basic", AssumeRolePolicyDocument: TRUST }));
  await clients().lambda.send(
    new lambda.CreateFunctionCommand({
      FunctionName: "greeter",
      Role: "arn:aws:iam::000000000000:role/basic",
      Runtime: "nodejs24.x",
      Handler: "index.handler",
      Code: { ZipFile: await zipOf({ "index.mjs": "export const handler = (event) => event;" }) },
    }),
  );
  await clients().sqs.send(new sqs.CreateQueueCommand({ QueueName: "basic" }));
  const chance = random(SEED);
  const statuses = new Map<number, number>();
  for (let count = 0; count < REQUESTS; count++) {
    const made = hostileRequest(model, names, VERSIONS[name] ?? "", chance);
    const before = keysChanged;
    const answered = await send(made);
    const told = `request ${count}: ${JSON.stringify({ ...made, body: made.body.slice(0, 500) })}\n→ ${answered.status} ${answered.body.slice(0, 500)}`;
    statuses.set(answered.status, (statuses.get(answered.status) ?? 0) + 1);
    assert.ok(answered.status < 500 || answered.status === 501, told);
    assert.ok(answered.requestId !== undefined, told);
    assert.doesNotMatch(answered.body, /node:internal|\.ts:\d|\n\s+at /, told);
    if (answered.status >= 400) assert.equal(keysChanged, before, `a refused request changed something: ${told}`);
  }
  assert.ok(keysChanged > 2 || KEEPS_NO_RECORDS.has(name), "no request was good enough to change anything");
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.ok((statuses.get(403) ?? 0) < REQUESTS / 4, `signatures did not hold: ${JSON.stringify([...statuses])}`);
  await clients().lambda.send(new ListFunctionsCommand({}));
  t.diagnostic(`${name}: ${JSON.stringify([...statuses].toSorted(([one], [other]) => one - other))}`);
}

test("every service that there is, under hostile requests", async (t) => {
  const { server } = await startApi(t);
  for (const definition of await server.services())
    await t.test(`${REQUESTS} to ${definition.name} (SEED=${SEED})`, { timeout: 600_000 }, async (each) => attack(each, definition));
});
