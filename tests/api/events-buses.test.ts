// Event buses: their life, their policies, their tags.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CreateEventBusCommand,
  DeleteEventBusCommand,
  DescribeEventBusCommand,
  ListEventBusesCommand,
  ListTagsForResourceCommand,
  PutEventsCommand,
  PutPermissionCommand,
  PutRuleCommand,
  RemovePermissionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateEventBusCommand,
} from "@aws-sdk/client-eventbridge";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { ACCOUNT, arnOf, startEvents } from "./events.fixture.ts";

const BUS = arnOf("events", "event-bus/second");
const PATTERN = '{"source":["shop"]}';

test("a bus is made, described, changed, listed and deleted", async (t) => {
  const { events, clock } = await startEvents(t);
  const made = await events.send(new CreateEventBusCommand({ Name: "second", Description: "the second" }));
  assert.deepEqual([made.EventBusArn, made.Description], [BUS, "the second"]);
  await assertRefused(
    events.send(new CreateEventBusCommand({ Name: "second" })),
    "ResourceAlreadyExistsException",
    400,
    "Event bus second already exists.",
  );
  clock.advance(1000);
  await events.send(new UpdateEventBusCommand({ Name: "second", Description: "changed" }));
  const { $metadata: _metadata, ...bus } = await events.send(new DescribeEventBusCommand({ Name: BUS }));
  const CreationTime = new Date(clock.now() - 1000);
  assert.deepEqual(bus, { Name: "second", Arn: BUS, Description: "changed", CreationTime, LastModifiedTime: new Date(clock.now()) });
  const first = await events.send(new ListEventBusesCommand({ Limit: 1 }));
  assert.deepEqual(
    first.EventBuses?.map(({ Name }) => Name),
    ["default"],
  );
  const { EventBuses } = await events.send(new ListEventBusesCommand({ NextToken: first.NextToken }));
  assert.deepEqual(
    EventBuses?.map(({ Name }) => Name),
    ["second"],
  );
  assert.equal((await events.send(new ListEventBusesCommand({ NamePrefix: "d" }))).EventBuses?.length, 1);
  await events.send(new PutRuleCommand({ Name: "r", EventBusName: "second", EventPattern: PATTERN }));
  await assertRefused(
    events.send(new DeleteEventBusCommand({ Name: "second" })),
    "ValidationException",
    400,
    "Event bus can't be deleted since it has rules.",
  );
  await events.send(new CreateEventBusCommand({ Name: "third" }));
  for (let times = 0; times < 2; times++) await events.send(new DeleteEventBusCommand({ Name: "third" }));
  await assertRefused(
    events.send(new DescribeEventBusCommand({ Name: "third" })),
    "ResourceNotFoundException",
    400,
    "Event bus third does not exist.",
  );
});

test("what is no bus is refused, and the default one stays", async (t) => {
  const { events } = await startEvents(t);
  const make = (Name: string, more = {}) => events.send(new CreateEventBusCommand({ Name, ...more }));
  await assertRefused(make("default"), "ResourceAlreadyExistsException", 400);
  await assertRefused(make("a/b"), "ValidationException", 400, "Event bus name must not contain '/'.");
  await assertRefused(make("aws.x"), "ValidationException", 400);
  await assertRefused(make("a b"), "ValidationException", 400);
  await assertRefused(make("a", { KmsKeyIdentifier: "alias/k" }), "ValidationException", 400);
  await assertRefused(make("a", { EventSourceName: "aws.partner/x/y" }), "ValidationException", 400);
  await assertRefused(
    events.send(new DeleteEventBusCommand({ Name: "default" })),
    "ValidationException",
    400,
    "Cannot delete event bus default.",
  );
  await assertRefused(events.send(new UpdateEventBusCommand({ Name: "none" })), "ResourceNotFoundException", 400);
  await assertRefused(events.send(new ListEventBusesCommand({ NextToken: "nonsense" })), "ValidationException", 400);
});

