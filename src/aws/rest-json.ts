// restJson1: the protocol of Lambda.
import { Readable } from "node:stream";
import { readBindings, requestBindings, responseBindings, statusOf, writeHeaders, type Bindings } from "./bindings.ts";
import { encodeEvents, EVENT_STREAM_TYPE, type EventBody } from "./event-stream.ts";
import { CommonFault } from "./fault.ts";
import { jsonDocuments } from "./json-document.ts";
import type { OperationModel } from "./model.ts";
import { REQUEST_ID, type Incoming, type Protocol } from "./protocol.ts";
import type { WireResponse } from "./request.ts";
import { Malformed } from "./scalar.ts";
import type { Member, StructureShape } from "./shape.ts";
import { faultMembers, type WireFault } from "./wire-fault.ts";

type Output = Readonly<Record<string, unknown>>;

const CONTENT_TYPE = "application/json";
const documents = jsonDocuments({ usesJsonName: true, refusesUnknown: true });
const events: EventBody = { contentType: CONTENT_TYPE, encode: (shape, value) => Buffer.from(documents.encode(shape, value)) };

function readPayload(member: Member, incoming: Incoming): unknown {
  const { bytes } = incoming;
  if (member.isStreaming) return incoming.stream ?? Readable.from([bytes]);
  if (bytes.length === 0) return undefined;
  if (member.shape.kind === "blob") return bytes;
  if (member.shape.kind === "string") return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  return documents.decode(member.shape, bytes);
}

function decodeDocument({ output }: OperationModel, shape: StructureShape, { bytes, keepsOthers }: Incoming): unknown {
  return keepsOthers === true && output !== undefined ? documents.decodeKeeping(shape, output, bytes) : documents.decode(shape, bytes);
}

function decode(operation: OperationModel, incoming: Incoming): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  if (operation.input === undefined) return input;
  const bindings = requestBindings(operation.input);
  try {
    if (bindings.document !== undefined && incoming.bytes.length > 0)
      Object.assign(input, decodeDocument(operation, bindings.document, incoming) as object);
    readBindings(bindings, incoming, input);
    if (bindings.payload !== undefined) {
      const payload = readPayload(bindings.payload, incoming);
      if (payload !== undefined) input[bindings.payload.name] = payload;
    }
  } catch (cause) {
    if (cause instanceof Malformed) throw new CommonFault("SerializationException", cause.message, 400, {}, { cause });
    throw cause;
  }
  return input;
}

function encodePayload(member: Member, value: unknown, headers: Record<string, string>): WireResponse["body"] {
  if (value === undefined || value === null) return undefined;
  if (member.shape.kind === "structure" && member.shape.isUnion && member.isStreaming) {
    headers["content-type"] = EVENT_STREAM_TYPE;
    return encodeEvents(member.shape, value as AsyncIterable<Record<string, unknown>>, events);
  }
  headers["content-type"] ??= member.shape.kind === "string" ? "text/plain" : CONTENT_TYPE;
  if (member.shape.kind === "blob" || member.shape.kind === "string") return value as WireResponse["body"];
  return documents.encode(member.shape, value);
}

function encodeBody(bindings: Bindings, output: Output, headers: Record<string, string>): WireResponse["body"] {
  if (bindings.payload !== undefined) return encodePayload(bindings.payload, output[bindings.payload.name], headers);
  headers["content-type"] = CONTENT_TYPE;
  return bindings.document === undefined ? "{}" : documents.encode(bindings.document, output);
}

function encode(operation: OperationModel, output: Output, requestId: string): WireResponse {
  const headers: Record<string, string> = { [REQUEST_ID]: requestId };
  const bindings = operation.output === undefined ? undefined : responseBindings(operation.output);
  const status = statusOf(bindings, output, operation.http?.status ?? 200);
  if (bindings === undefined) return { status, headers };
  writeHeaders(bindings, output, headers);
  const body = status === 204 ? undefined : encodeBody(bindings, output, headers);
  return body === undefined ? { status, headers } : { status, headers, body };
}

function encodeFault(fault: WireFault, requestId: string): WireResponse {
  const headers: Record<string, string> = { "content-type": CONTENT_TYPE, [REQUEST_ID]: requestId, "x-amzn-ErrorType": fault.code };
  const members = faultMembers(fault);
  if (fault.model === undefined) return { status: fault.status, headers, body: JSON.stringify(members) };
  const bindings = responseBindings(fault.model.shape);
  writeHeaders(bindings, members, headers);
  const body = bindings.document === undefined ? "{}" : documents.encode(bindings.document, members);
  return { status: fault.status, headers, body };
}

export const restJson: Protocol = { decode, encode, encodeFault };
