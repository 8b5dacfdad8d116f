// The path of an invocation through the data plane: concurrency, environment, answer.
import type { Socket } from "node:net";
import { freemem, totalmem } from "node:os";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { Environment } from "../runtime/environment.ts";
import { kindOf, type PreparedSandboxes } from "../runtime/late-binding.ts";
import type { RuntimeLayout } from "../runtime/settings.ts";
import { SandboxError, type SandboxHost } from "../sandbox/sandbox.ts";
import type { LogSink, LogStreamName } from "../store/log-sink.ts";
import { Compilation } from "./compilation.ts";
import { Concurrency, type Claimant } from "./concurrency.ts";
import { cachedCredentials, type CredentialSource } from "./credentials.ts";
import {
  environmentKey,
  type Deployment,
  type InvocationRequest,
  type Invoker,
  type Outcome,
  type Provisioned,
  type Running,
} from "./invocation.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { Pool, type CreateEnvironment } from "./pool.ts";
import { PreparedPool } from "./prepared.ts";
import { ScalingRate } from "./scaling-rate.ts";

export interface DataPlaneLimits {
  /** Concurrent invocations for each account and region. AWS: 1,000. */
  readonly accountConcurrency: number;
  /** Execution environments at once, of all accounts: what this machine's memory allows. */
  readonly environmentsMax: number;
  /** Of these, sandboxes that wait without a function, so that a cold start finds its runtime booted. 0: none. Default an eighth, at most 8. */
  readonly preparedMax?: number;
  /** An environment that is idle for so long is destroyed. */
  readonly idleExpiryMs: number;
  /** Idle time after which the processes of an environment are frozen. Default 5. */
  readonly freezeAfterMs?: number;
  /** Invocations that may wait for an environment when there are `environmentsMax`. Default 1,000. */
  readonly waitersMax?: number;
  /** How long they wait. Default 10,000. */
  readonly waitMsMax?: number;
  /** How long running invocations may go on when the server stops. Default 5,000. */
  readonly stopGraceMs?: number;
}

export interface DataPlaneDeps {
  readonly sandboxes: SandboxHost;
  readonly runtimes: {
    /** Undefined: there is no such runtime. `missing`: there is, but it is not installed; the text says what to do. */
    resolve(runtime: string, architecture: Deployment["architecture"]): RuntimeLayout | { readonly missing: string } | undefined;
  };
  readonly logs: Pick<LogSink, "append">;
  /** May reject with a fault of the caller's, which then is what `invoke` rejects with: a role that is gone. */
  readonly credentials: CredentialSource;
  /** The port under which functions find this server, and where their connections go. */
  readonly endpoint: { readonly port: number; onConnection(socket: Socket, sandboxId: string): void };
  /** What functions reach besides. Default `endpoint`: nothing. */
  readonly network?: "endpoint" | "internet";
  /** How much of the machine's memory programs could still have, of 1. Default: what the kernel says. */
  readonly freeMemory?: () => number;
  /** Takes the document of a segment that a traced function has sent; does not throw. Absent: they are dropped. */
  segments?(from: Pick<Deployment, "account" | "region" | "functionName" | "roleArn">, document: string): void;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: DataPlaneLimits;
}

/** Of all accounts. */
export interface DataPlaneTotals {
  readonly invocations: number;
  readonly environments: number;
  /** Sandboxes that nobody used and that were given up because the machine's memory was short, so far. */
  readonly evicted: number;
}

export interface DataPlane extends Invoker {
  total(): DataPlaneTotals;
  /** Sandboxes that wait for a function now, and how many cold starts have found one so far. */
  prepared(): { readonly ready: number; readonly taken: number };
  /** New invocations are refused, running ones get a little time, then everything is destroyed. */
  stop(): Promise<void>;
}

const PREPARED_MAX = 8;
/** Less is free: nothing is made that nobody has asked for. */
const SPARE_MEMORY_MIN = 0.1;

const unavailable = (code: Extract<Outcome, { kind: "unavailable" }>["code"], message: string): Outcome => ({
  kind: "unavailable",
  code,
  message,
});

export function dataPlane(deps: DataPlaneDeps): DataPlane {
  return new LocalDataPlane(deps);
}

