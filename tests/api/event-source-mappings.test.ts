// Event source mappings as records: what each kind of source takes, its defaults, and that nobody is told that something reads.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateRoleCommand, PutRolePolicyCommand, UpdateAssumeRolePolicyCommand } from "@aws-sdk/client-iam";
import { CreateEventSourceMappingCommand, CreateFunctionCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { CreateQueueCommand, GetQueueUrlCommand, SetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import type { EventSources } from "../../src/lambda/event-sources.ts";
import { ACCOUNT, arnOf, check, covered, makeFunction, REGION, send, startLambda, UUID, type Row, type Started } from "./lambda.fixture.ts";
import { startApi } from "../support/api.ts";
import { zipOf } from "../support/zip.ts";

const QUEUE = `arn:aws:sqs:${REGION}:${ACCOUNT}:orders`;
const FIFO = `${QUEUE}.fifo`;
const STREAM = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/clicks`;
const TABLE = `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/t/stream/2026-01-01T00:00:00.000`;
const CLUSTER = `arn:aws:kafka:${REGION}:${ACCOUNT}:cluster/c/01234567-89ab-cdef-0123-456789abcdef-1`;
const BROKER = `arn:aws:mq:${REGION}:${ACCOUNT}:broker:b:b-01234567-89ab-cdef-0123-456789abcdef`;
const DOCUMENTS = `arn:aws:rds:${REGION}:${ACCOUNT}:cluster:documents`;
const BASIC = [{ Type: "BASIC_AUTH", URI: "arn:aws:secretsmanager:eu-west-1:000000000000:secret:x" }];
const READ: EventSources = { polls: () => true, problem: () => Promise.resolve(undefined) };
const IPV = "InvalidParameterValueException";
const MISSING = [404, "ResourceNotFoundException", "The resource you requested does not exist."] as const;

async function started(t: Parameters<typeof startLambda>[0], sources?: EventSources): Promise<Started> {
  const one = await startLambda(t, sources === undefined ? {} : { sources });
  await makeFunction(one, "f");
  return one;
}
const create = (one: Pick<Started, "client">, more: object) => send(one.client, "CreateEventSourceMapping", { FunctionName: "f", ...more });
const get = (one: Pick<Started, "client">, { UUID: id }: Record<string, unknown>) =>
  send(one.client, "GetEventSourceMapping", { UUID: id });

test("a mapping that nothing reads for says so, in every answer, and keeps what was asked for", async (t) => {
  const one = await started(t);
  const made = await create(one, { EventSourceArn: QUEUE });
  assert.equal(made["State"], "Disabled");
  assert.match(String(made["StateTransitionReason"]), /^Lambent does not read from sqs event sources yet/);
  assert.deepEqual(await get(one, made), made);
  const second = await one.restart();
  assert.deepEqual(await get(second, made), made);
  const off = await send(second.client, "UpdateEventSourceMapping", { UUID: made["UUID"], Enabled: false });
  assert.deepEqual([off["State"], off["StateTransitionReason"]], ["Disabled", "USER_INITIATED"]);
  const on = await send(second.client, "UpdateEventSourceMapping", { UUID: made["UUID"], Enabled: true });
  assert.match(String(on["StateTransitionReason"]), /Lambent does not read/);
});

test("a queue's mapping has AWS's members and states where queues are read", async (t) => {
  const one = await started(t, READ);
  const made = await create(one, { EventSourceArn: QUEUE, Tags: { a: "b" } });
  const { LastModified, UUID: id, ...rest } = made;
  assert.match(String(id), UUID);
  assert.ok(LastModified instanceof Date);
  const arn = `arn:aws:lambda:${REGION}:${ACCOUNT}:event-source-mapping:${String(id)}`;
  const members = {
    BatchSize: 10,
    MaximumBatchingWindowInSeconds: 0,
    FunctionResponseTypes: [],
    EventSourceArn: QUEUE,
    EventSourceMappingArn: arn,
    FunctionArn: arnOf("f"),
    StateTransitionReason: "USER_INITIATED",
  };
  assert.deepEqual(rest, { ...members, State: "Creating" });
  assert.deepEqual(await get(one, made), { ...members, State: "Enabled", LastModified, UUID: id });
  const states = [];
  for (const more of [{ BatchSize: 5 }, { Enabled: false }, { BatchSize: 6 }, { Enabled: true }])
    states.push((await send(one.client, "UpdateEventSourceMapping", { UUID: id, ...more }))["State"]);
  assert.deepEqual(states, ["Updating", "Disabling", "Disabled", "Enabling"]);
  assert.deepEqual((await send(one.client, "ListTags", { Resource: arn }))["Tags"], { a: "b" });
  await send(one.client, "TagResource", { Resource: arn, Tags: { c: "d" } });
  await send(one.client, "UntagResource", { Resource: arn, TagKeys: ["a"] });
  assert.deepEqual((await send(one.client, "ListTags", { Resource: arn }))["Tags"], { c: "d" });
  await send(one.client, "DeleteFunction", { FunctionName: "f" });
  assert.equal((await get(one, made))["State"], "Enabled");
  assert.equal((await send(one.client, "DeleteEventSourceMapping", { UUID: id }))["State"], "Deleting");
  await assert.rejects(get(one, made), { name: "ResourceNotFoundException" });
  await assert.rejects(send(one.client, "ListTags", { Resource: arn }), { message: `Event source mapping not found: ${arn}` });
});

test("each kind of source has its own defaults", async (t) => {
  const one = await started(t, READ);
  const stream = {
    BatchSize: 100,
    MaximumBatchingWindowInSeconds: 0,
    ParallelizationFactor: 1,
    MaximumRecordAgeInSeconds: -1,
    MaximumRetryAttempts: -1,
    BisectBatchOnFunctionError: false,
    TumblingWindowInSeconds: 0,
    DestinationConfig: { OnFailure: {} },
    FunctionResponseTypes: [],
    StartingPosition: "TRIM_HORIZON",
    LastProcessingResult: "No records processed",
    StateTransitionReason: "User action",
  };
  const kafka = { BatchSize: 100, StartingPosition: "LATEST", Topics: ["topic"], DestinationConfig: { OnFailure: {} } };
  const Endpoints = { KAFKA_BOOTSTRAP_SERVERS: ["kafka:1000", "kafka:2000"] };
  const at = new Date("2026-01-01T00:00:00Z");
  const cases: readonly (readonly [object, object])[] = [
    [{ EventSourceArn: STREAM, StartingPosition: "TRIM_HORIZON" }, stream],
    [{ EventSourceArn: TABLE, StartingPosition: "TRIM_HORIZON" }, stream],
    [
      { EventSourceArn: `${STREAM}2`, StartingPosition: "AT_TIMESTAMP", StartingPositionTimestamp: at },
      { ...stream, StartingPosition: "AT_TIMESTAMP", StartingPositionTimestamp: at },
    ],
    [{ EventSourceArn: CLUSTER, Topics: ["topic"], StartingPosition: "LATEST" }, kafka],
    [
      {
        SelfManagedEventSource: { Endpoints },
        Topics: ["topic"],
        StartingPosition: "LATEST",
        SelfManagedKafkaEventSourceConfig: { ConsumerGroupId: "group" },
      },
      { ...kafka, SelfManagedEventSource: { Endpoints }, SelfManagedKafkaEventSourceConfig: { ConsumerGroupId: "group" } },
    ],
    [
      { EventSourceArn: BROKER, Queues: ["q"], SourceAccessConfigurations: BASIC },
      { BatchSize: 100, Queues: ["q"], SourceAccessConfigurations: BASIC },
    ],
    [
      {
        EventSourceArn: DOCUMENTS,
        StartingPosition: "LATEST",
        SourceAccessConfigurations: BASIC,
        DocumentDBEventSourceConfig: { DatabaseName: "d" },
      },
      { BatchSize: 100, StartingPosition: "LATEST", SourceAccessConfigurations: BASIC, DocumentDBEventSourceConfig: { DatabaseName: "d" } },
    ],
  ];
  for (const [given, expected] of cases) {
    const found = await get(one, await create(one, given));
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(found[name], value, `${JSON.stringify(given)}: ${name}`);
  }
  const { EventSourceMappings } = await send(one.client, "ListEventSourceMappings", { EventSourceArn: CLUSTER });
  const [msk] = EventSourceMappings as [{ AmazonManagedKafkaEventSourceConfig: { ConsumerGroupId: string } }];
  assert.match(msk.AmazonManagedKafkaEventSourceConfig.ConsumerGroupId, UUID);
});

test("the function is named as AWS keeps it, and lists filter by it", async (t) => {
  const one = await started(t, READ);
  await send(one.client, "PublishVersion", { FunctionName: "f" });
  await send(one.client, "CreateAlias", { FunctionName: "f", Name: "live", FunctionVersion: "1" });
  const forms = [
    ["f", arnOf("f")],
    [`${arnOf("f")}:$LATEST`, arnOf("f")],
    ["f:$LATEST", `${arnOf("f")}:$LATEST`],
    [`${ACCOUNT}:function:f:live`, `${arnOf("f")}:live`],
    [`${arnOf("f")}:1`, `${arnOf("f")}:1`],
  ] as const;
  for (const [index, [FunctionName, expected]] of forms.entries())
    assert.equal((await create(one, { FunctionName, EventSourceArn: `${QUEUE}${index}` }))["FunctionArn"], expected, FunctionName);
  const sources = async (more: Record<string, unknown>) =>
    ((await send(one.client, "ListEventSourceMappings", more))["EventSourceMappings"] as { EventSourceArn: string }[])
      .map(({ EventSourceArn }) => EventSourceArn)
      .toSorted();
  assert.deepEqual(await sources({ FunctionName: "f" }), [`${QUEUE}0`, `${QUEUE}1`]);
  assert.deepEqual(await sources({ FunctionName: "f:live" }), [`${QUEUE}3`]);
  assert.deepEqual(await sources({ EventSourceArn: `${QUEUE}4` }), [`${QUEUE}4`]);
  assert.equal((await sources({})).length, 5);
  const paged: unknown[] = [];
  for (let Marker: unknown; paged.length < 10;) {
    const answer = await send(one.client, "ListEventSourceMappings", { MaxItems: 2, Marker });
    paged.push(...(answer["EventSourceMappings"] as unknown[]));
    Marker = answer["NextMarker"];
    if (Marker === undefined) break;
  }
  assert.equal(paged.length, 5);
});

test("an update changes what it names, and empty forms take away", async (t) => {
  const one = await started(t, READ);
  await makeFunction(one, "g");
  const FilterCriteria = { Filters: [{ Pattern: '{"body":{"a":[{"numeric":[">",1]}]}}' }] };
  const made = await create(one, { EventSourceArn: QUEUE, FilterCriteria, ScalingConfig: { MaximumConcurrency: 5 }, BatchSize: 3 });
  assert.deepEqual([made["FilterCriteria"], made["ScalingConfig"]], [FilterCriteria, { MaximumConcurrency: 5 }]);
  const { UUID: id } = made;
  await send(one.client, "UpdateEventSourceMapping", { UUID: id, FilterCriteria: {}, FunctionName: "g" });
  const found = await get(one, made);
  assert.deepEqual(
    [found["FilterCriteria"], found["ScalingConfig"], found["BatchSize"], found["FunctionArn"]],
    [undefined, { MaximumConcurrency: 5 }, 3, arnOf("g")],
  );
  // The former function may read from it now, the new one has it.
  await create(one, { EventSourceArn: QUEUE });
  await assert.rejects(send(one.client, "UpdateEventSourceMapping", { UUID: id, FunctionName: "f" }), {
    name: "ResourceConflictException",
  });
  await send(one.client, "UpdateEventSourceMapping", { UUID: id, ScalingConfig: {} });
  assert.equal((await get(one, made))["ScalingConfig"], undefined);
});

test("of two that are made at once there is one, and of two changes at once one is told", async (t) => {
  const one = await started(t, READ);
  const made = await Promise.allSettled(Array.from({ length: 10 }, () => create(one, { EventSourceArn: QUEUE })));
  const kept = made.filter(({ status }) => status === "fulfilled");
  assert.equal(kept.length, 1);
  for (const result of made)
    if (result.status === "rejected") assert.equal((result.reason as Error).name, "ResourceConflictException", String(result.reason));
  const { EventSourceMappings } = await send(one.client, "ListEventSourceMappings", {});
  const [{ UUID: id }] = EventSourceMappings as [{ UUID: string }];
  const changes = await Promise.allSettled(
    Array.from({ length: 10 }, (_, n) => send(one.client, "UpdateEventSourceMapping", { UUID: id, BatchSize: n + 1 })),
  );
  const deletions = await Promise.allSettled(Array.from({ length: 5 }, () => send(one.client, "DeleteEventSourceMapping", { UUID: id })));
  const names = new Set(
    [...changes, ...deletions].flatMap((result) => (result.status === "rejected" ? [(result.reason as Error).name] : [])),
  );
  assert.ok(changes.some(({ status }) => status === "fulfilled") && deletions.some(({ status }) => status === "fulfilled"));
  for (const name of names) assert.ok(["ResourceInUseException", "ResourceNotFoundException"].includes(name), name);
  await create(one, { EventSourceArn: QUEUE });
});

test("what AWS says about a source that can't be read is passed on", async (t) => {
  const problem = "The function execution role does not have permissions to call ReceiveMessage on SQS";
  const asked: unknown[] = [];
  const one = await started(t, {
    polls: () => true,
    problem: (_context, arn, reader) => {
      asked.push([arn, reader]);
      return Promise.resolve(problem);
    },
  });
  await assert.rejects(create(one, { EventSourceArn: QUEUE }), { name: IPV, message: problem });
  assert.equal(asked.length, 1);
  assert.deepEqual((await send(one.client, "ListEventSourceMappings", {}))["EventSourceMappings"], []);
});

const TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
});

test("a queue must be there, long enough hidden, and readable for the function's role", async (t) => {
  const { clients } = await startApi(t);
  const { lambda, iam, sqs } = clients();
  await iam.send(new CreateRoleCommand({ RoleName: "reader", AssumeRolePolicyDocument: TRUST }));
  const allow = (Action: readonly string[]) =>
    iam.send(
      new PutRolePolicyCommand({
        RoleName: "reader",
        PolicyName: "read",
        PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action, Resource: "*" }] }),
      }),
    );
  await sqs.send(new CreateQueueCommand({ QueueName: "orders", Attributes: { VisibilityTimeout: "2" } }));
  await lambda.send(
    new CreateFunctionCommand({
      FunctionName: "f",
      Runtime: "nodejs24.x",
      Handler: "index.handler",
      Role: `arn:aws:iam::${ACCOUNT}:role/reader`,
      Code: { ZipFile: await zipOf({ "index.mjs": "export const handler = () => 1;" }) },
    }),
  );
  const EventSourceArn = `arn:aws:sqs:us-east-1:${ACCOUNT}:orders`;
  const mapped = (arn = EventSourceArn) => lambda.send(new CreateEventSourceMappingCommand({ FunctionName: "f", EventSourceArn: arn }));
  const refused = (message: string) => ({ name: IPV, message });
  const forbidden = (operation: string) => refused(`The function execution role does not have permissions to call ${operation} on SQS`);
  await assert.rejects(mapped(), forbidden("ReceiveMessage"));
  await allow(["sqs:ReceiveMessage"]);
  await assert.rejects(mapped(), forbidden("DeleteMessage"));
  await allow(["sqs:*"]);
  const hidden = "Queue visibility timeout: 2 seconds is less than Function timeout: 3 seconds";
  await assert.rejects(mapped(), refused(hidden));
  await assert.rejects(
    mapped(`${EventSourceArn}-none`),
    refused(
      "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.",
    ),
  );
  await assert.rejects(mapped(EventSourceArn.replace("us-east-1", "eu-west-1")), { name: IPV, message: /not in the region/ });
  const QueueUrl = (await sqs.send(new GetQueueUrlCommand({ QueueName: "orders" }))).QueueUrl;
  await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { VisibilityTimeout: "3" } }));
  assert.equal((await mapped()).State, "Disabled");
  await iam.send(new UpdateAssumeRolePolicyCommand({ RoleName: "reader", PolicyDocument: TRUST.replace("lambda", "ec2") }));
  await assert.rejects(mapped(EventSourceArn), { name: "ResourceConflictException" });
  await sqs.send(new CreateQueueCommand({ QueueName: "more" }));
  await assert.rejects(
    mapped(EventSourceArn.replace("orders", "more")),
    refused("The role defined for the function cannot be assumed by Lambda."),
  );
});

test("IAM: lambda:FunctionArn bounds whose mappings are made, seen, changed and deleted", async (t) => {
  const bound = {
    secretAccessKey: "secret-of-bound",
    caller: { kind: "user", account: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:user/bound`, userId: "AIDAB", accessKeyId: "AKIAB" },
    identityPolicies: [
      {
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Action: "lambda:*EventSourceMapping",
            Resource: "*",
            Condition: { ArnLike: { "lambda:FunctionArn": arnOf("f*") } },
          },
        ],
      },
    ],
  } as const;
  const one = await startLambda(t, {}, [bound]);
  const client = new LambdaClient(one.door.settings(bound));
  t.after(() => client.destroy());
  for (const name of ["f", "f2", "g"]) await makeFunction(one, name);
  const own = await create({ client }, { EventSourceArn: QUEUE });
  const others = await create(one, { EventSourceArn: QUEUE, FunctionName: "g" });
  const denied = { name: "AccessDeniedException" };
  await assert.rejects(create({ client }, { EventSourceArn: `${QUEUE}2`, FunctionName: "g" }), denied);
  const update = (what: Record<string, unknown>, more: object) => send(client, "UpdateEventSourceMapping", { UUID: what["UUID"], ...more });
  await get({ client }, own);
  await update(own, { BatchSize: 5 });
  await update(own, { FunctionName: "f2" });
  await assert.rejects(update(own, { FunctionName: "g" }), denied, "to a function that is not its own");
  await assert.rejects(update(others, { FunctionName: "f" }), denied, "from one");
  await assert.rejects(get({ client }, others), denied);
  await assert.rejects(send(client, "DeleteEventSourceMapping", { UUID: others["UUID"] }), denied);
  await send(client, "DeleteEventSourceMapping", { UUID: own["UUID"] });
});

