// Event source mappings: create, get, list, update, delete.
import { ResourceInUseException$ } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { requestId } from "../base/id.ts";
import { limits } from "../limits.ts";
import { StorageError, type Entry, type Write } from "../store/storage.ts";
import {
  bootstrapServers,
  describeMapping,
  mappedSourceKey,
  mappingArn,
  mappingKey,
  stateOf,
  type MappingRecord,
} from "./event-source-mapping-records.ts";
import { mergedSettings } from "./event-source-settings.ts";
import { isStream, sourceKind } from "./event-sources.ts";
import { conflict, invalidParameter, notFound } from "./faults.ts";
import type { Configuration, Lambda } from "./model.ts";
import { functionArn, functionReference, readFunctionName } from "./names.ts";
import { page } from "./page.ts";
import { findVersion } from "./records.ts";
import { checkTags } from "./tag-bounds.ts";
import { refuseForTenants } from "./tenancy.ts";

type Names =
  | "CreateEventSourceMapping"
  | "GetEventSourceMapping"
  | "ListEventSourceMappings"
  | "UpdateEventSourceMapping"
  | "DeleteEventSourceMapping";

export function eventSourceMappings(lambda: Lambda) {
  return {
    CreateEventSourceMapping: (context, input) => createMapping(lambda, context, input),
    GetEventSourceMapping: (context, { UUID = "" }) => describeMapping(context, UUID, present(lambda, context, UUID).value, lambda.sources),
    ListEventSourceMappings: (context, input) => listMappings(lambda, context, input),
    UpdateEventSourceMapping: (context, input) => updateMapping(lambda, context, input),
    DeleteEventSourceMapping: (context, { UUID = "" }) => deleteMapping(lambda, context, UUID),
  } satisfies Pick<Operations<typeof client>, Names>;
}

function present(lambda: Lambda, context: Context, uuid: string): Entry<MappingRecord> {
  const entry = lambda.mappings.get(context.account, context.region, uuid);
  if (entry === undefined) throw notFound("The resource you requested does not exist.");
  return entry;
}

interface MappedFunction {
  readonly arn: string;
  readonly name: string;
  readonly configuration: Configuration;
}

/** A full ARN loses its `$LATEST`, a shorter form keeps it (seen on AWS). Only functions of the caller's own account. */
function mappedArn(context: Context, text: string): string {
  const { qualifier, ...reference } = functionReference(context, text);
  const isBare = qualifier === undefined || (qualifier === "$LATEST" && text.startsWith("arn:"));
  return functionArn(isBare ? reference : { ...reference, qualifier });
}

function mappedFunction(lambda: Lambda, context: Context, text: string): MappedFunction {
  const arn = mappedArn(context, text);
  const missing = () => invalidParameter("Function does not exist");
  const { account, name } = readFunctionName(context, arn);
  if (account !== context.account) throw missing();
  try {
    const { entry, version } = findVersion(lambda, context, arn);
    return { arn, name, configuration: (version?.value.deployed ?? entry.value.wanted).configuration };
  } catch (cause) {
    if (cause instanceof Fault && cause.name === "ResourceNotFoundException") throw missing();
    throw cause;
  }
}

