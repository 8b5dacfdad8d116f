// The text of docs/compatibility.md, from the operations objects of the services.
import { iamService } from "../src/services/iam/service.ts";
import { lambdaService } from "../src/lambda/service.ts";
import { logsService } from "../src/services/logs/service.ts";
import { s3Service } from "../src/services/s3/service.ts";
import { stsService } from "../src/services/sts/service.ts";
import type { ServiceDefinition } from "../src/aws/definition.ts";
import { silentLog } from "../src/base/log.ts";
import { manualClock } from "../src/base/manual-clock.ts";
import { MEMBERS_WITHOUT_EFFECT, REFUSED_MEMBERS } from "../src/lambda/unsupported.ts";
import { memoryLogSink } from "../src/store/memory/memory-log-sink.ts";
import { memoryStorage } from "../src/store/memory/memory-storage.ts";
import { diskBlobs } from "../src/store/disk-blobs.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TITLES: Readonly<Record<string, string>> = {
  lambda: "AWS Lambda",
  s3: "Amazon S3",
  iam: "AWS IAM",
  sts: "AWS STS",
  logs: "Amazon CloudWatch Logs",
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

Invoke takes RequestResponse and DryRun; Event answers 501, TenantId and DurableExecutionName are refused.`,
  logs:
    "Filter patterns: terms, phrases, exclusions and alternatives of text; patterns over JSON, columns and regular expressions are refused.\n\n" +
    "StartLiveTail: SDKs put `stream-` before the host of the endpoint, which no name server knows for localhost: set `disableHostPrefix: true` in " +
    "JavaScript, `inject_host_prefix=False` in boto3's Config. `lambent logs --follow` does.",
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
  const directory = await mkdtemp(join(tmpdir(), "lambent-docs-"));
  const clock = manualClock();
  const log = silentLog;
  const { meta } = memoryStorage({ clock });
  const blobs = await diskBlobs({ directory: join(directory, "blobs"), clock });
  const iam = await iamService({ meta, clock, sealingKey: new Uint8Array(32), rootKeys: [] });
  const sts = stsService({ clock, sealingKey: new Uint8Array(32), roles: iam.roles });
  const s3 = await s3Service({ meta, blobs, clock, log });
  const logs = await logsService({ meta, logs: memoryLogSink({ clock }), clock });
  const nothing = () => {
    throw new Error("only described, never called");
  };
  const invoker = { invoke: nothing, retire: nothing, concurrency: nothing };
  const runtimes = { state: () => undefined, names: () => [] };
  const lambda = await lambdaService({
    meta,
    blobs,
    packagesDirectory: join(directory, "packages"),
    invoker,
    clock,
    log,
    getObject: nothing,
    canAssume: nothing,
    runtimes,
    codeUrl: nothing,
    accountConcurrency: 1000,
  });
  await rm(directory, { recursive: true });
  return [INTRODUCTION, ...[lambda, s3, iam, sts, logs].map(({ definition }) => section(definition))].join("\n");
}
