// restXml: the protocol of S3, with S3's own error document and error codes.
import { readBindings, requestBindings, responseBindings, statusOf, writeHeaders, type Bindings } from "./bindings.ts";
import { encodeEvents, EVENT_STREAM_TYPE, type EventBody } from "./event-stream.ts";
import { CommonFault } from "./fault.ts";
import type { OperationModel, ServiceModel } from "./model.ts";
import { REQUEST_ID, type Incoming, type Protocol } from "./protocol.ts";
import type { WireResponse } from "./request.ts";
import { Malformed } from "./scalar.ts";
import type { Member, StructureShape } from "./shape.ts";
import type { WireFault } from "./wire-fault.ts";
import { readXml, writeDocument } from "./xml-value.ts";
import { escapeXml, parseXml } from "./xml.ts";

type Output = Readonly<Record<string, unknown>>;

const CONTENT_TYPE = "application/xml";
const MALFORMED_XML = "The XML you provided was not well-formed or did not validate against our published schema";

function s3Headers(requestId: string): Record<string, string> {
  return { [REQUEST_ID]: requestId, "x-amz-request-id": requestId, "x-amz-id-2": hostId(requestId) };
}

// S3's second id names the host that answered; here it carries nothing that the request id does not.
export const hostId = (requestId: string) => Buffer.from(requestId).toString("base64");

function readBody(bindings: Bindings, incoming: Incoming, input: Record<string, unknown>): void {
  const { payload, document } = bindings;
  const { bytes } = incoming;
  if (payload?.isStreaming === true) input[payload.name] = incoming.stream;
  else if (bytes.length === 0) return;
  else if (payload?.shape.kind === "blob") input[payload.name] = bytes;
  else if (payload?.shape.kind === "string") input[payload.name] = Buffer.from(bytes).toString();
  else if (payload !== undefined) input[payload.name] = readXml(payload.shape, parseXml(bytes));
  else if (document !== undefined) Object.assign(input, readXml(document, parseXml(bytes)) as object);
}

function decode(operation: OperationModel, incoming: Incoming): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  if (operation.input === undefined) return input;
  const bindings = requestBindings(operation.input);
  try {
    readBindings(bindings, incoming, input);
  } catch (cause) {
    if (cause instanceof Malformed) throw new CommonFault("InvalidArgument", `Invalid argument. ${cause.message}`, 400, {}, { cause });
    throw cause;
  }
  try {
    readBody(bindings, incoming, input);
  } catch (cause) {
    if (cause instanceof Malformed) throw new CommonFault("MalformedXML", MALFORMED_XML, 400, {}, { cause });
    throw cause;
  }
  return input;
}

/** The model's s3UnwrappedXmlOutput is not in the SDK's schemas; it shows as a root that has the name of its only member. */
function isUnwrapped(shape: StructureShape): boolean {
  const [only, ...others] = shape.members;
  return only !== undefined && others.length === 0 && only.xmlName === shape.xmlName && only.shape.kind === "string";
}

function encodeDocument(xmlNamespace: string, shape: StructureShape, output: Output): string {
  if (!isUnwrapped(shape)) return writeDocument(shape.xmlName, xmlNamespace, shape, output);
  const value = output[shape.members[0]?.name ?? ""] as string | undefined;
  const text = escapeXml(value ?? "");
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${shape.xmlName} xmlns="${xmlNamespace}">${text}</${shape.xmlName}>`;
}

function encodePayload(xmlNamespace: string, member: Member, value: unknown, headers: Record<string, string>): WireResponse["body"] {
  if (value === undefined || value === null) return undefined;
  const { shape } = member;
  if (shape.kind === "structure" && member.isStreaming) {
    const events: EventBody = {
      contentType: "text/xml",
      encode: (one, event) => Buffer.from(writeDocument(one.xmlName, xmlNamespace, one, event)),
    };
    headers["content-type"] = EVENT_STREAM_TYPE;
    return encodeEvents(shape, value as AsyncIterable<Record<string, unknown>>, events);
  }
  if (shape.kind === "structure") {
    headers["content-type"] ??= CONTENT_TYPE;
    return writeDocument(member.xmlName, xmlNamespace, shape, value);
  }
  headers["content-type"] ??= shape.kind === "string" ? "text/plain" : "binary/octet-stream";
  return value as WireResponse["body"];
}

function encodeFault(fault: WireFault, requestId: string): WireResponse {
  let members = "";
  for (const [name, value] of Object.entries(fault.members))
    if (typeof value === "string" || typeof value === "number") members += `<${name}>${escapeXml(String(value))}</${name}>`;
  const ids = `<RequestId>${requestId}</RequestId><HostId>${hostId(requestId)}</HostId>`;
  const text = `<Code>${escapeXml(fault.code)}</Code><Message>${escapeXml(fault.message)}</Message>${members}${ids}`;
  const headers = { ...s3Headers(requestId), "content-type": CONTENT_TYPE };
  // A response of "not modified" has no body.
  if (fault.status === 304) return { status: 304, headers };
  return { status: fault.status, headers, body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${text}</Error>` };
}

export function restXml(model: ServiceModel): Protocol {
  const encode = (operation: OperationModel, output: Output, requestId: string): WireResponse => {
    const headers = s3Headers(requestId);
    const bindings = operation.output === undefined ? undefined : responseBindings(operation.output);
    // No model has a member for it: what is a part of an object, by its Content-Range, is a 206.
    const success = output["ContentRange"] === undefined ? (operation.http?.status ?? 200) : 206;
    const status = statusOf(bindings, output, success);
    if (bindings === undefined) return { status, headers };
    writeHeaders(bindings, output, headers);
    if (bindings.payload !== undefined) {
      const body = encodePayload(model.xmlNamespace, bindings.payload, output[bindings.payload.name], headers);
      return body === undefined ? { status, headers } : { status, headers, body };
    }
    if (bindings.document === undefined) return { status, headers };
    headers["content-type"] = CONTENT_TYPE;
    return { status, headers, body: encodeDocument(model.xmlNamespace, bindings.document, output) };
  };
  return { decode, encode, encodeFault };
}
