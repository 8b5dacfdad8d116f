// GetTraceSummaries: the traces of a span of time, the newest first, in pages.
// https://docs.aws.amazon.com/xray/latest/api/API_GetTraceSummaries.html
import type * as client from "@aws-sdk/client-xray";
import { notImplemented } from "../../aws/common-faults.ts";
import type { Operations } from "../../aws/operations.ts";
import { decodeMarker, encodeMarker } from "../../aws/page.ts";
import type { ListedTrace, ListPosition, TraceTime } from "../../store/trace-store.ts";
import { invalidRequest, type XRay } from "./model.ts";
import { summaryOf } from "./trace-summary.ts";

const SPAN_MS_MAX = 24 * 3_600_000;
const PAGE = 100;
/** What a page reads of segments, about: the first trace is always in it. */
const PAGE_BYTES = 4 * 1024 ** 2;
const LIST = "GetTraceSummaries";
const TIMES: Readonly<Record<client.TimeRangeType, TraceTime>> = { TraceId: "start", Event: "written", Service: "end" };

export function getTraceSummaries({ traces, flush }: XRay) {
  return {
    async GetTraceSummaries({ account, region }, { StartTime, EndTime, TimeRangeType = "TraceId", FilterExpression = "", NextToken }) {
      if (FilterExpression.trim() !== "") throw notImplemented("FilterExpression of GetTraceSummaries");
      const after = NextToken === undefined ? undefined : positionOf(NextToken);
      const range = rangeOf(StartTime, EndTime);
      await flush();
      const by = TIMES[TimeRangeType];
      const found = await traces.list({ account, region, by, ...range, ...(after === undefined ? {} : { after }), limit: PAGE + 1 });
      const page = pageOf(found);
      const whole = await traces.ofTraces(
        account,
        region,
        page.map(({ traceId }) => traceId),
      );
      const last = page.at(-1);
      return {
        TraceSummaries: whole.map((trace) => summaryOf(account, trace)),
        ApproximateTime: new Date(page[0]?.atMs ?? range.fromMs),
        TracesProcessedCount: page.length,
        ...(found.length > page.length && last !== undefined ? { NextToken: encodeMarker(LIST, `${last.atMs} ${last.sequence}`) } : {}),
      };
    },
  } satisfies Pick<Operations<typeof client>, "GetTraceSummaries">;
}

function rangeOf(from: Date | undefined, to: Date | undefined): { readonly fromMs: number; readonly toMs: number } {
  const [fromMs, toMs] = [Number(from), Number(to)];
  if (!(fromMs < toMs)) throw invalidRequest("Start time must be before end time");
  // AWS's sentence for GetServiceGraph, which has six hours.
  if (toMs - fromMs > SPAN_MS_MAX) throw invalidRequest("Time range cannot be longer than 24 hours");
  return { fromMs, toMs };
}

function positionOf(token: string): ListPosition {
  const [, atMs, sequence] = /^(-?[\d.e+]+) (\d{1,15})$/.exec(decodeMarker(LIST, token) ?? "") ?? [];
  if (atMs === undefined || !Number.isFinite(Number(atMs))) throw invalidRequest("The next token is not one that this operation gave out.");
  return { atMs: Number(atMs), sequence: Number(sequence) };
}

function pageOf(found: readonly ListedTrace[]): readonly ListedTrace[] {
  let bytes = 0;
  const end = found.findIndex((one, index) => index === PAGE || ((bytes += one.bytes) > PAGE_BYTES && index > 0));
  return end === -1 ? found : found.slice(0, end);
}
