// X-Amzn-Trace-Id: taken over from the caller where it makes sense, made where it does not.
import { createHash } from "node:crypto";
import { randomHex } from "./id.ts";

const ROOT = /^1-[0-9a-f]{8}-[0-9a-f]{24}$/;
const PARENT = /^[0-9a-f]{16}$/;
const SAMPLED = /^[01?]$/;
const LINEAGE = /^[0-9a-f]{8}:\d{1,5}(?:\|[0-9a-f]{8}:\d{1,5}){0,31}$/;
/** Longer ones are not looked at. */
const HEADER_LENGTH_MAX = 2048;
const HOPS_MAX = 32_767;
const FUNCTIONS_MAX = 32;

/** Eight hex digits that stand for a function in a trace's lineage. */
export function lineageId(functionArn: string): string {
  return createHash("sha256").update(functionArn).digest("hex").slice(0, 8);
}

function fieldsOf(header: string | undefined): Map<string, string> {
  const fields = new Map<string, string>();
  if (header === undefined || header.length > HEADER_LENGTH_MAX) return fields;
  for (const part of header.split(";")) {
    const at = part.indexOf("=");
    if (at > 0) fields.set(part.slice(0, at).trim(), part.slice(at + 1).trim());
  }
  return fields;
}

function valid(value: string | undefined, pattern: RegExp): string | undefined {
  return value !== undefined && pattern.test(value) ? value : undefined;
}

/** The trace that a request belongs to. */
export interface Trace {
  /** `1-<8 hex>-<24 hex>` */
  readonly root: string;
  /** The segment below which what comes now stands: 16 hex digits. */
  readonly parent: string | undefined;
  /** Whether it is recorded; undefined: that is left to who comes next. */
  readonly isSampled: boolean | undefined;
  readonly lineage: string | undefined;
}

/** Undefined: there is no trace in it. */
export const parseTrace = (header: string | undefined): Trace | undefined => traceIn(fieldsOf(header));

function traceIn(fields: ReadonlyMap<string, string>): Trace | undefined {
  const root = valid(fields.get("Root"), ROOT);
  if (root === undefined) return undefined;
  const sampled = valid(fields.get("Sampled"), SAMPLED);
  return {
    root,
    parent: valid(fields.get("Parent"), PARENT),
    isSampled: sampled === "0" || sampled === "1" ? sampled === "1" : undefined,
    lineage: valid(fields.get("Lineage"), LINEAGE),
  };
}

export function formatTrace({ root, parent, isSampled, lineage }: Trace): string {
  const decision = isSampled === undefined ? "" : `;Sampled=${isSampled ? "1" : "0"}`;
  return `Root=${root}${parent === undefined ? "" : `;Parent=${parent}`}${decision}${lineage === undefined ? "" : `;Lineage=${lineage}`}`;
}

export function newTrace(nowMs: number, isSampled: boolean): Trace {
  const random = randomHex(20);
  const seconds = Math.floor(nowMs / 1000)
    .toString(16)
    .padStart(8, "0");
  return { root: `1-${seconds}-${random.slice(0, 24)}`, parent: random.slice(24), isSampled, lineage: undefined };
}

/** The trace, if it is recorded. For every invocation. */
export const sampledTrace = (header: string | undefined): Trace | undefined => {
  const trace = header?.includes("Sampled=1") === true ? parseTrace(header) : undefined;
  return trace?.isSampled === true ? trace : undefined;
};

/** Adds one pass through the function: what recursion is recognised by. */
function lineageThrough(lineage: string | undefined, id: string): string {
  const passes = lineage?.split("|") ?? [];
  const at = passes.findIndex((pass) => pass.startsWith(`${id}:`));
  if (at < 0) return [...passes.slice(1 - FUNCTIONS_MAX), `${id}:0`].join("|");
  return passes.with(at, `${id}:${Math.min(Number(passes[at]?.slice(id.length + 1)) + 1, HOPS_MAX)}`).join("|");
}

/** How often the request has been through the function before. */
export function passesThrough(header: string | undefined, id: string): number {
  if (header?.includes(id) !== true) return 0;
  const passes = valid(fieldsOf(header).get("Lineage"), LINEAGE)?.split("|") ?? [];
  const found = passes.find((pass) => pass.startsWith(`${id}:`));
  // The first pass is written as 0.
  return found === undefined ? 0 : Number(found.slice(id.length + 1)) + 1;
}

/** `Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=0|1;Lineage=<8 hex>:<n>`; a trace of which nobody has decided is not recorded. */
export function traceHeader(incoming: string | undefined, lineage: string, nowMs: number): string {
  const fields = fieldsOf(incoming);
  const given = traceIn(fields);
  const made = given?.parent === undefined ? newTrace(nowMs, false) : given;
  return formatTrace({
    root: given?.root ?? made.root,
    parent: made.parent,
    isSampled: given?.isSampled ?? false,
    // Whoever leaves the root away is counted all the same.
    lineage: lineageThrough(valid(fields.get("Lineage"), LINEAGE), lineage),
  });
}
