// Bad input of every kind gets AWS's error and changes nothing: 1,000 generated requests for each service, signed by the root; no 5xx.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request } from "node:http";
import { test, type TestContext } from "node:test";
import { ListFunctionsCommand } from "@aws-sdk/client-lambda";
import { SignatureV4 } from "@smithy/signature-v4";
import * as iam from "@aws-sdk/client-iam";
import * as lambda from "@aws-sdk/client-lambda";
import * as sqs from "@aws-sdk/client-sqs";
import type { ServiceDefinition } from "../../src/aws/definition.ts";
import { serviceModel } from "../../src/aws/model.ts";
import type { Change } from "../../src/store/storage.ts";
import { Sha256 } from "../../bench/signed-requests.ts";
import { startApi } from "../support/api.ts";
import { zipOf } from "../support/zip.ts";
import { hostileRequest, random, type HostileRequest } from "../support/hostile-requests.ts";

const REQUESTS = 1_000;
const SEED = Number(process.env["SEED"] ?? 20_261_123);

const KEEPS_NO_RECORDS = new Set(["sts", "monitoring"]);
/** Of the services that speak forms. */
const VERSIONS: Readonly<Record<string, string>> = { iam: "2010-05-08", sts: "2011-06-15", sns: "2010-03-31" };

const TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
});

interface Answered {
  readonly status: number;
  readonly requestId: string | undefined;
  readonly body: string;
}

function send(endpoint: URL, made: HostileRequest, headers: Readonly<Record<string, string>>): Promise<Answered> {
  const search = new URLSearchParams(made.query).toString().replaceAll("+", "%20");
  const options = {
    host: endpoint.hostname,
    port: endpoint.port,
    method: made.method,
    path: search === "" ? made.path : `${made.path}?${search}`,
    headers,
  };
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      let body = "";
      // A stream of events ends when its reader goes.
      const isEndless = response.headers["content-type"] === "application/vnd.amazon.eventstream";
      if (isEndless) response.destroy();
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("close", () => {
        if (!isEndless && !response.complete) return reject(new Error(`${made.operation}: the answer was cut short`));
        resolve({
          status: response.statusCode ?? 0,
          requestId: (response.headers["x-amzn-requestid"] ?? response.headers["x-amz-request-id"])?.toString(),
          body,
        });
      });
    });
    sent.on("error", reject);
    sent.end(made.body);
  });
}

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
  const endpoint = new URL(server.endpoint);
  const signer = new SignatureV4({
    service: name,
    region: "us-east-1",
    credentials: server.keys,
    sha256: Sha256,
    uriEscapePath: name !== "s3",
    applyChecksum: true,
  });
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
    // Without it S3 looks no further at some of its bodies.
    const digest = name === "s3" ? { "content-md5": createHash("md5").update(made.body).digest("base64") } : {};
    const headers = { ...made.headers, ...digest, host: endpoint.host };
    const signed = await signer.sign({
      method: made.method,
      protocol: "http:",
      hostname: endpoint.hostname,
      path: made.path,
      query: made.query,
      headers,
      body: made.body,
    });
    const before = keysChanged;
    const answered = await send(endpoint, made, { ...signed.headers, "content-length": String(Buffer.byteLength(made.body)) });
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
    await t.test(`${REQUESTS} to ${definition.name} (SEED=${SEED})`, { timeout: 120_000 }, async (each) => attack(each, definition));
});
