// What the platform itself writes into a function's log: START, END, REPORT, INIT_START and INIT_REPORT, as text and as JSON.
import { sampledTrace } from "../base/trace-header.ts";
import type { ExtensionNotice } from "./extensions.ts";
import type { LogSettings, SystemLevel } from "./settings.ts";

/** Why an environment is initialised: an invocation waits for it, or it is kept ready. */
export type InitializationType = "on-demand" | "provisioned-concurrency";

export type InvokeStatus = "success" | "error" | "failure" | "timeout";

export type PlatformEvent =
  | {
      readonly kind: "initStart";
      readonly initializationType: InitializationType;
      readonly phase: "init" | "invoke";
      readonly functionName: string;
      readonly functionVersion: string;
      readonly runtimeVersion: string;
      readonly runtimeVersionArn: string;
      /** Of the environment. */
      readonly instanceId: string;
      readonly memoryMiB: number;
    }
  | {
      readonly kind: "initRuntimeDone";
      readonly initializationType: InitializationType;
      readonly phase: "init" | "invoke";
      readonly status: InvokeStatus;
      readonly errorType?: string;
    }
  | {
      readonly kind: "initReport";
      readonly initializationType: InitializationType;
      readonly phase: "init" | "invoke";
      readonly durationMs: number;
      readonly status: InvokeStatus;
      readonly errorType?: string;
    }
  | ({ readonly kind: "extension" } & ExtensionNotice)
  | { readonly kind: "subscription"; readonly api: "telemetry" | "logs"; readonly name: string; readonly types: readonly string[] }
  | { readonly kind: "start"; readonly requestId: string; readonly version: string; readonly traceHeader?: string }
  | {
      readonly kind: "runtimeDone";
      readonly requestId: string;
      readonly status: InvokeStatus;
      readonly errorType?: string;
      readonly durationMs: number;
      /** Until its response began; the rest is the response's own time. */
      readonly latencyMs: number;
      /** From its end until the runtime could take another invocation. */
      readonly overheadMs: number;
      readonly producedBytes: number;
    }
  /** Runtime and extensions are done with the invocation. The text format's, and the Logs API's. */
  | { readonly kind: "end"; readonly requestId: string }
  | {
      readonly kind: "report";
      readonly requestId: string;
      readonly status: InvokeStatus;
      readonly errorType?: string;
      readonly durationMs: number;
      readonly billedMs: number;
      readonly memoryMiB: number;
      readonly memoryPeakMiB: number;
      readonly initMs?: number;
      /** Present: the trace is recorded. */
      readonly traceHeader?: string;
    };

const LEVEL_RANK: Record<SystemLevel, number> = { DEBUG: 0, INFO: 1, WARN: 2 };

const ms = (value: number): string => `${value.toFixed(2)} ms`;
/** JSON has three decimals at most. */
const metric = (value: number): number => Math.round(value * 1000) / 1000;

function statusText(status: InvokeStatus, errorType: string | undefined): string {
  if (status === "success") return "";
  if (status === "timeout") return "Status: timeout";
  return `Status: error\tError Type: ${errorType ?? "Runtime.Unknown"}`;
}

type Kind<K extends PlatformEvent["kind"]> = Extract<PlatformEvent, { kind: K }>;

function reportText(event: Kind<"report">): string {
  const init = event.initMs === undefined ? "" : `Init Duration: ${ms(event.initMs)}\t`;
  const memory = `Memory Size: ${event.memoryMiB} MB\tMax Memory Used: ${event.memoryPeakMiB} MB`;
  const head = `REPORT RequestId: ${event.requestId}\tDuration: ${ms(event.durationMs)}\tBilled Duration: ${event.billedMs} ms`;
  // A handler's own error is no failure of the platform: the text has only those.
  const status = event.status === "error" ? "" : statusText(event.status, event.errorType);
  return `${head}\t${memory}\t${init}${status}${traceText(event)}`;
}

function traceText({ traceHeader }: Kind<"report">): string {
  const trace = sampledTrace(traceHeader);
  return trace === undefined ? "" : `\nXRAY TraceId: ${trace.root}\tSegmentId: ${trace.parent}\tSampled: true`;
}

const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

function extensionText({ name, state, events, errorType }: Kind<"extension">): string {
  const error = errorType === undefined ? "" : `\tError Type: ${errorType}`;
  return `EXTENSION\tName: ${name}\tState: ${state}\tEvents: [${events.join(", ")}]${error}`;
}

