// EventBridge Scheduler: schedules and groups as resources.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CreateScheduleCommand,
  CreateScheduleGroupCommand,
  DeleteScheduleCommand,
  DeleteScheduleGroupCommand,
  GetScheduleCommand,
  GetScheduleGroupCommand,
  ListScheduleGroupsCommand,
  ListSchedulesCommand,
  ListTagsForResourceCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateScheduleCommand,
  type CreateScheduleCommandInput,
} from "@aws-sdk/client-scheduler";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { arnOf, CLOSED_ROLE, queueArn, ROLE, startEvents, type Started } from "./events.fixture.ts";

const TARGET = { Arn: queueArn("q"), RoleArn: ROLE };
const BASE: CreateScheduleCommandInput = {
  Name: "s",
  ScheduleExpression: "rate(1 hour)",
  FlexibleTimeWindow: { Mode: "OFF" },
  Target: TARGET,
};

const create = ({ scheduler }: Started, more: Partial<CreateScheduleCommandInput> = {}) =>
  scheduler.send(new CreateScheduleCommand({ ...BASE, ...more }));

test("a schedule is made, shown, replaced and deleted", async (t) => {
  const started = await startEvents(t);
  const { scheduler, clock } = started;
  const createdAtMs = clock.now();
  const EndDate = new Date(createdAtMs + 86_400_000);
  const made = await create(started, {
    Description: "hourly",
    EndDate,
    Target: { ...TARGET, Input: "{}", RetryPolicy: { MaximumRetryAttempts: 3 } },
  });
  assert.equal(made.ScheduleArn, arnOf("scheduler", "schedule/default/s"));
  const { $metadata: _metadata, ...schedule } = await scheduler.send(new GetScheduleCommand({ Name: "s" }));
  const shown = {
    Arn: made.ScheduleArn,
    Name: "s",
    GroupName: "default",
    State: "ENABLED",
    CreationDate: new Date(createdAtMs),
    LastModificationDate: new Date(createdAtMs),
    ScheduleExpression: "rate(1 hour)",
    ScheduleExpressionTimezone: "UTC",
    EndDate,
    Description: "hourly",
    Target: { ...TARGET, Input: "{}", RetryPolicy: { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 3 } },
    FlexibleTimeWindow: { Mode: "OFF" },
    ActionAfterCompletion: "NONE",
  };
  assert.deepEqual(schedule, shown);
  clock.advance(5000);
  const change = { ScheduleExpression: "cron(0 9 ? * MON-FRI *)", ScheduleExpressionTimezone: "Europe/Berlin", State: "DISABLED" as const };
  await scheduler.send(new UpdateScheduleCommand({ ...BASE, ...change }));
  const { $metadata: _again, ...changed } = await scheduler.send(new GetScheduleCommand({ Name: "s" }));
  const { EndDate: _end, Description: _description, ...rest } = shown;
  const RetryPolicy = { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 };
  assert.deepEqual(changed, { ...rest, ...change, Target: { ...TARGET, RetryPolicy }, LastModificationDate: new Date(clock.now()) });
  await scheduler.send(new DeleteScheduleCommand({ Name: "s" }));
  await assertRefused(
    scheduler.send(new GetScheduleCommand({ Name: "s" })),
    "ResourceNotFoundException",
    404,
    "Schedule s does not exist.",
  );
  await assertRefused(scheduler.send(new DeleteScheduleCommand({ Name: "s" })), "ResourceNotFoundException", 404);
  await assertRefused(scheduler.send(new UpdateScheduleCommand(BASE)), "ResourceNotFoundException", 404);
});

test("a request that is repeated with its client token is answered as before", async (t) => {
  const started = await startEvents(t);
  const { scheduler } = started;
  for (let times = 0; times < 2; times++) {
    await create(started, { ClientToken: "a" });
    await scheduler.send(new CreateScheduleGroupCommand({ Name: "g", ClientToken: "a" }));
  }
  await assertRefused(create(started, { ClientToken: "b" }), "ConflictException", 409, "Schedule s already exists.");
  await assertRefused(
    scheduler.send(new CreateScheduleGroupCommand({ Name: "g" })),
    "ConflictException",
    409,
    "Schedule group g already exists.",
  );
  for (let times = 0; times < 2; times++) {
    await scheduler.send(new DeleteScheduleCommand({ Name: "s", ClientToken: "c" }));
    await scheduler.send(new DeleteScheduleGroupCommand({ Name: "g", ClientToken: "c" }));
  }
});

