// The text of docs/compatibility.md, from the operations objects of the services.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceDefinition } from "../src/aws/definition.ts";
import type { Refused } from "../src/aws/operations.ts";
import { systemClock } from "../src/base/clock.ts";
import { silentLog } from "../src/base/log.ts";
import { loadConfig } from "../src/config.ts";
import { KEEPING_OPERATIONS } from "../src/lambda/newer-members.ts";
import { MEMBERS_WITHOUT_EFFECT, REFUSED_MEMBERS } from "../src/lambda/unsupported.ts";
import { fakeSandboxHost } from "../src/sandbox/fake.ts";
import { startServer } from "../src/server.ts";
import { memoryLogSink } from "../src/store/memory/memory-log-sink.ts";
import { memoryMetrics } from "../src/store/memory/memory-metrics.ts";
import { memoryStorage } from "../src/store/memory/memory-storage.ts";
import { memoryTraces } from "../src/store/memory/memory-traces.ts";

const TITLES: Readonly<Record<string, string>> = {
  lambda: "AWS Lambda",
  s3: "Amazon S3",
  iam: "AWS IAM",
  sts: "AWS STS",
  logs: "Amazon CloudWatch Logs",
  sqs: "Amazon SQS",
  ecr: "Amazon ECR",
  monitoring: "Amazon CloudWatch",
  sns: "Amazon SNS",
  events: "Amazon EventBridge",
  scheduler: "Amazon EventBridge Scheduler",
  xray: "AWS X-Ray",
};

const INTRODUCTION = `# Compatibility

Generated from the code by \`npm run docs\`: do not edit. An operation that is not built, or refused, answers 501 with an error in AWS's shape that names it
(\`NotImplementedException\`; S3: \`NotImplemented\`). Versions of the API model: the official clients in package.json.

## Deployment tools

- AWS SDKs, the AWS CLI, boto3: unchanged, with the variables of \`lambent env\`.
- Terraform and what uses its AWS provider: the resources whose operations are listed below, with \`s3_use_path_style\`.
- AWS SAM: \`sam build\`, \`sam package --s3-bucket\` and \`sam local\`; not \`sam deploy\` and \`sam sync\`, which ask CloudFormation.
- AWS CDK: \`cdk synth\`; not \`cdk bootstrap\` and \`cdk deploy\`, which ask CloudFormation. Nor does the Serverless Framework deploy.

**CloudFormation is not there yet**, nor is the Parameter Store: both answer 501. What their tools ask of Lambda, IAM, S3, ECR, STS and CloudWatch
Logs is (tests/api/deployment-tools-stacks.test.ts), but for a repository's and a bucket's lifecycle. Meanwhile, deploy what they have built:
\`lambent deploy .aws-sam/build/NAME\` after \`sam build\`, \`lambent deploy cdk.out/asset.HASH --name NAME\` after \`cdk synth\`, with \`--watch\` while
you work; \`aws lambda create-function\` and its siblings in a script; or describe the same resources in Terraform.
`;

const NOTES: Readonly<Record<string, string>> = {
  lambda: `Members that are refused with InvalidParameterValueException until they have an effect (their empty forms are accepted):
${REFUSED_MEMBERS.map(({ member, operations }) => `- \`${member}\` (${operations.join(", ")})`).join("\n")}

Members that are stored and returned without effect:
${MEMBERS_WITHOUT_EFFECT.map(({ member, operations, what }) => `- \`${member}\` (${operations.join(", ")}): ${what}`).join("\n")}

Members that this version does not know, because a newer API has them: ${[...KEEPING_OPERATIONS].join(" and ")} keep and return them without effect
(at most 4 KiB; the log warns), so that newer deployment tools read what they sent. Inside of known members, and in all other operations, they
are refused with SerializationException.

Get- and PutFunctionScalingConfig refuse every function: there are no capacity providers. Manual runtime management takes one ARN only, that of
the build that the server has. The rates of operations other than invocations are not limited.