test("a bus's policy admits who else may put events on it", async (t) => {
  const { events, stranger } = await startEvents(t);
  await events.send(new CreateEventBusCommand({ Name: "second" }));
  const put = () =>
    stranger.events.send(new PutEventsCommand({ Entries: [{ EventBusName: "second", Source: "s", DetailType: "d", Detail: "{}" }] }));
  await assertRefused(put(), "AccessDeniedException", 400);
  const statement = { EventBusName: "second", Action: "events:PutEvents", Principal: "*", StatementId: "all" };
  await events.send(new PutPermissionCommand({ ...statement, Condition: { Type: "StringEquals", Key: "events:source", Value: "s" } }));
  assert.equal((await put()).FailedEntryCount, 0);
  const { Policy = "" } = await events.send(new DescribeEventBusCommand({ Name: "second" }));
  assert.deepEqual(JSON.parse(Policy), {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "all",
        Effect: "Allow",
        Principal: "*",
        Action: "events:PutEvents",
        Resource: BUS,
        Condition: { StringEquals: { "events:source": "s" } },
      },
    ],
  });
  await events.send(new PutPermissionCommand({ ...statement, Principal: "111111111111", StatementId: "one" }));
  await events.send(new RemovePermissionCommand({ EventBusName: "second", StatementId: "all" }));
  await assertRefused(put(), "AccessDeniedException", 400);
  const missing = events.send(new RemovePermissionCommand({ EventBusName: "second", StatementId: "all" }));
  await assertRefused(missing, "ResourceNotFoundException", 400, "Statement with the provided id does not exist.");
  await events.send(new RemovePermissionCommand({ EventBusName: "second", RemoveAllPermissions: true }));
  const none = events.send(new RemovePermissionCommand({ EventBusName: "second", StatementId: "all" }));
  await assertRefused(none, "ResourceNotFoundException", 400, "EventBus does not have a policy.");
  await events.send(new PutPermissionCommand({ EventBusName: "second", Policy }));
  assert.equal((await put()).FailedEntryCount, 0);
});

test("what is no permission is refused", async (t) => {
  const { events } = await startEvents(t);
  const statement = { Action: "events:PutEvents", Principal: ACCOUNT, StatementId: "s" };
  await assertRefused(events.send(new PutPermissionCommand({ EventBusName: "none", ...statement })), "ResourceNotFoundException", 400);
  await assertRefused(events.send(new PutPermissionCommand({ ...statement, StatementId: undefined })), "ValidationException", 400);
  await assertRefused(events.send(new PutPermissionCommand({ Policy: "{" })), "ValidationException", 400);
  await assertRefused(events.send(new RemovePermissionCommand({})), "ValidationException", 400);
  const Statement = Array.from({ length: 100 }, (_, index) => ({
    Effect: "Allow",
    Principal: "*",
    Action: "events:PutEvents",
    Resource: "*",
    Sid: `${"s".repeat(50)}${index}`,
  }));
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await assertRefused(events.send(new PutPermissionCommand({ Policy })), "PolicyLengthExceededException", 400);
});

test("buses and rules have tags", async (t) => {
  const { events } = await startEvents(t);
  await events.send(new CreateEventBusCommand({ Name: "second", Tags: [{ Key: "a", Value: "1" }] }));
  const { RuleArn: rule = "" } = await events.send(
    new PutRuleCommand({ Name: "r", EventBusName: "second", EventPattern: PATTERN, Tags: [{ Key: "a", Value: "1" }] }),
  );
  assert.equal(rule, arnOf("events", "rule/second/r"));
  for (const ResourceARN of [BUS, rule, arnOf("events", "event-bus/default")]) {
    await events.send(
      new TagResourceCommand({
        ResourceARN,
        Tags: [
          { Key: "a", Value: "2" },
          { Key: "b", Value: "3" },
        ],
      }),
    );
    await events.send(new UntagResourceCommand({ ResourceARN, TagKeys: ["a"] }));
    assert.deepEqual((await events.send(new ListTagsForResourceCommand({ ResourceARN }))).Tags, [{ Key: "b", Value: "3" }]);
    const reserved = events.send(new TagResourceCommand({ ResourceARN, Tags: [{ Key: "aws:x", Value: "" }] }));
    await assertRefused(reserved, "ValidationException", 400);
    const tooMany = Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: "" }));
    await assertRefused(events.send(new TagResourceCommand({ ResourceARN, Tags: tooMany })), "LimitExceededException", 400);
  }
  for (const ResourceARN of [arnOf("events", "rule/none"), arnOf("events", "event-bus/none"), arnOf("events", "archive/none")])
    await assertRefused(events.send(new ListTagsForResourceCommand({ ResourceARN })), "ResourceNotFoundException", 400);
});
