// Amazon CloudWatch's metrics: its operations, what IAM checks for each, and the numbers that this server counts itself.
import * as client from "@aws-sdk/client-cloudwatch";
import type { AccessNeed, ServiceDefinition } from "../../aws/definition.ts";
import { notBuilt, type Context, type Operations } from "../../aws/operations.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { regularly } from "../../base/regularly.ts";
import type { MetricStore } from "../../store/metric-store.ts";
import { getMetricData } from "./get-metric-data.ts";
import { getMetricStatistics } from "./get-metric-statistics.ts";
import { listMetrics } from "./list-metrics.ts";
import { missing, type CloudWatch } from "./model.ts";
import { putMetricData } from "./put-metric-data.ts";
import { MetricRecorder } from "./recorder.ts";

const EXPIRE_INTERVAL_MS = 600_000;

const NOT_BUILT = {
  AssociateDatasetKmsKey: notBuilt,
  CreateResourceMetricsConfiguration: notBuilt,
  DeleteAlarmMuteRule: notBuilt,
  DeleteAlarms: notBuilt,
  DeleteAnomalyDetector: notBuilt,
  DeleteDashboards: notBuilt,
  DeleteInsightRules: notBuilt,
  DeleteMetricStream: notBuilt,
  DeleteResourceMetricsConfiguration: notBuilt,
  DescribeAlarmContributors: notBuilt,
  DescribeAlarmHistory: notBuilt,
  DescribeAlarms: notBuilt,
  DescribeAlarmsForMetric: notBuilt,
  DescribeAnomalyDetectors: notBuilt,
  DescribeInsightRules: notBuilt,
  DisableAlarmActions: notBuilt,
  DisableInsightRules: notBuilt,
  DisassociateDatasetKmsKey: notBuilt,
  EnableAlarmActions: notBuilt,
  EnableInsightRules: notBuilt,
  GetAlarmMuteRule: notBuilt,
  GetDashboard: notBuilt,
  GetDataset: notBuilt,
  GetInsightRuleReport: notBuilt,
  GetMetricStream: notBuilt,
  GetMetricWidgetImage: notBuilt,
  GetOTelEnrichment: notBuilt,
  GetResourceMetricsConfiguration: notBuilt,
  ListAlarmMuteRules: notBuilt,
  ListDashboards: notBuilt,
  ListManagedInsightRules: notBuilt,
  ListMetricStreams: notBuilt,
  ListTagsForResource: notBuilt,
  PutAlarmMuteRule: notBuilt,
  PutAnomalyDetector: notBuilt,
  PutCompositeAlarm: notBuilt,
  PutDashboard: notBuilt,
  PutInsightRule: notBuilt,
  PutLogAlarm: notBuilt,
  PutManagedInsightRules: notBuilt,
  PutMetricAlarm: notBuilt,
  PutMetricStream: notBuilt,
  SetAlarmState: notBuilt,
  StartMetricStreams: notBuilt,
  StartOTelEnrichment: notBuilt,
  StopMetricStreams: notBuilt,
  StopOTelEnrichment: notBuilt,
  TagResource: notBuilt,
  UntagResource: notBuilt,
  UpdateOTelEnrichment: notBuilt,
  UpdateResourceMetricsConfiguration: notBuilt,
} as const;

function operationsOf(cloudWatch: CloudWatch) {
  return {
    ...putMetricData(cloudWatch),
    ...getMetricData(cloudWatch),
    ...getMetricStatistics(cloudWatch),
    ...listMetrics(cloudWatch),
    ...NOT_BUILT,
  } satisfies Operations<typeof client>;
}

/** Metrics have no ARN; who may put them can be bound to a namespace. */
function access(operation: string, _context: Context, { Namespace }: Readonly<Record<string, unknown>>): readonly AccessNeed[] {
  const isBound = operation === "PutMetricData" && typeof Namespace === "string";
  return [
    { action: `cloudwatch:${operation}`, resource: "*", ...(isBound ? { conditions: () => ({ "cloudwatch:namespace": Namespace }) } : {}) },
  ];
}

export interface CloudWatchService {
  readonly definition: ServiceDefinition;
  readonly recorder: MetricRecorder;
  stop(): Promise<void>;
}

export function cloudWatchService({
  metrics,
  clock,
  log,
}: {
  readonly metrics: MetricStore;
  readonly clock: Clock;
  readonly log: Log;
}): CloudWatchService {
  const recorder = new MetricRecorder({ metrics, clock, log });
  // At the start and then again and again: makes coarser and removes what is old.
  const expiring = regularly({ clock, log, intervalMs: EXPIRE_INTERVAL_MS, failed: "old metrics could not be removed" }, () =>
    metrics.expire(clock.now()),
  );
  return {
    recorder,
    definition: {
      name: "monitoring",
      client,
      clientClass: "CloudWatchClient",
      operations: operationsOf({ metrics, clock, flush: () => recorder.flush() }),
      constraints: "cloudwatch",
      access,
      missing,
      // JSON is what the newest clients speak, CBOR what boto3 does, forms what both did before.
      query: { xmlNamespace: "http://monitoring.amazonaws.com/doc/2010-08-01/", membersOf: () => ({}) },
    },
    async stop() {
      await expiring.stop();
      await recorder.flush();
    },
  };
}
