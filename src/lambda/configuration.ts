// A function's configuration: defaults, limits, and how the API shows it.
import type * as client from "@aws-sdk/client-lambda";
import { createHash } from "node:crypto";
import type { Context } from "../aws/operations.ts";
import { OTHERS, type WithOthers } from "../aws/others.ts";
import { limits } from "../limits.ts";
import { invalidParameter, validation } from "./faults.ts";
import { layersOf } from "./function-layers.ts";
import {
  isPending,
  isUpdating,
  type Configuration,
  type Deployed,
  type FunctionCode,
  type FunctionRecord,
  type Lambda,
  type LambdaDeps,
} from "./model.ts";
import { functionArn, type FunctionReference } from "./names.ts";
import { newerMembersOf } from "./newer-members.ts";
import { isVersionPending, type VersionRecord } from "./version-records.ts";

type Given = Partial<client.CreateFunctionCommandInput & client.UpdateFunctionConfigurationCommandInput> & WithOthers;

/** https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime */
const RESERVED = new Set([
  "_HANDLER",
  "_X_AMZN_TRACE_ID",
  "AWS_DEFAULT_REGION",
  "AWS_REGION",
  "AWS_EXECUTION_ENV",
  "AWS_LAMBDA_FUNCTION_NAME",
  "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
  "AWS_LAMBDA_FUNCTION_VERSION",
  "AWS_LAMBDA_INITIALIZATION_TYPE",
  "AWS_LAMBDA_LOG_GROUP_NAME",
  "AWS_LAMBDA_LOG_STREAM_NAME",
  "AWS_ACCESS_KEY",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SECRET_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_LAMBDA_RUNTIME_API",
  "LAMBDA_TASK_ROOT",
  "LAMBDA_RUNTIME_DIR",
  "AWS_LAMBDA_MAX_CONCURRENCY",
  "AWS_LAMBDA_METADATA_API",
  "AWS_LAMBDA_METADATA_TOKEN",
]);

function checkVariables(variables: Readonly<Record<string, string>>): void {
  const reserved = Object.keys(variables).filter((name) => RESERVED.has(name));
  if (reserved.length > 0)
    throw invalidParameter(
      `Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: ${reserved.join(", ")}`,
    );
  const measured = JSON.stringify(variables);
  if (Buffer.byteLength(measured) > limits.environmentBytesMax)
    throw invalidParameter(
      `Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: ${measured}`,
    );
}

function loggingOf(given: client.LoggingConfig | undefined, name: string, before?: client.LoggingConfig): client.LoggingConfig {
  const LogFormat = given?.LogFormat ?? before?.LogFormat ?? "Text";
  const LogGroup = given?.LogGroup ?? before?.LogGroup ?? `/aws/lambda/${name}`;
  if (LogFormat === "Text") {
    if (given?.ApplicationLogLevel !== undefined || given?.SystemLogLevel !== undefined)
      throw invalidParameter(
        'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the LogFormat to "JSON" and try again.',
      );
    return { LogFormat, LogGroup };
  }
  return {
    LogFormat,
    ApplicationLogLevel: given?.ApplicationLogLevel ?? before?.ApplicationLogLevel ?? "INFO",
    SystemLogLevel: given?.SystemLogLevel ?? before?.SystemLogLevel ?? "INFO",
    LogGroup,
  };
}

function checkNumbers({ MemorySize, Timeout, EphemeralStorageSize }: Configuration): void {
  const bounds = [
    [MemorySize, "memorySize", limits.memoryMiBMax],
    [Timeout, "timeout", limits.timeoutSecondsMax],
    [EphemeralStorageSize, "ephemeralStorage.size", limits.ephemeralStorageMiBMax],
  ] as const;
  const problems = bounds
    .filter(([value, , max]) => value > max)
    .map(
      ([value, name, max]) =>
        `Value '${value}' at '${name}' failed to satisfy constraint: Member must have value less than or equal to ${max}`,
    );
  if (problems.length > 0) throw validation(...problems);
}

function checkRuntime(runtime: string, runtimes: LambdaDeps["runtimes"]): void {
  const state = runtimes.state(runtime);
  if (state === undefined)
    throw invalidParameter(
      `Value ${runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [${runtimes.names().join(", ")}] or be a valid ARN`,
    );
  if (state === "blocked")
    throw invalidParameter(
      `The runtime parameter of ${runtime} is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.`,
    );
}

type Program = Pick<Configuration, "PackageType" | "Runtime" | "Handler" | "ImageConfig">;

function packageOf(given: Given, before: Configuration | undefined): Program {
  const Runtime = given.Runtime ?? before?.Runtime;
  const Handler = given.Handler ?? before?.Handler;
  if (Runtime === undefined || Handler === undefined)
    throw invalidParameter("Runtime and Handler are mandatory parameters for functions created with deployment packages.");
  if (Object.values(given.ImageConfig ?? {}).some((value) => value !== undefined && value.length > 0))
    throw invalidParameter("Please don't provide ImageConfig when the intended function PackageType is Zip.");
  return { Runtime, Handler };
}