Invoke: DurableExecutionName is refused. Results of asynchronous invocations go to Lambda functions, S3 buckets, SQS
queues, SNS topics and event buses. A record of more than 256 KB goes to a topic with \`null\` for its payloads.

A server has one account (\`--account\`): the credentials that it gives out are that account's, and regions are told apart by the signature. Other
accounts can be named as principals. There are no organisations, so a permission with PrincipalOrgID or OrganizationId admits nobody.

Layers: AWS's own layers (\`awslayer\`) do not exist, and those of
AWS's accounts are to be published here again. Content.Location is valid for ten minutes. Programs in \`/opt/extensions\` run: [extensions.md](extensions.md).

Event source mappings are stored, checked and listed; **nothing reads from a source yet, so no mapping invokes its function**. One that was asked
to be enabled answers \`State: Disabled\` and says so in \`StateTransitionReason\`; it keeps the wish, and will be enabled by a version that can
read; until then Terraform shows \`enabled\` as changed in each plan, unless it is \`false\`. Queues are looked for, with the rights of the
function's role; streams, clusters, brokers and databases are not, because this server has none. Changes are complete when they are answered:
\`Creating\`, \`Updating\` and \`Deleting\` are seen in that answer only. \`KMSKeyArn\` is refused, up to 10 filters are accepted.

Function URLs are \`http://<url-id>.lambda-url.<region>.localhost:<port>/\` (or below the name by which the client reached the server), and are
served in both modes; with RESPONSE_STREAM a function that does not stream has its result sent as it is. Both permissions are needed,
\`lambda:InvokeFunctionUrl\` and \`lambda:InvokeFunction\`. Forms (\`application/x-www-form-urlencoded\`) come in base64. The URL
of an alias outlives it, closed (403), until it is deleted itself or with its function.

Runtimes: a function can be made for each that AWS still makes functions for, and is invoked when the machine, or an image that was installed, has
exactly that one; else an invocation is an InvalidRuntimeException that says what to do. .NET comes with AWS's own images only
([runtimes.md](runtimes.md)).

Architectures: \`arm64\` on an x86_64 machine runs through qemu where that is installed, custom runtimes and images at once, managed runtimes from an
image for arm64 ([runtimes.md](runtimes.md#arm64-on-an-x86_64-machine)); without it an invocation is an InvalidRuntimeException. \`x86_64\` on an arm64
machine does not run. CompatibleArchitectures of a layer choose what lists show.

Code signing configurations are stored; signatures are not verified. So under \`Enforce\` code is not deployed (CodeVerificationFailedException),
under \`Warn\` all is.

Resource policies: PutResourcePolicy takes statements about its own resource, with actions of Lambda. Access is never blocked in general, so
PublicPolicyException is never answered.`,
  logs:
    "Filter patterns: terms, phrases, exclusions and alternatives of text; patterns over JSON, columns and regular expressions are refused.\n\n" +
    "StartLiveTail: SDKs put `stream-` before the host of the endpoint, which no name server knows for localhost: set `disableHostPrefix: true` in " +
    "JavaScript, `inject_host_prefix=False` in boto3's Config. `lambent logs --follow` does.",
  s3: `Event notifications go to functions, queues and topics, and with EventBridgeConfiguration every change goes to the default event bus of the
bucket's account, in its region. Events of what does not happen here (restores, lifecycle, replication, retention, annotations, ACLs, which never
change; forms that browsers post) can be configured and are never sent.

Every bucket has the default encryption AES256, because tools read it so from AWS; Lambent encrypts nothing itself: encrypt the disk. Encryption
with KMS or a client's key is refused.`,
  sts: "The account's root may assume roles that trust its account, which AWS refuses: it has the only keys of a new installation.",
  monitoring: `Speaks JSON, CBOR and forms. Alarms, dashboards, streams and the rest are not built. Differs from AWS, or is left out:
- Statistics: SampleCount, Sum, Average, Minimum, Maximum and percentiles (to a hundredth of the value); trimmed means and their like are refused.
- Expressions of GetMetricData: numbers, ids, \`+ - * /\` and parentheses; functions (SUM, SEARCH, METRICS, …) are refused.
- EntityMetricData is refused. At most 200,000 different metrics are kept (LimitExceeded).
- The metrics of AWS/Lambda are written every 15 s and whenever somebody asks; a killed server loses at most those 15 s of them. Iterator age and extensions have none.`,
  sqs: `Speaks JSON and, for clients from before 2023, forms and XML. Differs from AWS, or is left out:
- A deleted queue is gone at once, so the same name can be used again without waiting 60 seconds (QueueDeletedRecently is never answered).
- \`KmsMasterKeyId\` is refused; \`SqsManagedSseEnabled\` is stored and returned without effect: encrypt the disk.
- \`FifoThroughputLimit\`: the API's rates are not limited, for either value. \`MessageGroupId\` of standard queues is returned with the message, and evens out nothing between groups.
- A changed DelaySeconds holds for messages sent from then on, in FIFO queues too. Counts are exact.
- ChangeMessageVisibility after the timeout has ended hides a standard queue's message again, as long as nobody has received it since.
- Version 1 of the AWS CLI has endpoints of its own for SQS and does not look at AWS_ENDPOINT_URL: give it \`--endpoint-url\`.
- Every call is signed: a policy does not open a queue to callers without credentials.`,
  ecr: `Beside the API, the registry's own protocol below \`/v2/\` of the same port: docs/images.md. Repository URIs name the host by which the server was
reached. Encryption with KMS and exclusion filters of tag mutability are refused; \`scanOnPush\` is stored and returned without effect.
A manifest is answered as it was pushed: \`acceptedMediaTypes\` translates nothing, where AWS turns OCI's into Docker's for clients that know no other.`,
  iam: "`aws:SecureTransport` is true of what does not leave the machine (loopback, functions), although it is http. Permissions boundaries and instance profiles are not built; simulations tell which policies matched, not where in them; AWS's managed policies are those of src/services/iam/aws-managed-policies.ts.",
  sns: `How it delivers, what it calls and how signatures are verified: [notifications.md](notifications.md). Differs from AWS, or is left out:
- Protocols: \`lambda\`, \`sqs\`, \`http\`, \`https\`; \`email\` and \`email-json\` are told to the server's log; \`sms\`, \`firehose\` and \`application\` are refused by Subscribe, PhoneNumber by Publish.
- Refused: \`KmsMasterKeyId\`, \`ArchivePolicy\`, DataProtectionPolicy, \`ReplayPolicy\`, \`SubscriptionRoleArn\`.
- Stored and returned without effect: \`TracingConfig\` (the trace header goes on to functions and queues in any case), delivery status attributes (\`…SuccessFeedbackRoleArn\` and their like).
- Subscribing an endpoint again after unsubscribing gives the subscription the ARN that it had. Subscriptions that confirm themselves (a function or queue of the caller's account) can only be ended with a signed request.
- Filter policies: AWS's limits of keys, combinations and policies per topic; \`wildcard\` works, \`anything-but\` takes values and \`prefix\`. A changed policy holds at once.
- A topic's default policy opens nothing to services; name the service's principal.`,
  events: `How events and schedules are delivered: [docs/schedules.md](schedules.md). Differs from AWS, or is left out:
- Targets: Lambda functions, SQS queues, SNS topics, other event buses, and CloudWatch log groups whose names begin with \`/aws/events/\` (they take events
  without a resource policy, which is not built; events stand in one stream for each rule). Other targets, and the parameters that only they have,
  are refused with ValidationException.
- Events of AWS's own services come from S3 only (\`aws.s3\`).
- API destinations, connections, global endpoints and partner event sources are not built; \`EndpointId\` and \`EventSourceName\` are refused.
- \`KmsKeyIdentifier\` is refused: encrypt the disk. A bus's \`DeadLetterConfig\` (for events that can't be decrypted) and \`LogConfig\`, and a rule's
  own \`RoleArn\`, are stored and returned without effect; a target's \`RoleArn\` counts.
- All entries of a PutEvents request together may have 1 MiB. Its rates and those of targets are not limited.
- InvalidEventPatternException has the reason of AWS without the place in the text. A pattern is not refused for its number of wildcards: they cost nothing.
- An event that came from another bus goes to no third one, as on AWS, also within one account: it fails with THIRD_ACCOUNT_HOP_DETECTED.
- Archives have no managed rule in ListRules; EventCount and SizeBytes are exact.
- \`State\` ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS is ENABLED: there is no CloudTrail.`,
  scheduler: `What happens to ticks that no server saw, time zones and windows: [docs/schedules.md](schedules.md). Differs from AWS, or is left out:
- Targets: Lambda functions, SQS queues, SNS topics and event buses, and the universal targets \`lambda:invoke\`, \`sqs:sendMessage\`,
  \`sns:publish\` and \`eventbridge:putEvents\`. Others, parameters that only they have, and members of a universal target's input that Lambent does not know are
  refused with ValidationException. \`lambda:invoke\` is asynchronous, also with InvocationType RequestResponse.
- \`KmsKeyArn\` is refused: encrypt the disk.
- A group is deleted with its schedules at once: its State is never DELETING.
- A client token of a deletion is remembered until the server stops; those of CreateSchedule and CreateScheduleGroup as long as what they made.`,
  xray: `What is kept, for how long, and how to read it: [tracing.md](tracing.md). Differs from AWS, or is left out:
- PutTelemetryRecords is accepted, and kept nowhere.
- FilterExpression of GetTraceSummaries is refused (501). Sampling and SamplingStrategy have no effect: all traces are told.
- Summaries come from the segments and tell of no services that only subsegments have called; root causes, InstanceIds, AvailabilityZones and Revision are left out. No segments are inferred.
- Sampling rules: the default one, which can't be changed; each client that asks for targets gets its whole reservoir.
- ErrorCodes of documents that are no segments are named after those of AWS that are known (MissingId, InvalidTraceId, InvalidName). The age of a trace ID is not looked at.`,
};

