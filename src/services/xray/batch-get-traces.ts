// BatchGetTraces: the whole of up to five traces.
// https://docs.aws.amazon.com/xray/latest/api/API_BatchGetTraces.html
import type * as client from "@aws-sdk/client-xray";
import type { Operations } from "../../aws/operations.ts";
import type { Trace } from "../../store/trace-store.ts";
import { invalidRequest, TRACE_ID, type XRay } from "./model.ts";
import { treeOf } from "./trace-tree.ts";

const IDS_MAX = 5;

export function batchGetTraces({ traces, flush }: XRay) {
  return {
    async BatchGetTraces({ account, region }, { TraceIds = [], NextToken }) {
      if (TraceIds.length > IDS_MAX) throw invalidRequest(`At most ${IDS_MAX} trace IDs can be asked for at once.`);
      // Five traces are one page always.
      if (NextToken !== undefined) throw invalidRequest("The next token is not one that this operation gave out.");
      await flush();
      const ids = new Set(TraceIds.filter((id) => TRACE_ID.test(id)).map((id) => id.toLowerCase()));
      const found = await traces.ofTraces(account, region, [...ids]);
      return { Traces: found.map(traceOf), UnprocessedTraceIds: TraceIds.filter((id) => !TRACE_ID.test(id)) };
    },
  } satisfies Pick<Operations<typeof client>, "BatchGetTraces">;
}

function traceOf({ traceId, isFull, segments }: Trace): client.Trace {
  const Segments = treeOf(segments).map(({ segment, document, isChanged }) => ({
    Id: segment.id,
    Document: isChanged ? JSON.stringify(document) : segment.document,
  }));
  return { Id: traceId, Duration: durationOf(segments), LimitExceeded: isFull, Segments };
}

/** Seconds from the earliest start to the last end; absent while nothing has ended. */
export function durationOf(segments: Trace["segments"]): number | undefined {
  const ends = segments.flatMap(({ endMs }) => endMs ?? []);
  if (ends.length === 0) return undefined;
  const startMs = segments.reduce((least, one) => Math.min(least, one.startMs), Infinity);
  return Math.round(ends.reduce((most, endMs) => Math.max(most, endMs), 0) - startMs) / 1000;
}
