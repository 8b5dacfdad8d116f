// CloudWatch Logs: its operations, what IAM checks for each, and the clean-up that retention asks for.
import * as client from "@aws-sdk/client-cloudwatch-logs";
import type { AccessNeed, ServiceDefinition } from "../../aws/definition.ts";
import { notBuilt, type Context, type Operations } from "../../aws/operations.ts";
import type { PolicyDocument } from "../../aws/policy.ts";
import type { Timer } from "../../base/clock.ts";
import { logEvents } from "./events.ts";
import { logGroups } from "./groups.ts";
import { liveTail } from "./live-tail.ts";
import { GROUP_KIND, groupArn, groupNameOf, type LogGroupRecord, type LogsDeps } from "./model.ts";
import { logStreams } from "./streams.ts";
import { groupTags } from "./tags.ts";

const RETENTION_CHECK_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** PutLogEvents takes 1 MiB of events; JSON escapes can make that six times as much. */
const PUT_BYTES_MAX = 6 * 2 ** 20;

const NOT_BUILT = {
  AssociateKmsKey: notBuilt,
  AssociateSourceToS3TableIntegration: notBuilt,
  CancelExportTask: notBuilt,
  CancelImportTask: notBuilt,
  CreateDelivery: notBuilt,
  CreateExportTask: notBuilt,
  CreateImportTask: notBuilt,
  CreateLogAnomalyDetector: notBuilt,
  CreateLookupTable: notBuilt,
  CreateScheduledQuery: notBuilt,
  DeleteAccountPolicy: notBuilt,
  DeleteDataProtectionPolicy: notBuilt,
  DeleteDelivery: notBuilt,
  DeleteDeliveryDestination: notBuilt,
  DeleteDeliveryDestinationPolicy: notBuilt,
  DeleteDeliverySource: notBuilt,
  DeleteDestination: notBuilt,
  DeleteIndexPolicy: notBuilt,
  DeleteIntegration: notBuilt,
  DeleteLogAnomalyDetector: notBuilt,
  DeleteLookupTable: notBuilt,
  DeleteMetricFilter: notBuilt,
  DeleteQueryDefinition: notBuilt,
  DeleteResourcePolicy: notBuilt,
  DeleteScheduledQuery: notBuilt,
  DeleteSubscriptionFilter: notBuilt,
  DeleteSyslogConfiguration: notBuilt,
  DeleteTransformer: notBuilt,
  DescribeAccountPolicies: notBuilt,
  DescribeConfigurationTemplates: notBuilt,
  DescribeDeliveries: notBuilt,
  DescribeDeliveryDestinations: notBuilt,
  DescribeDeliverySources: notBuilt,
  DescribeDestinations: notBuilt,
  DescribeExportTasks: notBuilt,
  DescribeFieldIndexes: notBuilt,
  DescribeImportTaskBatches: notBuilt,
  DescribeImportTasks: notBuilt,
  DescribeIndexPolicies: notBuilt,
  DescribeLookupTables: notBuilt,
  DescribeMetricFilters: notBuilt,
  DescribeQueries: notBuilt,
  DescribeQueryDefinitions: notBuilt,
  DescribeResourcePolicies: notBuilt,
  DescribeSubscriptionFilters: notBuilt,
  DisassociateKmsKey: notBuilt,
  DisassociateSourceFromS3TableIntegration: notBuilt,
  GetDataProtectionPolicy: notBuilt,
  GetDelivery: notBuilt,
  GetDeliveryDestination: notBuilt,
  GetDeliveryDestinationPolicy: notBuilt,
  GetDeliverySource: notBuilt,
  GetIntegration: notBuilt,
  GetLogAnomalyDetector: notBuilt,
  GetLogFields: notBuilt,
  GetLogGroupFields: notBuilt,
  GetLogObject: notBuilt,
  GetLogRecord: notBuilt,
  GetLookupTable: notBuilt,
  GetQueryResults: notBuilt,
  GetScheduledQuery: notBuilt,
  GetScheduledQueryHistory: notBuilt,
  GetStorageTierPolicy: notBuilt,
  GetTransformer: notBuilt,
  ListAggregateLogGroupSummaries: notBuilt,
  ListAnomalies: notBuilt,
  ListIntegrations: notBuilt,
  ListLogAnomalyDetectors: notBuilt,
  ListLogGroups: notBuilt,
  ListLogGroupsForQuery: notBuilt,
  ListScheduledQueries: notBuilt,
  ListSourcesForS3TableIntegration: notBuilt,
  ListSyslogConfigurations: notBuilt,
  PutAccountPolicy: notBuilt,
  PutBearerTokenAuthentication: notBuilt,
  PutDataProtectionPolicy: notBuilt,
  PutDeliveryDestination: notBuilt,
  PutDeliveryDestinationPolicy: notBuilt,
  PutDeliverySource: notBuilt,
  PutDestination: notBuilt,
  PutDestinationPolicy: notBuilt,
  PutIndexPolicy: notBuilt,
  PutIntegration: notBuilt,
  PutLogGroupDeletionProtection: notBuilt,
  PutMetricFilter: notBuilt,
  PutQueryDefinition: notBuilt,
  PutResourcePolicy: notBuilt,
  PutStorageTierPolicy: notBuilt,
  PutSubscriptionFilter: notBuilt,
  PutSyslogConfiguration: notBuilt,
  PutTransformer: notBuilt,
  StartQuery: notBuilt,
  StopQuery: notBuilt,
  TestMetricFilter: notBuilt,
  TestTransformer: notBuilt,
  UpdateAnomaly: notBuilt,
  UpdateDeliveryConfiguration: notBuilt,
  UpdateLogAnomalyDetector: notBuilt,
  UpdateLookupTable: notBuilt,
  UpdateScheduledQuery: notBuilt,
} as const;