/** The line of the text format, without its newline; absent: the text format does not have this event. */
export function platformText(event: PlatformEvent): string | undefined {
  if (event.kind === "extension") return extensionText(event);
  if (event.kind === "subscription")
    return `${event.api.toUpperCase()}\tName: ${event.name}\tState: Subscribed\tTypes: [${event.types.map(capitalised).join(", ")}]`;
  if (event.kind === "initStart") {
    // Within an invocation, it stands after START, where AWS's log has none.
    if (event.phase === "invoke") return undefined;
    return `INIT_START Runtime Version: ${event.runtimeVersion}\tRuntime Version ARN: ${event.runtimeVersionArn}`;
  }
  if (event.kind === "start") return `START RequestId: ${event.requestId} Version: ${event.version}`;
  if (event.kind === "end") return `END RequestId: ${event.requestId}`;
  if (event.kind === "report") return reportText(event);
  if (event.kind === "initRuntimeDone" || event.kind === "runtimeDone" || event.status === "success") return undefined;
  return `INIT_REPORT Init Duration: ${ms(event.durationMs)}\tPhase: ${event.phase}\t${statusText(event.status, event.errorType)}`;
}

/** Members in AWS's order; an absent error type is left out by JSON. */
export function recordOf(event: PlatformEvent): object {
  if (event.kind === "extension") return { name: event.name, state: event.state, events: event.events, errorType: event.errorType };
  if (event.kind === "subscription") return { name: event.name, state: "Subscribed", types: event.types };
  if (event.kind === "end") return { requestId: event.requestId };
  if (event.kind === "start") return { requestId: event.requestId, version: event.version };
  if (event.kind === "initStart") {
    const { initializationType, phase, functionName, functionVersion, runtimeVersion, runtimeVersionArn, instanceId } = event;
    const instanceMaxMemory = event.memoryMiB * 2 ** 20;
    return { initializationType, phase, runtimeVersion, runtimeVersionArn, functionName, functionVersion, instanceId, instanceMaxMemory };
  }
  const { status, errorType } = event;
  if (event.kind === "initRuntimeDone") {
    const { initializationType, phase } = event;
    return { initializationType, phase, status, errorType };
  }
  const durationMs = metric(event.durationMs);
  if (event.kind === "initReport") {
    const { initializationType, phase } = event;
    return { initializationType, phase, status, errorType, metrics: { durationMs } };
  }
  const { requestId } = event;
  if (event.kind === "runtimeDone") return { requestId, status, errorType, metrics: { durationMs, producedBytes: event.producedBytes } };
  const metrics = {
    durationMs,
    billedDurationMs: event.billedMs,
    memorySizeMB: event.memoryMiB,
    maxMemoryUsedMB: event.memoryPeakMiB,
    initDurationMs: event.initMs === undefined ? undefined : metric(event.initMs),
  };
  return { requestId, metrics, status, errorType };
}

/** `platform.start` */
export function typeOf(event: PlatformEvent): string {
  return event.kind === "subscription" ? `platform.${event.api}Subscription` : `platform.${event.kind}`;
}

function levelOf(event: PlatformEvent): SystemLevel {
  if (event.kind === "extension") return event.errorType === undefined ? "INFO" : "WARN";
  if ("status" in event && event.status !== "success") return "WARN";
  if (event.kind === "initReport") return event.initializationType === "on-demand" ? "DEBUG" : "INFO";
  return event.kind === "initRuntimeDone" || event.kind === "runtimeDone" ? "DEBUG" : "INFO";
}

function tracingOf(event: PlatformEvent): object {
  const trace = event.kind === "report" ? sampledTrace(event.traceHeader) : undefined;
  if (event.kind !== "report" || trace === undefined) return {};
  return { tracing: { spanId: trace.parent, type: "X-Amzn-Trace-Id", value: event.traceHeader } };
}

/** The event as the function's log format has it; absent: the format or the level leaves it out. `tenantId`: whose invocation it is. */
export function platformLine(event: PlatformEvent, logging: LogSettings, nowMs: number, tenantId?: string): string | undefined {
  if (logging.format === "Text") return platformText(event);
  if (event.kind === "end" || LEVEL_RANK[levelOf(event)] < LEVEL_RANK[logging.systemLevel ?? "INFO"]) return undefined;
  const record = "requestId" in event ? { ...recordOf(event), tenantId, ...tracingOf(event) } : recordOf(event);
  return JSON.stringify({ time: new Date(nowMs).toISOString(), type: typeOf(event), record });
}
