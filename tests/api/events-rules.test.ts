// Rules, targets and events: what is put on a bus comes to the targets of the rules that it matches, as they want it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CreateEventBusCommand,
  DeleteRuleCommand,
  DescribeRuleCommand,
  DisableRuleCommand,
  EnableRuleCommand,
  ListRuleNamesByTargetCommand,
  ListRulesCommand,
  ListTargetsByRuleCommand,
  PutEventsCommand,
  PutRuleCommand,
  PutTargetsCommand,
  RemoveTargetsCommand,
  TestEventPatternCommand,
  type PutEventsRequestEntry,
  type Target,
} from "@aws-sdk/client-eventbridge";
import { assertRefused } from "../../src/aws/fake-service.ts";
import {
  ACCOUNT,
  arnOf,
  bodiesOf,
  CLOSED_ROLE,
  makeQueue,
  queueArn,
  received,
  REGION,
  ROLE,
  startEvents,
  type Started,
} from "./events.fixture.ts";

const PATTERN = JSON.stringify({ source: ["shop"], detail: { kind: ["order"] } });
const ORDER = { Source: "shop", DetailType: "made", Detail: '{"kind": "order", "price": 12.50, "big": 12345678901234567890}' };

async function put({ events }: Started, ...Entries: PutEventsRequestEntry[]) {
  return await events.send(new PutEventsCommand({ Entries }));
}

async function putRule(
  { events }: Started,
  targets: readonly (Partial<Target> & Pick<Target, "Arn">)[],
  EventPattern = PATTERN,
  Name = "orders",
) {
  const { RuleArn } = await events.send(new PutRuleCommand({ Name, EventPattern }));
  const Targets = targets.map((target, index) => ({ Id: `t${index}`, ...target }));
  await events.send(new PutTargetsCommand({ Rule: Name, Targets }));
  return RuleArn;
}

test("an event comes to the targets of the rules that it matches, byte for byte", async (t) => {
  const started = await startEvents(t);
  const url = await makeQueue(started, "q");
  assert.equal(await putRule(started, [{ Arn: queueArn("q") }]), arnOf("events", "rule/orders"));
  const { FailedEntryCount, Entries = [] } = await put(
    started,
    { ...ORDER, Resources: ["a", "b"], Time: new Date("2026-05-05T05:05:05.678Z") },
    { ...ORDER, Detail: '{"kind":"other"}' },
  );
  assert.deepEqual([FailedEntryCount, Entries.length], [0, 2]);
  const [message] = await received(started, url, 1);
  assert.equal(
    message?.Body,
    `{"version":"0","id":"${Entries[0]?.EventId}","detail-type":"made","source":"shop","account":"${ACCOUNT}","time":"2026-05-05T05:05:05Z",` +
      `"region":"${REGION}","resources":["a","b"],"detail":{"kind":"order","price":12.50,"big":12345678901234567890}}`,
  );
});

test("each target gets its own input; a disabled rule sends nothing", async (t) => {
  const started = await startEvents(t);
  const url = await makeQueue(started, "q");
  const Arn = queueArn("q");
  const InputTransformer = {
    InputPathsMap: { kind: "$.detail.kind", detail: "$.detail", none: "$.detail.none" },
    InputTemplate: '{"kind": <kind>, "text": "it is <kind> <detail><none>", "rule": <aws.events.rule-name>}',
  };
  await putRule(started, [
    { Arn, Input: '{"fixed":true}' },
    { Arn, InputPath: "$.detail.kind" },
    { Arn, InputTransformer },
  ]);
  await put(started, { ...ORDER, Detail: '{"kind":"order","tags":["a","b"]}' });
  const bodies = (await received(started, url, 3)).map(({ Body = "" }) => Body).toSorted((a, b) => (a < b ? -1 : 1));
  assert.deepEqual(bodies, [
    '"order"',
    '{"fixed":true}',
    '{"kind": "order", "text": "it is order {kind:order,tags:[a,b]}", "rule": "orders"}',
  ]);
  await started.events.send(new DisableRuleCommand({ Name: "orders" }));
  await put(started, ORDER);
  await received(started, url, 0);
  await started.events.send(new EnableRuleCommand({ Name: "orders" }));
  await put(started, ORDER);
  await received(started, url, 3);
});