function operationsOf(deps: LogsDeps) {
  return {
    ...logGroups(deps),
    ...groupTags(deps),
    ...logStreams(deps),
    ...logEvents(deps),
    ...liveTail(deps),
    ...NOT_BUILT,
  } satisfies Operations<typeof client>;
}

/** What AWS's console grants when a rule gets a log group as its target; PutResourcePolicy is not built. */
const EVENTS_POLICY: PolicyDocument = {
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Principal: { Service: "events.amazonaws.com" },
      Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
      Resource: "arn:*:logs:*:*:log-group:/aws/events/*",
    },
  ],
};

/** Operations on one group name its ARN with `:*`, those on a stream the stream's, the others every group (service authorization reference). */
function access(operation: string, context: Context, input: Readonly<Record<string, unknown>>): readonly AccessNeed[] {
  const identifiers = input["logGroupIdentifiers"];
  const named = input["logGroupName"] ?? input["logGroupIdentifier"] ?? input["resourceArn"];
  const names = Array.isArray(identifiers) ? identifiers.map(String) : typeof named === "string" ? [named] : ["*"];
  const stream = input["logStreamName"];
  const suffix = typeof stream === "string" ? `:log-stream:${stream}` : ":*";
  return names.map((name) => ({
    action: `logs:${operation}`,
    resource: `${groupArn(context, groupNameOf(name))}${suffix}`,
    // For services only: of callers it says nothing.
    ...(context.caller.kind === "service" ? { resourcePolicy: EVENTS_POLICY } : {}),
  }));
}

export async function logsService(deps: LogsDeps) {
  const operations = operationsOf(deps);
  const definition: ServiceDefinition = {
    name: "logs",
    client,
    clientClass: "CloudWatchLogsClient",
    operations,
    constraints: "logs",
    access,
    bodyBytesMax: (operation) => (operation === "PutLogEvents" ? PUT_BYTES_MAX : 2 ** 20),
  };
  const retention = await keepRetention(deps);
  return { definition, operations, stop: () => retention.stop() };
}

/** Removes what is older than its group's retention, at the start and once an hour. */
async function keepRetention(deps: LogsDeps) {
  const limits = new Map<string, { account: string; region: string; group: string; days: number }>();
  const followed = await deps.meta.follow([GROUP_KIND], (changes) => {
    for (const { key, value } of changes) {
      const days = (value as LogGroupRecord | undefined)?.retentionInDays;
      const id = `${key.account}\0${key.region}\0${key.id}`;
      if (days === undefined) limits.delete(id);
      else limits.set(id, { account: key.account, region: key.region, group: key.id, days });
    }
  });
  let timer: Timer | undefined;
  let isStopped = false;
  let running = Promise.resolve();
  const check = async () => {
    for (const { account, region, group, days } of limits.values())
      await deps.logs.expire(account, region, group, deps.clock.now() - days * DAY_MS);
    if (!isStopped) timer = deps.clock.after(RETENTION_CHECK_MS, () => void (running = check()));
  };
  running = check();
  return {
    async stop() {
      isStopped = true;
      timer?.cancel();
      followed.stop();
      await running;
    },
  };
}
