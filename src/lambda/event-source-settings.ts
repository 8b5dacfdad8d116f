// What was set for an event source mapping: read from a request, merged with what was there, and checked for its kind of source.
import type * as client from "@aws-sdk/client-lambda";
import { parseArn } from "../aws/arn.ts";
import { requestId } from "../base/id.ts";
import { limits } from "../limits.ts";
import { isKafka, isStream, SOURCE_TRAITS, type GivenSettings, type Settings, type SourceKind } from "./event-sources.ts";
import { invalidParameter, validation } from "./faults.ts";
import { checkFilters } from "./filter-patterns.ts";
import type { LambdaDeps } from "./model.ts";
import { isEmpty } from "./unsupported.ts";

/** All of them, so that a member which a later version of the API has is a compile error here. */
const SETTINGS: Readonly<Record<keyof GivenSettings, true>> = {
  AmazonManagedKafkaEventSourceConfig: true,
  BatchSize: true,
  BisectBatchOnFunctionError: true,
  DestinationConfig: true,
  DocumentDBEventSourceConfig: true,
  FilterCriteria: true,
  FunctionResponseTypes: true,
  KMSKeyArn: true,
  LoggingConfig: true,
  MaximumBatchingWindowInSeconds: true,
  MaximumRecordAgeInSeconds: true,
  MaximumRetryAttempts: true,
  MetricsConfig: true,
  ParallelizationFactor: true,
  ProvisionedPollerConfig: true,
  Queues: true,
  ScalingConfig: true,
  SelfManagedEventSource: true,
  SelfManagedKafkaEventSourceConfig: true,
  SourceAccessConfigurations: true,
  StartingPosition: true,
  StartingPositionTimestamp: true,
  Topics: true,
  TumblingWindowInSeconds: true,
};

const unsupported = (name: string) => invalidParameter(`Unsupported ${name} parameter for given event source mapping type.`);
const missing = (name: string) => invalidParameter(`Required '${name.charAt(0).toLowerCase()}${name.slice(1)}' parameter is missing.`);

/** Those of a request that say something; throws for those that this kind of source does not take. */
function settingsOf(kind: SourceKind, given: GivenSettings): Settings {
  if (!isEmpty(given.KMSKeyArn)) throw invalidParameter("Lambent does not support KMSKeyArn yet: leave it out. See docs/compatibility.md.");
  const { takes } = SOURCE_TRAITS[kind];
  for (const name of Object.keys(SETTINGS) as (keyof GivenSettings)[])
    if (!takes.includes(name) && !isEmpty(given[name]) && given[name] !== false) throw unsupported(name);
  const { StartingPositionTimestamp, ...plain } = given;
  const taken = Object.entries(plain).filter(([name, value]) => takes.includes(name as keyof GivenSettings) && value !== undefined);
  const settings: Settings = Object.fromEntries(taken);
  return StartingPositionTimestamp === undefined
    ? settings
    : { ...settings, StartingPositionTimestampMs: StartingPositionTimestamp.getTime() };
}

const CONSUMER_GROUPS = { msk: "AmazonManagedKafkaEventSourceConfig", kafka: "SelfManagedKafkaEventSourceConfig" } as const;

/** A consumer group has a name from the start, which stays. */
function withConsumerGroup(kind: SourceKind, merged: Settings, before: Settings | undefined): Settings {
  if (kind !== "msk" && kind !== "kafka") return merged;
  const member = CONSUMER_GROUPS[kind];
  const ConsumerGroupId = before?.[member]?.ConsumerGroupId ?? merged[member]?.ConsumerGroupId ?? requestId();
  return { ...merged, [member]: { ...merged[member], ConsumerGroupId } };
}

/** What is not given stays; what is given empty is its default again. Throws AWS's faults for what does not fit. */
export function mergedSettings(
  lambda: Pick<LambdaDeps, "supportsTarget">,
  kind: SourceKind,
  arn: string,
  given: GivenSettings,
  before?: Settings,
): Settings {
  const { defaults } = SOURCE_TRAITS[kind];
  const set = settingsOf(kind, given);
  const emptied = Object.keys(set).filter((name) => isEmpty(set[name as keyof Settings]));
  const merged = Object.fromEntries(
    Object.entries({ ...defaults, ...before, ...set })
      .map(([name, value]) => [name, emptied.includes(name) ? defaults[name as keyof Settings] : value] as const)
      .filter(([, value]) => value !== undefined),
  ) as Settings;
  const settings = withConsumerGroup(kind, merged, before);
  checkPosition(kind, arn, settings);
  checkNeeds(kind, settings);
  checkBatches(kind, arn, settings);
  checkFailures(lambda, kind, settings);
  checkPollers(settings);
  checkFilters(kind, settings.FilterCriteria);
  return settings;
}

