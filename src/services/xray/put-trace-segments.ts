// PutTraceSegments: durable before it is acknowledged, each document for itself. PutTelemetryRecords: taken, and kept nowhere.
// https://docs.aws.amazon.com/xray/latest/api/API_PutTraceSegments.html
import type * as client from "@aws-sdk/client-xray";
import type { Operations } from "../../aws/operations.ts";
import type { TraceSegment } from "../../store/trace-store.ts";
import type { XRay } from "./model.ts";
import { readSegment, type SegmentRefusal } from "./segment-document.ts";

export function putTraceSegments({ traces, clock }: XRay) {
  return {
    async PutTraceSegments(context, { TraceSegmentDocuments = [] }) {
      const read = TraceSegmentDocuments.map((document) => readSegment(context, document));
      const segments = read.filter((one): one is TraceSegment => "document" in one);
      const full = segments.length === 0 ? [] : await traces.put(segments, clock.now());
      const refused = read.filter((one): one is SegmentRefusal => "code" in one);
      const overfull = full.flatMap((index) => segments[index] ?? []);
      return { UnprocessedTraceSegments: [...refused, ...overfull.map(refusalOf)].map(unprocessed) };
    },
    PutTelemetryRecords: () => ({}),
  } satisfies Pick<Operations<typeof client>, "PutTraceSegments" | "PutTelemetryRecords">;
}

/** Its trace has no room for it. */
const refusalOf = ({ id }: TraceSegment): SegmentRefusal => ({ code: "TraceTooLarge", id, isSubsegment: false });

const unprocessed = ({ id, code, isSubsegment }: SegmentRefusal): client.UnprocessedTraceSegment => ({
  ...(id === undefined ? {} : { Id: id }),
  ErrorCode: code,
  Message: `Invalid ${isSubsegment ? "subsegment" : "segment"}. ErrorCode: ${code}`,
});
