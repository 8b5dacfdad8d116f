// Code signing configurations, and which functions have one. Signatures themselves are not verified: see assertDeployable.
import { randomBytes } from "node:crypto";
import { CodeSigningConfigNotFoundException$, CodeVerificationFailedException$ } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { StorageError, type Entry, type Key, type Write } from "../store/storage.ts";
import { formatTime } from "./configuration.ts";
import { conflict, notFound } from "./faults.ts";
import type { FunctionRecord, Lambda } from "./model.ts";
import { functionArn, readFunctionName } from "./names.ts";
import { page } from "./page.ts";
import { changeFunction, findFunction, stillThere } from "./records.ts";
import { checkTags } from "./tag-bounds.ts";

export const CODE_SIGNING_KIND = "lambda.code-signing-config";

export interface CodeSigningRecord {
  readonly Description: string;
  /** ARNs of versions of signing profiles. */
  readonly publishers: readonly string[];
  readonly untrusted: client.CodeSigningPolicy;
  readonly tags: Readonly<Record<string, string>>;
  readonly lastModifiedMs: number;
}

type Place = Pick<Context, "account" | "region">;
type Configs = Pick<Lambda, "codeSigningConfigs">;

const ARN_START = ({ account, region }: Place) => `arn:aws:lambda:${region}:${account}:code-signing-config:`;

const codeSigningKey = ({ account, region }: Place, id: string): Key => ({ account, region, kind: CODE_SIGNING_KIND, id });

/** Only those of the request's own account and region. */
export function codeSigningConfigOf({ codeSigningConfigs }: Configs, context: Place, arn: string): Entry<CodeSigningRecord> | undefined {
  const start = ARN_START(context);
  return arn.startsWith(start) ? codeSigningConfigs.get(context.account, context.region, arn.slice(start.length)) : undefined;
}

function present(lambda: Configs, context: Context, arn: string): Entry<CodeSigningRecord> {
  const entry = codeSigningConfigOf(lambda, context, arn);
  if (entry === undefined) throw notFound(`The Lambda code signing configuration ${arn} can not be found.`);
  return entry;
}

/** Where a function is to have it. */
function attachable(lambda: Configs, context: Place, arn: string): Entry<CodeSigningRecord> {
  const entry = codeSigningConfigOf(lambda, context, arn);
  if (entry !== undefined) return entry;
  const message = `The code signing configuration cannot be found. Check that the provided configuration is not deleted: ${arn}.`;
  throw new Fault(CodeSigningConfigNotFoundException$, message, { Type: "User" });
}

type Names =
  | "CreateCodeSigningConfig"
  | "GetCodeSigningConfig"
  | "UpdateCodeSigningConfig"
  | "DeleteCodeSigningConfig"
  | "ListCodeSigningConfigs"
  | "ListFunctionsByCodeSigningConfig"
  | "PutFunctionCodeSigningConfig"
  | "GetFunctionCodeSigningConfig"
  | "DeleteFunctionCodeSigningConfig";

