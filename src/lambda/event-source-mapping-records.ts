// Stored event source mappings, and how the API shows them.
import { createHash } from "node:crypto";
import type * as client from "@aws-sdk/client-lambda";
import type { Key } from "../store/storage.ts";
import { describeSettings, lastResult } from "./event-source-settings.ts";
import { SOURCE_TRAITS, type EventSources, type Settings, type SourceKind } from "./event-sources.ts";

export const MAPPING_KIND = "lambda.event-source-mapping";
/** Which mapping a source and a function have: two of them can't be made at once. */
const MAPPED_SOURCE_KIND = "lambda.mapped-source";

export interface MappingRecord {
  readonly kind: SourceKind;
  /** Absent: the source is a cluster that users run themselves. */
  readonly sourceArn?: string;
  /** Qualified as it was given. */
  readonly functionArn: string;
  /** As it was asked for; whether something reads is another question. */
  readonly isEnabled: boolean;
  readonly settings: Settings;
  readonly tags: Readonly<Record<string, string>>;
  readonly lastModifiedMs: number;
}

interface Place {
  readonly account: string;
  readonly region: string;
}

export const mappingKey = ({ account, region }: Place, uuid: string): Key => ({ account, region, kind: MAPPING_KIND, id: uuid });
export const mappingArn = ({ account, region }: Place, uuid: string): string =>
  `arn:aws:lambda:${region}:${account}:event-source-mapping:${uuid}`;

/** A cluster is told by its servers, and read by topic. */
export function mappedSourceKey({ account, region }: Place, { sourceArn, functionArn, settings }: MappingRecord): Key {
  const servers = bootstrapServers(settings).toSorted();
  const identity = JSON.stringify([sourceArn ?? servers, functionArn, settings.Topics ?? [], settings.Queues ?? []]);
  return { account, region, kind: MAPPED_SOURCE_KIND, id: createHash("sha256").update(identity).digest("hex") };
}

export const bootstrapServers = ({ SelfManagedEventSource }: Settings): readonly string[] =>
  SelfManagedEventSource?.Endpoints?.KAFKA_BOOTSTRAP_SERVERS ?? [];

/** While nothing reads from the source, the mapping says so and not that it works. */
export function stateOf(
  { kind, isEnabled }: Pick<MappingRecord, "kind" | "isEnabled">,
  sources: Pick<EventSources, "polls">,
): Required<Pick<client.EventSourceMappingConfiguration, "State" | "StateTransitionReason">> {
  if (isEnabled && !sources.polls(kind))
    return {
      State: "Disabled",
      StateTransitionReason: `Lambent does not read from ${kind} event sources yet: the mapping is stored, and nothing invokes the function. See docs/compatibility.md.`,
    };
  return { State: isEnabled ? "Enabled" : "Disabled", StateTransitionReason: SOURCE_TRAITS[kind].reason };
}

/** `State` is that of the moment, where an answer tells of a change: the change itself is over by then. */
export function describeMapping(
  place: Place,
  uuid: string,
  record: MappingRecord,
  sources: Pick<EventSources, "polls">,
  State?: "Creating" | "Enabling" | "Disabling" | "Updating" | "Deleting",
): client.EventSourceMappingConfiguration {
  return {
    UUID: uuid,
    EventSourceMappingArn: mappingArn(place, uuid),
    ...(record.sourceArn === undefined ? {} : { EventSourceArn: record.sourceArn }),
    FunctionArn: record.functionArn,
    LastModified: new Date(record.lastModifiedMs),
    ...lastResult(record.kind),
    ...stateOf(record, sources),
    ...(State === undefined ? {} : { State }),
    ...describeSettings(record.settings),
  };
}