test("schedules are listed by group, prefix and state, in pages", async (t) => {
  const started = await startEvents(t);
  const { scheduler } = started;
  await scheduler.send(new CreateScheduleGroupCommand({ Name: "g" }));
  await Promise.all(["a1", "a2", "b1"].map((Name) => create(started, { Name, GroupName: "g" })));
  await create(started, { Name: "a3", State: "DISABLED" });
  const names = async (input: {
    GroupName?: string;
    NamePrefix?: string;
    State?: "DISABLED";
    NextToken?: string | undefined;
    MaxResults?: number;
  }) => {
    const { Schedules = [], NextToken } = await scheduler.send(new ListSchedulesCommand(input));
    return { names: Schedules.map(({ Name }) => Name), NextToken };
  };
  assert.deepEqual((await names({})).names, ["a3", "a1", "a2", "b1"]);
  assert.deepEqual((await names({ GroupName: "g", NamePrefix: "a" })).names, ["a1", "a2"]);
  assert.deepEqual((await names({ NamePrefix: "a", State: "DISABLED" })).names, ["a3"]);
  const first = await names({ MaxResults: 3 });
  assert.deepEqual(
    [first.names, await names({ MaxResults: 3, NextToken: first.NextToken })],
    [["a3", "a1", "a2"], { names: ["b1"], NextToken: undefined }],
  );
  await assertRefused(scheduler.send(new ListSchedulesCommand({ NextToken: "nonsense" })), "ValidationException", 400);
  await assertRefused(
    scheduler.send(new ListSchedulesCommand({ GroupName: "none" })),
    "ResourceNotFoundException",
    404,
    "Schedule group none does not exist.",
  );
});

test("groups have tags and take their schedules with them", async (t) => {
  const started = await startEvents(t);
  const { scheduler, clock } = started;
  const { ScheduleGroupArn: ResourceArn } = await scheduler.send(
    new CreateScheduleGroupCommand({ Name: "g", Tags: [{ Key: "a", Value: "1" }] }),
  );
  assert.equal(ResourceArn, arnOf("scheduler", "schedule-group/g"));
  const { $metadata: _metadata, ...group } = await scheduler.send(new GetScheduleGroupCommand({ Name: "g" }));
  const now = new Date(clock.now());
  assert.deepEqual(group, { Arn: ResourceArn, Name: "g", State: "ACTIVE", CreationDate: now, LastModificationDate: now });
  await scheduler.send(new TagResourceCommand({ ResourceArn, Tags: [{ Key: "b", Value: "2" }] }));
  await scheduler.send(new UntagResourceCommand({ ResourceArn, TagKeys: ["a"] }));
  assert.deepEqual((await scheduler.send(new ListTagsForResourceCommand({ ResourceArn }))).Tags, [{ Key: "b", Value: "2" }]);
  await assertRefused(
    scheduler.send(new TagResourceCommand({ ResourceArn, Tags: [{ Key: "aws:x", Value: "2" }] })),
    "ValidationException",
    400,
  );
  await assertRefused(
    scheduler.send(new ListTagsForResourceCommand({ ResourceArn: arnOf("scheduler", "schedule-group/none") })),
    "ResourceNotFoundException",
    404,
  );
  const page = await scheduler.send(new ListScheduleGroupsCommand({ MaxResults: 1 }));
  assert.deepEqual(
    page.ScheduleGroups?.map(({ Name }) => Name),
    ["default"],
  );
  const { ScheduleGroups } = await scheduler.send(new ListScheduleGroupsCommand({ NextToken: page.NextToken }));
  assert.deepEqual(
    ScheduleGroups?.map(({ Name }) => Name),
    ["g"],
  );
  await create(started, { GroupName: "g" });
  await scheduler.send(new DeleteScheduleGroupCommand({ Name: "g" }));
  await assertRefused(scheduler.send(new GetScheduleCommand({ GroupName: "g", Name: "s" })), "ResourceNotFoundException", 404);
  await assertRefused(scheduler.send(new GetScheduleGroupCommand({ Name: "g" })), "ResourceNotFoundException", 404);
  await assertRefused(scheduler.send(new DeleteScheduleGroupCommand({ Name: "default" })), "ValidationException", 400);
  await scheduler.send(new CreateScheduleGroupCommand({ Name: "g" }));
  assert.deepEqual((await scheduler.send(new ListSchedulesCommand({ GroupName: "g" }))).Schedules, []);
});

