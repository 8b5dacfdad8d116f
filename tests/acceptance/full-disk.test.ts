// A full and a read-only disk as clients see them: writes are refused in AWS's shape, nothing is half there, reads and invokes go on.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { IAMClient } from "@aws-sdk/client-iam";
import { GetFunctionCommand, InvokeCommand, LambdaClient, ListFunctionsCommand, TagResourceCommand } from "@aws-sdk/client-lambda";
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { loadConfig } from "../../src/config.ts";
import { fakeSandboxHost } from "../../src/sandbox/fake.ts";
import { startServer, type Server } from "../../src/server.ts";
import { memoryLogSink } from "../../src/store/memory/memory-log-sink.ts";
import { eventually } from "../support/eventually.ts";
import { makeFunction, makeRole } from "../support/functions.ts";
import { withSmallDisk } from "../support/small-disk.ts";

const start = (data: string) =>
  startServer(loadConfig({ data, port: "0" }, {}), {
    log: silentLog,
    logs: memoryLogSink({ clock: systemClock }),
    sandboxes: fakeSandboxHost(() => (event: unknown) => event),
  });

function clientsOf({ endpoint, keys }: Server) {
  const settings = { endpoint, region: "us-east-1", credentials: keys, maxAttempts: 1 };
  return { lambda: new LambdaClient(settings), iam: new IAMClient(settings), s3: new S3Client({ ...settings, forcePathStyle: true }) };
}

interface Refusal {
  readonly name: string;
  readonly $metadata: { readonly httpStatusCode?: number; readonly requestId?: string };
}

async function assertRefused(call: Promise<unknown>, name: string): Promise<void> {
  const error = await call.then(
    () => assert.fail(`expected ${name}`),
    (cause: Refusal) => cause,
  );
  assert.deepEqual([error.name, error.$metadata.httpStatusCode], [name, 500]);
  assert.match(error.$metadata.requestId ?? "", /^\w/);
}

/** Takes what is left, down to the last block. */
async function fill(path: string): Promise<void> {
  const isTaken = (bytes: number) =>
    appendFile(path, Buffer.alloc(bytes, 1)).then(
      () => true,
      () => false,
    );
  for (let bytes = 2 ** 20; bytes >= 4096;) if (!(await isTaken(bytes))) bytes /= 2;
}

test(
  "a full disk: no acknowledgement, nothing half-written, reads and invokes go on, and all is well with space again",
  { timeout: 600_000 },
  (t) =>
    withSmallDisk(t, 48, async (directory) => {
      const server = await start(join(directory, "data"));
      const { lambda, iam, s3 } = clientsOf(server);
      try {
        const role = await makeRole(iam);
        await makeFunction(lambda, { name: "f", role, code: "", runtime: "nodejs24.x" });
        await s3.send(new CreateBucketCommand({ Bucket: "bucket" }));
        await s3.send(new PutObjectCommand({ Bucket: "bucket", Key: "before", Body: "kept" }));
        const { Configuration } = await lambda.send(new GetFunctionCommand({ FunctionName: "f" }));
        const ballast = join(directory, "ballast");
        await fill(ballast);
        const event = () =>
          lambda.send(new InvokeCommand({ FunctionName: "f", InvocationType: "Event", Payload: `"${"x".repeat(900_000)}"` }));
        await assertRefused(event(), "ServiceException");
        await assertRefused(
          makeFunction(lambda, { name: "g", role, code: "x".repeat(100_000), runtime: "nodejs24.x" }),
          "ServiceException",
        );
        await assertRefused(s3.send(new PutObjectCommand({ Bucket: "bucket", Key: "torn", Body: Buffer.alloc(2 ** 20) })), "InternalError");
        const { Functions } = await lambda.send(new ListFunctionsCommand({}));
        assert.deepEqual(
          Functions?.map(({ FunctionName }) => FunctionName),
          ["f"],
        );
        const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: "bucket" }));
        assert.deepEqual(
          Contents?.map(({ Key }) => Key),
          ["before"],
        );
        const { Body } = await s3.send(new GetObjectCommand({ Bucket: "bucket", Key: "before" }));
        assert.equal(await Body?.transformToString(), "kept");
        const answer = await lambda.send(new InvokeCommand({ FunctionName: "f", Payload: "[1]" }));
        assert.equal(Buffer.from(answer.Payload ?? []).toString(), "[1]");
        await unlink(ballast);
        await eventually("an event is taken again", async () => (await event()).StatusCode === 202);
        await lambda.send(new TagResourceCommand({ Resource: Configuration?.FunctionArn ?? "", Tags: { after: "all" } }));
        await s3.send(new PutObjectCommand({ Bucket: "bucket", Key: "after", Body: Buffer.alloc(2 ** 20) }));
        assert.equal(await Promise.race([server.failed.then(() => "failed"), Promise.resolve("runs")]), "runs");
      } finally {
        for (const client of [lambda, iam, s3]) client.destroy();
        await server.stop();
      }
    }),
);

test("a directory on a read-only disk: the server says so and does not start", { timeout: 600_000 }, (t) =>
  withSmallDisk(t, 48, async (directory) => {
    const data = join(directory, "data");
    await (await start(data)).stop();
    execFileSync("mount", ["-o", "remount,ro", directory]);
    await assert.rejects(start(data), (error: Error) => error.message.includes(data) && /read-only|EROFS/i.test(error.message));
  }),
);
