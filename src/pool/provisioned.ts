// Environments that are kept initialised for a deployment, whether or not anybody invokes it: provisioned concurrency.
import { backoffMs } from "../base/backoff.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Environment } from "../runtime/environment.ts";
import type { Provisioned, ProvisioningProblem } from "./invocation.ts";

/** Makes one environment in the pool, not started yet; undefined: there is no room now. Throws for a runtime that is not there. */
export type Provision = () => Environment | undefined;

type Problem = Omit<ProvisioningProblem, "failures">;

interface Line {
  requested: number;
  readonly provision: Provision;
  readonly starting: Set<Environment>;
  readonly ready: Set<Environment>;
  /** In a row. */
  failures: number;
  problem: Problem | undefined;
  retry: Timer | undefined;
}

/** Of all deployments together: what is kept ready must not take the machine from what is invoked. */
const STARTING_MAX = 2;
const RETRY_MS = { first: 1000, max: 60_000 } as const;
/** How often those are looked for whose credentials become too old. */
const RENEWAL_INTERVAL_MS = 60_000;

export class ProvisionedEnvironments {
  readonly #clock: Clock;
  readonly #requestedMax: number;
  readonly #lines = new Map<string, Line>();
  #starting = 0;
  #renewal: Timer | undefined;

  /** `requestedMax`: of all deployments together. */
  constructor(clock: Clock, requestedMax: number) {
    this.#clock = clock;
    this.#requestedMax = requestedMax;
  }

  /** 0 ends it. False: this machine has no room for so many, and nothing has changed. */
  keep(key: string, requested: number, provision: Provision): boolean {
    const line = this.#lines.get(key);
    let others = 0;
    for (const [name, { requested: wanted }] of this.#lines) if (name !== key) others += wanted;
    if (others + requested > this.#requestedMax) return false;
    if (requested === 0) this.forget(key);
    else if (line !== undefined) line.requested = requested;
    else
      this.#lines.set(key, {
        requested,
        provision,
        starting: new Set(),
        ready: new Set(),
        failures: 0,
        problem: undefined,
        retry: undefined,
      });
    if (line !== undefined) this.#shrink(line);
    this.#renewal ??= this.#clock.after(RENEWAL_INTERVAL_MS, () => this.#renew());
    this.replenish();
    return true;
  }

  forget(key: string): void {
    const line = this.#lines.get(key);
    if (line === undefined) return;
    line.requested = 0;
    line.retry?.cancel();
    this.#lines.delete(key);
  }

  close(): void {
    this.#renewal?.cancel();
    for (const key of this.#lines.keys()) this.forget(key);
  }

  /** It neither expires nor makes room for others. */
  has(environment: Environment): boolean {
    return this.#lines.get(environment.key)?.ready.has(environment) === true;
  }

  isKept(key: string): boolean {
    return this.#lines.has(key);
  }

  state(key: string): Provisioned | undefined {
    const line = this.#lines.get(key);
    if (line === undefined) return undefined;
    const { requested, ready, failures, problem } = line;
    let available = 0;
    for (const { state } of ready) if (state === "idle") available++;
    return { requested, allocated: ready.size, available, ...(problem === undefined ? {} : { problem: { ...problem, failures } }) };
  }

  /** It ends: another one takes its place, after a second, so that a function which ends by itself does not keep the machine busy. */
  lost(environment: Environment): void {
    const line = this.#lines.get(environment.key);
    if (line?.ready.delete(environment) === true && line.retry === undefined) this.#retry(line, RETRY_MS.first);
  }

  /** Starts what is missing, each deployment in its turn. */
  replenish(): void {
    for (let didStart = true; didStart;) {
      didStart = false;
      for (const [key, line] of this.#lines) {
        if (this.#starting >= STARTING_MAX) return;
        if (line.retry !== undefined || freshOf(line) + line.starting.size >= line.requested) continue;
        const environment = this.#provision(line);
        if (environment === undefined) continue;
        didStart = true;
        // The next turn is somebody else's.
        this.#lines.delete(key);
        this.#lines.set(key, line);
        void this.#start(line, environment);
      }
    }
  }

  #provision(line: Line): Environment | undefined {
    try {
      return line.provision();
    } catch (cause) {
      this.#failed(line, problemOf(cause));
      return undefined;
    }
  }

  async #start(line: Line, environment: Environment): Promise<void> {
    this.#starting++;
    line.starting.add(environment);
    const problem = await startProblem(environment);
    this.#starting--;
    line.starting.delete(environment);
    if (problem !== undefined) {
      if (line.requested > 0) this.#failed(line, problem);
      void environment.stop();
    } else this.#started(line, environment);
    this.replenish();
  }

  #started(line: Line, environment: Environment): void {
    line.failures = 0;
    line.problem = undefined;
    if (freshOf(line) >= line.requested) return void environment.stop();
    line.ready.add(environment);
    environment.standBy();
    this.#shrink(line);
  }

  /** One that is getting too old is replaced ahead of that, and goes when the new one is ready. */
  #renew(): void {
    this.#renewal = this.#lines.size === 0 ? undefined : this.#clock.after(RENEWAL_INTERVAL_MS, () => this.#renew());
    this.replenish();
  }

  #failed(line: Line, problem: Problem): void {
    line.failures++;
    line.problem = problem;
    line.retry?.cancel();
    this.#retry(line, backoffMs(line.failures, RETRY_MS.first, RETRY_MS.max));
  }

  #retry(line: Line, delayMs: number): void {
    line.retry = this.#clock.after(delayMs, () => {
      line.retry = undefined;
      this.replenish();
    });
  }

  /** Busy ones that are too many are kept no longer: they expire like any other. */
  #shrink(line: Line): void {
    for (const environment of [...line.ready].toSorted((a, b) => rank(a) - rank(b))) {
      if (line.ready.size <= line.requested) return;
      line.ready.delete(environment);
      if (environment.state === "idle") void environment.stop();
    }
  }
}

/** Who goes first: the old ones, and of those that nobody uses. */
const rank = ({ state, isAgeing }: Environment): number => (isAgeing ? 0 : 2) + (state === "idle" ? 0 : 1);

/** Ready, and not to be replaced soon. */
const freshOf = ({ ready }: Line): number => [...ready].reduce((count, { isAgeing }) => (isAgeing ? count : count + 1), 0);

const problemOf = (cause: unknown): Problem => ({
  kind: "environment",
  message: cause instanceof Error ? cause.message : String(cause),
});

/** Undefined: it is initialised. */
async function startProblem(environment: Environment): Promise<Problem | undefined> {
  try {
    await environment.start();
  } catch (cause) {
    return problemOf(cause);
  }
  return environment.state === "idle" ? undefined : { kind: "init", message: "The function's initialization failed." };
}