test("what is no schedule is refused", async (t) => {
  const started = await startEvents(t);
  const { clock } = started;
  const universal = (api: string, input: unknown) => ({
    Target: { Arn: `arn:aws:scheduler:::aws-sdk:${api}`, RoleArn: ROLE, Input: JSON.stringify(input) },
  });
  const target = (more: object) => ({ Target: { ...TARGET, ...more } });
  for (const [more, message] of [
    [{ ScheduleExpression: "rate(10 seconds)" }, "Invalid Schedule Expression rate(10 seconds)."],
    [{ ScheduleExpression: "at(2030-01-01T00:00:00Z)" }, "Invalid Schedule Expression at(2030-01-01T00:00:00Z)."],
    [{ ScheduleExpressionTimezone: "Mars/Olympus" }, "Invalid Schedule Expression Timezone Mars/Olympus."],
    [{ FlexibleTimeWindow: { Mode: "FLEXIBLE" } }, /MaximumWindowInMinutes must be provided/],
    [{ FlexibleTimeWindow: { Mode: "OFF", MaximumWindowInMinutes: 5 } }, /MaximumWindowInMinutes must not be provided/],
    [{ FlexibleTimeWindow: { Mode: "FLEXIBLE", MaximumWindowInMinutes: 1441 } }, /1440/],
    [{ StartDate: new Date(clock.now() - 400_000) }, /StartDate/],
    [{ EndDate: new Date(clock.now() - 1000) }, /EndDate/],
    [{ StartDate: new Date(clock.now() + 2000), EndDate: new Date(clock.now() + 1000) }, /StartDate/],
    [{ KmsKeyArn: "arn:aws:kms:eu-west-1:000000000000:key/a" }, /KMS/],
    [target({ Arn: "q" }), "Provided Arn is not in correct format."],
    [target({ Arn: arnOf("states", "stateMachine:m") }), /cannot deliver to states/],
    [target({ Arn: arnOf("events", "event-bus/default") }), /EventBridgeParameters must be provided/],
    [target({ Arn: queueArn("q.fifo") }), /MessageGroupId must be provided/],
    [target({ KinesisParameters: { PartitionKey: "k" } }), /KinesisParameters is not applicable/],
    [target({ EventBridgeParameters: { DetailType: "d", Source: "s" } }), /EventBridgeParameters is not applicable/],
    [target({ RoleArn: CLOSED_ROLE }), "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."],
    [target({ RetryPolicy: { MaximumRetryAttempts: 186 } }), /185/],
    [universal("ec2:startInstances", {}), /no universal target ec2:startInstances/],
    [universal("sqs:sendMessage", { MessageBody: "b" }), /The field 'QueueUrl' is required/],
    [universal("sqs:sendMessage", { QueueUrl: "q", MessageBody: "b" }), /The field 'QueueUrl' must be the URL of a queue/],
    [
      universal("sqs:sendMessage", { QueueUrl: "http://x/000000000000/q", MessageBody: "b", DelaySeconds: 1 }),
      /The field 'DelaySeconds' is not supported/,
    ],
    ...[5, { a: null }, { a: { DataType: "String", StringValue: 5 } }, { a: { DataType: "String", Value: "v" } }].map(
      (MessageAttributes) =>
        [
          universal("sqs:sendMessage", { QueueUrl: "http://x/000000000000/q", MessageBody: "b", MessageAttributes }),
          /The field 'MessageAttributes' must be/,
        ] as const,
    ),
    [universal("lambda:invoke", []), /It must be an object/],
    [universal("lambda:invoke", { FunctionName: "f", InvocationType: "DryRun" }), /InvocationType/],
    [universal("eventbridge:putEvents", { Entries: [] }), /1 to 10 entries/],
    [{ Target: { Arn: "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", RoleArn: ROLE, Input: "no" } }, /It is not JSON/],
  ] as const)
    await assertRefused(create(started, more), "ValidationException", 400, message);
  await assertRefused(create(started, { GroupName: "none" }), "ResourceNotFoundException", 404, "Schedule group none does not exist.");
  assert.deepEqual((await started.scheduler.send(new ListSchedulesCommand({}))).Schedules, []);
  const { scheduler } = started.stranger;
  await assertRefused(scheduler.send(new CreateScheduleCommand(BASE)), "AccessDeniedException", 403);
  await assertRefused(scheduler.send(new ListSchedulesCommand({})), "AccessDeniedException", 403);
});