test("FIFO queues get the group, and another bus the event as it is", async (t) => {
  const started = await startEvents(t);
  const [url, other] = [await makeQueue(started, "q.fifo"), await makeQueue(started, "q")];
  await started.events.send(new CreateEventBusCommand({ Name: "second" }));
  const bus = arnOf("events", "event-bus/second");
  await putRule(started, [
    { Arn: queueArn("q.fifo"), SqsParameters: { MessageGroupId: "g" } },
    { Arn: bus, RoleArn: ROLE },
  ]);
  await started.events.send(new PutRuleCommand({ Name: "all", EventBusName: "second", EventPattern: '{"source":[{"prefix":""}]}' }));
  await started.events.send(new PutTargetsCommand({ Rule: "all", EventBusName: bus, Targets: [{ Id: "1", Arn: queueArn("q") }] }));
  await put(started, ORDER);
  const [message] = await received(started, url, 1);
  assert.equal(message?.Attributes?.MessageGroupId, "g");
  const [passed] = await received(started, other, 1);
  assert.equal(passed?.Body, message.Body);
  // Back to where it came from: the event stops there.
  const dead = await makeQueue(started, "dead");
  const back = [{ Id: "2", Arn: arnOf("events", "event-bus/default"), RoleArn: ROLE, DeadLetterConfig: { Arn: queueArn("dead") } }];
  await started.events.send(new PutTargetsCommand({ Rule: "all", EventBusName: bus, Targets: back }));
  await put(started, ORDER);
  await received(started, url, 1);
  await received(started, other, 1);
  const [letter] = await received(started, dead, 1);
  assert.equal(letter?.MessageAttributes?.["ERROR_CODE"]?.StringValue, "THIRD_ACCOUNT_HOP_DETECTED");
});

const NO_BUS = arnOf("events", "event-bus/none");

test("what can't be delivered is a dead letter with EventBridge's attributes", async (t) => {
  const started = await startEvents(t);
  const [dead] = [await makeQueue(started, "dead"), await makeQueue(started, "closed", { Policy: "" })];
  const DeadLetterConfig = { Arn: queueArn("dead") };
  const rule = await putRule(started, [
    { Arn: queueArn("none"), DeadLetterConfig },
    { Arn: queueArn("closed"), DeadLetterConfig },
    { Arn: queueArn("dead"), RoleArn: CLOSED_ROLE, DeadLetterConfig },
    { Arn: NO_BUS, RoleArn: ROLE, DeadLetterConfig },
  ]);
  await put(started, ORDER);
  const letters = await received(started, dead, 4);
  for (const { Body } of letters) assert.equal((JSON.parse(Body ?? "") as { source: string }).source, "shop");
  const told = letters.map(({ MessageAttributes = {} }) =>
    Object.fromEntries(Object.entries(MessageAttributes).map(([name, { StringValue = "" }]) => [name, StringValue])),
  );
  const byTarget = new Map(told.map(({ TARGET_ARN: target = "", TARGET_ID: _id, ...rest }) => [target, rest]));
  const may = (queue: string) =>
    `User: events.amazonaws.com is not authorized to perform: sqs:SendMessage on resource: ${queue} ` +
    "because no resource-based policy allows the sqs:SendMessage action";
  const noRole = `events.amazonaws.com cannot assume ${CLOSED_ROLE}: there is no such role, or its trust policy does not name the service`;
  assert.deepEqual(
    byTarget,
    new Map([
      [queueArn("none"), { RULE_ARN: rule, ERROR_CODE: "NO_RESOURCE", ERROR_MESSAGE: "The specified queue does not exist." }],
      [queueArn("closed"), { RULE_ARN: rule, ERROR_CODE: "NO_PERMISSIONS", ERROR_MESSAGE: may(queueArn("closed")) }],
      [queueArn("dead"), { RULE_ARN: rule, ERROR_CODE: "FAILED_TO_ASSUME_ROLE", ERROR_MESSAGE: noRole }],
      [NO_BUS, { RULE_ARN: rule, ERROR_CODE: "NO_RESOURCE", ERROR_MESSAGE: "Event bus none does not exist." }],
    ]),
  );
});

test("entries fail one by one", async (t) => {
  const started = await startEvents(t);
  const { FailedEntryCount, Entries = [] } = await put(
    started,
    ORDER,
    { ...ORDER, Source: "" },
    { Source: "shop", Detail: "{}" },
    { Source: "shop", DetailType: "made" },
    { ...ORDER, Detail: "no json" },
    { ...ORDER, Detail: "[1]" },
    { ...ORDER, Detail: `{"a":${"[".repeat(2000)}${"]".repeat(2000)}}` },
    { ...ORDER, Source: "aws.s3" },
    { ...ORDER, EventBusName: "none" },
  );
  assert.equal(FailedEntryCount, 7);
  assert.deepEqual(
    Entries.map(({ ErrorCode }) => ErrorCode),
    [
      undefined,
      "InvalidArgument",
      "InvalidArgument",
      "InvalidArgument",
      "MalformedDetail",
      "MalformedDetail",
      "MalformedDetail",
      "NotAuthorizedForSourceException",
      undefined,
    ],
  );
  assert.equal(Entries[1]?.ErrorMessage, "Parameter Source is not valid. Reason: Source is a required argument.");
});