/** An empty ImageConfig takes back what was there. */
function imageOf(given: Given, before: Configuration | undefined): Program {
  if (given.Runtime !== undefined || given.Handler !== undefined || (given.Layers ?? []).length > 0)
    throw invalidParameter("Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.");
  const entries = Object.entries(given.ImageConfig ?? before?.ImageConfig ?? {}).filter(
    ([, value]) => value !== undefined && value.length > 0,
  );
  const ImageConfig = Object.fromEntries(entries) as client.ImageConfig;
  if (Buffer.byteLength(JSON.stringify(ImageConfig)) > limits.imageConfigBytesMax)
    throw invalidParameter(`ImageConfig must be smaller than ${limits.imageConfigBytesMax} bytes.`);
  return { PackageType: "Image", ...(entries.length === 0 ? {} : { ImageConfig }) };
}

/** `before` is the configuration that an update changes; without it what must be given is checked and the rest is AWS's default. */
export function configurationOf(
  lambda: Pick<Lambda, "runtimes" | "layerVersions" | "log">,
  reference: FunctionReference,
  given: Given,
  before?: Configuration,
): Configuration {
  const program = before?.PackageType === "Image" || given.PackageType === "Image" ? imageOf(given, before) : packageOf(given, before);
  const DeadLetterTargetArn = given.DeadLetterConfig?.TargetArn ?? before?.DeadLetterTargetArn ?? "";
  const TenantIsolationMode = before === undefined ? given.TenancyConfig?.TenantIsolationMode : before.TenantIsolationMode;
  const Variables = given.Environment === undefined ? before?.Variables : given.Environment.Variables;
  const Layers = given.Layers === undefined ? before?.Layers : layersOf(lambda, reference, given.Layers);
  const newer = newerMembersOf(given, before?.newer);
  if (newer !== before?.newer)
    lambda.log.warn("members of a newer API are kept and have no effect", {
      function: reference.name,
      members: Object.keys(newer ?? {}).join(", "),
    });
  const made: Configuration = {
    ...program,
    Role: given.Role ?? before?.Role ?? "",
    Description: given.Description ?? before?.Description ?? "",
    Timeout: given.Timeout ?? before?.Timeout ?? 3,
    MemorySize: given.MemorySize ?? before?.MemorySize ?? 128,
    EphemeralStorageSize: given.EphemeralStorage?.Size ?? before?.EphemeralStorageSize ?? 512,
    Architecture: given.Architectures?.[0] ?? before?.Architecture ?? "x86_64",
    LoggingConfig: loggingOf(given.LoggingConfig, reference.name, before?.LoggingConfig),
    TracingMode: given.TracingConfig?.Mode ?? before?.TracingMode ?? "PassThrough",
    ...(Variables === undefined || Object.keys(Variables).length === 0 ? {} : { Variables }),
    ...(DeadLetterTargetArn === "" ? {} : { DeadLetterTargetArn }),
    ...(Layers === undefined || Layers.length === 0 ? {} : { Layers }),
    ...(TenantIsolationMode === undefined ? {} : { TenantIsolationMode }),
    ...(newer === undefined ? {} : { newer }),
  };
  if (given.Runtime !== undefined) checkRuntime(given.Runtime, lambda.runtimes);
  checkNumbers(made);
  if (made.Variables !== undefined) checkVariables(made.Variables);
  return made;
}

/** Terraform and SAM try again on this sentence: a role that was just made may not be known everywhere. */
export function checkRole(deps: Pick<LambdaDeps, "canAssume">, role: string | undefined): void {
  if (role !== undefined && !deps.canAssume(role)) throw invalidParameter("The role defined for the function cannot be assumed by Lambda.");
}

/** Who asks for active tracing needs a role that may send segments. */
export function checkTracing(lambda: Pick<LambdaDeps, "mayTrace">, place: Pick<Context, "account" | "region">, asked: TracingAsked): void {
  if (asked.given?.Mode === "Active" && !lambda.mayTrace(place, asked.roleArn))
    throw invalidParameter("The provided execution role does not have permissions to call PutTraceSegments on XRAY");
}

interface TracingAsked {
  readonly given: client.TracingConfig | undefined;
  readonly roleArn: string;
}

/** Changes with whatever UpdateFunctionConfiguration can change. */
function configurationSha256(configuration: Configuration): string {
  const members = Object.entries(configuration).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(members)).digest("base64");
}

/** Of a package in base64, of an image in hex. */
export const codeSha256 = ({ sha256, image }: FunctionCode): string =>
  image === undefined ? Buffer.from(sha256, "hex").toString("base64") : sha256;

