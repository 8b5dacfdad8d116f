// What an execution environment needs to know of the function that it runs, and of the interpreter that runs it.
import type { Architecture } from "./program-machine.ts";

/** What one version of a function is to an environment that runs it. */
export interface FunctionSettings {
  readonly account: string;
  readonly region: string;
  readonly functionName: string;
  /** `$LATEST` or a number. */
  readonly version: string;
  /** Unqualified: limits on concurrency are counted per function. */
  readonly functionArn: string;
  /** `nodejs24.x`, `python3.11`, `provided.al2023`, `Image` */
  readonly runtime: string;
  readonly architecture: Architecture;
  readonly handler: string;
  /** The unpacked code, mounted at /var/task; with `image`, its root. */
  readonly codeDirectory: string;
  /** Present: the code is a container image. */
  readonly image?: ImageSettings;
  /** Its layers as one directory, mounted at /opt; absent: it has none. */
  readonly layersDirectory?: string;
  readonly memoryMiB: number;
  readonly timeoutMs: number;
  /** Size of /tmp. */
  readonly ephemeralStorageMiB: number;
  /** `Environment.Variables` of the function. */
  readonly variables: Readonly<Record<string, string>>;
  readonly roleArn: string;
  readonly logging: LogSettings;
  /** Its tracing is active: something listens at the X-Ray daemon's address. */
  readonly isTraced?: true;
  /** Of a function that isolates its tenants: whom its environments serve, and nobody else. */
  readonly tenantId?: string;
}

/** What stands for an identifier when the code is a container image. */
export const IMAGE_RUNTIME = "Image";

/** How a container image is started: its own configuration with what the function replaces of it. */
export interface ImageSettings {
  /** ENTRYPOINT and CMD, the latter also by itself. */
  readonly argv: readonly string[];
  readonly command: readonly string[];
  /** As it is written there: it may be relative, or empty. */
  readonly workingDirectory: string;
  /** ENV */
  readonly env: Readonly<Record<string, string>>;
}

export interface LogSettings {
  readonly format: "Text" | "JSON";
  readonly group: string;
  /** JSON only, as the next. */
  readonly applicationLevel?: ApplicationLevel;
  readonly systemLevel?: SystemLevel;
}

export type ApplicationLevel = "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL";
export type SystemLevel = "DEBUG" | "INFO" | "WARN";

/** How a runtime is started. */
export interface RuntimeLayout {
  readonly argv: readonly string[];
  /** Where it depends on the function: limits of the heap, a wrapper that the user asks for. */
  readonly argvFor?: (settings: Pick<FunctionSettings, "memoryMiB" | "variables">) => readonly string[];
  /** The handler's name follows the command. */
  readonly takesHandler?: true;
  readonly mounts: readonly { readonly source: string; readonly target: string }[];
  /** Variables of the runtime itself: PATH, LD_LIBRARY_PATH, NODE_PATH, LANG. */
  readonly env: Readonly<Record<string, string>>;
  /** `framed`: our own bootstraps on the control socket. `runtime-api`: whatever speaks HTTP at AWS_LAMBDA_RUNTIME_API. */
  readonly protocol: "framed" | "runtime-api";
  /** An AWS SDK that the runtime offers and that takes long to load: the bootstrap can do so while it waits. */
  readonly sdk?: "boto3";
  /** The command that compiles a directory, whose name follows it, without running anything there; absent: nothing is compiled ahead. */
  readonly compiler?: readonly string[];
  /** For another architecture than this machine's: a program of the host that runs it, unless the machine itself does. */
  readonly emulator?: string;
  /** Exact version of the interpreter: `24.21.0`. */
  readonly version: string;
}

/** Temporary credentials of the function's role. */
export interface SessionCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresMs: number;
}
