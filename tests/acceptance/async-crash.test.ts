// SIGKILL of the server during asynchronous invocations: every accepted event is run, and its result reaches its destination.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { test } from "node:test";
import { InvokeCommand, PutFunctionEventInvokeConfigCommand, type LambdaClient } from "@aws-sdk/client-lambda";
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";
import { makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { leftovers, nothingLeftSince } from "../support/leftovers.ts";
import { eventually } from "../support/eventually.ts";

const KILLS = Number(env["ASYNC_KILLS"] ?? 5);
const CALLERS = 8;
const BUCKET = "results";

// An even event fails, and its record goes to the bucket. An odd one succeeds, and its record goes to `sink`, which fails with it.
const WORKER = `
def handler(event, context):
    if event["n"] % 2 == 0:
        raise Exception("even")
    return event["n"]
`;
const SINK = `
def handler(event, context):
    raise Exception("to the bucket")
`;

async function setUp({ lambda, iam, s3 }: ReturnType<Awaited<ReturnType<typeof startLambent>>["clients"]>): Promise<void> {
  const role = await makeRole(iam, "worker", ["AmazonS3FullAccess", "AWSLambda_FullAccess"]);
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  await makeFunction(lambda, { name: "worker", role, code: WORKER });
  await makeFunction(lambda, { name: "sink", role, code: SINK });
  const OnFailure = { Destination: `arn:aws:s3:::${BUCKET}` };
  const OnSuccess = { Destination: "arn:aws:lambda:us-east-1:000000000000:function:sink" };
  const put = (FunctionName: string, DestinationConfig: object) =>
    lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName, MaximumRetryAttempts: 0, DestinationConfig }));
  await put("worker", { OnFailure, OnSuccess });
  await put("sink", { OnFailure });
}

/** Sends events until the server is gone; request ids of those that were accepted go into the ledger, with their number. */
async function send(lambda: LambdaClient, ledger: Map<string, number>, accepted: () => void): Promise<void> {
  for (;;) {
    const n = ledger.size;
    const command = new InvokeCommand({ FunctionName: "worker", InvocationType: "Event", Payload: JSON.stringify({ n }) });
    const answer = await lambda.send(command).catch(() => undefined);
    if (answer === undefined) return;
    assert.equal(answer.StatusCode, 202);
    ledger.set(answer.$metadata.requestId ?? "", n);
    accepted();
  }
}

interface Invocation {
  readonly requestContext: { readonly requestId: string; readonly condition: string };
  readonly requestPayload: unknown;
}

/** Request ids of the worker's events whose results are in the bucket, with how often they are there. */
async function results(s3: S3Client, known: Map<string, string>): Promise<Map<string, number>> {
  let ContinuationToken: string | undefined;
  do {
    const page = await s3.send(
      new ListObjectsV2Command({ Bucket: BUCKET, ...(ContinuationToken === undefined ? {} : { ContinuationToken }) }),
    );
    for (const { Key = "" } of page.Contents ?? []) {
      if (known.has(Key)) continue;
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
      const record = JSON.parse((await Body?.transformToString()) ?? "") as Invocation;
      assert.equal(record.requestContext.condition, "RetriesExhausted");
      const first = Key.includes("/sink/") ? (record.requestPayload as Invocation) : record;
      if (first !== record) assert.equal(first.requestContext.condition, "Success");
      known.set(Key, first.requestContext.requestId);
    }
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  const counts = new Map<string, number>();
  for (const id of known.values()) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

test(`${KILLS} times SIGKILL during asynchronous invocations: accepted and lost = 0`, { timeout: 280_000 }, async (t) => {
  const dataDirectory = await mkdtemp(join(tmpdir(), "lambent-async-"));
  const before = leftovers();
  const ledger = new Map<string, number>();
  let server: LambentProcess | undefined;
  t.after(async () => {
    await server?.end("SIGKILL");
    await rm(dataDirectory, { recursive: true });
  });
  for (let round = 0; round < KILLS; round++) {
    server = await startLambent({ dataDirectory });
    const clients = server.clients();
    if (round === 0) await setUp(clients);
    const enough = 60 + round * 35;
    const reached = Promise.withResolvers<void>();
    let count = 0;
    const sending = Array.from({ length: CALLERS }, () => send(clients.lambda, ledger, () => ++count >= enough && reached.resolve()));
    await reached.promise;
    await server.end("SIGKILL");
    await Promise.all(sending);
  }
  server = await startLambent({ dataDirectory });
  const { s3 } = server.clients();
  const known = new Map<string, string>();
  // Nobody calls Lambda: what is left is worked off by itself.
  const counts = await eventually(
    "every accepted event has its result",
    async () => {
      const found = await results(s3, known);
      return [...ledger.keys()].every((id) => found.has(id)) && found;
    },
    60_000,
  );
  const again = [...counts.values()].reduce((sum, times) => sum + times - 1, 0);
  t.diagnostic(`${ledger.size} accepted, 0 lost, ${again} more than once, ${counts.size - ledger.size} of unanswered calls`);
  assert.ok(ledger.size >= KILLS * 60);
  assert.equal(await server.end(), 0);
  await nothingLeftSince(before);
});
