// restJson1 as Lambda's official client sees it.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import type { ServiceDefinition } from "./definition.ts";
import { assertRefused, FAKE_ACCOUNT, FAKE_ROOT, fakeDoor, fakeService } from "./fake-service.ts";
import { Fault } from "./fault.ts";
import { notBuilt, type Context } from "./operations.ts";

const role = `arn:aws:iam::${FAKE_ACCOUNT}:role/x`;

async function start(t: TestContext, services: readonly ServiceDefinition[]) {
  const fake = await fakeDoor(services);
  t.after(() => fake.door.close());
  return fake;
}

test("Lambda: documents, labels and queries arrive typed, and outputs come back with the model's status", async (t) => {
  const seen: unknown[] = [];
  const { settings } = await start(t, [
    fakeService("lambda", lambda, "LambdaClient", {
      CreateFunction(context, input) {
        seen.push(context, input);
        return { FunctionName: input.FunctionName, CodeSize: input.Code?.ZipFile?.byteLength, Environment: input.Environment };
      },
      ListFunctions: (_context, input) => ({ Functions: [{ FunctionName: "f" }], NextMarker: input.Marker }),
      GetLayerVersionByArn: (_context, input) => ({ LayerVersionArn: input.Arn }),
      ListLayers: () => ({ Layers: [] }),
      ListTags: (_context, input) => ({ Tags: { resource: input.Resource ?? "" } }),
      GetEventSourceMapping: (_context, input) => ({ UUID: input.UUID, LastModified: new Date(1_700_000_000_123) }),
      DeleteAlias: () => ({}),
    }),
  ]);
  const client = new lambda.LambdaClient(settings());
  t.after(() => client.destroy());
  const zip = Buffer.from("PK\0\u00ff", "latin1");
  const created = await client.send(
    new lambda.CreateFunctionCommand({ FunctionName: "f", Role: role, Code: { ZipFile: zip }, Environment: { Variables: { AB: "ü" } } }),
  );
  assert.equal(created.$metadata.httpStatusCode, 201);
  assert.deepEqual([created.CodeSize, created.Environment], [zip.length, { Variables: { AB: "ü" } }]);
  const [context, input] = seen as [Context, lambda.CreateFunctionRequest];
  assert.deepEqual(input.Code?.ZipFile, zip);
  assert.deepEqual([context.account, context.region, context.caller], [FAKE_ACCOUNT, "eu-west-1", FAKE_ROOT.caller]);
  assert.equal(context.requestId, created.$metadata.requestId);
  assert.equal(context.endpoint, settings().endpoint);
  assert.equal((await client.send(new lambda.ListFunctionsCommand({ Marker: "a b/é+&" }))).NextMarker, "a b/é+&");
  const layer = "arn:aws:lambda:eu-west-1:000000000000:layer:l:1";
  assert.equal((await client.send(new lambda.GetLayerVersionByArnCommand({ Arn: layer }))).LayerVersionArn, layer);
  assert.deepEqual((await client.send(new lambda.ListLayersCommand({}))).Layers, []);
  const arn = "arn:aws:lambda:eu-west-1:000000000000:function:f";
  assert.deepEqual((await client.send(new lambda.ListTagsCommand({ Resource: arn }))).Tags, { resource: arn });
  const mapping = await client.send(new lambda.GetEventSourceMappingCommand({ UUID: "14e0db71-5d35-4eb5-b481-8945cf9d10c2" }));
  assert.equal(mapping.LastModified?.getTime(), 1_700_000_000_123);
  const deleted = await client.send(new lambda.DeleteAliasCommand({ FunctionName: "f", Name: "live" }));
  assert.equal(deleted.$metadata.httpStatusCode, 204);
});

async function* events() {
  yield { PayloadChunk: { Payload: Buffer.from("hello ") } } as never;
  yield { PayloadChunk: { Payload: Buffer.from("world") } } as never;
  yield { InvokeComplete: { LogResult: "bG9n" } } as never;
}

test("Lambda: an invocation's payload is bytes both ways, and the operation may add response headers", async (t) => {
  const { settings } = await start(t, [
    fakeService("lambda", lambda, "LambdaClient", {
      Invoke(context, input) {
        context.responseHeaders?.set("x-amzn-trace-id", "Root=1");
        if (input.InvocationType === "Event") return { StatusCode: 202 };
        return { StatusCode: 200, ExecutedVersion: "$LATEST", Payload: input.Payload as never };
      },
      async InvokeWithResponseStream() {
        return { StatusCode: 200, ResponseStreamContentType: "text/html", EventStream: events() };
      },
    }),
  ]);
  const client = new lambda.LambdaClient(settings());
  t.after(() => client.destroy());
  const payload = Buffer.from('{ "b" : 1,\n"a":"\u00ff" }', "latin1");
  const answer = await client.send(new lambda.InvokeCommand({ FunctionName: "f:live", Payload: payload }));
  assert.deepEqual(Buffer.from(answer.Payload ?? []), payload);
  assert.equal(answer.ExecutedVersion, "$LATEST");
  assert.equal((await client.send(new lambda.InvokeCommand({ FunctionName: "f", InvocationType: "Event" }))).StatusCode, 202);
  const streamed = await client.send(new lambda.InvokeWithResponseStreamCommand({ FunctionName: "f" }));
  const parts: string[] = [];
  for await (const event of streamed.EventStream ?? [])
    parts.push(Buffer.from(event.PayloadChunk?.Payload ?? []).toString() || JSON.stringify(event.InvokeComplete));
  assert.deepEqual(parts, ["hello ", "world", '{"LogResult":"bG9n"}']);
});