async function createMapping(lambda: Lambda, context: Context, input: client.CreateEventSourceMappingCommandInput) {
  const { EventSourceArn = "", FunctionName = "", Enabled = true, Tags = {}, ...given } = input;
  const kind = sourceKind(EventSourceArn, given.SelfManagedEventSource);
  checkTags(Tags);
  const settings = mergedSettings(lambda, kind, EventSourceArn, given);
  const mapped = mappedFunction(lambda, context, FunctionName);
  refuseForTenants(mapped.configuration, "Event source mapping");
  const record: MappingRecord = {
    kind,
    ...(EventSourceArn === "" ? {} : { sourceArn: EventSourceArn }),
    functionArn: mapped.arn,
    isEnabled: Enabled,
    settings,
    tags: { ...Tags },
    lastModifiedMs: lambda.clock.now(),
  };
  await assertFree(lambda, context, record);
  await checkSource(lambda, context, record, mapped);
  const uuid = requestId();
  await write(
    lambda,
    [
      { key: mappingKey(context, uuid), value: record, expect: "absent" },
      { key: mappedSourceKey(context, record), value: { uuid }, expect: "absent" },
    ],
    async () => {
      // Somebody else has just made the same one, and may have deleted it since.
      await assertFree(lambda, context, record);
      throw conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${mappingArn(context, uuid)}`);
    },
  );
  const { State } = stateOf(record, lambda.sources);
  return describeMapping(context, uuid, record, lambda.sources, State === "Enabled" ? "Creating" : undefined);
}

/** Throws ResourceConflictException when the function reads from the source already. */
async function assertFree(lambda: Lambda, context: Context, record: MappingRecord): Promise<void> {
  const [taken] = await lambda.meta.get<{ readonly uuid: string }>([mappedSourceKey(context, record)]);
  if (taken === undefined) return;
  const { sourceArn = "", functionArn: arn, kind, settings } = record;
  const { name, qualifier } = readFunctionName(context, arn);
  const called = qualifier === undefined ? name : `${name}:${qualifier}`;
  const advice = `already exists. Please update or delete the existing mapping with UUID ${taken.value.uuid}`;
  if (kind === "sqs") throw conflict(`An event source mapping with SQS arn (" ${sourceArn} ") and function (" ${called} ") ${advice}`);
  if (kind === "kafka")
    throw conflict(
      `An event source mapping with event source ("${bootstrapServers(settings).join(",")}"), function ("${arn}"), topics ("${(settings.Topics ?? []).join(",")}") ${advice}`,
    );
  const what = isStream(kind) ? "The event source arn" : `An event source mapping with ${kind} arn`;
  throw conflict(`${what} (" ${sourceArn} ") and function (" ${called} ") provided mapping ${advice}`);
}

async function checkSource(lambda: Lambda, context: Context, { sourceArn }: MappingRecord, { name, configuration }: MappedFunction) {
  if (sourceArn === undefined) return;
  const reader = { roleArn: configuration.Role, functionName: name, timeoutSeconds: configuration.Timeout };
  const problem = await lambda.sources.problem(context, sourceArn, reader);
  if (problem !== undefined) throw invalidParameter(problem);
}

/** Members that are not given stay as they are. */
async function updateMapping(lambda: Lambda, context: Context, input: client.UpdateEventSourceMappingCommandInput) {
  const { UUID = "", FunctionName, Enabled, ...given } = input;
  const entry = present(lambda, context, UUID);
  const before = entry.value;
  const settings = mergedSettings(lambda, before.kind, before.sourceArn ?? "", given, before.settings);
  const mapped = FunctionName === undefined ? undefined : mappedFunction(lambda, context, FunctionName);
  const record: MappingRecord = {
    ...before,
    functionArn: mapped?.arn ?? before.functionArn,
    isEnabled: Enabled ?? before.isEnabled,
    settings,
    lastModifiedMs: lambda.clock.now(),
  };
  const [from, to] = [mappedSourceKey(context, before), mappedSourceKey(context, record)];
  const isMoved = from.id !== to.id;
  if (isMoved) await assertFree(lambda, context, record);
  if (mapped !== undefined) await checkSource(lambda, context, record, mapped);
  const moves: readonly Write[] = isMoved ? [{ key: from }, { key: to, value: { uuid: UUID }, expect: "absent" }] : [];
  await write(lambda, [{ key: entry.key, value: record, expect: entry.revision }, ...moves], () => inUse("update"));
  return describeMapping(context, UUID, record, lambda.sources, transition(lambda, before, record));
}

function transition({ sources }: Lambda, before: MappingRecord, after: MappingRecord): "Enabling" | "Disabling" | "Updating" | undefined {
  const [from, to] = [stateOf(before, sources).State, stateOf(after, sources).State];
  if (from === to) return to === "Enabled" ? "Updating" : undefined;
  return to === "Enabled" ? "Enabling" : "Disabling";
}

async function deleteMapping(lambda: Lambda, context: Context, uuid: string) {
  const { key, value, revision } = present(lambda, context, uuid);
  await write(lambda, [{ key, expect: revision }, { key: mappedSourceKey(context, value) }], () => inUse("delete"));
  return describeMapping(context, uuid, value, lambda.sources, "Deleting");
}

/** Somebody else is changing it at the same moment. */
function inUse(what: "update" | "delete"): never {
  throw new Fault(ResourceInUseException$, `Cannot ${what} the event source mapping because it is in use.`, { Type: "User" });
}

async function write(lambda: Lambda, writes: readonly Write[], refuse: () => Promise<void> | never): Promise<void> {
  try {
    await lambda.meta.write(writes);
  } catch (cause) {
    if (cause instanceof StorageError && cause.failure === "Conflict") await refuse();
    throw cause;
  }
}

/** By UUID; the function as a mapping has it, qualifier included. */
function listMappings(lambda: Lambda, context: Context, input: client.ListEventSourceMappingsCommandInput) {
  const { EventSourceArn, FunctionName } = input;
  const wanted = FunctionName === undefined ? undefined : mappedArn(context, FunctionName);
  const isWanted = ({ value }: Entry<MappingRecord>) =>
    (EventSourceArn === undefined || value.sourceArn === EventSourceArn) && (wanted === undefined || value.functionArn === wanted);
  const list = (after: string | undefined, limit: number) => {
    const range = { limit: Infinity, ...(after === undefined ? {} : { after }) };
    return lambda.mappings.list(context.account, context.region, range).filter(isWanted).slice(0, limit);
  };
  const { found, more } = page("event-source-mappings", input, ({ key }) => key.id, list, limits.eventSourceMappingsPageMax);
  return { EventSourceMappings: found.map(({ key, value }) => describeMapping(context, key.id, value, lambda.sources)), ...more };
}
