// The path of a request around its operation: access, bugs, loading, streams that lie, clients that leave.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import * as logs from "@aws-sdk/client-cloudwatch-logs";
import * as iam from "@aws-sdk/client-iam";
import * as lambda from "@aws-sdk/client-lambda";
import * as s3 from "@aws-sdk/client-s3";
import * as sts from "@aws-sdk/client-sts";
import { silentLog, type Log } from "../base/log.ts";
import type { ServiceDefinition } from "./definition.ts";
import { assertRefused, FAKE_STRANGER, fakeDoor, fakeService } from "./fake-service.ts";
import { CommonFault } from "./fault.ts";
import type { FrontDoorOptions } from "./front-door.ts";

async function start(t: TestContext, services: readonly ServiceDefinition[], options: Partial<FrontDoorOptions> = {}) {
  const fake = await fakeDoor(services, options);
  t.after(() => fake.door.close());
  return fake;
}

test("access is checked after decoding and before validation, so a stranger learns nothing", async (t) => {
  const asked: unknown[] = [];
  const { settings, endpoint } = await start(t, [
    fakeService(
      "lambda",
      lambda,
      "LambdaClient",
      { GetFunction: () => assert.fail("must not run") },
      {
        access: (operation, _context, input) => {
          asked.push([operation, input["FunctionName"]]);
          return [{ action: `lambda:${operation}`, resource: "*" }];
        },
      },
    ),
  ]);
  const client = new lambda.LambdaClient(settings(FAKE_STRANGER));
  t.after(() => client.destroy());
  const command = new lambda.GetFunctionCommand({ FunctionName: "not a valid name" });
  await assertRefused(
    client.send(command),
    "AccessDeniedException",
    403,
    /^User: arn:aws:iam::000000000000:user\/x is not authorized to perform: lambda:GetFunction/,
  );
  assert.deepEqual(asked, [["GetFunction", "not a valid name"]]);
  const wrong = new lambda.LambdaClient({ ...settings(), credentials: { accessKeyId: "AKIAROOT", secretAccessKey: "wrong" } });
  t.after(() => wrong.destroy());
  await assertRefused(wrong.send(command), "InvalidSignatureException", 403);
  const unknown = new lambda.LambdaClient({ ...settings(), credentials: { accessKeyId: "AKIAUNKNOWN", secretAccessKey: "x" } });
  t.after(() => unknown.destroy());
  await assertRefused(unknown.send(command), "UnrecognizedClientException", 403);
  const unsigned = await fetch(`${endpoint}/2015-03-31/functions/f`);
  assert.equal(unsigned.status, 403);
  assert.equal(unsigned.headers.get("x-amzn-errortype"), "MissingAuthenticationTokenException");
  assert.equal(asked.length, 1);
});

function broken(): never {
  throw new TypeError("secret of the implementation");
}

test("a bug is a 500 with the request id; its stack is in the log alone", async (t) => {
  const lines: { message: string; fields: Readonly<Record<string, unknown>> | undefined }[] = [];
  const log: Log = { ...silentLog, error: (message, fields) => void lines.push({ message, fields }) };
  const { settings } = await start(
    t,
    [
      fakeService("lambda", lambda, "LambdaClient", { GetFunction: broken }),
      fakeService("s3", s3, "S3Client", { ListBuckets: broken }),
      fakeService("sts", sts, "STSClient", { GetCallerIdentity: broken }),
      fakeService("logs", logs, "CloudWatchLogsClient", { DescribeLogGroups: broken }),
    ],
    { log },
  );
  const message = "We encountered an internal error. Please try again.";
  const failed = [
    await assertRefused(
      new lambda.LambdaClient(settings()).send(new lambda.GetFunctionCommand({ FunctionName: "f" })),
      "ServiceException",
      500,
      message,
    ),
    await assertRefused(
      new s3.S3Client({ ...settings(), forcePathStyle: true }).send(new s3.ListBucketsCommand({})),
      "InternalError",
      500,
      message,
    ),
    await assertRefused(new sts.STSClient(settings()).send(new sts.GetCallerIdentityCommand({})), "InternalFailure", 500, message),
    await assertRefused(
      new logs.CloudWatchLogsClient(settings()).send(new logs.DescribeLogGroupsCommand({})),
      "InternalFailure",
      500,
      message,
    ),
  ];
  assert.deepEqual(
    lines.map(({ fields }) => fields?.["requestId"]),
    failed.map(({ $metadata }) => $metadata.requestId),
  );
  assert.ok(lines.every(({ fields }) => fields?.["cause"] instanceof TypeError));
});

