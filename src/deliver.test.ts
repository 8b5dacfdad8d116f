import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import type { Readable } from "node:stream";
import { test } from "node:test";
import type { DeliveryContext } from "./aws/deliver.ts";
import type { ServiceDefinition } from "./aws/definition.ts";
import { FAKE_ROOT, FAKE_STRANGER } from "./aws/fake-service.ts";
import { CommonFault } from "./aws/fault.ts";
import { memoryIdentities } from "./aws/memory-identities.ts";
import type { Context } from "./aws/operations.ts";
import type { PolicyDocument } from "./aws/policy.ts";
import type { OutboundAnswer } from "./base/outbound-http.ts";
import { manualClock } from "./base/manual-clock.ts";
import { deliverer } from "./deliver.ts";
import { StorageError } from "./store/storage.ts";

const CONTEXT: DeliveryContext = {
  id: "0196b2a0-0000-4000-8000-000000000000",
  account: "000000000000",
  region: "us-east-1",
  sourceArn: "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
  sender: { principal: "lambda.amazonaws.com", role: { arn: "arn:aws:iam::000000000000:role/r", sessionName: "f" } },
  traceHeader: "Root=1-5759e988-bd862e3fe1be46a994272793",
  attributes: { ErrorCode: { DataType: "Number", StringValue: "200" } },
  objectKey: "a/b",
};

const OPERATIONS = [
  "Invoke",
  "PutObject",
  "SendMessage",
  "PutEvents",
  "CreateLogStream",
  "PutLogEvents",
  "Publish",
  "GetQueueAttributes",
  "DescribeEventBus",
];

/** Services with the same operations each, which keep what they were called with or throw what they are told to. */
function setUp(names: readonly string[], options: { failure?: Error; isStranger?: boolean; resourcePolicy?: PolicyDocument } = {}) {
  const calls: { operation: string; context: Context; input: Record<string, unknown> }[] = [];
  const operation = (name: string) => (context: Context, input: Record<string, unknown>) => {
    if (options.failure !== undefined) throw options.failure;
    calls.push({ operation: name, context, input });
    return {};
  };
  const policy = options.resourcePolicy === undefined ? {} : { resourcePolicy: options.resourcePolicy };
  const definition = (name: string): ServiceDefinition => ({
    name,
    client: {},
    clientClass: "",
    operations: Object.fromEntries(OPERATIONS.map((one) => [one, operation(one)])),
    constraints: name,
    access: (action) => [{ action: `${name}:${action}`, resource: "*", ...policy }],
  });
  const one = deliverer({
    clock: manualClock(),
    identities: memoryIdentities([FAKE_ROOT, FAKE_STRANGER]),
    assume: () => (options.isStranger === true ? FAKE_STRANGER : FAKE_ROOT).caller,
    web: { post: ({ url }) => Promise.resolve(webAnswer(url)), close() {} },
    services: new Map(names.map((name) => [name, () => Promise.resolve(definition(name))])),
  });
  return { ...one, calls };
}

/** `https://example.com/503` answers 503, and so on. */
function webAnswer(url: string): OutboundAnswer {
  const status = Number(new URL(url).pathname.slice(1));
  return status === 0 ? { kind: "failed", message: "no answer" } : { kind: "answered", status };
}

const EVENT = Buffer.from('{"é":1}');
const QUEUE = "arn:aws:sqs:eu-west-1:000000000000:q";

test("functions, buckets and queues get the event by their own operation, in the target's region, in the role's name", async () => {
  const { deliver, calls } = setUp(["lambda", "s3", "sqs"]);
  const name = "arn:aws:lambda:us-east-1:000000000000:function:g";
  for (const target of [name, "arn:aws:s3:::bucket", QUEUE]) assert.deepEqual(await deliver(target, EVENT, CONTEXT), { kind: "delivered" });
  const [invoke, put, send] = calls;
  assert.deepEqual(invoke?.input, { FunctionName: name, InvocationType: "Event", Payload: EVENT });
  assert.deepEqual(
    [invoke.context.requestId, invoke.context.traceHeader, invoke.context.caller],
    [CONTEXT.id, CONTEXT.traceHeader, FAKE_ROOT.caller],
  );
  const { Body, ...object } = put?.input ?? {};
  assert.equal(await text(Body as Readable), EVENT.toString());
  assert.deepEqual(object, { Bucket: "bucket", Key: "a/b", ContentLength: EVENT.byteLength, ContentType: "application/json" });
  assert.deepEqual(send?.input, {
    QueueUrl: "http://localhost/000000000000/q",
    MessageBody: EVENT.toString(),
    MessageAttributes: CONTEXT.attributes,
  });
  assert.deepEqual(
    calls.map(({ context }) => context.region),
    ["us-east-1", "us-east-1", "eu-west-1"],
  );
});

