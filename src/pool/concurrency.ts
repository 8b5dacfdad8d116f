// How many invocations may run at once, and begin in a second: the account's limit, and what functions have of it for themselves.
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
import type { Clock } from "../base/clock.ts";
import type { Deployment, ProvisionedUse, Running, ThrottleReason } from "./invocation.ts";
import { RequestRate } from "./request-rate.ts";

export type Owner = Pick<Deployment, "account" | "region" | "functionArn">;
/** The deployment's key is what provisioned concurrency belongs to. */
export type Claimant = Owner & Pick<Deployment, "key">;

export interface Throttled {
  readonly kind: "throttled";
  readonly reason: ThrottleReason;
  readonly retryAfterSeconds: number;
}

/** One invocation that runs, until it is ended; ending it again does nothing. */
export class Lease {
  readonly kind = "lease";
  readonly provisioned: ProvisionedUse | undefined;
  #giveBack: (() => void) | undefined;

  constructor(provisioned: ProvisionedUse | undefined, giveBack: () => void) {
    this.provisioned = provisioned;
    this.#giveBack = giveBack;
  }

  end(): void {
    this.#giveBack?.();
    this.#giveBack = undefined;
  }
}

/** Or the limit that it would have exceeded, and nothing is held. */
export type Claim = Lease | Throttled;

/** "Each instance of your execution environment can serve up to 10 requests per second." */
const REQUESTS_PER_SECOND = 10;
/** Functions that are remembered for their rate although nothing of them runs and nothing is set. */
const QUIET_MAX = 10_000;

/** A second is exact for rates; for concurrency, whose end nobody knows, it is the least that the header can say. */
const throttled = (reason: ThrottleReason): Throttled => ({ kind: "throttled", reason, retryAfterSeconds: 1 });

const tooFast = ({ reserved }: FunctionUse): Throttled =>
  throttled(reserved === undefined ? "FunctionInvocationRateLimitExceeded" : "ReservedFunctionInvocationRateLimitExceeded");

/** Provisioned concurrency of one deployment. */
interface Kept {
  count: number;
  busy: number;
  readonly rate: RequestRate;
}

interface FunctionUse {
  busy: number;
  /** Of those, the ones beyond what is provisioned. */
  onDemand: number;
  reserved: number | undefined;
  provisioned: number;
  /** By deployment key. */
  readonly kept: Map<string, Kept>;
  readonly rate: RequestRate;
}

/** An account in a region. */
interface Scope {
  busy: number;
  /** Those that take from what nobody has for himself. */
  shared: number;
  /** What functions have for themselves. */
  committed: number;
  readonly functions: Map<string, FunctionUse>;
}

/** A reservation includes what is provisioned. */
const commitmentOf = ({ reserved, provisioned }: FunctionUse): number => reserved ?? provisioned;

export class Concurrency {
  readonly #accountLimit: number;
  readonly #clock: Clock;
  /** By account and region. */
  readonly #scopes = new Map<string, Map<string, Scope>>();
  /** Whose deployments these keys are. */
  readonly #provisioned = new Map<string, Claimant>();
  #leases = 0;
  #drained: PromiseWithResolvers<void> | undefined;

  /** `accountLimit`: for each account and region. */
  constructor(accountLimit: number, clock: Clock) {
    this.#accountLimit = accountLimit;
    this.#clock = clock;
  }

