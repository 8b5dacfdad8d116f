// Functions: create, get, list, update the configuration, delete.
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import { requestId } from "../base/id.ts";
import { limits } from "../limits.ts";
import { StorageError, type Write } from "../store/storage.ts";
import { codeOf } from "./code.ts";
import { checkRole, configurationOf, describeFunction } from "./configuration.ts";
import { checkDeadLetterConfig } from "./dead-letter-config.ts";
import { eventInvokeKeysOf } from "./event-invoke.ts";
import { conflict, invalidParameter, notFound, notForVersions, validation } from "./faults.ts";
import { functionKey, VERSION_COUNTER_KIND, type FunctionEntry, type FunctionRecord, type Lambda } from "./model.ts";
import { functionArn, functionReference } from "./names.ts";
import { assertChangeable, changeFunction, findFunction, findVersion } from "./records.ts";
import { checkTags } from "./tags.ts";
import { refuseUnsupported } from "./unsupported.ts";

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
      const { reference, entry } = findVersion(lambda, context, FunctionName, Qualifier);
      const { tags, wanted } = entry.value;
      return {
        Configuration: describeFunction(reference, entry.value),
        Code: { RepositoryType: "S3", Location: lambda.codeUrl(context, wanted.code.sha256) },
        ...(Object.keys(tags).length === 0 ? {} : { Tags: { ...tags } }),
      };
    },
    GetFunctionConfiguration(context, { FunctionName = "", Qualifier }) {
      const { reference, entry } = findVersion(lambda, context, FunctionName, Qualifier);
      return describeFunction(reference, entry.value);
    },
    UpdateFunctionConfiguration: (context, input) => updateFunctionConfiguration(lambda, context, input),
    DeleteFunction: (context, input) => deleteFunction(lambda, context, input),
    ListFunctions: (context, input) => listFunctions(lambda, context, input),
  } satisfies Pick<Operations<typeof client>, Names>;
}

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
  const configuration = configurationOf(lambda.runtimes, reference.name, input);
  checkRole(lambda, input.Role);
  const exists = () => conflict(`Function already exist: ${reference.name}`);
  if (lambda.functions.get(reference.account, reference.region, reference.name) !== undefined) throw exists();
  const code = await codeOf(lambda, context, input.Code ?? {});
  const record: FunctionRecord = {
    wanted: { configuration, code, id: requestId() },
    revisionId: requestId(),
    lastModifiedMs: lambda.clock.now(),
    tags: { ...Tags },
  };
  const key = functionKey(reference, reference.name);
  try {
    await lambda.meta.write([{ key, value: record, expect: "absent" }]);
  } catch (error) {
    if (error instanceof StorageError && error.failure === "Conflict") throw exists();
    throw error;
  }
  lambda.complete(key);
  return describeFunction(reference, record);
}

async function updateFunctionConfiguration(lambda: Lambda, context: Context, input: client.UpdateFunctionConfigurationCommandInput) {
  const found = findFunction(lambda, context, input.FunctionName ?? "");
  refuseUnsupported(input);
  checkDeadLetterConfig(lambda, input.DeadLetterConfig);
  assertChangeable(found, input.RevisionId);
  const before = found.entry.value;
  const configuration = configurationOf(lambda.runtimes, found.reference.name, input, before.wanted.configuration);
  checkRole(lambda, input.Role);
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
  // A version that an existing function does not have is deleted already.
  if (qualifier !== undefined && /^\d+$/.test(qualifier)) return { StatusCode: 204 };
  if (qualifier !== undefined) throw invalidParameter("Deletion of aliases is not currently supported.");
  await removeFunction(lambda, entry);
  return { StatusCode: 204 };
}

/** The next version number outlives the function. A change in between is overtaken: there is nothing that it could still mean. */
async function removeFunction(lambda: Lambda, entry: FunctionEntry): Promise<void> {
  const counterKey = { ...entry.key, kind: VERSION_COUNTER_KIND };
  const [counter] = await lambda.meta.get([counterKey]);
  const configs = eventInvokeKeysOf(lambda, { ...entry.key, name: entry.key.id });
  const writes: Write[] = [entry.key, ...configs].map((key) => ({ key }));
  if (counter === undefined) writes.push({ key: counterKey, value: { next: 1 } });
  await lambda.meta.write(writes);
}

function listFunctions(
  lambda: Lambda,
  context: Context,
  { FunctionVersion, Marker, MaxItems, MasterRegion }: client.ListFunctionsCommandInput,
) {
  // Functions are not replicated to other regions here, so only those that are at home match.
  if (MasterRegion !== undefined && MasterRegion !== "ALL" && MasterRegion !== context.region) return { Functions: [] };
  const limit = Math.min(MaxItems ?? limits.pageItemsMax, limits.pageItemsMax);
  const after = Marker === undefined || Marker === "" ? undefined : Buffer.from(Marker, "base64url").toString("utf8");
  if (after !== undefined && !/^[\w-]+$/.test(after))
    throw validation(`Value '${Marker}' at 'marker' failed to satisfy constraint: Member must be a marker of an earlier answer`);
  const found = lambda.functions.list(context.account, context.region, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const qualifier = FunctionVersion === "ALL" ? { qualifier: "$LATEST" } : {};
  return {
    Functions: page.map(({ key, value }) =>
      describeFunction({ account: key.account, region: key.region, name: key.id, ...qualifier }, value, "listed"),
    ),
    ...(found.length > limit && last !== undefined ? { NextMarker: Buffer.from(last.key.id).toString("base64url") } : {}),
  };
}