test("a streamed body that is not what was signed fails its operation", async (t) => {
  const failures: unknown[] = [];
  const { settings } = await start(t, [
    fakeService("s3", s3, "S3Client", {
      async PutObject(_context, input) {
        await buffer(input.Body ?? Readable.from([])).catch((cause: unknown) => {
          failures.push(cause);
          throw cause;
        });
        return assert.fail("must not get here");
      },
    }),
  ]);
  const client = new s3.S3Client({ ...settings(), forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" });
  t.after(() => client.destroy());
  // After signing, so that the signature is right and the body is not.
  client.middlewareStack.add(
    (next) => (args) => {
      (args.request as { body: unknown }).body = "tampered";
      return next(args);
    },
    { step: "finalizeRequest", priority: "low" },
  );
  const put = new s3.PutObjectCommand({ Bucket: "b", Key: "k", Body: "original" });
  await assertRefused(client.send(put), "XAmzContentSHA256Mismatch", 400);
  assert.ok(failures[0] instanceof CommonFault);
});

test("an operation hears that its client has gone", async (t) => {
  const { promise: inside, resolve: entered } = Promise.withResolvers<void>();
  let left: Promise<unknown> = Promise.resolve();
  const { settings } = await start(t, [
    fakeService("lambda", lambda, "LambdaClient", {
      GetFunction: async (context) => {
        left = once(context.signal, "abort");
        entered();
        await left;
        return {};
      },
    }),
  ]);
  const client = new lambda.LambdaClient(settings());
  t.after(() => client.destroy());
  const abort = new AbortController();
  const sent = client.send(new lambda.GetFunctionCommand({ FunctionName: "f" }), { abortSignal: abort.signal });
  await inside;
  abort.abort();
  await assert.rejects(sent, { name: "AbortError" });
  await left;
});

test("closing refuses newcomers and lets requests in flight finish", async (t) => {
  const { promise: inside, resolve: entered } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { door, endpoint, settings } = await start(t, [
    fakeService("lambda", lambda, "LambdaClient", {
      GetFunction: async () => {
        entered();
        await released;
        return { Tags: { done: "yes" } };
      },
    }),
  ]);
  const client = new lambda.LambdaClient(settings());
  t.after(() => client.destroy());
  const sent = client.send(new lambda.GetFunctionCommand({ FunctionName: "f" }));
  await inside;
  const closed = door.close();
  await assert.rejects(fetch(`${endpoint}/health`));
  release();
  assert.deepEqual((await sent).Tags, { done: "yes" });
  await closed;
});

test("a service is loaded once, at its first request, and again after it failed to load", async (t) => {
  const loads: string[] = [];
  const service = fakeService("lambda", lambda, "LambdaClient", { GetFunction: () => ({}) });
  const define = async () => {
    loads.push("lambda");
    if (loads.length === 1) throw new Error("not yet");
    return service;
  };
  const { settings } = await start(t, [], { services: new Map([["lambda", define]]) });
  const client = new lambda.LambdaClient(settings());
  t.after(() => client.destroy());
  const get = () => client.send(new lambda.GetFunctionCommand({ FunctionName: "f" }));
  await assertRefused(get(), "ServiceException", 500);
  await Promise.all([get(), get(), get()]);
  assert.equal(loads.length, 2);
  const absent = new iam.IAMClient(settings());
  t.after(() => absent.destroy());
  await assertRefused(absent.send(new iam.ListUsersCommand({})), "NotImplementedException", 501, /the service "iam"/);
});