function section(definition: ServiceDefinition): string {
  const names = Object.keys(definition.operations).toSorted();
  const isBuilt = (name: string) => typeof definition.operations[name] === "function";
  const built = names.filter(isBuilt);
  const refusals = Map.groupBy(
    names.filter((name) => typeof definition.operations[name] === "object"),
    (name) => (definition.operations[name] as Refused).about,
  );
  const missing = names.filter((name) => typeof definition.operations[name] === "symbol");
  const note = NOTES[definition.name];
  return [
    `## ${TITLES[definition.name] ?? definition.name}: ${built.length} of ${names.length} operations\n`,
    `**Built:** ${built.join(", ")}\n`,
    ...(note === undefined ? [] : [`${note}\n`]),
    ...[...refusals].map(([about, refusing]) => `**Refused:** ${refusing.join(", ")}: about ${about}.\n`),
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
    metrics: memoryMetrics(),
    traces: memoryTraces(),
    sandboxes: fakeSandboxHost(() => () => undefined),
  };
  const server = await startServer(loadConfig({ data, port: "0" }, {}), parts);
  const services = await server.services();
  await server.stop();
  await rm(data, { recursive: true });
  const place = ({ name }: ServiceDefinition) => Object.keys(TITLES).indexOf(name);
  return [INTRODUCTION, ...services.toSorted((a, b) => place(a) - place(b)).map(section)].join("\n");
}
