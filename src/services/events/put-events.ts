// PutEvents: each entry becomes an event on its bus, and all that follows from it is durable before the answer.
import type * as client from "@aws-sdk/client-eventbridge";
import { parseJson } from "../../aws/json-document.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { Malformed } from "../../aws/scalar.ts";
import { eventOf, newEvent, type BusEvent } from "./bus-event.ts";
import { consequencesOf, settle } from "./dispatch.ts";
import { validation } from "./faults.ts";
import { busNameOf, findBus, type BusName, type EventsParts } from "./model.ts";
import type { Archives } from "./archived-events.ts";

/** Of all entries. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html */
export const EVENTS_BYTES_MAX = 1_048_576;

type Parts = EventsParts & { readonly archives: Archives };
type Entry = client.PutEventsRequestEntry;
type Result = client.PutEventsResultEntry;

const failed = (ErrorCode: string, ErrorMessage: string): Result => ({ ErrorCode, ErrorMessage });
const missing = (name: string) => failed("InvalidArgument", `Parameter ${name} is not valid. Reason: ${name} is a required argument.`);
const bytesOf = (text: string | undefined) => Buffer.byteLength(text ?? "");

/** As AWS counts: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevents-size */
function sizeOf({ Time, Source, DetailType, Detail, Resources = [] }: Entry): number {
  const resources = Resources.reduce((sum, one) => sum + bytesOf(one), 0);
  return (Time === undefined ? 0 : 14) + bytesOf(Source) + bytesOf(DetailType) + bytesOf(Detail) + resources;
}

function problemOf({ Source: source = "", DetailType: detailType = "", Detail: detail = "" }: Entry): Result | undefined {
  if (source === "") return missing("Source");
  if (detailType === "") return missing("DetailType");
  if (detail === "") return missing("Detail");
  if (source.startsWith("aws.")) return failed("NotAuthorizedForSourceException", "Not authorized for the source.");
  return isObject(detail) ? undefined : failed("MalformedDetail", "Detail is malformed.");
}

function isObject(json: string): boolean {
  try {
    const value = parseJson(json);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch (cause) {
    if (cause instanceof Malformed) return false;
    throw cause;
  }
}

export function putEvents(parts: Parts) {
  return {
    async PutEvents(context, { Entries = [], EndpointId }) {
      if (EndpointId !== undefined) throw validation("Lambent has no global endpoints: leave EndpointId out. See docs/compatibility.md.");
      if (Entries.reduce((sum, entry) => sum + sizeOf(entry), 0) > EVENTS_BYTES_MAX)
        throw validation("Total size of the entries in the request is over the limit.");
      const taken = Entries.map((entry) => take(parts, context, entry));
      await settle(
        parts,
        taken.flatMap(({ bus, event }) => (bus === undefined || event === undefined ? [] : [consequencesOf(parts, bus, event)])),
      );
      const results = taken.map(({ event, problem }) => problem ?? { EventId: event?.id });
      return { FailedEntryCount: taken.filter(({ problem }) => problem !== undefined).length, Entries: results };
    },
  } satisfies Pick<Operations<typeof client>, "PutEvents">;
}

interface Taken {
  readonly problem?: Result;
  readonly bus?: BusName;
  readonly event?: BusEvent;
}

/** What comes from another bus stays what it is; no request from outside has that member. */
function take(parts: Parts, context: Context, entry: Entry & { readonly forwarded?: string }): Taken {
  const nowMs = parts.clock.now();
  const bus = busNameOf(context, entry.EventBusName);
  const { TraceHeader: traceHeader = context.traceHeader, forwarded } = entry;
  if (forwarded === undefined) {
    const problem = problemOf(entry);
    if (problem !== undefined) return { problem };
  }
  // As with AWS: who puts an event on a bus that is not there is not told.
  if (findBus(parts, bus) === undefined) parts.log.warn("an event for an event bus that does not exist is dropped", { bus: bus.name });
  if (forwarded !== undefined) return { bus, event: { ...eventOf(forwarded, nowMs, traceHeader), isForwarded: true } };
  return {
    bus,
    event: newEvent({ ...membersOf(entry, nowMs), account: context.account, region: bus.region, ...trace(traceHeader) }, nowMs),
  };
}

const trace = (traceHeader: string | undefined) => (traceHeader === undefined ? {} : { traceHeader });

const membersOf = ({ Source = "", DetailType = "", Detail = "", Resources = [], Time }: Entry, nowMs: number) => ({
  source: Source,
  detailType: DetailType,
  detail: Detail,
  resources: Resources,
  timeMs: Time?.getTime() ?? nowMs,
});
