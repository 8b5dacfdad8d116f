// How many invocations may run at once: the account's limit per region, and what functions have reserved of it.
import type { Deployment, Running, ThrottleReason } from "./invocation.ts";

export type Claimant = Pick<Deployment, "account" | "region" | "functionArn">;

/** One running invocation, until it is disposed of; or the limit that it would have exceeded, and nothing is held. */
export type Claim = Disposable & ({ readonly kind: "lease" } | { readonly kind: "throttled"; readonly reason: ThrottleReason });

function throttled(reason: ThrottleReason): Claim {
  return { kind: "throttled", reason, [Symbol.dispose]() {} };
}

/** An account in a region. */
interface Scope {
  busy: number;
  /** Of functions without a reservation; those with one have their own. */
  unreservedBusy: number;
  reservedTotal: number;
  readonly reservations: Map<string, number>;
  readonly functions: Map<string, number>;
}

export class Concurrency {
  readonly #accountLimit: number;
  readonly #scopes = new Map<string, Scope>();
  #leases = 0;
  #drained: PromiseWithResolvers<void> | undefined;

  /** `accountLimit`: for each account and region. */
  constructor(accountLimit: number) {
    this.#accountLimit = accountLimit;
  }

  acquire(claimant: Claimant): Claim {
    const scope = this.#scopeOf(claimant);
    const { functionArn } = claimant;
    const reserved = scope.reservations.get(functionArn);
    const isReserved = reserved !== undefined;
    const functionBusy = scope.functions.get(functionArn) ?? 0;
    if (isReserved && functionBusy >= reserved) return throttled("ReservedFunctionConcurrentInvocationLimitExceeded");
    if (scope.busy >= this.#accountLimit) return throttled("ConcurrentInvocationLimitExceeded");
    if (!isReserved && scope.unreservedBusy >= this.#accountLimit - scope.reservedTotal)
      return throttled("ConcurrentInvocationLimitExceeded");
    this.#leases++;
    scope.busy++;
    if (!isReserved) scope.unreservedBusy++;
    scope.functions.set(functionArn, functionBusy + 1);
    return this.#lease(scope, functionArn, isReserved);
  }

  /** From now on; undefined: nothing is reserved for the function. What runs already goes on. */
  reserve(claimant: Claimant, limit: number | undefined): void {
    const scope = this.#scopeOf(claimant);
    const { functionArn } = claimant;
    scope.reservedTotal += (limit ?? 0) - (scope.reservations.get(functionArn) ?? 0);
    if (limit === undefined) scope.reservations.delete(functionArn);
    else scope.reservations.set(functionArn, limit);
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
    return this.#scopes.get(`${account}\0${region}`)?.busy ?? 0;
  }

  running(claimant: Claimant): Running {
    const { busy, unreservedBusy, functions } = this.#scopeOf(claimant);
    return { function: functions.get(claimant.functionArn) ?? 0, account: busy, unreserved: unreservedBusy };
  }

  #lease(scope: Scope, functionArn: string, isReserved: boolean): Claim {
    let isHeld = true;
    return {
      kind: "lease",
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#ended();
        scope.busy--;
        if (!isReserved) scope.unreservedBusy--;
        const left = (scope.functions.get(functionArn) ?? 1) - 1;
        if (left === 0) scope.functions.delete(functionArn);
        else scope.functions.set(functionArn, left);
      },
    };
  }

  #ended(): void {
    this.#leases--;
    if (this.#leases > 0) return;
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  #scopeOf({ account, region }: Claimant): Scope {
    const name = `${account}\0${region}`;
    let scope = this.#scopes.get(name);
    if (scope === undefined) {
      scope = { busy: 0, unreservedBusy: 0, reservedTotal: 0, reservations: new Map(), functions: new Map() };
      this.#scopes.set(name, scope);
    }
    return scope;
  }
}
