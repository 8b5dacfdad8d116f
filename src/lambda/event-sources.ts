// The kinds of event sources: how a request names one, what can be set for it, with which defaults.
import type * as client from "@aws-sdk/client-lambda";
import { parseArn } from "../aws/arn.ts";
import type { Context } from "../aws/operations.ts";
import { invalidParameter } from "./faults.ts";

export type SourceKind = "sqs" | "kinesis" | "dynamodb" | "msk" | "kafka" | "mq" | "documentdb";

/** Who wants to read from a source. */
interface Reader {
  readonly roleArn: string;
  readonly functionName: string;
  readonly timeoutSeconds: number;
}

/** The sources that this server can see; server.ts supplies it. */
export interface EventSources {
  /** Whether anything reads from sources of this kind. */
  readonly polls: (kind: SourceKind) => boolean;
  /**
   * What keeps the reader from the source, in AWS's words; undefined when nothing does, and for sources of services that this server does
   * not have.
   */
  readonly problem: (context: Context, arn: string, reader: Reader) => Promise<string | undefined>;
}

type Given = client.CreateEventSourceMappingCommandInput & client.UpdateEventSourceMappingCommandInput;
/** What can be set, as it is stored: a moment is in ms of wall time. */
export type Settings = Partial<
  Omit<Given, "UUID" | "FunctionName" | "Enabled" | "EventSourceArn" | "Tags" | "StartingPositionTimestamp" | "KMSKeyArn">
> & { readonly StartingPositionTimestampMs?: number };
export type GivenSettings = Partial<Omit<Given, "UUID" | "FunctionName" | "Enabled" | "EventSourceArn" | "Tags">>;
type Setting = keyof GivenSettings;

const BATCHES: readonly Setting[] = ["BatchSize", "MaximumBatchingWindowInSeconds", "FilterCriteria", "MetricsConfig"];
const POSITION: readonly Setting[] = ["StartingPosition", "StartingPositionTimestamp"];
const FAILURES: readonly Setting[] = [
  "DestinationConfig",
  "MaximumRecordAgeInSeconds",
  "BisectBatchOnFunctionError",
  "MaximumRetryAttempts",
  "FunctionResponseTypes",
];
const STREAM: readonly Setting[] = [...BATCHES, ...POSITION, ...FAILURES, "ParallelizationFactor", "TumblingWindowInSeconds"];
const KAFKA: readonly Setting[] = [
  ...BATCHES,
  ...POSITION,
  ...FAILURES,
  "Topics",
  "SourceAccessConfigurations",
  "ProvisionedPollerConfig",
  "LoggingConfig",
];

interface Traits {
  readonly takes: readonly Setting[];
  readonly defaults: Settings;
  /** Must be given, in the order in which they are missed. */
  readonly needs: readonly Setting[];
  readonly accessTypes: readonly string[];
  /** What AWS says why a mapping is in its state. */
  readonly reason: "USER_INITIATED" | "User action";
}

const STREAM_DEFAULTS: Settings = {
  BatchSize: 100,
  MaximumBatchingWindowInSeconds: 0,
  ParallelizationFactor: 1,
  MaximumRecordAgeInSeconds: -1,
  MaximumRetryAttempts: -1,
  BisectBatchOnFunctionError: false,
  TumblingWindowInSeconds: 0,
  DestinationConfig: { OnFailure: {} },
  FunctionResponseTypes: [],
};
const STREAM_TRAITS: Traits = {
  takes: STREAM,
  defaults: STREAM_DEFAULTS,
  needs: ["StartingPosition"],
  accessTypes: [],
  reason: "User action",
};
const KAFKA_DEFAULTS: Settings = { BatchSize: 100, DestinationConfig: { OnFailure: {} } };
const KAFKA_AUTH = ["SASL_SCRAM_512_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH"];

/** https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html */
export const SOURCE_TRAITS: Readonly<Record<SourceKind, Traits>> = {
  sqs: {
    takes: [...BATCHES, "FunctionResponseTypes", "ScalingConfig", "ProvisionedPollerConfig"],
    defaults: { BatchSize: 10, MaximumBatchingWindowInSeconds: 0, FunctionResponseTypes: [] },
    needs: [],
    accessTypes: [],
    reason: "USER_INITIATED",
  },
  kinesis: STREAM_TRAITS,
  dynamodb: STREAM_TRAITS,
  msk: {
    takes: [...KAFKA, "AmazonManagedKafkaEventSourceConfig"],
    defaults: KAFKA_DEFAULTS,
    needs: ["StartingPosition", "Topics"],
    accessTypes: KAFKA_AUTH,
    reason: "USER_INITIATED",
  },
  kafka: {
    takes: [...KAFKA, "SelfManagedEventSource", "SelfManagedKafkaEventSourceConfig"],
    defaults: KAFKA_DEFAULTS,
    needs: ["StartingPosition", "Topics"],
    accessTypes: [...KAFKA_AUTH, "BASIC_AUTH", "SASL_SCRAM_256_AUTH", "SERVER_ROOT_CA_CERTIFICATE", "VPC_SECURITY_GROUP", "VPC_SUBNET"],
    reason: "USER_INITIATED",
  },
  mq: {
    takes: [...BATCHES, "Queues", "SourceAccessConfigurations"],
    defaults: { BatchSize: 100 },
    needs: ["SourceAccessConfigurations", "Queues"],
    accessTypes: ["BASIC_AUTH", "VIRTUAL_HOST"],
    reason: "USER_INITIATED",
  },
  documentdb: {
    takes: [...BATCHES, ...POSITION, "DocumentDBEventSourceConfig", "SourceAccessConfigurations"],
    defaults: { BatchSize: 100 },
    needs: ["StartingPosition", "DocumentDBEventSourceConfig", "SourceAccessConfigurations"],
    accessTypes: ["BASIC_AUTH"],
    reason: "USER_INITIATED",
  },
};

export const isStream = (kind: SourceKind): boolean => kind === "kinesis" || kind === "dynamodb";
export const isKafka = (kind: SourceKind): boolean => kind === "msk" || kind === "kafka";

const KINDS: readonly { readonly service: string; readonly resource: RegExp; readonly kind: SourceKind }[] = [
  { service: "sqs", resource: /^[\w-]{1,80}(?:\.fifo)?$/, kind: "sqs" },
  { service: "kinesis", resource: /^stream\/[\w.-]+(?:\/consumer\/[\w.-]+:\d+)?$/, kind: "kinesis" },
  { service: "dynamodb", resource: /^table\/[\w.-]+\/stream\/[\w.:-]+$/, kind: "dynamodb" },
  { service: "kafka", resource: /^cluster\/[\w.-]+\/[\w-]+$/, kind: "msk" },
  { service: "mq", resource: /^broker:[\w.-]+:[\w-]+$/, kind: "mq" },
  { service: "rds", resource: /^cluster:[\w-]+$/, kind: "documentdb" },
];

/** Throws InvalidParameterValueException for what is no event source. */
export function sourceKind(arn: string, selfManaged: client.SelfManagedEventSource | undefined): SourceKind {
  if (arn === "" && Object.keys(selfManaged?.Endpoints ?? {}).length > 0) return "kafka";
  const parsed = parseArn(arn);
  const found = KINDS.find(({ service, resource }) => service === parsed?.service && resource.test(parsed.resource));
  if (found === undefined || selfManaged !== undefined) throw invalidParameter("Unrecognized event source.");
  return found.kind;
}
