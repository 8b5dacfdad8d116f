// Segment documents: read, and checked by the rules of X-Ray.
// https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
import { SEGMENT_BYTES_MAX, type TraceSegment } from "../../store/trace-store.ts";
import { TRACE_ID } from "./model.ts";

/** A segment or subsegment as its sender wrote it; of its fields, only those that were checked are what they should be. */
export interface SegmentDocument {
  readonly [field: string]: unknown;
}

/** `MissingId`, `InvalidTraceId` and their like are AWS's; those that nobody has recorded are named as they are. */
export interface SegmentRefusal {
  readonly code: string;
  /** Where the document has one. */
  readonly id?: string;
  /** A subsegment that was sent by itself. */
  readonly isSubsegment: boolean;
}

const ID = /^[0-9a-f]{16}$/i;
/** "Up to 200 characters of Unicode letters, numbers, and whitespace, and the following symbols" */
const NAME = /^[\p{L}\p{N}\p{Z}_.:/%&#=+\\\-@]{1,200}$/u;
/** Arrays and objects in each other; what is deeper costs more to walk than it can tell. */
const DEPTH_MAX = 64;

export const isObject = (value: unknown): value is SegmentDocument => typeof value === "object" && value !== null && !Array.isArray(value);

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === "object" && value !== null && (levels === 0 || Object.values(value).some((one) => isDeeper(one, levels - 1)));

function parsed(document: string): SegmentDocument | undefined {
  try {
    const value: unknown = JSON.parse(document);
    // An array has none of the fields, as on AWS.
    if (Array.isArray(value)) return {};
    return isObject(value) && !isDeeper(value, DEPTH_MAX) ? value : undefined;
  } catch {
    return undefined;
  }
}

type Rule = (value: unknown) => boolean;

const isText =
  (pattern: RegExp): Rule =>
  (value) =>
    typeof value === "string" && pattern.test(value);
const isSeconds: Rule = (value) => typeof value === "number" && value >= 0 && value < 1e11;

const REQUIRED: readonly (readonly [field: string, code: string, rule: Rule])[] = [
  ["id", "Id", isText(ID)],
  ["trace_id", "TraceId", isText(TRACE_ID)],
  ["name", "Name", isText(NAME)],
  ["start_time", "StartTime", isSeconds],
];
const PARENT: (typeof REQUIRED)[number] = ["parent_id", "ParentId", isText(ID)];

function wrongIn(document: SegmentDocument): string | undefined {
  const isSubsegment = document["type"] === "subsegment";
  for (const [field, code, rule] of isSubsegment ? [...REQUIRED, PARENT] : REQUIRED) {
    if (document[field] === undefined || document[field] === null) return `Missing${code}`;
    if (!rule(document[field])) return `Invalid${code}`;
  }
  const { end_time: end, parent_id: parent } = document;
  if (end !== undefined && end !== null && !(isSeconds(end) && Number(end) >= Number(document["start_time"]))) return "InvalidEndTime";
  return parent === undefined || parent === null || isText(ID)(parent) ? undefined : "InvalidParentId";
}

/** The segment of the text, or why it is none. */
export function readSegment(place: { readonly account: string; readonly region: string }, text: string): TraceSegment | SegmentRefusal {
  if (Buffer.byteLength(text) > SEGMENT_BYTES_MAX) return { code: "SegmentTooLarge", isSubsegment: false };
  const document = parsed(text);
  if (document === undefined) return { code: "ParseError", isSubsegment: false };
  const code = wrongIn(document);
  const { id, trace_id: traceId, start_time: start, end_time: end, in_progress: inProgress } = document;
  if (code !== undefined) return { code, ...(typeof id === "string" ? { id } : {}), isSubsegment: document["type"] === "subsegment" };
  return {
    account: place.account,
    region: place.region,
    traceId: String(traceId).toLowerCase(),
    id: String(id).toLowerCase(),
    startMs: Number(start) * 1000,
    ...(typeof end === "number" && inProgress !== true ? { endMs: end * 1000 } : {}),
    document: text,
  };
}
