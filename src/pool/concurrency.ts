// How many invocations may run at once: the account's limit per region, and what functions have reserved of it.
import type { Deployment, ThrottleReason } from "./invocation.ts";

export type Claimant = Pick<Deployment, "account" | "region" | "functionArn" | "reservedConcurrency" | "key">;

/** One running invocation, until it is disposed of; or the limit that it would have exceeded, and nothing is held. */
export type Claim = Disposable & ({ readonly kind: "lease" } | { readonly kind: "throttled"; readonly reason: ThrottleReason });

function throttled(reason: ThrottleReason): Claim {
  return { kind: "throttled", reason, [Symbol.dispose]() {} };
}

interface Reservation {
  readonly limit: number;
  readonly key: string;
}

/** An account in a region. */
interface Scope {
  busy: number;
  /** Of functions without a reservation; those with one have their own. */
  unreservedBusy: number;
  reservedTotal: number;
  readonly reservations: Map<string, Reservation>;
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
    this.#learn(scope, claimant);
    const { functionArn, reservedConcurrency } = claimant;
    const isReserved = reservedConcurrency !== undefined;
    const functionBusy = scope.functions.get(functionArn) ?? 0;
    if (isReserved && functionBusy >= reservedConcurrency) return throttled("ReservedFunctionConcurrentInvocationLimitExceeded");
    if (scope.busy >= this.#accountLimit) return throttled("ConcurrentInvocationLimitExceeded");
    if (!isReserved && scope.unreservedBusy >= this.#accountLimit - scope.reservedTotal)
      return throttled("ConcurrentInvocationLimitExceeded");
    this.#leases++;
    scope.busy++;
    if (!isReserved) scope.unreservedBusy++;
    scope.functions.set(functionArn, functionBusy + 1);
    return this.#lease(scope, functionArn, isReserved);
  }

  /** These deployments are history: what they had reserved is free again, unless a newer one of the function says otherwise. */
  forget(keys: ReadonlySet<string>): void {
    for (const scope of this.#scopes.values())
      for (const [functionArn, reservation] of scope.reservations) if (keys.has(reservation.key)) this.#release(scope, functionArn);
  }

  /** Resolves when nothing runs any more. */
  drained(): Promise<void> {
    if (this.#leases === 0) return Promise.resolve();
    this.#drained ??= Promise.withResolvers<void>();
    return this.#drained.promise;
  }

  busy(account: string, region: string): number {
    return this.#scopes.get(`${account}\0${region}`)?.busy ?? 0;
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

  /** Reservations are part of the deployment, so what is reserved in an account is known from what has been invoked in it. */
  #learn(scope: Scope, { functionArn, reservedConcurrency, key }: Claimant): void {
    const known = scope.reservations.get(functionArn);
    if (known?.limit === reservedConcurrency && (known === undefined || known.key === key)) return;
    this.#release(scope, functionArn);
    if (reservedConcurrency === undefined) return;
    scope.reservations.set(functionArn, { limit: reservedConcurrency, key });
    scope.reservedTotal += reservedConcurrency;
  }

  #release(scope: Scope, functionArn: string): void {
    scope.reservedTotal -= scope.reservations.get(functionArn)?.limit ?? 0;
    scope.reservations.delete(functionArn);
  }
}