test("what is refused, in AWS's words", async (t) => {
  const one = await started(t, READ);
  const { UUID: id } = await create(one, { EventSourceArn: QUEUE });
  const { UUID: streamId } = await create(one, { EventSourceArn: STREAM, StartingPosition: "LATEST" });
  const creating = (name: string, input: object, fault: Row["fault"]): Row => ({
    name,
    call: ["CreateEventSourceMapping", { FunctionName: "f", ...input }],
    ...(fault === undefined ? {} : { fault }),
  });
  const invalid = (name: string, input: object, message: string | RegExp) => creating(name, input, [400, IPV, message]);
  const stream = { EventSourceArn: `${STREAM}2`, StartingPosition: "LATEST" };
  const kafka = { EventSourceArn: CLUSTER, StartingPosition: "LATEST", Topics: ["topic"] };
  const queue = { EventSourceArn: `${QUEUE}2` };
  const filter = (Pattern: string) => ({ FilterCriteria: { Filters: [{ Pattern }] } });
  const Endpoints = { KAFKA_BOOTSTRAP_SERVERS: ["kafka:1", "kafka:2"] };
  const self = { SelfManagedEventSource: { Endpoints }, Topics: ["topic"], StartingPosition: "LATEST" };
  const { UUID: selfId } = await create(one, self);
  const badFilter = "Invalid filter pattern definition.";
  const typed = (what: string) => `Unsupported ${what} parameter for given event source mapping type.`;
  const exists = (uuid: unknown) => `already exists. Please update or delete the existing mapping with UUID ${String(uuid)}`;
  const rows: readonly Row[] = [
    invalid("no source", {}, "Unrecognized event source."),
    invalid("no such kind of source", { EventSourceArn: "arn:aws:s3:::bucket" }, "Unrecognized event source."),
    invalid("two sources", { ...queue, SelfManagedEventSource: { Endpoints } }, "Unrecognized event source."),
    invalid("no function", { ...queue, FunctionName: "none" }, "Function does not exist"),
    invalid("no version", { ...queue, FunctionName: "f:7" }, "Function does not exist"),
    invalid("another account", { ...queue, FunctionName: "222222222222:function:f" }, "Function does not exist"),
    creating("another region", { ...queue, FunctionName: arnOf("f").replace(REGION, "us-east-2") }, [
      404,
      "ResourceNotFoundException",
      /are not reachable in this region/,
    ]),
    creating("a queue twice", { EventSourceArn: QUEUE }, [
      409,
      "ResourceConflictException",
      `An event source mapping with SQS arn (" ${QUEUE} ") and function (" f ") ${exists(id)}`,
    ]),
    creating("a stream twice", { EventSourceArn: STREAM, StartingPosition: "TRIM_HORIZON" }, [
      409,
      "ResourceConflictException",
      `The event source arn (" ${STREAM} ") and function (" f ") provided mapping ${exists(streamId)}`,
    ]),
    creating("a cluster twice", self, [
      409,
      "ResourceConflictException",
      `An event source mapping with event source ("kafka:1,kafka:2"), function ("${arnOf("f")}"), topics ("topic") ${exists(selfId)}`,
    ]),
    invalid(
      "no position",
      { EventSourceArn: TABLE },
      "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
    ),
    creating("a wrong position", { ...stream, StartingPosition: "invalid" }, [
      400,
      "ValidationException",
      /at 'startingPosition' .*LATEST/,
    ]),
    invalid(
      "a moment in a table",
      { EventSourceArn: TABLE, StartingPosition: "AT_TIMESTAMP" },
      `Unsupported starting position for arn type: ${TABLE}`,
    ),
    invalid("no moment", { ...stream, StartingPosition: "AT_TIMESTAMP" }, /Value null at 'startingPositionTimestamp'/),
    invalid("a moment too many", { ...stream, StartingPositionTimestamp: new Date(0) }, /only for the starting position AT_TIMESTAMP/),
    invalid(
      "a large batch",
      { ...queue, BatchSize: 11 },
      "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
    ),
    creating("a large batch with a window", { EventSourceArn: `${QUEUE}3`, BatchSize: 11, MaximumBatchingWindowInSeconds: 1 }, undefined),
    invalid("a large batch of a FIFO queue", { EventSourceArn: FIFO, BatchSize: 11 }, /Value '11' at 'batchSize'/),
    invalid(
      "a window of a FIFO queue",
      { EventSourceArn: FIFO, MaximumBatchingWindowInSeconds: 1 },
      "Batching window is not supported for FIFO queues.",
    ),
    creating("a huge batch", { ...queue, BatchSize: 10_001 }, [400, "ValidationException", /'batchSize'/]),
    invalid("a destination of a queue", { ...queue, DestinationConfig: { OnFailure: { Destination: QUEUE } } }, typed("DestinationConfig")),
    invalid("a queue in parallel", { ...queue, ParallelizationFactor: 2 }, typed("ParallelizationFactor")),
    invalid("concurrency of a stream", { ...stream, ScalingConfig: { MaximumConcurrency: 2 } }, typed("ScalingConfig")),
    creating(
      "empty forms",
      { EventSourceArn: `${QUEUE}4`, DestinationConfig: { OnFailure: {} }, BisectBatchOnFunctionError: false },
      undefined,
    ),
    invalid("success of a stream", { ...stream, DestinationConfig: { OnSuccess: { Destination: QUEUE } } }, typed("DestinationConfig")),
    invalid(
      "no destination",
      { ...stream, DestinationConfig: { OnFailure: { Destination: arnOf("f") } } },
      /^The provided destination config/,
    ),
    invalid(
      "a destination out of reach",
      { ...stream, DestinationConfig: { OnFailure: { Destination: QUEUE } } },
      /^Lambent cannot deliver to sqs yet/,
    ),
    creating("a young age", { ...stream, MaximumRecordAgeInSeconds: 59 }, [400, "ValidationException", /'maximumRecordAgeInSeconds'/]),
    invalid("no topic", { ...kafka, Topics: undefined }, "Required 'topics' parameter is missing."),
    invalid("no access", { EventSourceArn: BROKER, Queues: ["q"] }, "Required 'sourceAccessConfigurations' parameter is missing."),
    invalid("no queue", { EventSourceArn: BROKER, SourceAccessConfigurations: BASIC }, "Required 'queues' parameter is missing."),
    invalid("a wrong access", { ...kafka, SourceAccessConfigurations: BASIC }, typed("SourceAccessConfigurations BASIC_AUTH")),
    invalid("a metric of Kafka", { ...queue, MetricsConfig: { Metrics: ["KafkaMetrics"] } }, typed("MetricsConfig KafkaMetrics")),
    invalid(
      "two bounds",
      { ...queue, ScalingConfig: { MaximumConcurrency: 2 }, ProvisionedPollerConfig: { MinimumPollers: 1 } },
      /together/,
    ),
    invalid("bounds that cross", { ...queue, ProvisionedPollerConfig: { MinimumPollers: 9, MaximumPollers: 3 } }, /must not be more/),
    invalid("a key", { ...queue, KMSKeyArn: "arn:aws:kms:eu-west-1:000000000000:key/x" }, /^Lambent does not support KMSKeyArn yet/),
    ...[
      "{",
      "[]",
      '"a"',
      "{}",
      '{"body":"a"}',
      '{"body":[]}',
      '{"body":[{"near":1}]}',
      '{"a":[{"numeric":["<",1,">",2]}]}',
      '{"$or":[{"a":[1]}]}',
    ].map((pattern) => invalid(`the filter ${pattern}`, { ...queue, ...filter(pattern) }, badFilter)),
    invalid("a text pattern of a stream", { ...stream, ...filter('{"data":["text"]}') }, badFilter),
    invalid(
      "11 filters",
      { ...queue, FilterCriteria: { Filters: Array.from({ length: 11 }, () => ({ Pattern: '{"body":["a"]}' })) } },
      /number of filters/,
    ),
    invalid(
      "too many tags",
      { ...queue, Tags: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`t${n}`, ""])) },
      "Number of tags exceeds resource tag limit.",
    ),
    { name: "no mapping", call: ["GetEventSourceMapping", { UUID: "01234567-89ab-4def-8123-456789abcdef" }], fault: MISSING },
    { name: "update none", call: ["UpdateEventSourceMapping", { UUID: "01234567-89ab-4def-8123-456789abcdef" }], fault: MISSING },
    { name: "delete none", call: ["DeleteEventSourceMapping", { UUID: "01234567-89ab-4def-8123-456789abcdef" }], fault: MISSING },
    { name: "a wrong id", call: ["GetEventSourceMapping", { UUID: "x" }], fault: [400, "ValidationException", /'uUID'|'uuid'/i] },
    {
      name: "an update that does not fit",
      call: ["UpdateEventSourceMapping", { UUID: id, BatchSize: 11 }],
      fault: [400, IPV, "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"],
    },
    {
      name: "an update to no function",
      call: ["UpdateEventSourceMapping", { UUID: id, FunctionName: "none" }],
      fault: [400, IPV, "Function does not exist"],
    },
    { name: "a wrong marker", call: ["ListEventSourceMappings", { Marker: "x" }], fault: [400, "ValidationException", /'marker'/] },
    { name: "got", call: ["GetEventSourceMapping", { UUID: id }], expect: { BatchSize: 10 } },
    { name: "listed", call: ["ListEventSourceMappings", {}] },
    { name: "updated", call: ["UpdateEventSourceMapping", { UUID: id, BatchSize: 9 }], expect: { BatchSize: 9 } },
    { name: "deleted", call: ["DeleteEventSourceMapping", { UUID: id }], expect: { State: "Deleting" } },
  ];
  for (const row of rows) await check(one, row);
  for (const operation of ["Create", "Get", "Update", "Delete"].map((verb) => `${verb}EventSourceMapping`))
    assert.ok(covered.success.has(operation) && covered.fault.has(operation), operation);
});