export function codeSigning(lambda: Lambda) {
  return {
    CreateCodeSigningConfig: (context, input) => createConfig(lambda, context, input),
    GetCodeSigningConfig(context, { CodeSigningConfigArn = "" }) {
      const { key, value } = present(lambda, context, CodeSigningConfigArn);
      return { CodeSigningConfig: describe(context, key.id, value) };
    },
    UpdateCodeSigningConfig: (context, input) => updateConfig(lambda, context, input),
    DeleteCodeSigningConfig: (context, { CodeSigningConfigArn = "" }) => deleteConfig(lambda, context, CodeSigningConfigArn),
    ListCodeSigningConfigs(context, input) {
      const { account, region } = context;
      const list = (after: string | undefined, limit: number) =>
        lambda.codeSigningConfigs.list(account, region, { limit, ...(after === undefined ? {} : { after }) });
      const { found, more } = page("code-signing-configs", input, ({ key }) => key.id, list);
      return { CodeSigningConfigs: found.map(({ key, value }) => describe(context, key.id, value)), ...more };
    },
    ListFunctionsByCodeSigningConfig: (context, input) => listFunctions(lambda, context, input),
    PutFunctionCodeSigningConfig: (context, input) => attach(lambda, context, input),
    GetFunctionCodeSigningConfig(context, { FunctionName = "" }) {
      const { reference, entry } = findFunction(lambda, context, FunctionName);
      const { codeSigningConfigArn: CodeSigningConfigArn = "" } = entry.value;
      // Neither member when there is none, which Terraform reads of every function. One that was deleted in the same moment as it was given
      // is none either.
      if (codeSigningConfigOf(lambda, reference, CodeSigningConfigArn) === undefined) return NONE;
      return { CodeSigningConfigArn, FunctionName: reference.name };
    },
    async DeleteFunctionCodeSigningConfig(context, { FunctionName = "" }) {
      const found = findFunction(lambda, context, FunctionName);
      const { codeSigningConfigArn: former, ...record } = found.entry.value;
      if (former !== undefined) await changeFunction(lambda, found, record);
      return {};
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

const NONE = { CodeSigningConfigArn: undefined, FunctionName: undefined };

async function createConfig(lambda: Lambda, context: Context, input: client.CreateCodeSigningConfigCommandInput) {
  const { Description = "", AllowedPublishers, CodeSigningPolicies, Tags = {} } = input;
  checkTags(Tags);
  const record: CodeSigningRecord = {
    Description,
    publishers: AllowedPublishers?.SigningProfileVersionArns ?? [],
    untrusted: CodeSigningPolicies?.UntrustedArtifactOnDeployment ?? "Warn",
    tags: { ...Tags },
    lastModifiedMs: lambda.clock.now(),
  };
  const id = `csc-${randomBytes(9).toString("hex").slice(0, 17)}`;
  await lambda.meta.write([{ key: codeSigningKey(context, id), value: record, expect: "absent" }]);
  return { CodeSigningConfig: describe(context, id, record) };
}

/** Members that are not given stay as they are. What is deployed already is not looked at again. */
async function updateConfig(lambda: Lambda, context: Context, input: client.UpdateCodeSigningConfigCommandInput) {
  const { CodeSigningConfigArn = "", Description, AllowedPublishers, CodeSigningPolicies } = input;
  const { key, value, revision } = present(lambda, context, CodeSigningConfigArn);
  const record: CodeSigningRecord = {
    ...value,
    Description: Description ?? value.Description,
    publishers: AllowedPublishers?.SigningProfileVersionArns ?? value.publishers,
    untrusted: CodeSigningPolicies?.UntrustedArtifactOnDeployment ?? value.untrusted,
    lastModifiedMs: lambda.clock.now(),
  };
  await write(lambda, [{ key, value: record, expect: revision }], CodeSigningConfigArn);
  return { CodeSigningConfig: describe(context, key.id, record) };
}

async function deleteConfig(lambda: Lambda, context: Context, arn: string) {
  const { key, revision } = present(lambda, context, arn);
  if (usersOf(lambda, context, arn).length > 0)
    throw conflict(`Cannot delete the code signing configuration ${arn} because it is in use by functions.`);
  await write(lambda, [{ key, expect: revision }], arn);
  return {};
}

async function write(lambda: Lambda, writes: readonly Write[], arn: string): Promise<void> {
  try {
    await lambda.meta.write(writes);
  } catch (cause) {
    if (!(cause instanceof StorageError && cause.failure === "Conflict")) throw cause;
    throw conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${arn}`);
  }
}

/** The configuration is looked for before the function (seen on AWS). */
async function attach(lambda: Lambda, context: Context, input: client.PutFunctionCodeSigningConfigCommandInput) {
  const { CodeSigningConfigArn = "", FunctionName = "" } = input;
  const config = attachable(lambda, readFunctionName(context, FunctionName), CodeSigningConfigArn);
  const found = findFunction(lambda, context, FunctionName);
  const record: FunctionRecord = { ...found.entry.value, codeSigningConfigArn: CodeSigningConfigArn };
  await changeFunction(lambda, found, record, [stillThere(config)]);
  return { CodeSigningConfigArn, FunctionName: found.reference.name };
}

const usersOf = (lambda: Lambda, { account, region }: Place, arn: string, after?: string) =>
  lambda.functions
    .list(account, region, { limit: Infinity, ...(after === undefined ? {} : { after }) })
    .filter(({ value }) => value.codeSigningConfigArn === arn);

function listFunctions(lambda: Lambda, context: Context, input: client.ListFunctionsByCodeSigningConfigCommandInput) {
  const { CodeSigningConfigArn: arn = "" } = input;
  present(lambda, context, arn);
  const list = (after: string | undefined, limit: number) => usersOf(lambda, context, arn, after).slice(0, limit);
  const { found, more } = page(`code-signing-functions/${arn}`, input, ({ key }) => key.id, list);
  return { FunctionArns: found.map(({ key: { account, region, id } }) => functionArn({ account, region, name: id })), ...more };
}

const describe = (context: Place, id: string, record: CodeSigningRecord): client.CodeSigningConfig => ({
  CodeSigningConfigId: id,
  CodeSigningConfigArn: `${ARN_START(context)}${id}`,
  Description: record.Description,
  AllowedPublishers: { SigningProfileVersionArns: [...record.publishers] },
  CodeSigningPolicies: { UntrustedArtifactOnDeployment: record.untrusted },
  LastModified: formatTime(record.lastModifiedMs),
});

/** For a function that is being made with a configuration: what is to be written with it. */
export function codeSigningWrites(lambda: Configs, place: Place, arn: string): readonly Write[] {
  return arn === "" ? [] : [stillThere(attachable(lambda, place, arn))];
}

/**
 * Nothing counts as signed here. So under `Enforce` no new code may be deployed, as on AWS without a valid signature; under `Warn` all may.
 * Throws CodeVerificationFailedException.
 */
export function assertDeployable(lambda: Configs, place: Place, arn: string | undefined): void {
  const config = arn === undefined ? undefined : codeSigningConfigOf(lambda, place, arn);
  if (config?.value.untrusted !== "Enforce") return;
  throw new Fault(
    CodeVerificationFailedException$,
    "The code signature failed one or more of the validation checks for signature mismatch or expiry, and the code signing policy is set to ENFORCE. " +
      "Lambent does not verify signatures, so none is valid: set UntrustedArtifactOnDeployment to Warn. See docs/compatibility.md.",
    { Type: "User" },
  );
}
