// Which execution environments there are, who is idle, who has to go, and who waits for room.
import type { Clock, Timer } from "../base/clock.ts";
import type { Environment, EnvironmentEvents } from "../runtime/environment.ts";
import type { InitializationType } from "../runtime/report.ts";
import { environmentKey, type Deployment, type InvocationRequest, type Provisioned } from "./invocation.ts";
import { ProvisionedEnvironments } from "./provisioned.ts";
import { WaitingLine } from "./waiting-line.ts";

export interface PoolOptions {
  readonly clock: Clock;
  /** Environments at once, those included that are being started or destroyed. */
  readonly environmentsMax: number;
  readonly idleExpiryMs: number;
  /** Invocations that may wait for room, and how long. */
  readonly waitersMax: number;
  readonly waitMsMax: number;
  /** What takes up room and is nobody's. */
  readonly spare?: Spare;
  /** An environment has become idle. */
  readonly parked?: () => void;
}

/** Room that is used for what is not needed: prepared sandboxes. */
export interface Spare {
  /** Environments' worth of room. */
  readonly count: number;
  /** Of these, on their way out. */
  readonly ending: number;
  /** Gives up one; the pool is told by `roomFreed`. False: there is nothing to give up. */
  drop(): boolean;
}

export interface Creation {
  /** The last environment of the deployment failed to initialise. */
  readonly skipsInit: boolean;
  readonly initializationType: InitializationType;
}

/** Makes an environment without starting it. */
export type CreateEnvironment = (events: EnvironmentEvents, creation: Creation) => Environment;

/** Of all environments; as on AWS, a tenth stays for what nobody has provisioned. */
const PROVISIONED_SHARE_MAX = 0.9;

/** A deployment whose init failed is remembered until it succeeds; this many are. */
const FAILING_MAX = 10_000;

interface Waiter {
  readonly deployment: Deployment;
  readonly create: CreateEnvironment;
  readonly isEvent: boolean;
  isRetired: boolean;
  readonly resolve: (environment: Environment | undefined) => void;
}

/** Who waits: a caller, who may give up, or an event. */
type Waiting = Pick<InvocationRequest, "signal" | "isEvent">;