class LocalDataPlane implements DataPlane {
  readonly #deps: DataPlaneDeps;
  readonly #concurrency: Concurrency;
  readonly #scaling: ScalingRate;
  readonly #pool: Pool;
  readonly #prepared: PreparedPool;
  readonly #memory: MemoryWatch;
  readonly #compilation: Compilation;
  readonly #environmentOf: (deployment: Deployment, layout: RuntimeLayout) => CreateEnvironment;
  #stopped: Promise<void> | undefined;

  constructor(deps: DataPlaneDeps) {
    const { clock, limits } = deps;
    const { environmentsMax, idleExpiryMs, waitersMax = 1000, waitMsMax = 10_000 } = limits;
    this.#deps = deps;
    this.#concurrency = new Concurrency(limits.accountConcurrency, clock);
    this.#scaling = new ScalingRate(clock);
    const { freeMemory = () => freemem() / totalmem() } = deps;
    const hasMemory = () => freeMemory() > SPARE_MEMORY_MIN;
    const watched = () => this.#memory.begin();
    this.#compilation = new Compilation({ sandboxes: deps.sandboxes, clock, log: deps.log, hasMemory });
    this.#prepared = new PreparedPool({
      sandboxes: deps.sandboxes,
      clock,
      log: deps.log,
      preparedMax: limits.preparedMax ?? Math.min(PREPARED_MAX, Math.floor(environmentsMax / 8)),
      keepMs: idleExpiryMs,
      hasMemory,
      hasRoom: () => this.#pool.hasRoom,
      isShort: () => this.#pool.isShort,
      freed: () => this.#pool.roomFreed(),
      made: watched,
    });
    this.#environmentOf = environmentFactory(deps, this.#prepared);
    this.#pool = new Pool({ clock, environmentsMax, idleExpiryMs, waitersMax, waitMsMax, spare: this.#prepared, parked: watched });
    this.#memory = new MemoryWatch({
      clock,
      log: deps.log,
      freeMemory,
      unused: () => this.#pool.idle + this.#prepared.ready,
      giveUp: (endingMax) => this.#pool.giveUp(endingMax),
    });
  }

  async invoke(deployment: Deployment, request: InvocationRequest): Promise<Outcome> {
    if (this.#stopped !== undefined) return unavailable("stopping", "The server is stopping.");
    const claim = this.#concurrency.acquire(deployment, request.isEvent);
    if (claim.kind === "throttled") return claim;
    try {
      const last = this.#pool.takeIdle(environmentKey(deployment));
      const environment = last?.rested() === true ? last : await this.#another(last, deployment, request);
      const outcome = environment instanceof Environment ? await environment.invoke(request) : environment;
      const { provisioned } = claim;
      const didRun = outcome.kind === "returned" || outcome.kind === "failed";
      return provisioned === undefined || !didRun ? outcome : { ...outcome, provisioned };
    } finally {
      // When the answer is there, not before.
      claim.end();
    }
  }

  /** The idle one when its runtime is done with its last invocation, which it may end after; else the next idle one, or a new one. */
  async #another(idle: Environment | undefined, deployment: Deployment, request: InvocationRequest): Promise<Environment | Outcome> {
    for (let one = idle; one !== undefined; one = this.#pool.takeIdle(environmentKey(deployment))) {
      if (await one.rested()) return one;
      void one.stop();
    }
    return await this.#startOne(deployment, request);
  }

  provision(deployment: Deployment, count: number): boolean {
    const create: CreateEnvironment = (events, creation) => {
      const layout = this.#deps.runtimes.resolve(deployment.runtime, deployment.architecture);
      if (layout === undefined) throw new Error(`There is no runtime ${deployment.runtime}.`);
      if ("missing" in layout) throw new Error(layout.missing);
      this.#compilation.want(deployment, layout);
      return this.#environmentOf(deployment, layout)(events, creation);
    };
    if (this.#stopped !== undefined || !this.#pool.provision(deployment, count, create)) return false;
    this.#concurrency.provision(deployment, count);
    return true;
  }

  prepared(): { readonly ready: number; readonly taken: number } {
    const { ready, taken } = this.#prepared;
    return { ready, taken };
  }

  provisioned(key: string): Provisioned | undefined {
    return this.#pool.provisioned(key);
  }

  /** A cold start, or a wait for room; what is not an environment is the outcome. */
  async #startOne(deployment: Deployment, request: InvocationRequest): Promise<Environment | Outcome> {
    const layout = this.#deps.runtimes.resolve(deployment.runtime, deployment.architecture);
    if (layout === undefined) return unavailable("runtime-not-installed", `There is no runtime ${deployment.runtime}.`);
    if ("missing" in layout) return unavailable("runtime-not-installed", layout.missing);
    if (!this.#scaling.take(deployment.functionArn))
      return { kind: "throttled", reason: "ConcurrentInvocationLimitExceeded", retryAfterSeconds: 1 };
    const environment = await this.#pool.room(deployment, this.#environmentOf(deployment, layout), request);
    if (environment?.state !== "starting") this.#scaling.giveBack(deployment.functionArn);
    if (environment === undefined)
      return this.#stopped === undefined
        ? unavailable("overloaded", "All execution environments of this server are busy.")
        : unavailable("stopping", "The server is stopping.");
    if (environment.state !== "starting") return await this.#another(environment, deployment, request);
    // Of code that was unpacked anew, or deployed to another server: this start does without.
    this.#compilation.want(deployment, layout);
    try {
      await environment.start();
      return environment;
    } catch (cause) {
      void environment.stop();
      if (!(cause instanceof SandboxError)) throw cause;
      this.#deps.log.error("a sandbox could not be started", { function: deployment.functionArn, cause });
      return unavailable("sandbox-failed", cause.message);
    }
  }

  expect(deployment: Deployment): void {
    const { runtimes, endpoint, network = "endpoint", log } = this.#deps;
    const layout = runtimes.resolve(deployment.runtime, deployment.architecture);
    if (this.#stopped !== undefined || layout === undefined || "missing" in layout) return;
    this.#compilation.want(deployment, layout);
    kindOf(deployment, layout, { endpoint, network }).then(
      (kind) => (kind === undefined ? undefined : this.#prepared.expect(kind)),
      (cause: unknown) => log.warn("a function could not be prepared for", { function: deployment.functionArn, cause }),
    );
  }

  retire(deploymentKeys: readonly string[]): void {
    const keys = new Set(deploymentKeys);
    this.#pool.retire(keys);
    this.#concurrency.retire(keys);
  }

  reserve(owner: Pick<Deployment, "account" | "region" | "functionArn">, limit: number | undefined): void {
    this.#concurrency.reserve(owner, limit);
  }

  concurrency(account: string, region: string): { readonly busy: number; readonly environments: number } {
    return { busy: this.#concurrency.busy(account, region), environments: this.#pool.count(account, region) };
  }

  total(): DataPlaneTotals {
    return { invocations: this.#concurrency.total, environments: this.#pool.size, evicted: this.#memory.evicted };
  }

  running(owner: Claimant): Running {
    return this.#concurrency.running(owner);
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    const { clock, limits } = this.#deps;
    this.#pool.close();
    const compiled = this.#compilation.stop();
    const grace = Promise.withResolvers<void>();
    const timer = clock.after(limits.stopGraceMs ?? 5000, grace.resolve);
    await Promise.race([this.#concurrency.drained(), grace.promise]);
    timer.cancel();
    await Promise.all([this.#pool.stop(), this.#prepared.stop(), compiled]);
    this.#memory.stop();
  }
}

function environmentFactory(deps: DataPlaneDeps, prepared: PreparedSandboxes) {
  const { sandboxes, clock, log, endpoint, logs, limits } = deps;
  const credentials = cachedCredentials(deps.credentials, clock);
  return (deployment: Deployment, layout: RuntimeLayout): CreateEnvironment => {
    const { account, region, roleArn, functionName } = deployment;
    const { group } = deployment.logging;
    return (events, creation) => {
      // One object for all that it writes: the sink's thread gets it once for many lines.
      let name: LogStreamName | undefined;
      return new Environment({
        key: environmentKey(deployment),
        settings: deployment,
        layout,
        sandboxes,
        prepared,
        clock,
        log,
        credentials: () => credentials(roleArn, functionName),
        endpoint,
        network: deps.network ?? "endpoint",
        freezeAfterMs: limits.freezeAfterMs ?? 5,
        ...creation,
        append: (stream, records) => logs.append((name ??= { account, region, group, stream }), records),
        segment: (document) => deps.segments?.(deployment, document),
        events,
      });
    };
  };
}
