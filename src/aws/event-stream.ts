// Event streams on the way out: each event of an AsyncIterable becomes one framed message.
import { knownFault, faultMembers } from "./wire-fault.ts";
import type { Member, StructureShape } from "./shape.ts";
import { EventStreamCodec, fromUtf8, toUtf8, type MessageHeaders } from "./smithy.ts";

export const EVENT_STREAM_TYPE = "application/vnd.amazon.eventstream";

/** How the protocol around the stream writes an event's document. */
export interface EventBody {
  readonly contentType: string;
  encode(shape: StructureShape, value: Record<string, unknown>): Uint8Array;
}

type Event = Readonly<Record<string, unknown>>;

const codec = new EventStreamCodec(toUtf8, fromUtf8);
const text = (value: string) => ({ type: "string" as const, value });

const frame = (headers: MessageHeaders, body: Uint8Array) => codec.encode({ headers, body });

function payloadOf(member: Member, value: unknown, events: EventBody): { contentType: string; body: Uint8Array } {
  if (member.shape.kind === "blob") return { contentType: "application/octet-stream", body: value as Uint8Array };
  if (member.shape.kind === "string") return { contentType: "text/plain", body: Buffer.from(value as string) };
  return { contentType: events.contentType, body: events.encode(member.shape as StructureShape, value as Record<string, unknown>) };
}

function eventHeader(member: Member, value: unknown): MessageHeaders[string] {
  if (member.shape.kind === "boolean") return { type: "boolean", value: value as boolean };
  if (member.shape.kind === "integer") return { type: "integer", value: value as number };
  if (member.shape.kind === "timestamp") return { type: "timestamp", value: value as Date };
  if (member.shape.kind === "blob") return { type: "binary", value: value as Uint8Array };
  return text(value as string);
}

function encodeEvent(union: StructureShape, event: Event, events: EventBody): Uint8Array {
  const member = union.members.find(({ name }) => event[name] !== undefined);
  if (member?.shape.kind !== "structure")
    throw new TypeError(`an event that ${union.name} does not have: ${Object.keys(event).join(", ")}`);
  const value = event[member.name] as Record<string, unknown>;
  const headers: MessageHeaders = { ":event-type": text(member.name), ":message-type": text("event") };
  const payload = member.shape.members.find(({ eventPlace }) => eventPlace === "payload");
  for (const one of member.shape.members)
    if (one.eventPlace === "header" && value[one.name] !== undefined) headers[one.name] = eventHeader(one, value[one.name]);
  if (payload === undefined) {
    const documentMembers = member.shape.members.filter(({ eventPlace }) => eventPlace === undefined);
    const isEmpty = documentMembers.length === 0;
    if (!isEmpty) headers[":content-type"] = text(events.contentType);
    return frame(headers, isEmpty ? new Uint8Array() : events.encode({ ...member.shape, members: documentMembers }, value));
  }
  const { contentType, body } = payloadOf(payload, value[payload.name] ?? new Uint8Array(), events);
  headers[":content-type"] = text(contentType);
  return frame(headers, body);
}

// The status line is long gone, so a fault in mid-stream is a message of its own.
function encodeException(union: StructureShape, cause: unknown, events: EventBody): Uint8Array | undefined {
  const fault = knownFault(cause);
  if (fault === undefined) return undefined;
  const member = union.members.find(({ shape }) => shape.kind === "structure" && shape.name === fault.code);
  const headers: MessageHeaders = { ":message-type": text("exception"), ":content-type": text(events.contentType) };
  if (member?.shape.kind === "structure") {
    headers[":exception-type"] = text(member.name);
    return frame(headers, events.encode(member.shape, faultMembers(fault)));
  }
  return frame(
    { ":message-type": text("error"), ":error-code": text(fault.code), ":error-message": text(fault.message) },
    new Uint8Array(),
  );
}

/** Ends with an exception message when the iterable throws a fault; any other error is passed on and cuts the response. */
export async function* encodeEvents(
  union: StructureShape,
  source: AsyncIterable<Event>,
  events: EventBody,
  initial?: Uint8Array,
): AsyncGenerator<Uint8Array> {
  if (initial !== undefined) yield initial;
  try {
    for await (const event of source) yield encodeEvent(union, event, events);
  } catch (cause) {
    const message = encodeException(union, cause, events);
    if (message === undefined) throw cause;
    yield message;
  }
}

/** The first message of a stream in the RPC protocols: the members of the output that are not the stream. */
export function initialResponse(shape: StructureShape, output: Record<string, unknown>, events: EventBody): Uint8Array {
  const headers = { ":event-type": text("initial-response"), ":message-type": text("event"), ":content-type": text(events.contentType) };
  return frame(headers, events.encode(shape, output));
}
