// X-Ray behind a door of its own, on a clock that the test moves; and the documents that it is sent.
import type { TestContext } from "node:test";
import * as xray from "@aws-sdk/client-xray";
import { FAKE_STRANGER, fakeDoor } from "../../src/aws/fake-service.ts";
import { silentLog } from "../../src/base/log.ts";
import { manualClock } from "../../src/base/manual-clock.ts";
import { xrayService } from "../../src/services/xray/service.ts";
import { memoryTraces } from "../../src/store/memory/memory-traces.ts";
import type { TraceStore } from "../../src/store/trace-store.ts";

export const NOW = Date.UTC(2026, 10, 20);
export const SECONDS = NOW / 1000;
export const at = (seconds: number) => new Date(NOW + seconds * 1000);
export const traceId = (number: number) => `1-${SECONDS.toString(16)}-${String(number).padStart(24, "0")}`;
export const segmentId = (number: number) => String(number).padStart(16, "0");

/** Of half a second. */
export const segment = (trace: number, id: number, more: Readonly<Record<string, unknown>> = {}) => ({
  trace_id: traceId(trace),
  id: segmentId(id),
  name: "shop",
  start_time: SECONDS,
  end_time: SECONDS + 0.5,
  ...more,
});

export async function startXRay(t: TestContext, traces: TraceStore = memoryTraces()) {
  const clock = manualClock(NOW);
  const service = xrayService({ traces, clock, log: silentLog });
  const door = await fakeDoor([service.definition]);
  const client = new xray.XRayClient({ ...door.settings(), region: "us-east-1" });
  const stranger = new xray.XRayClient(door.settings(FAKE_STRANGER));
  t.after(async () => {
    client.destroy();
    stranger.destroy();
    await door.door.close();
    await service.stop();
    await traces.close();
  });
  const putTexts = async (...TraceSegmentDocuments: string[]) =>
    (await client.send(new xray.PutTraceSegmentsCommand({ TraceSegmentDocuments }))).UnprocessedTraceSegments ?? [];
  const put = (...segments: object[]) => putTexts(...segments.map((one) => JSON.stringify(one)));
  const get = (...numbers: number[]) => client.send(new xray.BatchGetTracesCommand({ TraceIds: numbers.map(traceId) }));
  const summaries = (more: Partial<xray.GetTraceSummariesCommandInput> = {}) =>
    client.send(new xray.GetTraceSummariesCommand({ StartTime: at(-60), EndTime: at(60), ...more }));
  return { client, stranger, clock, service, put, putTexts, get, summaries };
}
