// One invocation inside an execution environment: what it was asked, how long it took, what it came to.
import type { Clock } from "../base/clock.ts";
import type { LogTail } from "./environment-log.ts";
import type { Verdict } from "./failures.ts";
import type { InvokeStatus } from "./report.ts";
import type { ResponseSink } from "./response-sink.ts";

export interface EnvironmentInvocation {
  readonly requestId: string;
  readonly payload: Uint8Array;
  readonly invokedArn: string;
  /** As the caller sent it; the function gets one that is complete. */
  readonly traceHeader?: string;
  readonly clientContext?: string;
  readonly cognitoIdentity?: string;
  readonly wantsLogTail: boolean;
  /** Takes the response as it comes; what a runtime does not stream is in the result as ever. */
  readonly response?: ResponseSink;
}

export interface EnvironmentReport {
  readonly logTail?: Uint8Array;
  readonly durationMs: number;
  /** Until the response began. */
  readonly latencyMs: number;
  readonly billedMs: number;
  /** Without a log tail this is the figure of the last measurement: the answer does not wait for a new one. */
  readonly memoryPeakMiB: number;
  readonly initMs?: number;
}

export type EnvironmentResult =
  | { readonly kind: "returned"; readonly payload: Uint8Array; readonly report: EnvironmentReport }
  | {
      readonly kind: "failed";
      readonly cause: NonNullable<Verdict["cause"]>;
      readonly errorType: string;
      readonly payload: Uint8Array;
      readonly report: EnvironmentReport;
    }
  | { readonly kind: "unavailable"; readonly code: "sandbox-failed" | "stopping"; readonly message: string };

/** An invocation that has begun. */
export interface Flight {
  readonly invocation: EnvironmentInvocation;
  /** Monotonic. */
  readonly startedMs: number;
  /** Wall time. */
  readonly deadlineMs: number;
  /** Complete. */
  readonly traceHeader: string;
  readonly tail: LogTail | undefined;
  /** Monotonic; when the first bytes of a response that is streamed were there. */
  respondedMs?: number;
}

export interface Figures {
  readonly requestId: string;
  readonly status: InvokeStatus;
  readonly errorType?: string;
  readonly durationMs: number;
  /** Until the response began. */
  readonly latencyMs: number;
  readonly billedMs: number;
  readonly initMs?: number;
}

/** Notes when the response begins. */
export function timedResponse(flight: Flight, sink: ResponseSink, clock: Clock): ResponseSink {
  return {
    begin(contentType) {
      flight.respondedMs = clock.monotonic();
      sink.begin(contentType);
    },
    write: (chunk) => sink.write(chunk),
  };
}

/** Durations have two decimals, as they are shown; what is billed is whole milliseconds, since August 2025 with the init phase. */
export function figuresOf(flight: Flight, verdict: Verdict, nowMs: number, timeoutMs: number, initMs: number | undefined): Figures {
  const span = (untilMs: number) => Math.round(Math.min(untilMs - flight.startedMs, timeoutMs) * 100) / 100;
  const durationMs = span(nowMs);
  const { status, reportedType: errorType } = verdict;
  return {
    requestId: flight.invocation.requestId,
    status,
    ...(errorType === undefined ? {} : { errorType }),
    durationMs,
    latencyMs: span(flight.respondedMs ?? nowMs),
    billedMs: Math.max(1, Math.ceil(durationMs + (initMs ?? 0))),
    ...(initMs === undefined ? {} : { initMs }),
  };
}

export function resultOf(flight: Flight, verdict: Verdict, figures: Figures, memoryPeakMiB: number): EnvironmentResult {
  const { durationMs, latencyMs, billedMs, initMs } = figures;
  const report: EnvironmentReport = {
    ...(flight.tail === undefined ? {} : { logTail: flight.tail.bytes() }),
    durationMs,
    latencyMs,
    billedMs,
    memoryPeakMiB,
    ...(initMs === undefined ? {} : { initMs }),
  };
  const { cause, payload } = verdict;
  if (cause === undefined) return { kind: "returned", payload, report };
  return { kind: "failed", cause, errorType: verdict.errorType ?? "Runtime.Unknown", payload, report };
}
