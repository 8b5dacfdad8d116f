// The HTTP half of the REST protocols: labels, query, headers, status and raw payloads, both ways.
import type { Incoming } from "./protocol.ts";
import { decodeText, encodeText, Malformed } from "./scalar.ts";
import type { Member, Shape, StructureShape, TimestampFormat } from "./shape.ts";
import { quoteHeader, splitHeader } from "./smithy.ts";

export interface Bindings {
  readonly labels: readonly Member[];
  readonly query: readonly Member[];
  readonly queryMap?: Member;
  readonly headers: readonly Member[];
  readonly prefixHeaders: readonly Member[];
  readonly status?: Member;
  readonly payload?: Member;
  /** The members that make up the body document; absent when there are none, or a payload takes the body. */
  readonly document?: StructureShape;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function bindingsOf(shape: StructureShape, side: "request" | "response"): Bindings {
  const at = (place: Member["binding"]["place"]) => shape.members.filter((member) => member.binding.place === place);
  const isRequest = side === "request";
  const [queryMap] = at("query-map");
  const [status] = at("status");
  const [payload] = at("payload");
  // Request bindings mean nothing in a response: there such members belong to the document.
  const body = isRequest ? at("body") : [...shape.members].filter(({ binding }) => /^(?:body|label|query|query-map)$/.test(binding.place));
  const result: Mutable<Bindings> = {
    labels: isRequest ? at("label") : [],
    query: isRequest ? at("query") : [],
    headers: at("header"),
    prefixHeaders: at("prefix-headers"),
  };
  if (isRequest && queryMap !== undefined) result.queryMap = queryMap;
  if (status !== undefined) result.status = status;
  if (payload !== undefined) result.payload = payload;
  else if (body.length > 0) result.document = { ...shape, members: body };
  return result;
}

const requests = new WeakMap<StructureShape, Bindings>();
const responses = new WeakMap<StructureShape, Bindings>();

export function requestBindings(shape: StructureShape): Bindings {
  let known = requests.get(shape);
  if (known === undefined) requests.set(shape, (known = bindingsOf(shape, "request")));
  return known;
}

export function responseBindings(shape: StructureShape): Bindings {
  let known = responses.get(shape);
  if (known === undefined) responses.set(shape, (known = bindingsOf(shape, "response")));
  return known;
}

/** Throws Malformed, with the name of the member at fault. */
function read(member: Member, shape: Shape, text: string, timestamps: TimestampFormat): unknown {
  try {
    return decodeText(shape, text, timestamps);
  } catch (cause) {
    throw new Malformed(`${member.name}: ${(cause as Error).message}`, { cause });
  }
}

function readQueryMember(member: Member, values: readonly string[]): unknown {
  const { shape } = member;
  if (shape.kind === "list") return values.map((value) => read(member, shape.item, value, "date-time"));
  return read(member, shape, values[0] ?? "", "date-time");
}

function readQueryMap(member: Member, incoming: Incoming): Record<string, unknown> {
  const isOfLists = member.shape.kind === "map" && member.shape.value.kind === "list";
  const map = Object.create(null) as Record<string, unknown>;
  for (const [name, values] of incoming.query) map[name] = isOfLists ? values : values[0];
  return map;
}

function readHeaderMember(member: Member, value: string): unknown {
  const { shape } = member;
  if (shape.kind !== "list") return read(member, shape, value, "http-date");
  if (value === "") return [];
  return splitHeader(value).map((one) => read(member, shape.item, one, "http-date"));
}

function readPrefixHeaders(member: Member, headers: ReadonlyMap<string, string>): Record<string, unknown> | undefined {
  let map: Record<string, unknown> | undefined;
  for (const [name, value] of headers)
    if (name.startsWith(member.binding.name))
      (map ??= Object.create(null) as Record<string, unknown>)[name.slice(member.binding.name.length)] = value;
  return map;
}

/** Reads what stands outside the body into `input`; throws Malformed. */
export function readBindings(bindings: Bindings, incoming: Incoming, input: Record<string, unknown>): void {
  const { headers } = incoming.request;
  for (const member of bindings.labels) {
    const label = incoming.labels.get(member.name);
    if (label !== undefined) input[member.name] = read(member, member.shape, label, "date-time");
  }
  for (const member of bindings.query) {
    const values = incoming.query.get(member.binding.name);
    if (values !== undefined) input[member.name] = readQueryMember(member, values);
  }
  if (bindings.queryMap !== undefined) input[bindings.queryMap.name] = readQueryMap(bindings.queryMap, incoming);
  for (const member of bindings.headers) {
    const value = headers.get(member.binding.name);
    if (value !== undefined) input[member.name] = readHeaderMember(member, value);
  }
  for (const member of bindings.prefixHeaders) {
    const map = readPrefixHeaders(member, headers);
    if (map !== undefined) input[member.name] = map;
  }
}

// oxlint-disable-next-line no-control-regex -- control characters are exactly what must not get into a header
const CONTROL = /[\0-\u0008\u000a-\u001f\u007f]/g;
const BEYOND_LATIN1 = /[^\0-\u00ff]/;

/** Header values come from users too: nothing in them may start another header. */
function headerText(text: string): string {
  const clean = text.replace(CONTROL, " ");
  return BEYOND_LATIN1.test(clean) ? Buffer.from(clean, "utf8").toString("latin1") : clean;
}

function writeHeaderMember(member: Member, value: unknown): string {
  const { shape } = member;
  if (shape.kind !== "list") return headerText(encodeText(shape, value, "http-date"));
  const texts = (value as readonly unknown[]).map((one) => encodeText(shape.item, one, "http-date"));
  return headerText(shape.item.kind === "string" ? texts.map((text) => quoteHeader(text)).join(", ") : texts.join(", "));
}

/** Writes what stands in headers. */
export function writeHeaders(bindings: Bindings, output: Readonly<Record<string, unknown>>, headers: Record<string, string>): void {
  for (const member of bindings.headers) {
    const value = output[member.name];
    if (value !== undefined && value !== null) headers[member.binding.name] = writeHeaderMember(member, value);
  }
  for (const member of bindings.prefixHeaders)
    for (const [name, value] of Object.entries((output[member.name] ?? {}) as Record<string, unknown>))
      headers[`${member.binding.name}${headerText(name)}`] = headerText(String(value));
}

/** Status of a success: the model's, unless the output has a member for it. */
export function statusOf(bindings: Bindings | undefined, output: Readonly<Record<string, unknown>>, modelled: number): number {
  const value = bindings?.status === undefined ? undefined : output[bindings.status.name];
  return typeof value === "number" ? value : modelled;
}