test("Lambda: faults have AWS's status, header, casing and request id", async (t) => {
  const { settings } = await start(t, [
    fakeService("lambda", lambda, "LambdaClient", {
      GetFunction: () => {
        throw new Fault(lambda.ResourceNotFoundException$, "Function not found: f", { Type: "User" });
      },
      Invoke: () => {
        const members = { Type: "User", Reason: "CallerRateLimitExceeded", retryAfterSeconds: "7" };
        throw new Fault(lambda.TooManyRequestsException$, "Rate Exceeded.", members);
      },
      PutFunctionConcurrency: () => {
        throw new Fault(lambda.InvalidParameterValueException$, "no Type");
      },
      GetPolicy: notBuilt,
    }),
  ]);
  const client = new lambda.LambdaClient(settings());
  t.after(() => client.destroy());
  const documents: { headers: Record<string, string>; text: string }[] = [];
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { headers: Record<string, string>; body: Readable };
      const text = (await buffer(response.body)).toString();
      documents.push({ headers: response.headers, text });
      response.body = Readable.from([Buffer.from(text)]);
      return result;
    },
    { step: "deserialize", priority: "low" },
  );
  const missing = await assertRefused(client.send(new lambda.GetFunctionCommand({ FunctionName: "f" })), "ResourceNotFoundException", 404);
  assert.equal(documents[0]?.text, '{"Type":"User","Message":"Function not found: f"}');
  assert.equal(documents[0]?.headers["x-amzn-errortype"], "ResourceNotFoundException");
  assert.equal(documents[0]?.headers["x-amzn-requestid"], missing.$metadata.requestId);
  await assertRefused(client.send(new lambda.InvokeCommand({ FunctionName: "f" })), "TooManyRequestsException", 429, "Rate Exceeded.");
  assert.equal(documents[1]?.text, '{"Type":"User","message":"Rate Exceeded.","Reason":"CallerRateLimitExceeded"}');
  assert.equal(documents[1]?.headers["retry-after"], "7");
  const put = new lambda.PutFunctionConcurrencyCommand({ FunctionName: "f", ReservedConcurrentExecutions: 1 });
  await assertRefused(client.send(put), "InvalidParameterValueException", 400);
  assert.equal(documents[2]?.text, '{"message":"no Type"}');
  await assertRefused(client.send(new lambda.GetPolicyCommand({ FunctionName: "f" })), "NotImplementedException", 501, /lambda:GetPolicy/);
});

test("Lambda: broken constraints are listed in AWS's sentences", async (t) => {
  const { settings } = await start(t, [
    fakeService("lambda", lambda, "LambdaClient", { CreateFunction: () => ({}), UpdateAlias: () => ({}), GetFunction: () => ({}) }),
  ]);
  const client = new lambda.LambdaClient(settings());
  t.after(() => client.destroy());
  const create = (input: object) => client.send(new lambda.CreateFunctionCommand({ FunctionName: "f", Role: role, Code: {}, ...input }));
  await assertRefused(
    create({ FunctionName: "bad name", Timeout: 0 }),
    "ValidationException",
    400,
    /^2 validation errors detected: Value 'bad name' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: \(arn:.*; Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1$/,
  );
  await assertRefused(
    create({ Role: undefined }),
    "ValidationException",
    400,
    "1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null",
  );
  await assertRefused(
    create({ Architectures: ["X86_64"] }),
    "ValidationException",
    400,
    "1 validation error detected: Value '[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
  );
  await assertRefused(
    create({ Architectures: ["x86_64", "arm64"] }),
    "ValidationException",
    400,
    "1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1",
  );
  const weights = (AdditionalVersionWeights: Record<string, number>) =>
    client.send(new lambda.UpdateAliasCommand({ FunctionName: "f", Name: "a", RoutingConfig: { AdditionalVersionWeights } }));
  await assertRefused(
    weights({ 2: 2 }),
    "ValidationException",
    400,
    "1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]",
  );
  await assertRefused(
    weights({ $LATEST: 0.5 }),
    "ValidationException",
    400,
    "1 validation error detected: Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]",
  );
});
