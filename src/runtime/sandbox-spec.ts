// From a function's settings to the sandbox that it runs in: names, limits, mounts, variables.
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { SandboxDatagrams, SandboxMount, SandboxSpec } from "../sandbox/sandbox.ts";
import type { InitializationType } from "./report.ts";
import { RUNTIME_API_PORT } from "./environment-api.ts";
import type { FunctionSettings, RuntimeLayout, SessionCredentials } from "./settings.ts";
import { workingDirectoryOf } from "./image-entrypoint.ts";
import { functionVariables } from "./variables.ts";
import { XRAY_DAEMON_PORT } from "./xray-daemon.ts";

/** AWS: one vCPU for every 1,769 MB. */
const MEMORY_MIB_PER_CPU = 1769;
/** Initialisation is not held to the function's share: AWS gives it two CPUs, whatever the memory is. */
const INIT_CPU_MILLIS = 2000;
const PROCESSES_MAX = 1024;
const OPEN_FILES_MAX = 1024;
const TMP_INODES = 65_536;
/** The address that AWS has used since 2026. */
const RUNTIME_API_HOST = "169.254.100.1";

/** `2026/01/31/[$LATEST]<32 hex>`; a group of the user's own may hold several functions, so names there begin with the function's. */
export function logStreamName(settings: FunctionSettings, nowMs: number, id: string): string {
  const day = new Date(nowMs).toISOString().slice(0, 10).replaceAll("-", "/");
  const owner = settings.logging.group === `/aws/lambda/${settings.functionName}` ? "" : settings.functionName;
  return `${day}/${owner}[${settings.version}]${id}`;
}

/** `nodejs:24.21.0`, and the ARN that the API shows: a hash of the runtime's identifier, since a server has one build of each. */
export function runtimeVersion(settings: FunctionSettings, layout: RuntimeLayout): { runtimeVersion: string; runtimeVersionArn: string } {
  const name = /^[a-z]+/.exec(settings.runtime)?.[0] ?? settings.runtime;
  const version = `${name}:${layout.version}`;
  const hash = createHash("sha256").update(settings.runtime).digest("hex");
  return { runtimeVersion: version, runtimeVersionArn: `arn:aws:lambda:${settings.region}::runtime:${hash}` };
}

/** A function's share of CPU, in thousandths of one. */
export const cpuMillisOf = (memoryMiB: number): number => Math.max(1, Math.floor((memoryMiB / MEMORY_MIB_PER_CPU) * 1000));

/** Steps that users of AWS have measured: two CPUs up to 3,008 MB, then as many as the share touches, six at 10,240 MB. */
export const processorsOf = (memoryMiB: number): number =>
  memoryMiB <= 3008 ? 2 : Math.min(6, Math.max(3, Math.ceil(memoryMiB / MEMORY_MIB_PER_CPU)));

export interface SandboxSpecInput {
  readonly id: string;
  readonly settings: FunctionSettings;
  readonly layout: RuntimeLayout;
  readonly argv: readonly string[];
  readonly credentials: SessionCredentials;
  readonly logStream: string;
  readonly initializationType: InitializationType;
  readonly metadataToken: string;
  /** What of its code is compiled. */
  readonly compiled: readonly SandboxMount[];
  readonly endpoint: { readonly port: number; onConnection(socket: Socket, sandboxId: string): void };
  readonly network: "endpoint" | "internet";
  /** To the X-Ray daemon's address, if the function is traced. */
  readonly onDatagram: SandboxDatagrams["onDatagram"];
}

function mountsOf({ codeDirectory, layersDirectory, image }: FunctionSettings, layout: RuntimeLayout): SandboxSpec["mounts"] {
  if (image !== undefined) return [{ source: codeDirectory, target: "/" }];
  const code = { source: codeDirectory, target: "/var/task" };
  return [...layout.mounts, code, ...(layersDirectory === undefined ? [] : [{ source: layersDirectory, target: "/opt" }])];
}

export function sandboxSpec(input: SandboxSpecInput): SandboxSpec {
  const { id, settings, layout, argv, endpoint, network, onDatagram } = input;
  const runtimeApi = `${RUNTIME_API_HOST}:${RUNTIME_API_PORT}`;
  const endpointUrl = `http://127.0.0.1:${endpoint.port}`;
  return {
    id,
    mounts: [...mountsOf(settings, layout), ...input.compiled],
    argv: layout.takesHandler === true ? [...argv, settings.handler] : argv,
    env: functionVariables({ ...input, runtimeApi, endpointUrl }),
    workingDirectory: settings.image === undefined ? "/var/task" : workingDirectoryOf(settings.image),
    memoryBytes: settings.memoryMiB * 2 ** 20,
    cpuMillis: Math.max(INIT_CPU_MILLIS, cpuMillisOf(settings.memoryMiB)),
    processors: processorsOf(settings.memoryMiB),
    processesMax: PROCESSES_MAX,
    openFilesMax: OPEN_FILES_MAX,
    tmpBytes: settings.ephemeralStorageMiB * 2 ** 20,
    tmpInodes: TMP_INODES,
    listeners: [{ port: endpoint.port, onConnection: (socket) => endpoint.onConnection(socket, id) }],
    ...(settings.isTraced === true ? { datagrams: { port: XRAY_DAEMON_PORT, onDatagram } } : {}),
    network,
    isSupervised: true,
    ...(layout.emulator === undefined ? {} : { emulator: layout.emulator }),
  };
}
