// awslambda.InvokeStore: what belongs to the invocation that runs or was the last, for `@aws/lambda-invoke-store` and what is built on it.
"use strict";

const PROTECTED_KEYS = {
  REQUEST_ID: Symbol.for("_AWS_LAMBDA_REQUEST_ID"),
  X_RAY_TRACE_ID: Symbol.for("_AWS_LAMBDA_X_RAY_TRACE_ID"),
  TENANT_ID: Symbol.for("_AWS_LAMBDA_TENANT_ID"),
};

const contextOf = ({ requestId, traceHeader, tenantId }) => ({
  [PROTECTED_KEYS.REQUEST_ID]: requestId,
  [PROTECTED_KEYS.X_RAY_TRACE_ID]: traceHeader,
  ...(tenantId === undefined ? {} : { [PROTECTED_KEYS.TENANT_ID]: tenantId }),
});

/** Its methods are those of AWS's class; `current` tells the invocation, or that there has been none. */
class InvokeStore {
  static PROTECTED_KEYS = PROTECTED_KEYS;
  #current;
  #invocation;
  #context;

  constructor(current) {
    this.#current = current;
  }

  getContext() {
    const invocation = this.#current();
    if (invocation !== this.#invocation) {
      this.#invocation = invocation;
      this.#context = contextOf(invocation);
    }
    return this.#context;
  }

  hasContext() {
    return this.getContext() !== undefined;
  }

  get(key) {
    return this.getContext()?.[key];
  }

  set(key, value) {
    if (this.isProtectedKey(key)) throw new Error(`Cannot modify protected Lambda context field: ${String(key)}`);
    const context = this.getContext() ?? (this.#context = {});
    context[key] = value;
  }

  run(context, act) {
    this.getContext();
    this.#context = context;
    return act();
  }

  isProtectedKey(key) {
    return Object.values(PROTECTED_KEYS).includes(key);
  }

  getRequestId() {
    return this.get(PROTECTED_KEYS.REQUEST_ID) ?? "-";
  }

  getXRayTraceId() {
    return this.get(PROTECTED_KEYS.X_RAY_TRACE_ID);
  }

  getTenantId() {
    return this.get(PROTECTED_KEYS.TENANT_ID);
  }
}

module.exports = { InvokeStore };