  /** What is provisioned is taken first, then what is reserved or shared. The rate of events is not limited. */
  acquire(claimant: Claimant, isEvent = false): Claim {
    const scope = this.#scopeOf(claimant);
    const use = this.#useOf(scope, claimant.functionArn);
    if (use.reserved !== undefined && use.busy >= use.reserved) return throttled("ReservedFunctionConcurrentInvocationLimitExceeded");
    if (scope.busy >= this.#accountLimit) return throttled("ConcurrentInvocationLimitExceeded");
    const kept = use.kept.get(claimant.key);
    if (kept === undefined) return this.#onDemand(scope, use, isEvent);
    const { busy, count } = kept;
    const spillover = { isSpillover: true, busy, count };
    if (busy >= count) return this.#onDemand(scope, use, isEvent, spillover);
    if (this.#admits(kept.rate, count, isEvent)) return this.#lease(scope, use, { isSpillover: false, busy: busy + 1, count }, kept);
    const beyond = this.#onDemand(scope, use, isEvent, spillover);
    return beyond.kind === "lease" ? beyond : tooFast(use);
  }

  /** From now on; undefined: nothing is reserved for the function. What runs already goes on. */
  reserve(owner: Owner, limit: number | undefined): void {
    const scope = this.#scopeOf(owner);
    const use = this.#useOf(scope, owner.functionArn);
    scope.committed -= commitmentOf(use);
    use.reserved = limit;
    scope.committed += commitmentOf(use);
  }

  /** From now on; 0 ends it. */
  provision(claimant: Claimant, count: number): void {
    const scope = this.#scopeOf(claimant);
    const use = this.#useOf(scope, claimant.functionArn);
    const kept = use.kept.get(claimant.key) ?? { count: 0, busy: 0, rate: new RequestRate() };
    scope.committed -= commitmentOf(use);
    use.provisioned += count - kept.count;
    kept.count = count;
    scope.committed += commitmentOf(use);
    if (count === 0) {
      use.kept.delete(claimant.key);
      this.#provisioned.delete(claimant.key);
    } else {
      use.kept.set(claimant.key, kept);
      this.#provisioned.set(claimant.key, claimant);
    }
  }

  /** What is provisioned for these deployments is so no longer. */
  retire(deploymentKeys: ReadonlySet<string>): void {
    for (const key of deploymentKeys) {
      const claimant = this.#provisioned.get(key);
      if (claimant !== undefined) this.provision(claimant, 0);
    }
  }

  /** Resolves when nothing runs any more. */
  drained(): Promise<void> {
    if (this.#leases === 0) return Promise.resolve();
    this.#drained ??= Promise.withResolvers<void>();
    return this.#drained.promise;
  }

  get total(): number {
    return this.#leases;
  }

  busy(account: string, region: string): number {
    return this.#scopes.get(account)?.get(region)?.busy ?? 0;
  }

  running(claimant: Claimant): Running {
    const scope = this.#scopeOf(claimant);
    return { function: scope.functions.get(claimant.functionArn)?.busy ?? 0, account: scope.busy, unreserved: scope.shared };
  }

  #onDemand(scope: Scope, use: FunctionUse, isEvent: boolean, provisioned?: ProvisionedUse): Claim {
    const { reserved } = use;
    if (reserved === undefined) {
      if (scope.shared >= this.#accountLimit - scope.committed) return throttled("ConcurrentInvocationLimitExceeded");
    } else if (use.onDemand >= reserved - use.provisioned) return throttled("ReservedFunctionConcurrentInvocationLimitExceeded");
    return this.#admits(use.rate, reserved ?? this.#accountLimit, isEvent) ? this.#lease(scope, use, provisioned) : tooFast(use);
  }

  #admits(rate: RequestRate, concurrency: number, isEvent: boolean): boolean {
    return isEvent || rate.admit(this.#clock.monotonic(), concurrency * REQUESTS_PER_SECOND);
  }

  #lease(scope: Scope, use: FunctionUse, provisioned: ProvisionedUse | undefined, kept?: Kept): Lease {
    const isShared = kept === undefined && use.reserved === undefined;
    const count = (by: 1 | -1) => {
      this.#leases += by;
      scope.busy += by;
      use.busy += by;
      if (kept === undefined) use.onDemand += by;
      else kept.busy += by;
      if (isShared) scope.shared += by;
    };
    count(1);
    return new Lease(provisioned, () => {
      count(-1);
      if (this.#leases > 0) return;
      this.#drained?.resolve();
      this.#drained = undefined;
    });
  }

  #scopeOf({ account, region }: Owner): Scope {
    let regions = this.#scopes.get(account);
    if (regions === undefined) this.#scopes.set(account, (regions = new Map()));
    let scope = regions.get(region);
    if (scope === undefined) regions.set(region, (scope = { busy: 0, shared: 0, committed: 0, functions: new Map() }));
    return scope;
  }

  #useOf({ functions }: Scope, functionArn: string): FunctionUse {
    let use = functions.get(functionArn);
    if (use === undefined) {
      if (functions.size >= QUIET_MAX)
        for (const [arn, one] of functions) if (one.busy === 0 && one.reserved === undefined && one.kept.size === 0) functions.delete(arn);
      use = { busy: 0, onDemand: 0, reserved: undefined, provisioned: 0, kept: new Map(), rate: new RequestRate() };
      functions.set(functionArn, use);
    }
    return use;
  }
}
