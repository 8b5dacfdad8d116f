// Current boto3 and the AWS CLI work unchanged, with nothing but the environment of `lambent env`.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadConfig } from "../../src/config.ts";
import { testToolsDirectory } from "../../src/cli/test-tools.ts";
import { makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { zipOf } from "../support/zip.ts";

const BIN = join(testToolsDirectory(loadConfig()), "bin");
let server: LambentProcess;
let work: string;
before(async () => {
  server = await startLambent();
  work = await mkdtemp(join(tmpdir(), "lambent-clients-"));
});
after(async () => {
  await server.dispose();
  await rm(work, { recursive: true });
});

function run(command: string, words: readonly string[]): string {
  const env = { PATH: `${BIN}:${process.env["PATH"]}`, HOME: work, AWS_PAGER: "", ...server.environment };
  const { status, stdout, stderr } = spawnSync(join(BIN, command), words, { cwd: work, env, encoding: "utf8", timeout: 240_000 });
  assert.equal(status, 0, `${command} ${words.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

const aws = (...words: string[]): Record<string, unknown> => {
  const text = run("aws", [...words, "--output", "json"]);
  return text.trim() === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
};

const SCHEDULER_TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "scheduler.amazonaws.com" }, Action: "sts:AssumeRole" }],
});

test("boto3 deploys, invokes, updates from S3, reads the log and deletes", () => {
  assert.match(run("python", [join(import.meta.dirname, "..", "support", "clients.py")]), /boto3 [\d.]+ ok/);
});

test("the AWS CLI deploys, invokes, updates, tails and deletes", async () => {
  const role = await makeRole(server.clients().iam, "cli");
  await writeFile(
    join(work, "one.zip"),
    await zipOf({ "index.mjs": "export const handler = async (event) => { console.log('said', event.say); return event; };" }),
  );
  await writeFile(join(work, "two.zip"), await zipOf({ "index.mjs": "export const handler = async () => 'two';" }));
  const create = [
    "--function-name",
    "cli",
    "--runtime",
    "nodejs24.x",
    "--handler",
    "index.handler",
    "--role",
    role,
    "--zip-file",
    "fileb://one.zip",
  ];
  const made = aws("lambda", "create-function", ...create);
  assert.equal(made["State"], "Pending");
  aws("lambda", "wait", "function-active-v2", "--function-name", "cli");
  // Version 1 of the CLI, which is what PyPI has, takes the payload as it is; version 2 wants --cli-binary-format raw-in-base64-out.
  const payload = ["--payload", '{"say":"hello"}', "out.json"];
  const answer = aws("lambda", "invoke", "--function-name", "cli", "--log-type", "Tail", ...payload);
  assert.equal(answer["StatusCode"], 200);
  assert.equal(await readFile(join(work, "out.json"), "utf8"), '{"say":"hello"}');
  assert.match(Buffer.from(String(answer["LogResult"]), "base64").toString(), /INFO\tsaid hello\n/);
  aws("lambda", "update-function-code", "--function-name", "cli", "--zip-file", "fileb://two.zip");
  aws("lambda", "wait", "function-updated-v2", "--function-name", "cli");
  aws("lambda", "invoke", "--function-name", "cli", "two.json");
  assert.equal(await readFile(join(work, "two.json"), "utf8"), '"two"');
  assert.match(
    run("aws", ["logs", "filter-log-events", "--log-group-name", "/aws/lambda/cli", "--filter-pattern", "said", "--output", "text"]),
    /said hello/,
  );
  const rules = ["--maximum-retry-attempts", "0", "--maximum-event-age-in-seconds", "60"];
  assert.equal(aws("lambda", "put-function-event-invoke-config", "--function-name", "cli", ...rules)["MaximumEventAgeInSeconds"], 60);
  assert.equal(aws("lambda", "invoke", "--function-name", "cli", "--invocation-type", "Event", "later.json")["StatusCode"], 202);
  assert.equal(await readFile(join(work, "later.json"), "utf8"), "");
  aws("lambda", "delete-function", "--function-name", "cli");
});

test("the AWS CLI copies to and from S3, and lists", async () => {
  aws("s3api", "create-bucket", "--bucket", "files");
  await writeFile(join(work, "large.bin"), Buffer.alloc(12 * 2 ** 20, 7));
  run("aws", ["s3", "cp", "large.bin", "s3://files/deep/large.bin", "--no-progress"]);
  run("aws", ["s3", "cp", "s3://files/deep/large.bin", "back.bin", "--no-progress"]);
  assert.deepEqual(await readFile(join(work, "back.bin")), await readFile(join(work, "large.bin")));
  assert.match(run("aws", ["s3", "ls", "--recursive", "s3://files"]), /12582912 deep\/large\.bin/);
  run("aws", ["s3", "rb", "s3://files", "--force"]);
});

test("the AWS CLI makes queues, sends and receives", () => {
  // Version 1 has endpoints of its own for SQS, which win over AWS_ENDPOINT_URL.
  const endpoint = ["--endpoint-url", server.environment["AWS_ENDPOINT_URL"] ?? ""];
  const { QueueUrl: url } = aws("sqs", "create-queue", "--queue-name", "cli", ...endpoint) as { QueueUrl: string };
  assert.deepEqual(aws("sqs", "list-queues", "--queue-name-prefix", "cli", ...endpoint), { QueueUrls: [url] });
  const queue = ["--queue-url", url, ...endpoint];
  aws("sqs", "send-message", ...queue, "--message-body", "hello", "--message-attributes", '{"a":{"DataType":"String","StringValue":"b"}}');
  const { Messages = [] } = aws("sqs", "receive-message", ...queue, "--message-attribute-names", "All") as {
    Messages?: { Body: string; ReceiptHandle: string; MessageAttributes: unknown }[];
  };
  assert.deepEqual([Messages[0]?.Body, Messages[0]?.MessageAttributes], ["hello", { a: { DataType: "String", StringValue: "b" } }]);
  aws("sqs", "delete-message", ...queue, "--receipt-handle", Messages[0]?.ReceiptHandle ?? "");
  aws("sqs", "delete-queue", ...queue);
});

test("the AWS CLI puts metrics and reads them, its own and Lambda's", () => {
  const now = Date.now();
  const span = [
    "--start-time",
    new Date(now - 600_000).toISOString(),
    "--end-time",
    new Date(now + 600_000).toISOString(),
    "--period",
    "3600",
  ];
  aws("cloudwatch", "put-metric-data", "--namespace", "Shop", "--metric-name", "Orders", "--value", "3", "--dimensions", "Kind=a");
  const listed = aws("cloudwatch", "list-metrics", "--namespace", "Shop");
  assert.deepEqual(listed, { Metrics: [{ Namespace: "Shop", MetricName: "Orders", Dimensions: [{ Name: "Kind", Value: "a" }] }] });
  const sumOf = (...words: string[]) => {
    const { Datapoints = [] } = aws("cloudwatch", "get-metric-statistics", ...words, ...span, "--statistics", "Sum") as {
      Datapoints?: { Sum: number }[];
    };
    return Datapoints.reduce((total, { Sum }) => total + Sum, 0);
  };
  assert.equal(sumOf("--namespace", "Shop", "--metric-name", "Orders", "--dimensions", "Name=Kind,Value=a"), 3);
  assert.ok(sumOf("--namespace", "AWS/Lambda", "--metric-name", "Invocations", "--dimensions", "Name=FunctionName,Value=cli") >= 2);
});

test("the AWS CLI puts segments of traces and reads them", () => {
  const start = Math.floor(Date.now() / 1000);
  const Id = `1-${start.toString(16)}-a006649127e371903a2de979`;
  const segment = {
    trace_id: Id,
    id: "70de5b6f19ff9a0a",
    name: "cli",
    start_time: start,
    end_time: start + 0.5,
    annotations: { by: "cli" },
  };
  const put = aws("xray", "put-trace-segments", "--trace-segment-documents", JSON.stringify(segment), "{}");
  assert.deepEqual(put, { UnprocessedTraceSegments: [{ ErrorCode: "MissingId", Message: "Invalid segment. ErrorCode: MissingId" }] });
  const span = ["--start-time", String(start - 60), "--end-time", String(start + 60)];
  const { TraceSummaries = [] } = aws("xray", "get-trace-summaries", ...span) as { TraceSummaries?: { Id: string; Duration: number }[] };
  assert.deepEqual(
    TraceSummaries.map((one) => [one.Id, one.Duration]),
    [[Id, 0.5]],
  );
  const { Traces = [] } = aws("xray", "batch-get-traces", "--trace-ids", Id) as { Traces?: { Segments: { Document: string }[] }[] };
  assert.deepEqual(JSON.parse(Traces[0]?.Segments[0]?.Document ?? ""), segment);
});

test("the AWS CLI makes topics, subscribes and publishes", () => {
  const { TopicArn: topic } = aws("sns", "create-topic", "--name", "cli", "--tags", "Key=made,Value=by the CLI") as { TopicArn: string };
  const endpoint = "arn:aws:lambda:us-east-1:000000000000:function:none";
  const subscribe = ["--topic-arn", topic, "--protocol", "lambda", "--notification-endpoint", endpoint];
  const { SubscriptionArn: arn } = aws("sns", "subscribe", ...subscribe, "--attributes", '{"FilterPolicy":"{\\"a\\":[\\"b\\"]}"}');
  const { Attributes } = aws("sns", "get-subscription-attributes", "--subscription-arn", String(arn)) as {
    Attributes: Record<string, string>;
  };
  assert.equal(Attributes["FilterPolicy"], '{"a":["b"]}');
  const message = ["--message", "hello", "--message-attributes", '{"a":{"DataType":"String","StringValue":"c"}}'];
  assert.match(String(aws("sns", "publish", "--topic-arn", topic, ...message)["MessageId"]), /^[0-9a-f-]{36}$/);
  aws("sns", "unsubscribe", "--subscription-arn", String(arn));
  aws("sns", "delete-topic", "--topic-arn", topic);
  assert.deepEqual(aws("sns", "list-topics"), { Topics: [] });
});

test("the AWS CLI puts events and makes schedules", () => {
  aws("events", "put-rule", "--name", "cli", "--schedule-expression", "rate(5 minutes)");
  const { Rules = [] } = aws("events", "list-rules") as { Rules?: { Name: string; ScheduleExpression: string }[] };
  assert.deepEqual([Rules[0]?.Name, Rules[0]?.ScheduleExpression], ["cli", "rate(5 minutes)"]);
  const put = aws("events", "put-events", "--entries", '[{"Source":"cli","DetailType":"t","Detail":"{}"}]');
  assert.equal(put["FailedEntryCount"], 0);
  aws("events", "delete-rule", "--name", "cli");
  const { Role } = aws("iam", "create-role", "--role-name", "cli-schedules", "--assume-role-policy-document", SCHEDULER_TRUST) as {
    Role: { Arn: string };
  };
  const target = JSON.stringify({ Arn: "arn:aws:sqs:us-east-1:000000000000:none", RoleArn: Role.Arn, Input: "{}" });
  const when = ["--schedule-expression", "cron(0 9 ? * MON-FRI *)", "--schedule-expression-timezone", "Europe/Berlin"];
  const create = ["--name", "cli", ...when, "--flexible-time-window", '{"Mode":"OFF"}', "--target", target];
  assert.match(String(aws("scheduler", "create-schedule", ...create)["ScheduleArn"]), /:schedule\/default\/cli$/);
  assert.equal(aws("scheduler", "get-schedule", "--name", "cli")["ScheduleExpressionTimezone"], "Europe/Berlin");
  aws("scheduler", "delete-schedule", "--name", "cli");
});

test("the AWS CLI asks a bucket for notifications", async () => {
  const endpoint = ["--endpoint-url", server.environment["AWS_ENDPOINT_URL"] ?? ""];
  const Statement = { Effect: "Allow", Principal: { Service: "s3.amazonaws.com" }, Action: "sqs:SendMessage", Resource: "*" };
  const attributes = JSON.stringify({ Policy: JSON.stringify({ Version: "2012-10-17", Statement }) });
  const { QueueUrl: url } = aws("sqs", "create-queue", "--queue-name", "told", "--attributes", attributes, ...endpoint);
  aws("s3api", "create-bucket", "--bucket", "telling");
  const queue = { QueueArn: "arn:aws:sqs:us-east-1:000000000000:told", Events: ["s3:ObjectCreated:*"], Id: "all" };
  const wanted = ["--notification-configuration", JSON.stringify({ QueueConfigurations: [queue] })];
  aws("s3api", "put-bucket-notification-configuration", "--bucket", "telling", ...wanted);
  const { QueueConfigurations } = aws("s3api", "get-bucket-notification-configuration", "--bucket", "telling");
  assert.deepEqual(QueueConfigurations, [queue]);
  const body = () => {
    const { Messages = [] } = aws("sqs", "receive-message", "--queue-url", String(url), "--wait-time-seconds", "20", ...endpoint) as {
      Messages?: { Body: string }[];
    };
    return JSON.parse(Messages[0]?.Body ?? "{}") as { Event?: string; Records?: { eventName: string }[] };
  };
  assert.equal(body().Event, "s3:TestEvent");
  await writeFile(join(work, "told.txt"), "x");
  aws("s3api", "put-object", "--bucket", "telling", "--key", "told.txt", "--body", join(work, "told.txt"));
  assert.equal(body().Records?.[0]?.eventName, "ObjectCreated:Put");
});

test("a package built with pip install -t runs", async () => {
  const directory = join(work, "with-library");
  await mkdir(directory);
  run("pip", ["install", "--quiet", "--disable-pip-version-check", "-t", directory, "six==1.17.0"]);
  await writeFile(join(directory, "app.py"), "import six\ndef handler(event, context):\n    return [six.__version__, six.__file__]\n");
  run("python", ["-c", "import shutil; shutil.make_archive('with-library', 'zip', 'with-library')"]);
  const role = await makeRole(server.clients().iam, "pip");
  const create = [
    "--function-name",
    "pip",
    "--runtime",
    "python3.11",
    "--handler",
    "app.handler",
    "--role",
    role,
    "--zip-file",
    "fileb://with-library.zip",
  ];
  aws("lambda", "create-function", ...create);
  aws("lambda", "wait", "function-active-v2", "--function-name", "pip");
  aws("lambda", "invoke", "--function-name", "pip", "pip.json");
  assert.deepEqual(JSON.parse(await readFile(join(work, "pip.json"), "utf8")), ["1.17.0", "/var/task/six.py"]);
});