export const formatTime = (timeMs: number): string => new Date(timeMs).toISOString().replace("Z", "+0000");

/** AWS names the build of a runtime by a hash; here it stands for the identifier. */
export const runtimeVersionArn = (region: string, runtime: string) =>
  `arn:aws:lambda:${region}::runtime:${createHash("sha256").update(runtime).digest("hex")}`;

const CREATING: client.FunctionConfiguration = {
  State: "Pending",
  StateReason: "The function is being created.",
  StateReasonCode: "Creating",
};
const READY: client.FunctionConfiguration = { State: "Active", LastUpdateStatus: "Successful" };

function states(record: FunctionRecord): client.FunctionConfiguration {
  if (isPending(record)) return CREATING;
  if (isUpdating(record))
    return {
      State: "Active",
      LastUpdateStatus: "InProgress",
      LastUpdateStatusReason: "The function is being created.",
      // Not in the model, but what AWS sends.
      LastUpdateStatusReasonCode: "Creating" as client.LastUpdateStatusReasonCode,
    };
  return READY;
}

type Shape = "full" | "listed";

/** `$LATEST`. */
export function describeFunction(
  reference: FunctionReference,
  record: FunctionRecord,
  shape: Shape = "full",
): client.FunctionConfiguration {
  const { wanted, lastModifiedMs, revisionId } = record;
  return describe(reference, { deployed: wanted, version: "$LATEST", lastModifiedMs, revisionId, states: states(record) }, shape);
}

/** `record` is that of its function. A reference without a qualifier, or with another than an alias, becomes the version's. */
export function describeVersion(
  reference: FunctionReference,
  record: FunctionRecord,
  published: VersionRecord,
  shape: Shape = "full",
): client.FunctionConfiguration {
  const { number, deployed, lastModifiedMs, revisionId } = published;
  const version = String(number);
  const isPublishing = isVersionPending(record, published);
  const described: Described = { deployed, version, lastModifiedMs, revisionId, states: isPublishing ? CREATING : READY };
  return describe({ ...reference, qualifier: reference.qualifier ?? version }, described, shape);
}

interface Described {
  readonly deployed: Deployed;
  readonly version: string;
  readonly lastModifiedMs: number;
  readonly revisionId: string;
  readonly states: client.FunctionConfiguration;
}

/** Members that are unset are absent: clients tell null from absent. Lists leave out states and the runtime's version. */
function describe(reference: FunctionReference, described: Described, shape: Shape): client.FunctionConfiguration {
  const { configuration, code } = described.deployed;
  return {
    FunctionName: reference.name,
    FunctionArn: functionArn(reference),
    ...(configuration.Runtime === undefined ? {} : { Runtime: configuration.Runtime as client.Runtime }),
    Role: configuration.Role,
    ...(configuration.Handler === undefined ? {} : { Handler: configuration.Handler }),
    CodeSize: code.bytes,
    Description: configuration.Description,
    Timeout: configuration.Timeout,
    MemorySize: configuration.MemorySize,
    LastModified: formatTime(described.lastModifiedMs),
    CodeSha256: codeSha256(code),
    ConfigSha256: configurationSha256(configuration),
    Version: described.version,
    ...(configuration.Variables === undefined ? {} : { Environment: { Variables: { ...configuration.Variables } } }),
    ...(configuration.DeadLetterTargetArn === undefined ? {} : { DeadLetterConfig: { TargetArn: configuration.DeadLetterTargetArn } }),
    ...(configuration.Layers === undefined ? {} : { Layers: configuration.Layers.map(({ Arn, bytes }) => ({ Arn, CodeSize: bytes })) }),
    TracingConfig: { Mode: configuration.TracingMode },
    RevisionId: described.revisionId,
    ...(shape === "listed" ? {} : described.states),
    PackageType: configuration.PackageType ?? "Zip",
    ...(configuration.ImageConfig === undefined ? {} : { ImageConfigResponse: { ImageConfig: { ...configuration.ImageConfig } } }),
    Architectures: [configuration.Architecture],
    EphemeralStorage: { Size: configuration.EphemeralStorageSize },
    SnapStart: { ApplyOn: "None", OptimizationStatus: "Off" },
    ...(shape === "listed" || configuration.Runtime === undefined
      ? {}
      : { RuntimeVersionConfig: { RuntimeVersionArn: runtimeVersionArn(reference.region, configuration.Runtime) } }),
    LoggingConfig: { ...configuration.LoggingConfig },
    ...(configuration.TenantIsolationMode === undefined
      ? {}
      : { TenancyConfig: { TenantIsolationMode: configuration.TenantIsolationMode } }),
    ...(configuration.newer === undefined ? {} : { [OTHERS]: configuration.newer }),
  };
}