test("a request is too long, has too many entries, or comes from a stranger", async (t) => {
  const started = await startEvents(t);
  const long = JSON.stringify({ text: "x".repeat(2 ** 20) });
  await assertRefused(
    put(started, { ...ORDER, Detail: long }),
    "ValidationException",
    400,
    "Total size of the entries in the request is over the limit.",
  );
  await assertRefused(put(started, ...Array.from({ length: 11 }, () => ORDER)), "ValidationException", 400);
  const { events } = started.stranger;
  await assertRefused(events.send(new PutEventsCommand({ Entries: [ORDER] })), "AccessDeniedException", 400);
  await assertRefused(events.send(new PutRuleCommand({ Name: "r", EventPattern: PATTERN })), "AccessDeniedException", 400);
  const big = JSON.stringify({ kind: "order", text: '\\" '.repeat(2 ** 17) });
  const url = await makeQueue(started, "q");
  await putRule(started, [{ Arn: queueArn("q") }]);
  await put(started, { ...ORDER, Detail: big });
  const [event] = bodiesOf(await received(started, url, 1)) as { detail: unknown }[];
  assert.deepEqual(event?.detail, JSON.parse(big));
});

test("rules are put, described, listed by page and by target, and deleted", async (t) => {
  const started = await startEvents(t);
  const { events } = started;
  await makeQueue(started, "q");
  for (const Name of ["b", "a", "c"]) await events.send(new PutRuleCommand({ Name, EventPattern: PATTERN, Description: `rule ${Name}` }));
  await events.send(new PutTargetsCommand({ Rule: "b", Targets: [{ Id: "1", Arn: queueArn("q") }] }));
  const first = await events.send(new ListRulesCommand({ Limit: 2 }));
  assert.deepEqual(
    first.Rules?.map(({ Name }) => Name),
    ["a", "b"],
  );
  const rest = await events.send(new ListRulesCommand({ Limit: 2, NextToken: first.NextToken }));
  assert.deepEqual([rest.Rules?.map(({ Name }) => Name), rest.NextToken], [["c"], undefined]);
  assert.deepEqual((await events.send(new ListRuleNamesByTargetCommand({ TargetArn: queueArn("q") }))).RuleNames, ["b"]);
  const { $metadata: _metadata, ...rule } = await events.send(new DescribeRuleCommand({ Name: "a" }));
  assert.deepEqual(rule, {
    Name: "a",
    Arn: arnOf("events", "rule/a"),
    EventPattern: PATTERN,
    State: "ENABLED",
    Description: "rule a",
    EventBusName: "default",
    CreatedBy: ACCOUNT,
  });
  await assertRefused(
    events.send(new DeleteRuleCommand({ Name: "b" })),
    "ValidationException",
    400,
    "Rule can't be deleted since it has targets.",
  );
  const removed = await events.send(new RemoveTargetsCommand({ Rule: "b", Ids: ["1", "2"] }));
  assert.deepEqual([removed.FailedEntryCount, removed.FailedEntries?.[0]?.TargetId], [1, "2"]);
  assert.deepEqual((await events.send(new ListTargetsByRuleCommand({ Rule: "b" }))).Targets, []);
  await events.send(new DeleteRuleCommand({ Name: "b" }));
  await events.send(new DeleteRuleCommand({ Name: "b" }));
  await assertRefused(
    events.send(new DescribeRuleCommand({ Name: "b" })),
    "ResourceNotFoundException",
    400,
    "Rule b does not exist on EventBus default.",
  );
});

test("what is no rule is refused", async (t) => {
  const { events } = await startEvents(t);
  await events.send(new CreateEventBusCommand({ Name: "second" }));
  for (const [input, message] of [
    [{}, "Parameter(s) EventPattern or ScheduleExpression must be specified."],
    [{ ScheduleExpression: "rate(1 minutes)" }, "Parameter ScheduleExpression is not valid."],
    [{ ScheduleExpression: "at(2030-01-01T00:00:00)" }, "Parameter ScheduleExpression is not valid."],
    [{ ScheduleExpression: "rate(1 minute)", EventBusName: "second" }, "ScheduleExpression is supported only on the default event bus."],
  ] as const)
    await assertRefused(events.send(new PutRuleCommand({ Name: "r", ...input })), "ValidationException", 400, message);
  await assertRefused(
    events.send(new PutRuleCommand({ Name: "r", EventPattern: '{"a":[{"X":1}]}' })),
    "InvalidEventPatternException",
    400,
    "Event pattern is not valid. Reason: Unrecognized match type X",
  );
  await assertRefused(events.send(new PutRuleCommand({ Name: "r", EventPattern: "no" })), "InvalidEventPatternException", 400);
  await assertRefused(
    events.send(new PutRuleCommand({ Name: "r", EventPattern: PATTERN, EventBusName: "none" })),
    "ResourceNotFoundException",
    400,
    "Event bus none does not exist.",
  );
});

