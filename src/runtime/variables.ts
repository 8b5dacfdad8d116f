// The environment variables that a function sees.
import type { InitializationType } from "./report.ts";
import type { FunctionSettings, RuntimeLayout, SessionCredentials } from "./settings.ts";

export interface VariablesInput {
  readonly settings: FunctionSettings;
  readonly layout: RuntimeLayout;
  readonly credentials: SessionCredentials;
  readonly logStream: string;
  readonly initializationType: InitializationType;
  /** `169.254.100.1:9001` */
  readonly runtimeApi: string;
  readonly metadataToken: string;
  /** Where the SDKs inside find this service: `http://127.0.0.1:4566`. */
  readonly endpointUrl: string;
}

/** What AWS sets unless the runtime or the user sets it. */
const DEFAULTS: Readonly<Record<string, string>> = {
  LANG: "en_US.UTF-8",
  PATH: "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
  LD_LIBRARY_PATH: "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
  TZ: ":UTC",
  AWS_XRAY_CONTEXT_MISSING: "LOG_ERROR",
  AWS_XRAY_DAEMON_ADDRESS: "169.254.100.1:2000",
};

/** As AWS's own entry point leaves it behind. */
const STARTED: Readonly<Record<string, string>> = { SHLVL: "0", PWD: "/var/task" };

/** What of the environment does not depend on the function, and what interpreters read when they start. */
export const startVariables = (layout: RuntimeLayout): Readonly<Record<string, string>> => ({ ...DEFAULTS, ...STARTED, ...layout.env });

function reserved(input: VariablesInput): Record<string, string> {
  const { settings, credentials, logStream, initializationType, runtimeApi, metadataToken } = input;
  const isOwnRuntime = settings.runtime.startsWith("provided");
  const { logging } = settings;
  return {
    _HANDLER: settings.handler,
    AWS_REGION: settings.region,
    AWS_DEFAULT_REGION: settings.region,
    ...(isOwnRuntime ? {} : { AWS_EXECUTION_ENV: `AWS_Lambda_${settings.runtime}` }),
    AWS_LAMBDA_FUNCTION_NAME: settings.functionName,
    AWS_LAMBDA_FUNCTION_VERSION: settings.version,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(settings.memoryMiB),
    AWS_LAMBDA_LOG_GROUP_NAME: logging.group,
    AWS_LAMBDA_LOG_STREAM_NAME: logStream,
    AWS_LAMBDA_INITIALIZATION_TYPE: initializationType,
    AWS_LAMBDA_RUNTIME_API: runtimeApi,
    AWS_LAMBDA_METADATA_API: runtimeApi,
    AWS_LAMBDA_METADATA_TOKEN: metadataToken,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_SESSION_TOKEN: credentials.sessionToken,
    LAMBDA_TASK_ROOT: "/var/task",
    LAMBDA_RUNTIME_DIR: "/var/runtime",
    _AWS_XRAY_DAEMON_ADDRESS: "169.254.100.1",
    _AWS_XRAY_DAEMON_PORT: "2000",
    ...(logging.format === "JSON" ? { AWS_LAMBDA_LOG_FORMAT: "JSON", AWS_LAMBDA_LOG_LEVEL: logging.applicationLevel ?? "INFO" } : {}),
  };
}

/** AWS leaves the rest to the image. */
const DEFAULTS_OF_IMAGES: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  AWS_XRAY_CONTEXT_MISSING: "LOG_ERROR",
  AWS_XRAY_DAEMON_ADDRESS: "169.254.100.1:2000",
};

/** Of equal names the later one counts: defaults, the runtime's, the user's, and those that AWS reserves. */
export function functionVariables(input: VariablesInput): Readonly<Record<string, string>> {
  const { runtime, image, variables: own } = input.settings;
  const started = runtime.startsWith("provided") || image !== undefined ? {} : STARTED;
  const defaults = image === undefined ? DEFAULTS : DEFAULTS_OF_IMAGES;
  const sources = [defaults, started, { AWS_ENDPOINT_URL: input.endpointUrl }, image?.env ?? input.layout.env, own, reserved(input)];
  // A null prototype, since a user may well call a variable `__proto__`.
  const variables: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const source of sources) for (const [name, value] of Object.entries(source)) variables[name] = value;
  return variables;
}
