// An event on a bus: its text as targets get it, and what rules look at.
import { parseJson } from "../../aws/json-document.ts";
import { timeOrderedId } from "../../base/id.ts";

export interface BusEvent {
  readonly id: string;
  /** The whole event, without white space; its detail is byte for byte what was put. */
  readonly text: string;
  /** The same, parsed; `detail` is an object. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly ingestedAtMs: number;
  readonly traceHeader?: string;
  /** It came from another bus: so that buses do not send it around without end, it goes to no third one. */
  readonly isForwarded?: true;
}

export interface EventMembers {
  readonly account: string;
  readonly region: string;
  readonly source: string;
  readonly detailType: string;
  readonly resources: readonly string[];
  /** JSON of an object. */
  readonly detail: string;
  readonly timeMs: number;
  readonly traceHeader?: string;
}

/** "2025-11-24T23:11:08Z" */
const seconds = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** Strings stay, white space between them goes. */
const compact = (json: string) => json.replaceAll(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");

export function newEvent(members: EventMembers, nowMs: number): BusEvent {
  const { account, region, source, detailType, resources, detail, timeMs, traceHeader } = members;
  const id = timeOrderedId(nowMs);
  const head = { version: "0", id, "detail-type": detailType, source, account, time: seconds(timeMs), region, resources };
  return eventOf(`${JSON.stringify(head).slice(0, -1)},"detail":${compact(detail)}}`, nowMs, traceHeader);
}

/** An event that was one before: of another bus, or of an archive. */
export function eventOf(text: string, ingestedAtMs: number, traceHeader?: string): BusEvent {
  const value = parseJson(text) as BusEvent["value"];
  return { id: String(value["id"]), text, value, ingestedAtMs, ...(traceHeader === undefined ? {} : { traceHeader }) };
}

/** "The replay-name field": by it rules tell replayed events, and archives leave them out. */
export const replayed = ({ text }: BusEvent, name: string, nowMs: number): BusEvent =>
  eventOf(`${text.slice(0, -1)},"replay-name":${JSON.stringify(name)}}`, nowMs);
export const isReplayed = ({ value }: BusEvent): boolean => Object.hasOwn(value, "replay-name");