export class Pool {
  readonly #options: PoolOptions;
  readonly #present = new Map<Environment, Deployment>();
  /** By what they belong to; the last one was used last. */
  readonly #idle = new Map<string, Environment[]>();
  /** All idle ones with the time since when, the longest idle first. */
  readonly #idleSince = new Map<Environment, number>();
  readonly #stopping = new Set<Environment>();
  readonly #waiters: WaitingLine<Waiter>;
  readonly #failing = new Set<string>();
  readonly #events: EnvironmentEvents;
  readonly #provisioned: ProvisionedEnvironments;
  /** There was no room for an environment that is to be kept. */
  #isShort = false;
  #sweep: Timer | undefined;
  #isStopping = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#waiters = new WaitingLine(options.waitersMax);
    this.#provisioned = new ProvisionedEnvironments(options.clock, Math.floor(options.environmentsMax * PROVISIONED_SHARE_MAX));
    this.#events = {
      initialised: (environment, mayWork) => this.#remember(this.#present.get(environment)?.key ?? environment.key, mayWork),
      released: (environment) => this.#onReleased(environment),
      stopping: (environment) => this.#onStopping(environment),
      dead: (environment) => this.#onDead(environment),
    };
  }

  /** A provisioned environment if there is one; else the one of the deployment that was used last, so that the others may expire. */
  takeIdle(key: string): Environment | undefined {
    for (let line = this.#idle.get(key); line !== undefined; line = this.#idle.get(key)) {
      const kept = this.#provisioned.isKept(key) ? line.findLast((one) => this.#provisioned.has(one)) : undefined;
      const environment = kept ?? line.at(-1);
      if (environment === undefined) return undefined;
      this.#forgetIdle(environment);
      if (environment.isUsable) return environment;
      void environment.stop();
    }
    return undefined;
  }

  /**
   * Room for one more: a new environment, not started yet, or another's that has just become free. Undefined: there is none, not
   * even after waiting; or the pool is stopping. A waiter whose signal is aborted gives up its place.
   */
  room(deployment: Deployment, create: CreateEnvironment, request: Waiting): Promise<Environment | undefined> {
    if (this.#isStopping) return Promise.resolve(undefined);
    if (this.#free > 0 && this.#waiters.length === 0) return Promise.resolve(this.#create(deployment, create));
    return this.#wait(deployment, create, request);
  }

  /** Whether nobody waits, and there would be room for one more. */
  get hasRoom(): boolean {
    return !this.#isStopping && this.#free > 0 && !this.isShort;
  }

  /** Whether somebody waits for room. */
  get isShort(): boolean {
    return this.#waiters.length > 0;
  }

  get #leaving(): number {
    return this.#stopping.size + (this.#options.spare?.ending ?? 0);
  }

  get #free(): number {
    return this.#options.environmentsMax - this.#present.size - (this.#options.spare?.count ?? 0);
  }

  /**
   * Keeps so many environments of the deployment initialised until told otherwise, or until it is retired. 0 ends it. False: this
   * machine has no room for so many, and nothing has changed. `create` may throw: that is tried again, and told by `provisioned`.
   */
  provision(deployment: Deployment, requested: number, create: CreateEnvironment): boolean {
    return !this.#isStopping && this.#provisioned.keep(deployment.key, requested, () => this.#createKept(deployment, create));
  }

  /** Undefined: nothing is kept for this deployment. */
  provisioned(key: string): Provisioned | undefined {
    return this.#provisioned.state(key);
  }

  /** Busy ones finish what they do; nobody gets them again. */
  retire(keys: ReadonlySet<string>): void {
    for (const key of keys) {
      this.#failing.delete(key);
      this.#provisioned.forget(key);
    }
    for (const waiter of this.#waiters.items()) if (keys.has(waiter.deployment.key)) waiter.isRetired = true;
    for (const [environment, { key }] of this.#present) {
      if (!keys.has(key)) continue;
      environment.retire();
      if (this.#idleSince.has(environment)) void environment.stop();
    }
  }

  get size(): number {
    return this.#present.size;
  }

  get idle(): number {
    return this.#idleSince.size;
  }

  /**
   * Gives up what nobody uses until so many are on their way out: what is prepared, then what has been idle for longest; never what is
   * provisioned, which AWS takes away from nobody. Returns how many it gave up.
   */
  giveUp(endingMax: number): number {
    let count = 0;
    while (this.#leaving < endingMax && this.#giveUpOne()) count++;
    return count;
  }

  count(account: string, region: string): number {
    let count = 0;
    for (const deployment of this.#present.values()) if (deployment.account === account && deployment.region === region) count++;
    return count;
  }

  /** Nothing new starts, nobody waits, the idle ones go. */
  close(): void {
    this.#isStopping = true;
    this.#sweep?.cancel();
    this.#provisioned.close();
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) waiter.resolve(undefined);
    for (const environment of this.#idleSince.keys()) void environment.stop();
  }

  /** Destroys all that are left; resolves when nothing is. */
  async stop(): Promise<void> {
    this.close();
    await Promise.all([...this.#present.keys()].map((environment) => environment.stop()));
  }

  #create(deployment: Deployment, create: CreateEnvironment): Environment {
    const environment = create(this.#events, { skipsInit: this.#failing.has(deployment.key), initializationType: "on-demand" });
    this.#present.set(environment, deployment);
    return environment;
  }

  /** Those who wait for room come first. */
  #createKept(deployment: Deployment, create: CreateEnvironment): Environment | undefined {
    this.#isShort = this.#free <= 0 || this.#waiters.length > 0;
    if (this.#isShort) {
      if (this.#leaving === 0) this.#giveUpOne();
      return undefined;
    }
    const environment = create(this.#events, { skipsInit: false, initializationType: "provisioned-concurrency" });
    this.#present.set(environment, deployment);
    return environment;
  }

  #wait(deployment: Deployment, create: CreateEnvironment, request: Waiting): Promise<Environment | undefined> {
    const { signal, isEvent = false } = request;
    return new Promise((resolve) => {
      const key = environmentKey(deployment);
      const giveUp = () => {
        this.#waiters.remove(key, waiter);
        waiter.resolve(undefined);
      };
      const timer = this.#options.clock.after(this.#options.waitMsMax, giveUp);
      const waiter: Waiter = {
        deployment,
        create,
        isEvent,
        isRetired: false,
        resolve: (environment) => {
          timer.cancel();
          signal?.removeEventListener("abort", giveUp);
          resolve(environment);
        },
      };
      if (signal?.aborted === true || !this.#waiters.push(key, waiter)) return waiter.resolve(undefined);
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#evict();
    });
  }

  /** Makes room for those who wait: the environment goes that nobody has used for longest, whosever it is. */
  #evict(): void {
    if (this.#leaving < this.#waiters.length) this.#giveUpOne();
  }

  /** False: there is nothing that nobody uses. */
  #giveUpOne(): boolean {
    if (this.#options.spare?.drop() === true) return true;
    const oldest = this.#oldest();
    void oldest?.stop();
    return oldest !== undefined;
  }

  #oldest(): Environment | undefined {
    for (const environment of this.#idleSince.keys()) if (!this.#provisioned.has(environment)) return environment;
    return undefined;
  }

  #onReleased(environment: Environment): void {
    if (this.#isStopping) return void environment.stop();
    if (this.#waiters.length === 0) {
      this.#park(environment);
      if (this.#isShort) this.#provisioned.replenish();
      return;
    }
    if (this.#waiters.nextKey === environment.key && environment.isUsable) return this.#waiters.shift()?.resolve(environment);
    this.#park(environment);
    this.#evict();
  }

  #park(environment: Environment): void {
    const line = this.#idle.get(environment.key);
    if (line === undefined) this.#idle.set(environment.key, [environment]);
    else line.push(environment);
    this.#idleSince.set(environment, this.#options.clock.monotonic());
    this.#sweep ??= this.#options.clock.after(this.#options.idleExpiryMs, () => this.#expire());
    this.#options.parked?.();
  }

  #forgetIdle(environment: Environment): void {
    if (!this.#idleSince.delete(environment)) return;
    const line = this.#idle.get(environment.key) ?? [];
    if (line.at(-1) === environment) line.pop();
    else line.splice(line.indexOf(environment), 1);
    if (line.length === 0) this.#idle.delete(environment.key);
  }

  #expire(): void {
    this.#sweep = undefined;
    const { clock, idleExpiryMs } = this.#options;
    for (const [environment, sinceMs] of this.#idleSince) {
      if (this.#provisioned.has(environment)) continue;
      const leftMs = sinceMs + idleExpiryMs - clock.monotonic();
      if (leftMs > 0) {
        this.#sweep = clock.after(leftMs, () => this.#expire());
        return;
      }
      void environment.stop();
    }
  }

  #onStopping(environment: Environment): void {
    this.#forgetIdle(environment);
    this.#stopping.add(environment);
    this.#provisioned.lost(environment);
  }

  #onDead(environment: Environment): void {
    this.#stopping.delete(environment);
    this.#present.delete(environment);
    this.roomFreed();
  }

  /** Those who wait are served, in their order. */
  roomFreed(): void {
    while (!this.#isStopping && this.#free > 0) {
      const waiter = this.#waiters.shift();
      if (waiter === undefined) break;
      const fresh = this.#create(waiter.deployment, waiter.create);
      if (waiter.isRetired) fresh.retire();
      waiter.resolve(fresh);
    }
    this.#provisioned.replenish();
  }

  #remember(key: string, mayWork: boolean): void {
    this.#failing.delete(key);
    if (mayWork) return;
    this.#failing.add(key);
    const [oldest] = this.#failing;
    if (this.#failing.size > FAILING_MAX && oldest !== undefined) this.#failing.delete(oldest);
  }
}
