// The text of docs/compatibility.md, from the operations objects of the services.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceDefinition } from "../src/aws/definition.ts";
import { systemClock } from "../src/base/clock.ts";
import { silentLog } from "../src/base/log.ts";
import { loadConfig } from "../src/config.ts";
import { MEMBERS_WITHOUT_EFFECT, REFUSED_MEMBERS } from "../src/lambda/unsupported.ts";
import { fakeSandboxHost } from "../src/sandbox/fake.ts";
import { startServer } from "../src/server.ts";
import { memoryLogSink } from "../src/store/memory/memory-log-sink.ts";
import { memoryStorage } from "../src/store/memory/memory-storage.ts";

const TITLES: Readonly<Record<string, string>> = {
  lambda: "AWS Lambda",
  s3: "Amazon S3",
  iam: "AWS IAM",
  sts: "AWS STS",
  logs: "Amazon CloudWatch Logs",
  sqs: "Amazon SQS",
  events: "Amazon EventBridge",
  scheduler: "Amazon EventBridge Scheduler",
};

const INTRODUCTION = `# Compatibility

Generated from the code by \`npm run docs\`: do not edit. An operation that is not built answers 501 with an error in AWS's shape that names it
(\`NotImplementedException\`; S3: \`NotImplemented\`). Versions of the API model: the official clients in package.json.
`;

const NOTES: Readonly<Record<string, string>> = {
  lambda: `Members that are refused with InvalidParameterValueException until they have an effect (their empty forms are accepted):
${REFUSED_MEMBERS.map(({ member, operations }) => `- \`${member}\` (${operations.join(", ")})`).join("\n")}

Members that are stored and returned without effect:
${MEMBERS_WITHOUT_EFFECT.map(({ member, operations, what }) => `- \`${member}\` (${operations.join(", ")}): ${what}`).join("\n")}

Invoke: TenantId and DurableExecutionName are refused. Results of asynchronous invocations go to Lambda functions, S3 buckets, SQS
queues and event buses; SNS topics are refused when they are configured.`,
  logs:
    "Filter patterns: terms, phrases, exclusions and alternatives of text; patterns over JSON, columns and regular expressions are refused.\n\n" +
    "StartLiveTail: SDKs put `stream-` before the host of the endpoint, which no name server knows for localhost: set `disableHostPrefix: true` in " +
    "JavaScript, `inject_host_prefix=False` in boto3's Config. `lambent logs --follow` does.",
  sqs: `Speaks JSON and, for clients from before 2023, forms and XML. Differs from AWS, or is left out:
- A deleted queue is gone at once, so the same name can be used again without waiting 60 seconds (QueueDeletedRecently is never answered).
- \`KmsMasterKeyId\` is refused; \`SqsManagedSseEnabled\` is stored and returned without effect: encrypt the disk.
- \`FifoThroughputLimit\`: the API's rates are not limited, for either value. \`MessageGroupId\` of standard queues is returned with the message, and evens out nothing between groups.
- A changed DelaySeconds holds for messages sent from then on, in FIFO queues too. Counts are exact.
- Version 1 of the AWS CLI has endpoints of its own for SQS and does not look at AWS_ENDPOINT_URL: give it \`--endpoint-url\`.
- Every call is signed: a policy does not open a queue to callers without credentials.`,
  events: `How events and schedules are delivered: [docs/schedules.md](schedules.md). Differs from AWS, or is left out:
- Targets: Lambda functions, SQS queues, other event buses, and CloudWatch log groups whose names begin with \`/aws/events/\` (they take events
  without a resource policy, which is not built; events stand in one stream for each rule). Other targets, and the parameters that only they have,
  are refused with ValidationException.
- API destinations, connections, global endpoints and partner event sources are not built; \`EndpointId\` and \`EventSourceName\` are refused.
- \`KmsKeyIdentifier\` is refused: encrypt the disk. A bus's \`DeadLetterConfig\` (for events that can't be decrypted) and \`LogConfig\`, and a rule's
  own \`RoleArn\`, are stored and returned without effect; a target's \`RoleArn\` counts.
- All entries of a PutEvents request together may have 1 MiB. Its rates and those of targets are not limited.
- InvalidEventPatternException has the reason of AWS without the place in the text. A pattern is not refused for its number of wildcards: they cost nothing.
- An event that came from another bus goes to no third one: buses can't send events around without end.
- Archives have no managed rule in ListRules; EventCount and SizeBytes are exact.
- \`State\` ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS is ENABLED: there is no CloudTrail.`,
  scheduler: `What happens to ticks that no server saw, time zones and windows: [docs/schedules.md](schedules.md). Differs from AWS, or is left out:
- Targets: Lambda functions, SQS queues and event buses, and the universal targets \`lambda:invoke\`, \`sqs:sendMessage\` and
  \`eventbridge:putEvents\`. Others, parameters that only they have, and members of a universal target's input that Lambent does not know are
  refused with ValidationException. \`lambda:invoke\` is asynchronous, also with InvocationType RequestResponse.
- \`KmsKeyArn\` is refused: encrypt the disk.
- \`<aws.scheduler.attempt-number>\` is 1 in each attempt.
- A group is deleted with its schedules at once: its State is never DELETING.
- A client token of a deletion is remembered until the server stops; those of CreateSchedule and CreateScheduleGroup as long as what they made.`,
  iam: "Groups, permissions boundaries and instance profiles are not built; AWS's managed policies are those of src/services/iam/aws-managed-policies.ts.",
};

function section(definition: ServiceDefinition): string {
  const names = Object.keys(definition.operations).toSorted();
  const isBuilt = (name: string) => typeof definition.operations[name] === "function";
  const built = names.filter(isBuilt);
  const missing = names.filter((name) => !isBuilt(name));
  const note = NOTES[definition.name];
  return [
    `## ${TITLES[definition.name] ?? definition.name}: ${built.length} of ${names.length} operations\n`,
    `**Built:** ${built.join(", ")}\n`,
    ...(note === undefined ? [] : [`${note}\n`]),
    `**Not built:** ${missing.join(", ")}\n`,
  ].join("\n");
}

export async function compatibilityPage(): Promise<string> {
  const data = await mkdtemp(join(tmpdir(), "lambent-docs-"));
  const clock = systemClock;
  const parts = {
    storage: memoryStorage({ clock }),
    log: silentLog,
    logs: memoryLogSink({ clock }),
    sandboxes: fakeSandboxHost(() => () => undefined),
  };
  const server = await startServer(loadConfig({ data, port: "0" }, {}), parts);
  const services = await server.services();
  await server.stop();
  await rm(data, { recursive: true });
  const place = ({ name }: ServiceDefinition) => Object.keys(TITLES).indexOf(name);
  return [INTRODUCTION, ...services.toSorted((a, b) => place(a) - place(b)).map(section)].join("\n");
}
