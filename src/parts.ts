// The drivers that a server stands on: clocks, log, stores, sandboxes, runtimes; each started once, and stopped after all that uses it.
import { join } from "node:path";
import { systemClock, type Clock } from "./base/clock.ts";
import type { Lifecycle } from "./base/lifecycle.ts";
import { logLines } from "./base/log-lines.ts";
import { jsonLog, textLog, type Log } from "./base/log.ts";
import { scaledClock } from "./base/scaled-clock.ts";
import type { Config } from "./config.ts";
import { installSecrets, type InstallSecrets } from "./install-keys.ts";
import { runtimeCatalog, type RuntimeCatalog } from "./runtime/managed.ts";
import { linuxSandboxHost } from "./sandbox/linux/host.ts";
import type { SandboxHost } from "./sandbox/sandbox.ts";
import type { BlobStore } from "./store/blob-store.ts";
import { diskBlobs } from "./store/disk-blobs.ts";
import type { LogSink } from "./store/log-sink.ts";
import type { MetricStore } from "./store/metric-store.ts";
import { sqliteLogSink } from "./store/sqlite/sqlite-log-sink.ts";
import { sqliteMetrics } from "./store/sqlite/sqlite-metrics.ts";
import { sqliteStorage } from "./store/sqlite/sqlite-storage.ts";
import { sqliteTraces } from "./store/sqlite/sqlite-traces.ts";
import type { Storage } from "./store/storage.ts";
import type { TraceStore } from "./store/trace-store.ts";

/** Drivers that tests replace by their siblings. */
export interface Parts {
  /** Real time: signatures, sessions, timeouts, SQS, what is shown. */
  readonly clock: Clock;
  /** Of events and deliveries: their ages, retries and delays; faster with `timeScale`. */
  readonly pace: Clock;
  readonly log: Log;
  readonly storage: Storage;
  readonly logs: LogSink;
  readonly metrics: MetricStore;
  readonly traces: TraceStore;
  readonly sandboxes: SandboxHost;
  readonly runtimes: RuntimeCatalog;
}

export interface Started extends Parts {
  readonly blobs: BlobStore;
  readonly secrets: InstallSecrets;
  readonly fail: (cause: Error) => void;
}

export async function startParts(config: Config, given: Partial<Parts>, life: Lifecycle, fail: (cause: Error) => void): Promise<Started> {
  const clock = given.clock ?? systemClock;
  const pace = given.pace ?? (config.timeScale === 1 ? clock : scaledClock(clock, config.timeScale));
  const log = given.log ?? serverLog(config, clock, life);
  const secrets = await installSecrets(config.dataDirectory);
  const storage = given.storage ?? (await sqliteStorage({ directory: config.dataDirectory, clock, pace, log, failed: fail }));
  life.onStop("store", () => storage.close());
  const logs = given.logs ?? sqliteLogSink({ directory: config.dataDirectory, clock, log });
  life.onStop("function logs", () => logs.close());
  const metrics = given.metrics ?? sqliteMetrics({ directory: config.dataDirectory });
  life.onStop("metrics", () => metrics.close());
  const traces = given.traces ?? sqliteTraces({ directory: config.dataDirectory });
  life.onStop("traces", () => traces.close());
  const blobs = await diskBlobs({ directory: join(config.dataDirectory, "blobs"), clock });
  const sandboxes = given.sandboxes ?? (await startSandboxes(config, log, fail));
  life.onStop("sandboxes", () => sandboxes.stop());
  const runtimes = given.runtimes ?? runtimeCatalog(config);
  return { clock, pace, log, storage, logs, metrics, traces, blobs, sandboxes, runtimes, secrets, fail };
}

function serverLog({ logLevel: level }: Config, clock: Clock, life: Lifecycle): Log {
  const { write, flush } = logLines(clock, (text) => void process.stderr.write(text));
  process.once("exit", flush);
  life.onStop("log", () => {
    process.off("exit", flush);
    flush();
  });
  return (process.stderr.isTTY ? textLog : jsonLog)({ clock, level, write });
}

async function startSandboxes(config: Config, log: Log, fail: (cause: Error) => void): Promise<SandboxHost> {
  const internet = config.network === "internet" ? { internet: { allowed: config.networkAllow } } : {};
  const host = await linuxSandboxHost({ launcherPath: config.launcherPath, log, ...internet });
  void host.died.then(fail);
  return host;
}
