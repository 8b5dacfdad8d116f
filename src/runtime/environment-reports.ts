// What the platform tells the log of an execution environment: how each init phase and each invocation began and ended, and what it took.
import { randomUUID } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { sampledTrace } from "../base/trace-header.ts";
import type { EnvironmentLog, LogTail } from "./environment-log.ts";
import type { EnvironmentSandbox } from "./environment-sandbox.ts";
import { verdictOf, type Verdict } from "./failures.ts";
import type { Figures, Flight } from "./flight.ts";
import type { InitializationType, PlatformEvent } from "./report.ts";
import type { InitEnding } from "./runtime-process.ts";
import { runtimeVersion } from "./sandbox-spec.ts";
import type { FunctionSettings, RuntimeLayout } from "./settings.ts";

/**
 * A memory figure that is younger is used again after an invocation that was too short to need much more: reading it for every one of a
 * thousand invocations a second would show in their time.
 */
const USAGE_AGE_MS_MAX = 100;
const USAGE_RUN_MS_MAX = 10;

export interface EnvironmentReportsOptions {
  readonly settings: FunctionSettings;
  readonly layout: RuntimeLayout;
  readonly initializationType: InitializationType;
  readonly clock: Clock;
  readonly log: Log;
  readonly functionLog: EnvironmentLog;
  readonly stream: string;
  /** Whose memory is told; undefined while there is none. */
  readonly sandbox: () => Pick<EnvironmentSandbox, "drained" | "memoryPeakMiB"> | undefined;
}

/** Both come in their order after those of the invocation before. */
interface EndOfInvocation {
  /** The end is in the log: the next invocation's output may follow. */
  readonly ended: Promise<unknown>;
  /** So is its last line, which may come later than that: memory is measured first. */
  readonly reported: Promise<void>;
}

export class EnvironmentReports {
  readonly #options: EnvironmentReportsOptions;
  readonly #instanceId = randomUUID();
  #memoryPeakMiB = 0;
  #measuredAtMs = -Infinity;
  #reported: Promise<void> | undefined;

  constructor(options: EnvironmentReportsOptions) {
    this.#options = options;
  }

  /** As far as it has been measured. */
  get memoryPeakMiB(): number {
    return this.#memoryPeakMiB;
  }

  initBegins(phase: "init" | "invoke"): void {
    const { settings, layout, initializationType, functionLog } = this.#options;
    // An image has no version of a runtime to tell.
    if (settings.image !== undefined) return;
    const { functionName, version: functionVersion, memoryMiB } = settings;
    const named = { initializationType, phase, functionName, functionVersion, instanceId: this.#instanceId, memoryMiB };
    functionLog.platform({ kind: "initStart", ...named, ...runtimeVersion(settings, layout) });
  }

  initEnds(phase: "init" | "invoke", ending: InitEnding, durationMs: number): void {
    const { initializationType, functionLog } = this.#options;
    const status = ending.kind === "ready" ? "success" : ending.kind === "timed-out" ? "timeout" : "error";
    const errorType = ending.kind === "ready" || ending.kind === "timed-out" ? undefined : verdictOf(ending, "", 0).reportedType;
    const done = { initializationType, phase, status, ...(errorType === undefined ? {} : { errorType }) } as const;
    functionLog.platform({ kind: "initRuntimeDone", ...done });
    functionLog.platform({ kind: "initReport", durationMs, ...done });
  }

  /** From here on, output belongs to this invocation. */
  begins(requestId: string, traceHeader: string, tail: LogTail | undefined): void {
    const { settings, functionLog } = this.#options;
    functionLog.begin(requestId, tail);
    functionLog.platform({ kind: "start", requestId, version: settings.version, traceHeader });
  }

  /** `overheadMs`: from the answer until the runtime could take another invocation. */
  runtimeDone(verdict: Verdict, { requestId, status, durationMs, latencyMs, errorType }: Figures, overheadMs = 0): void {
    const failure = errorType === undefined ? {} : { errorType };
    const producedBytes = verdict.producedBytes ?? verdict.payload.length;
    this.#options.functionLog.platform({
      kind: "runtimeDone",
      requestId,
      status,
      ...failure,
      durationMs,
      latencyMs,
      overheadMs,
      producedBytes,
    });
  }

  /** END when the function's last output is in the log, then REPORT when its memory is known. */
  ends(flight: Flight, verdict: Verdict, figures: Figures, isRuntimeTold: boolean): EndOfInvocation {
    const { settings, functionLog, sandbox } = this.#options;
    if (verdict.cause === "out-of-memory") this.#memoryPeakMiB = settings.memoryMiB;
    const drained = sandbox()?.drained() ?? Promise.resolve();
    const previous = this.#reported;
    const reserved = drained
      .then(() => previous)
      .then(() => {
        if (!isRuntimeTold) this.runtimeDone(verdict, figures);
        functionLog.platform({ kind: "end", requestId: figures.requestId });
        return functionLog.reserve();
      });
    this.#reported = this.#report(reserved, flight, figures);
    return { ended: reserved, reported: this.#reported };
  }

  async #report(reserved: Promise<(event: PlatformEvent) => void>, flight: Flight, figures: Figures): Promise<void> {
    // Who waits for the log's tail waits for this; everybody else's answer is sent before anything is asked.
    const measured = flight.tail === undefined ? undefined : this.#measure(true);
    const write = await reserved;
    await (measured ?? this.#measure(figures.durationMs > USAGE_RUN_MS_MAX));
    const { memoryMiB } = this.#options.settings;
    const trace = sampledTrace(flight.traceHeader) === undefined ? {} : { traceHeader: flight.traceHeader };
    write({ kind: "report", ...figures, ...trace, memoryMiB, memoryPeakMiB: this.#memoryPeakMiB });
  }

  async #measure(isUrgent: boolean): Promise<void> {
    const { clock, settings, log, stream } = this.#options;
    const sandbox = this.#options.sandbox();
    const now = clock.monotonic();
    if (sandbox === undefined || (!isUrgent && now - this.#measuredAtMs < USAGE_AGE_MS_MAX)) return;
    this.#measuredAtMs = now;
    try {
      const peak = await sandbox.memoryPeakMiB();
      this.#memoryPeakMiB = Math.min(Math.max(this.#memoryPeakMiB, peak), settings.memoryMiB);
    } catch (cause) {
      // A sandbox that has just ended may have no figures any more; the report then has the last ones.
      log.debug("memory use of an execution environment is not known", { stream, cause });
    }
  }
}