function checkPosition(kind: SourceKind, arn: string, { StartingPosition, StartingPositionTimestampMs }: Settings): void {
  if (!SOURCE_TRAITS[kind].needs.includes("StartingPosition")) return;
  const isMissing = (name: string) =>
    invalidParameter(`1 validation error detected: Value null at '${name}' failed to satisfy constraint: Member must not be null.`);
  if (StartingPosition === undefined) throw isMissing("startingPosition");
  const isAt = StartingPosition === "AT_TIMESTAMP";
  if (isAt && kind === "dynamodb") throw invalidParameter(`Unsupported starting position for arn type: ${arn}`);
  if (isAt && StartingPositionTimestampMs === undefined) throw isMissing("startingPositionTimestamp");
  if (!isAt && StartingPositionTimestampMs !== undefined)
    throw invalidParameter("StartingPositionTimestamp is only for the starting position AT_TIMESTAMP.");
}

function checkNeeds(kind: SourceKind, settings: Settings): void {
  const { needs, accessTypes } = SOURCE_TRAITS[kind];
  for (const name of needs) if (isEmpty(settings[name as keyof Settings])) throw missing(name);
  if (kind === "documentdb" && isEmpty(settings.DocumentDBEventSourceConfig?.DatabaseName)) throw missing("databaseName");
  for (const { Type = "" } of settings.SourceAccessConfigurations ?? [])
    if (!accessTypes.includes(Type)) throw unsupported(`SourceAccessConfigurations ${Type}`);
  if (!isKafka(kind) && settings.MetricsConfig?.Metrics?.includes("KafkaMetrics") === true) throw unsupported("MetricsConfig KafkaMetrics");
}

function checkBatches(kind: SourceKind, arn: string, { BatchSize = 0, MaximumBatchingWindowInSeconds = 0 }: Settings): void {
  if (kind !== "sqs") return;
  if (arn.endsWith(".fifo")) {
    if (MaximumBatchingWindowInSeconds > 0) throw invalidParameter("Batching window is not supported for FIFO queues.");
    if (BatchSize > limits.fifoBatchMax)
      throw invalidParameter(
        `1 validation error detected: Value '${BatchSize}' at 'batchSize' failed to satisfy constraint: Member must have value less than or equal to ${limits.fifoBatchMax}`,
      );
  } else if (BatchSize > 10 && MaximumBatchingWindowInSeconds === 0)
    throw invalidParameter("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10");
}

/** https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html */
const FAILURE_SERVICES: ReadonlySet<string> = new Set(["sqs", "sns", "s3"]);
const RECORD_AGE_SECONDS_MIN = 60;

function checkFailures(lambda: Pick<LambdaDeps, "supportsTarget">, kind: SourceKind, settings: Settings): void {
  const { DestinationConfig, MaximumRecordAgeInSeconds: age = -1 } = settings;
  if (age !== -1 && age < RECORD_AGE_SECONDS_MIN)
    throw validation(
      `Value '${age}' at 'maximumRecordAgeInSeconds' failed to satisfy constraint: Member must have value greater than or equal to ${RECORD_AGE_SECONDS_MIN}`,
    );
  if (!isEmpty(DestinationConfig?.OnSuccess)) throw unsupported("DestinationConfig");
  const destination = DestinationConfig?.OnFailure?.Destination ?? "";
  if (destination === "") return;
  const service = destination.startsWith("kafka://") ? "kafka" : (parseArn(destination)?.service ?? "");
  if (!FAILURE_SERVICES.has(service) && !(service === "kafka" && isKafka(kind)))
    throw invalidParameter(
      `The provided destination config DestinationConfig(onSuccess=null, onFailure=OnFailure(destination=${destination})) is invalid.`,
    );
  if (!lambda.supportsTarget(destination))
    throw invalidParameter(
      `Lambent cannot deliver to ${service} yet, so ${destination} can't be a destination. See docs/compatibility.md.`,
    );
}

function checkPollers({ ScalingConfig, ProvisionedPollerConfig }: Settings): void {
  if (ProvisionedPollerConfig === undefined) return;
  if (ScalingConfig?.MaximumConcurrency !== undefined)
    throw invalidParameter("MaximumConcurrency of ScalingConfig can't be set together with ProvisionedPollerConfig.");
  const { MinimumPollers = 1, MaximumPollers = 200 } = ProvisionedPollerConfig;
  if (MinimumPollers > MaximumPollers) throw invalidParameter("MinimumPollers must not be more than MaximumPollers.");
}

/** As the API shows them. */
export function describeSettings({ StartingPositionTimestampMs, ...plain }: Settings): client.EventSourceMappingConfiguration {
  return {
    ...plain,
    ...(StartingPositionTimestampMs === undefined ? {} : { StartingPositionTimestamp: new Date(StartingPositionTimestampMs) }),
  };
}

/** Of streams alone, and true as long as nothing reads from them. */
export const lastResult = (kind: SourceKind): { readonly LastProcessingResult?: string } =>
  isStream(kind) ? { LastProcessingResult: "No records processed" } : {};