test("what is no target is refused, and changes nothing", async (t) => {
  const started = await startEvents(t);
  const { events } = started;
  await putRule(started, [{ Arn: queueArn("q") }]);
  const Arn = queueArn("q");
  const transformer = (InputTemplate: string, InputPathsMap = {}) => ({ Arn, InputTransformer: { InputTemplate, InputPathsMap } });
  for (const [target, message] of [
    [{ Arn: "q" }, /Provided Arn is not in correct format/],
    [{ Arn: arnOf("states", "stateMachine:m") }, /cannot deliver to states/],
    [{ Arn: queueArn("q.fifo") }, "Parameter(s) SqsParameters must be specified for target: x."],
    [{ Arn, Input: "{}", InputPath: "$" }, "Only one of Input, InputPath, or InputTransformer must be provided for target x."],
    [{ Arn: arnOf("events", "event-bus/b"), Input: "{}" }, "Modifying the input for target x is not supported."],
    [{ Arn, Input: "no" }, "JSON syntax error in Input for target x."],
    [{ Arn, InputPath: "$..a" }, "Invalid InputPath for target x."],
    [transformer('"<b>"', { a: "$.a" }), "InputTemplate for target x contains invalid placeholder b."],
    [transformer("no quotes"), /Invalid InputTemplate for target x/],
    [transformer('"<a>"', { a: "$..a" }), /Invalid InputPathsMap/],
    [{ Arn, KinesisParameters: { PartitionKeyPath: "$.a" } }, /KinesisParameters is not applicable/],
    [{ Arn, DeadLetterConfig: { Arn: queueArn("q.fifo") } }, /standard queue/],
    [{ Arn, RetryPolicy: { MaximumRetryAttempts: 186 } }, /186/],
  ] as const)
    await assertRefused(
      events.send(new PutTargetsCommand({ Rule: "orders", Targets: [{ Id: "x", ...target }] })),
      "ValidationException",
      400,
      message,
    );
  const six = Array.from({ length: 6 }, (_, index) => ({ Id: String(index), Arn }));
  await assertRefused(events.send(new PutTargetsCommand({ Rule: "orders", Targets: six })), "LimitExceededException", 400);
  await assertRefused(events.send(new PutTargetsCommand({ Rule: "none", Targets: [{ Id: "x", Arn }] })), "ResourceNotFoundException", 400);
  const { Targets = [] } = await events.send(new ListTargetsByRuleCommand({ Rule: "orders" }));
  assert.deepEqual(Targets, [{ Id: "t0", Arn }]);
});

test("events of AWS's own services come from inside", async (t) => {
  const started = await startEvents(t);
  const url = await makeQueue(started, "q");
  await putRule(started, [{ Arn: queueArn("q"), InputPath: "$.detail" }], '{"source":["aws.s3"]}');
  const members = { account: ACCOUNT, region: REGION, source: "aws.s3", detailType: "Object Created", resources: ["arn:aws:s3:::b"] };
  const { messages, writes } = started.service.effectsOf({ ...members, detail: '{"bucket":{"name":"b"}}' });
  await started.commit(writes, messages);
  assert.deepEqual(bodiesOf(await received(started, url, 1)), [{ bucket: { name: "b" } }]);
});

test("patterns can be tried", async (t) => {
  const { events } = await startEvents(t);
  const Event = JSON.stringify({
    id: "1",
    account: ACCOUNT,
    source: "shop",
    time: "2026-01-01T00:00:00Z",
    region: REGION,
    resources: [],
    "detail-type": "t",
  });
  const { Result } = await events.send(new TestEventPatternCommand({ EventPattern: '{"source":["shop"]}', Event }));
  assert.equal(Result, true);
  assert.equal((await events.send(new TestEventPatternCommand({ EventPattern: '{"source":["other"]}', Event }))).Result, false);
  await assertRefused(
    events.send(new TestEventPatternCommand({ EventPattern: '{"source":["shop"]}', Event: "{}" })),
    "ValidationException",
    400,
    "Parameter Event is not valid.",
  );
  await assertRefused(events.send(new TestEventPatternCommand({ EventPattern: "{}", Event })), "InvalidEventPatternException", 400);
});

test("an event that was accepted is delivered after a restart", async (t) => {
  const started = await startEvents(t);
  const url = await makeQueue(started, "q");
  await putRule(started, [{ Arn: queueArn("q") }]);
  await started.service.stop();
  await put(started, ORDER);
  const again = await started.restart();
  await received(again, url, 1);
});
