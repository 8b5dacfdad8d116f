// AWS X-Ray: its operations, what IAM checks for each, and the segments that this server records itself.
import * as client from "@aws-sdk/client-xray";
import type { AccessNeed, ServiceDefinition } from "../../aws/definition.ts";
import { notBuilt, type Operations } from "../../aws/operations.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { regularly } from "../../base/regularly.ts";
import type { TraceStore } from "../../store/trace-store.ts";
import { batchGetTraces } from "./batch-get-traces.ts";
import { getTraceSummaries } from "./get-trace-summaries.ts";
import type { XRay } from "./model.ts";
import { putTraceSegments } from "./put-trace-segments.ts";
import { TraceRecorder } from "./recorder.ts";
import { sampling } from "./sampling.ts";

/** "Trace data is kept for 30 days" */
const KEPT_MS = 30 * 86_400_000;
const EXPIRE_INTERVAL_MS = 600_000;
/** A call of the daemon has up to fifty documents of 64 KiB, which JSON makes longer. */
const BODY_BYTES_MAX = 6 * 1024 ** 2;

const NOT_BUILT = {
  CancelTraceRetrieval: notBuilt,
  CreateGroup: notBuilt,
  CreateSamplingRule: notBuilt,
  DeleteGroup: notBuilt,
  DeleteResourcePolicy: notBuilt,
  DeleteSamplingRule: notBuilt,
  GetEncryptionConfig: notBuilt,
  GetGroup: notBuilt,
  GetGroups: notBuilt,
  GetIndexingRules: notBuilt,
  GetInsight: notBuilt,
  GetInsightEvents: notBuilt,
  GetInsightImpactGraph: notBuilt,
  GetInsightSummaries: notBuilt,
  GetRetrievedTracesGraph: notBuilt,
  GetSamplingStatisticSummaries: notBuilt,
  GetServiceGraph: notBuilt,
  GetTimeSeriesServiceStatistics: notBuilt,
  GetTraceGraph: notBuilt,
  GetTraceSegmentDestination: notBuilt,
  ListResourcePolicies: notBuilt,
  ListRetrievedTraces: notBuilt,
  ListTagsForResource: notBuilt,
  PutEncryptionConfig: notBuilt,
  PutResourcePolicy: notBuilt,
  StartTraceRetrieval: notBuilt,
  TagResource: notBuilt,
  UntagResource: notBuilt,
  UpdateGroup: notBuilt,
  UpdateIndexingRule: notBuilt,
  UpdateSamplingRule: notBuilt,
  UpdateTraceSegmentDestination: notBuilt,
} as const;

function operationsOf(xray: XRay) {
  return {
    ...putTraceSegments(xray),
    ...batchGetTraces(xray),
    ...getTraceSummaries(xray),
    ...sampling(xray),
    ...NOT_BUILT,
  } satisfies Operations<typeof client>;
}

/** Traces have no ARN. */
const access = (operation: string): readonly AccessNeed[] => [{ action: `xray:${operation}`, resource: "*" }];

export interface XRayService {
  readonly definition: ServiceDefinition;
  readonly recorder: TraceRecorder;
  stop(): Promise<void>;
}

export function xrayService({
  traces,
  clock,
  log,
}: {
  readonly traces: TraceStore;
  readonly clock: Clock;
  readonly log: Log;
}): XRayService {
  const recorder = new TraceRecorder({ traces, clock, log });
  const expiring = regularly({ clock, log, intervalMs: EXPIRE_INTERVAL_MS, failed: "old traces could not be removed" }, () =>
    traces.expire(clock.now() - KEPT_MS),
  );
  return {
    recorder,
    definition: {
      name: "xray",
      client,
      clientClass: "XRayClient",
      operations: operationsOf({ traces, clock, flush: () => recorder.flush() }),
      constraints: "xray",
      access,
      bodyBytesMax: (operation) => (operation === "PutTraceSegments" ? BODY_BYTES_MAX : 1024 ** 2),
    },
    async stop() {
      await expiring.stop();
      await recorder.flush();
    },
  };
}
