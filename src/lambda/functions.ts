// Functions: create, get, list, update the configuration, delete.
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import { requestId } from "../base/id.ts";
import { limits } from "../limits.ts";
import { StorageError, type Key, type Write } from "../store/storage.ts";
import { aliasesOf } from "./alias-records.ts";
import { codeLocation, newFunctionCode } from "./code.ts";
import { assertDeployable, codeSigningWrites } from "./code-signing.ts";
import { provisionedConfigsOf, reservationKey, reservedOf } from "./concurrency-records.ts";
import { checkRole, configurationOf, describeFunction, describeVersion } from "./configuration.ts";
import { checkDeadLetterConfig } from "./dead-letter-config.ts";
import { eventInvokeKeysOf } from "./event-invoke.ts";
import { conflict, invalidParameter, notFound, notForVersions } from "./faults.ts";
import { prepareLayers } from "./function-layers.ts";
import { functionUrlKeysOf } from "./function-urls.ts";
import { functionKey, VERSION_COUNTER_KIND, type FunctionEntry, type FunctionRecord, type Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";
import { page } from "./page.ts";
import { policyKeysOf } from "./permissions.ts";
import { assertChangeable, changeFunction, findFunction, findVersion, type FoundVersion } from "./records.ts";
import { TAGS_PART } from "./tag-access.ts";
import { checkTags } from "./tag-bounds.ts";
import { runtimeManagementKeysOf } from "./runtime-management.ts";
import { checkMaySendLetters } from "./sending-rights.ts";
import { refuseUnsupported } from "./unsupported.ts";
import { newVersion, versionsOf } from "./version-records.ts";
import { deleteVersion } from "./versions.ts";

type Names =
  | "CreateFunction"
  | "GetFunction"
  | "GetFunctionConfiguration"
  | "UpdateFunctionConfiguration"
  | "DeleteFunction"
  | "ListFunctions";

export function functions(lambda: Lambda) {
  return {
    CreateFunction: (context, input) => createFunction(lambda, context, input),
    GetFunction(context, { FunctionName = "", Qualifier }) {
      const found = findVersion(lambda, context, FunctionName, Qualifier);
      const { tags, wanted } = found.entry.value;
      const { code } = found.version?.value.deployed ?? wanted;
      const problem = context.denied?.get(TAGS_PART);
      const reserved = found.reference.qualifier === undefined ? reservedOf(lambda, found.reference) : undefined;
      return {
        Configuration: describeFound(found),
        Code: codeLocation(lambda, context, code),
        ...(Object.keys(tags).length === 0 ? {} : shownTags(tags, problem)),
        ...(reserved === undefined ? {} : { Concurrency: { ReservedConcurrentExecutions: reserved } }),
      };
    },
    GetFunctionConfiguration: (context, { FunctionName = "", Qualifier }) =>
      describeFound(findVersion(lambda, context, FunctionName, Qualifier)),
    UpdateFunctionConfiguration: (context, input) => updateFunctionConfiguration(lambda, context, input),
    DeleteFunction: (context, input) => deleteFunction(lambda, context, input),
    ListFunctions: (context, input) => listFunctions(lambda, context, input),
  } satisfies Pick<Operations<typeof client>, Names>;
}

/** Who may not list them learns why there are none. */
const shownTags = (tags: FunctionRecord["tags"], problem: string | undefined) =>
  problem === undefined ? { Tags: { ...tags } } : { TagsError: { ErrorCode: "AccessDeniedException", Message: problem } };

const describeFound = ({ reference, entry, version }: FoundVersion) =>
  version === undefined ? describeFunction(reference, entry.value) : describeVersion(reference, entry.value, version.value);

async function createFunction(lambda: Lambda, context: Context, input: client.CreateFunctionCommandInput) {
  const { FunctionName = "", Tags = {} } = input;
  const { qualifier, ...reference } = functionReference(context, FunctionName);
  if (qualifier !== undefined && qualifier !== "$LATEST") throw notForVersions();
  if (reference.name.length > limits.functionNameLengthMax)
    throw invalidParameter(
      `1 validation error detected: Value '${reference.name}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to ${limits.functionNameLengthMax}`,
    );
  refuseUnsupported(input);
  checkTags(Tags);
  checkDeadLetterConfig(lambda, input.DeadLetterConfig);
  const configuration = configurationOf(lambda, reference, input);
  checkRole(lambda, input.Role);
  const exists = () => conflict(`Function already exist: ${reference.name}`);
  if (lambda.functions.get(reference.account, reference.region, reference.name) !== undefined) throw exists();
  const { CodeSigningConfigArn = "" } = input;
  const signing = codeSigningWrites(lambda, reference, CodeSigningConfigArn);
  assertDeployable(lambda, reference, CodeSigningConfigArn);
  await checkMaySendLetters(lambda, { reference, roleArn: configuration.Role }, input.DeadLetterConfig?.TargetArn ?? "");
  const code = await newFunctionCode(lambda, context, configuration, input.Code ?? {});
  await prepareLayers(lambda, configuration, code);
  const record: FunctionRecord = {
    wanted: { configuration, code, id: requestId() },
    revisionId: requestId(),
    lastModifiedMs: lambda.clock.now(),
    tags: { ...Tags },
    ...(CodeSigningConfigArn === "" ? {} : { codeSigningConfigArn: CodeSigningConfigArn }),
  };
  const key = functionKey(reference, reference.name);
  const published = input.Publish === true ? await newVersion(lambda, reference, record.wanted) : undefined;
  try {
    await lambda.meta.write([{ key, value: record, expect: "absent" }, ...(published?.writes ?? []), ...signing]);
  } catch (error) {
    if (!(error instanceof StorageError && error.failure === "Conflict")) throw error;
    // Its code signing configuration may have changed in the same moment.
    throw signing.length > 0 && lambda.functions.get(reference.account, reference.region, reference.name) === undefined
      ? conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${CodeSigningConfigArn}`)
      : exists();
  }
  lambda.complete(key);
  const described = describeFunction(reference, record);
  return published === undefined ? described : { ...described, Version: String(published.version.number) };
}

async function updateFunctionConfiguration(lambda: Lambda, context: Context, input: client.UpdateFunctionConfigurationCommandInput) {
  const found = findFunction(lambda, context, input.FunctionName ?? "");
  refuseUnsupported(input);
  checkDeadLetterConfig(lambda, input.DeadLetterConfig);
  assertChangeable(found, input.RevisionId);
  const before = found.entry.value;
  const configuration = configurationOf(lambda, found.reference, input, before.wanted.configuration);
  checkRole(lambda, input.Role);
  await checkMaySendLetters(lambda, { reference: found.reference, roleArn: configuration.Role }, input.DeadLetterConfig?.TargetArn ?? "");
  await prepareLayers(lambda, configuration, before.wanted.code);
  const record: FunctionRecord = {
    ...before,
    wanted: { ...before.wanted, configuration, id: requestId() },
    revisionId: requestId(),
    lastModifiedMs: lambda.clock.now(),
  };
  await changeFunction(lambda, found, record);
  return describeFunction(found.reference, record);
}

async function deleteFunction(lambda: Lambda, context: Context, { FunctionName = "", Qualifier }: client.DeleteFunctionCommandInput) {
  const reference = functionReference(context, FunctionName, Qualifier);
  const { qualifier, ...unqualified } = reference;
  const entry = lambda.functions.get(reference.account, reference.region, reference.name);
  if (entry === undefined) throw notFound(`Function not found: ${functionArn(unqualified)}`);
  if (qualifier === "$LATEST") throw invalidParameter("$LATEST version cannot be deleted without deleting the function.");
  if (qualifier !== undefined && /^\d+$/.test(qualifier)) {
    await deleteVersion(lambda, unqualified, qualifier);
    return { StatusCode: 204 };
  }
  if (qualifier !== undefined) throw invalidParameter("Deletion of aliases is not currently supported.");
  await removeFunction(lambda, entry);
  return { StatusCode: 204 };
}

/**
 * The next version number outlives the function. A change in between is overtaken: there is nothing that it could still mean. What others had sent
 * to the store by then, and nobody saw yet, is seen afterwards; what comes later finds no function.
 */
async function removeFunction(lambda: Lambda, { key }: FunctionEntry): Promise<void> {
  const counterKey = { ...key, kind: VERSION_COUNTER_KIND };
  const [counter] = await lambda.meta.get([counterKey]);
  const place = { ...key, name: key.id };
  const writes: Write[] = [key, reservationKey(place), ...belongingsOf(lambda, place)].map((one) => ({ key: one }));
  if (counter === undefined) writes.push({ key: counterKey, value: { next: 1 } });
  await lambda.meta.write(writes);
  const late = belongingsOf(lambda, place);
  if (late.length > 0) await lambda.meta.write(late.map((one) => ({ key: one })));
}

const belongingsOf = (lambda: Lambda, place: Pick<FunctionReference, "account" | "region" | "name">): Key[] => [
  ...[...versionsOf(lambda, place), ...aliasesOf(lambda, place), ...provisionedConfigsOf(lambda, place)].map(({ key }) => key),
  ...policyKeysOf(lambda, place),
  ...eventInvokeKeysOf(lambda, place),
  ...functionUrlKeysOf(lambda, place),
  ...runtimeManagementKeysOf(lambda, place),
];

function listFunctions(lambda: Lambda, context: Context, input: client.ListFunctionsCommandInput) {
  const { FunctionVersion, MasterRegion } = input;
  // Functions are not replicated to other regions here, so only those that are at home match.
  if (MasterRegion !== undefined && MasterRegion !== "ALL" && MasterRegion !== context.region) return { Functions: [] };
  const list = FunctionVersion === "ALL" ? listedVersions : listedFunctions;
  const { found, more } = page(
    `functions/${FunctionVersion ?? ""}`,
    input,
    ({ id }: Listed) => id,
    (after, limit) => list(lambda, context, after, limit),
  );
  return { Functions: found.map(({ described }) => described), ...more };
}

interface Listed {
  readonly id: string;
  readonly described: client.FunctionConfiguration;
}

function listedFunctions(lambda: Lambda, { account, region }: Context, after: string | undefined, limit: number): Listed[] {
  const entries = lambda.functions.list(account, region, { limit, ...(after === undefined ? {} : { after }) });
  return entries.map(({ key, value }) => ({ id: key.id, described: describeFunction({ account, region, name: key.id }, value, "listed") }));
}

/** Behind each function its versions; ids are a function's name and, behind a slash, that of its version. */
function listedVersions(lambda: Lambda, { account, region }: Context, after: string | undefined, limit: number): Listed[] {
  const [name = ""] = after?.split("/") ?? [];
  const started = lambda.functions.get(account, region, name);
  const following = lambda.functions.list(account, region, { limit, ...(after === undefined ? {} : { after: name }) });
  const found: Listed[] = [];
  for (const entry of started === undefined ? following : [started, ...following]) {
    if (found.length >= limit) break;
    const reference = { account, region, name: entry.key.id };
    if (entry !== started)
      found.push({ id: entry.key.id, described: describeFunction({ ...reference, qualifier: "$LATEST" }, entry.value, "listed") });
    for (const { key, value } of versionsOf(lambda, reference, entry === started ? after : undefined, limit))
      found.push({ id: key.id, described: describeVersion(reference, entry.value, value, "listed") });
  }
  return found.slice(0, limit);
}