test("event buses get a new event or one of another bus, log groups a line in the stream of its source", async () => {
  const { deliver, calls } = setUp(["events", "logs"]);
  const bus = "arn:aws:events:us-east-1:000000000000:event-bus/b";
  const busEntry = { source: "lambda", detailType: "d", resources: [bus] };
  const { traceHeader: TraceHeader } = CONTEXT;
  const whole = Buffer.from('{"source":"s","detail-type":"t","detail":{"n":1.0}}');
  const group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/g:*";
  for (const [target, event, context] of [
    [bus, EVENT, { ...CONTEXT, busEntry }],
    [bus, whole, CONTEXT],
    [group, whole, CONTEXT],
    [group, Buffer.from('{"timestamp":5,"message":"m"}'), CONTEXT],
  ] as const)
    assert.deepEqual(await deliver(target, event, context), { kind: "delivered" });
  const stream = { logGroupName: "/aws/events/g", logStreamName: "function-f-$LATEST" };
  const line = (timestamp: number, message: string) => ({ ...stream, logEvents: [{ timestamp, message }] });
  assert.deepEqual(
    calls.map(({ operation, input }) => [operation, input]),
    [
      [
        "PutEvents",
        { Entries: [{ EventBusName: bus, Source: "lambda", DetailType: "d", Resources: [bus], Detail: EVENT.toString(), TraceHeader }] },
      ],
      ["DescribeEventBus", { Name: bus }],
      [
        "PutEvents",
        { Entries: [{ EventBusName: bus, Source: "s", DetailType: "t", Detail: "{}", forwarded: whole.toString(), TraceHeader }] },
      ],
      ["DescribeEventBus", { Name: bus }],
      ["CreateLogStream", stream],
      ["PutLogEvents", line(manualClock().now(), whole.toString())],
      ["CreateLogStream", stream],
      ["PutLogEvents", line(5, "m")],
    ],
  );
});

test("what the server does not have is no target", async () => {
  const { deliver, supports } = setUp(["lambda"]);
  assert.deepEqual(
    [QUEUE, "arn:aws:sns:us-east-1:000000000000:t", "arn:aws:lambda:us-east-1:000000000000:function:g", "nonsense"].map(supports),
    [false, false, true, false],
  );
  assert.deepEqual(await deliver(QUEUE, EVENT, CONTEXT), { kind: "refused", code: "NO_TARGET", message: `there is no way to ${QUEUE}` });
});

for (const { what, failure, kind } of [
  { what: "a missing target", failure: new CommonFault("NoSuchBucket", "no", 404), kind: "refused" },
  { what: "a throttle", failure: new CommonFault("TooManyRequestsException", "no", 429), kind: "unavailable" },
  { what: "a function that is being made", failure: new CommonFault("ResourceConflictException", "no", 409), kind: "unavailable" },
  { what: "a server that is stopping", failure: new CommonFault("ServiceUnavailableException", "no", 503), kind: "unavailable" },
  { what: "a full disk", failure: new StorageError("Unavailable", "no"), kind: "unavailable" },
])
  test(`${what}: ${kind}`, async () => {
    assert.equal((await setUp(["s3"], { failure }).deliver("arn:aws:s3:::b", EVENT, CONTEXT)).kind, kind);
  });

test("a service acts for its source: only the target's own policy can admit it", async () => {
  const source = "arn:aws:sns:us-east-1:000000000000:t";
  const allowing = (arn: string): PolicyDocument => ({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: "sns.amazonaws.com" },
        Action: "*",
        Resource: "*",
        Condition: { ArnLike: { "AWS:SourceArn": arn }, StringEquals: { "AWS:SourceAccount": "000000000000" } },
      },
    ],
  });
  const sent = { ...CONTEXT, sourceArn: source, sender: { principal: "sns.amazonaws.com" } };
  const outcomes = [undefined, allowing(`${source}2`), allowing(source)].map(async (resourcePolicy) => {
    const { deliver } = setUp(["sqs"], resourcePolicy === undefined ? {} : { resourcePolicy });
    return (await deliver(QUEUE, EVENT, sent)).kind;
  });
  assert.deepEqual(await Promise.all(outcomes), ["refused", "refused", "delivered"]);
});

test("that a target is not there is told to its own account, and to no other", async () => {
  const failure = new CommonFault("QueueDoesNotExist", "no", 400);
  const codeFor = async (sender: DeliveryContext["sender"], account: string, isStranger: boolean) => {
    const outcome = await setUp(["sqs"], { failure, isStranger }).deliver(QUEUE, EVENT, { ...CONTEXT, sender, account });
    return outcome.kind === "refused" && outcome.code;
  };
  const service = { principal: "sns.amazonaws.com" };
  assert.equal(await codeFor(service, "000000000000", false), "QueueDoesNotExist");
  assert.equal(await codeFor(service, "111111111111", false), "AccessDeniedException");
  assert.equal(await codeFor(CONTEXT.sender, "000000000000", true), "AccessDeniedException");
});

test("without the right nothing is delivered, and a bug is one", async () => {
  const { deliver, calls } = setUp(["s3"], { isStranger: true });
  const outcome = await deliver("arn:aws:s3:::b", EVENT, CONTEXT);
  assert.ok(outcome.kind === "refused" && outcome.message.startsWith("AccessDeniedException"));
  assert.deepEqual(calls, []);
  await assert.rejects(setUp(["s3"], { failure: new TypeError("bug") }).deliver("arn:aws:s3:::b", EVENT, CONTEXT), TypeError);
});

for (const [path, kind] of [
  ["204", "delivered"],
  ["302", "refused"],
  ["404", "refused"],
  ["429", "unavailable"],
  ["503", "unavailable"],
  ["", "unavailable"],
] as const)
  test(`a web endpoint that answers ${path === "" ? "nothing" : path}: ${kind}`, async () => {
    assert.equal((await setUp([]).deliver(`https://example.com/${path}`, EVENT, CONTEXT)).kind, kind);
  });

test("topics get the event as a message, with bytes where an attribute has them", async () => {
  const { deliver, calls } = setUp(["sns"]);
  const topic = "arn:aws:sns:us-east-1:000000000000:t";
  await deliver(topic, EVENT, { ...CONTEXT, subject: "s", attributes: { b: { DataType: "Binary", BinaryValue: "AQI=" } } });
  assert.deepEqual(calls[0]?.input, {
    TopicArn: topic,
    Message: EVENT.toString(),
    Subject: "s",
    MessageAttributes: { b: { DataType: "Binary", BinaryValue: Buffer.from([1, 2]) } },
  });
});
