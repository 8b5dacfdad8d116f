// The text of docs/compatibility.md, from the operations objects of the services.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceDefinition } from "../src/aws/definition.ts";
import type { Refused } from "../src/aws/operations.ts";
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
};

const INTRODUCTION = `# Compatibility

Generated from the code by \`npm run docs\`: do not edit. An operation that is not built, or refused, answers 501 with an error in AWS's shape that names it
(\`NotImplementedException\`; S3: \`NotImplemented\`). Versions of the API model: the official clients in package.json.
`;

const NOTES: Readonly<Record<string, string>> = {
  lambda: `Members that are refused with InvalidParameterValueException until they have an effect (their empty forms are accepted):
${REFUSED_MEMBERS.map(({ member, operations }) => `- \`${member}\` (${operations.join(", ")})`).join("\n")}

Members that are stored and returned without effect:
${MEMBERS_WITHOUT_EFFECT.map(({ member, operations, what }) => `- \`${member}\` (${operations.join(", ")}): ${what}`).join("\n")}

Get- and PutFunctionScalingConfig refuse every function: there are no capacity providers. Manual runtime management takes one ARN only, that of
the build that the server has. The rates of operations other than invocations are not limited.

Invoke: DurableExecutionName is refused. Results of asynchronous invocations go to Lambda functions, S3 buckets and SQS
queues; SNS topics and event buses are refused when they are configured.

Layers: there are no organisations, so a permission with OrganizationId admits nobody; AWS's own layers (\`awslayer\`) do not exist, and those of
AWS's accounts are to be published here again. Content.Location is valid for ten minutes. Programs in \`/opt/extensions\` run: [extensions.md](extensions.md).

Event source mappings are stored, checked and listed; **nothing reads from a source yet, so no mapping invokes its function**. One that was asked
to be enabled answers \`State: Disabled\` and says so in \`StateTransitionReason\`; it keeps the wish, and will be enabled by a version that can
read. Queues are looked for, with the rights of the function's role; streams, clusters, brokers and databases are not, because this server has
none. Changes are complete when they are answered: \`Creating\`, \`Updating\` and \`Deleting\` are seen in that answer only. \`KMSKeyArn\` is
refused, up to 10 filters are accepted.

Function URLs are \`http://<url-id>.lambda-url.<region>.localhost:<port>/\` (or below the name by which the client reached the server), and are
served in both modes; with RESPONSE_STREAM a function that does not stream has its result sent as it is. Both permissions are needed,
\`lambda:InvokeFunctionUrl\` and \`lambda:InvokeFunction\`. Forms (\`application/x-www-form-urlencoded\`) come in base64.

Code signing configurations are stored; signatures are not verified. So under \`Enforce\` code is not deployed (CodeVerificationFailedException),
under \`Warn\` all is.

Resource policies: PutResourcePolicy takes statements about its own resource, with actions of Lambda. Access is never blocked in general, so
PublicPolicyException is never answered.`,
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
  iam: "Permissions boundaries and instance profiles are not built; simulations tell which policies matched, not where in them; AWS's managed policies are those of src/services/iam/aws-managed-policies.ts.",
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
    sandboxes: fakeSandboxHost(() => () => undefined),
  };
  const server = await startServer(loadConfig({ data, port: "0" }, {}), parts);
  const services = await server.services();
  await server.stop();
  await rm(data, { recursive: true });
  const place = ({ name }: ServiceDefinition) => Object.keys(TITLES).indexOf(name);
  return [INTRODUCTION, ...services.toSorted((a, b) => place(a) - place(b)).map(section)].join("\n");
}
