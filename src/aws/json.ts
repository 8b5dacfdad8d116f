// awsJson1_0 and awsJson1_1: every operation is a POST of a JSON document to "/", named by X-Amz-Target.
import { encodeEvents, EVENT_STREAM_TYPE, initialResponse, type EventBody } from "./event-stream.ts";
import { queryCodeOf } from "./common-faults.ts";
import { CommonFault } from "./fault.ts";
import { jsonDocuments } from "./json-document.ts";
import type { OperationModel, ServiceModel } from "./model.ts";
import { REQUEST_ID, type Incoming, type Protocol } from "./protocol.ts";
import type { WireResponse } from "./request.ts";
import { Malformed } from "./scalar.ts";
import type { StructureShape } from "./shape.ts";
import { faultMembers, type WireFault } from "./wire-fault.ts";

type Output = Readonly<Record<string, unknown>>;

/** https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait */
const QUERY_ERROR = "x-amzn-query-error";

const documents = jsonDocuments({ usesJsonName: false });

function decode(operation: OperationModel, { bytes }: Incoming): Record<string, unknown> {
  if (operation.input === undefined || bytes.length === 0) return {};
  try {
    return documents.decode(operation.input, bytes) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof Malformed) throw new CommonFault("SerializationException", cause.message, 400, {}, { cause });
    throw cause;
  }
}

/** The streaming member of an RPC output, and the output without it. */
export function splitEventStream(
  shape: StructureShape | undefined,
): { union: StructureShape; name: string; rest: StructureShape } | undefined {
  const member = shape?.members.find(({ isStreaming }) => isStreaming);
  if (shape === undefined || member?.shape.kind !== "structure") return undefined;
  return { union: member.shape, name: member.name, rest: { ...shape, members: shape.members.filter((one) => one !== member) } };
}

/** The names that clients of the query protocol know an error by, for services that once spoke it. */
export const queryErrorHeader = (model: ServiceModel, fault: WireFault): Record<string, string> =>
  model.hasQueryErrors === true ? { [QUERY_ERROR]: `${queryCodeOf(fault)};${fault.status < 500 ? "Sender" : "Receiver"}` } : {};

export function json(model: ServiceModel): Protocol {
  const contentType = model.protocol === "json-1.0" ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1";
  const events: EventBody = { contentType, encode: (shape, value) => Buffer.from(documents.encode(shape, value)) };

  const encode = (operation: OperationModel, output: Output, requestId: string): WireResponse => {
    const headers: Record<string, string> = { "content-type": contentType, [REQUEST_ID]: requestId };
    const stream = splitEventStream(operation.output);
    if (stream === undefined) {
      // An operation without output answers with nothing at all.
      if (operation.output === undefined) return { status: 200, headers };
      return { status: 200, headers, body: documents.encode(operation.output, output) };
    }
    headers["content-type"] = EVENT_STREAM_TYPE;
    const source = output[stream.name] as AsyncIterable<Record<string, unknown>>;
    return { status: 200, headers, body: encodeEvents(stream.union, source, events, initialResponse(stream.rest, output, events)) };
  };

  const encodeFault = (fault: WireFault, requestId: string): WireResponse => {
    const headers = { "content-type": contentType, [REQUEST_ID]: requestId, ...queryErrorHeader(model, fault) };
    // Version 1.0 names the error with its namespace, version 1.1 without.
    const type = fault.model !== undefined && model.protocol === "json-1.0" ? `${model.namespace}#${fault.code}` : fault.code;
    const members = faultMembers(fault);
    const text = fault.model === undefined ? JSON.stringify(members) : documents.encode(fault.model.shape, members);
    const body = `{"__type":${JSON.stringify(type)}${text === "{}" ? "}" : `,${text.slice(1)}`}`;
    return { status: fault.status, headers, body };
  };

  return { decode, encode, encodeFault };
}
