// awsQuery: forms in (Action, Version, Member.1.Name), XML out; the protocol of IAM and STS.
import { CommonFault } from "./fault.ts";
import type { OperationModel, ServiceModel } from "./model.ts";
import { REQUEST_ID, type Incoming, type Protocol } from "./protocol.ts";
import { parseQuery, type WireResponse } from "./request.ts";
import { decodeText, Malformed } from "./scalar.ts";
import type { MapShape, Shape, StructureShape } from "./shape.ts";
import type { WireFault } from "./wire-fault.ts";
import { writeContent } from "./xml-value.ts";
import { escapeXml } from "./xml.ts";

const CONTENT_TYPE = "text/xml";
const DEPTH_MAX = 32;
const INDEX = /^\d{1,9}$/;

/** A parameter with a value, the prefix of others, or both. */
interface Node {
  text?: string;
  readonly children: Map<string, Node>;
}

type Form = ReadonlyMap<string, readonly string[]>;

/** The parameters of a request: those of the query string and, winning over them, those of the body. Throws CommonFault. */
export function readForm(query: Form, bytes: Uint8Array): Form {
  if (bytes.length === 0) return query;
  try {
    return new Map([...query, ...parseQuery(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())]);
  } catch (cause) {
    if (cause instanceof Malformed) throw new CommonFault("MalformedQueryString", cause.message, 400, {}, { cause });
    throw cause;
  }
}

function treeOf(form: Form): Node {
  const root: Node = { children: new Map() };
  for (const [key, values] of form) {
    const parts = key.split(".", DEPTH_MAX + 1);
    if (parts.length > DEPTH_MAX) throw new Malformed(`a parameter is nested deeper than ${DEPTH_MAX} levels`);
    let node = root;
    for (const part of parts) {
      let next = node.children.get(part);
      if (next === undefined) node.children.set(part, (next = { children: new Map() }));
      node = next;
    }
    node.text = values.at(-1) ?? "";
  }
  return root;
}

function inOrder(node: Node): Node[] {
  const indexed = [...node.children].filter(([key]) => INDEX.test(key));
  return indexed.toSorted(([a], [b]) => Number(a) - Number(b)).map(([, child]) => child);
}

function readMap(shape: MapShape, node: Node): Record<string, unknown> {
  const map = Object.create(null) as Record<string, unknown>;
  for (const entry of inOrder(node)) {
    const key = entry.children.get(shape.keyXmlName)?.text;
    const value = entry.children.get(shape.valueXmlName);
    if (key === undefined || value === undefined) throw new Malformed("a map entry without its key or value");
    map[key] = read(shape.value, value, false);
  }
  return map;
}

const NOTHING: Node = { children: new Map() };

function readStructure(shape: StructureShape, node: Node): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const member of shape.members) {
    const child = node.children.get(member.xmlName);
    if (child !== undefined) result[member.name] = read(member.shape, child, member.isFlattened);
  }
  return result;
}

function read(shape: Shape, node: Node, isFlattened: boolean): unknown {
  if (shape.kind === "structure") return readStructure(shape, node);
  if (shape.kind === "map") return readMap(shape, isFlattened ? node : (node.children.get("entry") ?? NOTHING));
  if (shape.kind === "list") {
    const items = inOrder(isFlattened ? node : (node.children.get(shape.itemXmlName) ?? NOTHING));
    return items.map((item) => read(shape.item, item, false));
  }
  if (node.text === undefined) throw new Malformed("Unexpected complex element termination");
  return decodeText(shape, node.text, "date-time");
}

function decode(operation: OperationModel, incoming: Incoming): Record<string, unknown> {
  if (operation.input === undefined) return {};
  try {
    return read(operation.input, treeOf(readForm(incoming.query, incoming.bytes)), false) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof Malformed) throw new CommonFault("MalformedInput", cause.message, 400, {}, { cause });
    throw cause;
  }
}

export function queryProtocol(model: ServiceModel): Protocol {
  const xmlns = `xmlns="${model.xmlNamespace}"`;

  const encode = (operation: OperationModel, output: Readonly<Record<string, unknown>>, requestId: string): WireResponse => {
    const { name } = operation;
    const result = operation.output === undefined ? "" : `<${name}Result>${writeContent(operation.output, output)}</${name}Result>`;
    const metadata = `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata>`;
    const headers = { "content-type": CONTENT_TYPE, [REQUEST_ID]: requestId };
    return { status: 200, headers, body: `<${name}Response ${xmlns}>${result}${metadata}</${name}Response>` };
  };

  const encodeFault = (fault: WireFault, requestId: string): WireResponse => {
    const code = escapeXml(fault.model?.queryCode ?? fault.code);
    const status = fault.model?.queryStatus ?? fault.status;
    const type = status < 500 ? "Sender" : "Receiver";
    const error = `<Error><Type>${type}</Type><Code>${code}</Code><Message>${escapeXml(fault.message)}</Message></Error>`;
    const headers = { "content-type": CONTENT_TYPE, [REQUEST_ID]: requestId };
    return { status, headers, body: `<ErrorResponse ${xmlns}>${error}<RequestId>${requestId}</RequestId></ErrorResponse>` };
  };

  return { decode, encode, encodeFault };
}
