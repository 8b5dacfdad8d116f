// What goes into and comes out of an invocation: the contract between the data plane and those who call it.
import type { ResponseSink } from "../runtime/response-sink.ts";
import type { FunctionSettings } from "../runtime/settings.ts";

export { IMAGE_RUNTIME, type ImageSettings } from "../runtime/settings.ts";

/** Everything that the data plane needs to run one version of a function: resolved by the caller, immutable. */
export interface Deployment extends FunctionSettings {
  /**
   * Identity: two deployments with the same key may share execution environments, so it changes with anything that a function can
   * see: account, region, function, version, code, configuration.
   */
  readonly key: string;
}

/** What an execution environment belongs to, and whose invocations it takes: a deployment, or one tenant's part of it. */
export const environmentKey = ({ key, tenantId }: Pick<Deployment, "key" | "tenantId">): string =>
  tenantId === undefined ? key : `${key}\0${tenantId}`;

export interface InvocationRequest {
  /** UUID; the function sees it as aws_request_id. */
  readonly requestId: string;
  /** The event's bytes, passed on as they are. */
  readonly payload: Uint8Array;
  /** ARN as the caller qualified it. */
  readonly invokedArn: string;
  /** JSON text, already decoded from base64. */
  readonly clientContext?: string;
  /** JSON text. */
  readonly cognitoIdentity?: string;
  readonly traceHeader?: string;
  /** It comes from the queue of events, whose rate is not limited, only how many run at once. */
  readonly isEvent?: boolean;
  /** Ask for the last 4 KiB of the log; the answer then waits for the function's output. */
  readonly wantsLogTail: boolean;
  /** Takes the response as it comes, if the function streams it; the outcome's payload is empty then. */
  readonly response?: ResponseSink;
  /** Aborted when the caller has gone away; the function still runs to its end. */
  readonly signal?: AbortSignal;
}

export interface InvocationReport {
  /** Bytes of the log's end, at most 4 KiB; only when asked for. */
  readonly logTail?: Uint8Array;
  readonly durationMs: number;
  /** Until the response began, which is the whole duration unless it was streamed. */
  readonly latencyMs: number;
  readonly billedMs: number;
  readonly memoryPeakMiB: number;
  /** Present at a cold start. */
  readonly initMs?: number;
}

export type ThrottleReason =
  | "ConcurrentInvocationLimitExceeded"
  | "ReservedFunctionConcurrentInvocationLimitExceeded"
  | "FunctionInvocationRateLimitExceeded"
  | "ReservedFunctionInvocationRateLimitExceeded";

/** What an invocation of a deployment with provisioned concurrency took of it. */
export interface ProvisionedUse {
  /** Nothing: all of it was in use. */
  readonly isSpillover: boolean;
  /** Of `count`, with this one. */
  readonly busy: number;
  readonly count: number;
}

/** The normal life of the data plane: switched over, never thrown. */
export type Outcome =
  | {
      readonly kind: "returned";
      readonly payload: Uint8Array;
      readonly report: InvocationReport;
      readonly provisioned?: ProvisionedUse;
    }
  /** The function's fault: `payload` is the error document as AWS writes it; the client sees 200 and X-Amz-Function-Error. */
  | {
      readonly kind: "failed";
      readonly cause: "error" | "init" | "timeout" | "exit" | "out-of-memory" | "response-too-large";
      /** `Runtime.ExitError`, `Sandbox.Timedout`, `Error`, … */
      readonly errorType: string;
      readonly payload: Uint8Array;
      readonly report: InvocationReport;
      readonly provisioned?: ProvisionedUse;
    }
  | { readonly kind: "throttled"; readonly reason: ThrottleReason; readonly retryAfterSeconds: number }
  /** Not the function's fault and not run (or not known to have run): 5xx. */
  | {
      readonly kind: "unavailable";
      readonly code: "runtime-not-installed" | "sandbox-failed" | "stopping" | "overloaded";
      readonly message: string;
    };

/** The data plane as its callers see it; implemented in invoke.ts. */
export interface Invoker {
  invoke(deployment: Deployment, request: InvocationRequest): Promise<Outcome>;
  /** It is likely to be invoked soon: a sandbox of its kind is made ready, if there is room for one that nobody has asked for. */
  expect(deployment: Deployment): void;
  /** Environments of these deployments finish what they are doing and are destroyed; nothing new starts in them. */
  retire(deploymentKeys: readonly string[]): void;
  /** What a function may run at once, and nobody else; undefined: it shares what is left. 0 switches it off. */
  reserve(owner: Pick<Deployment, "account" | "region" | "functionArn">, limit: number | undefined): void;
  /**
   * Provisioned concurrency: keeps `count` environments of the deployment initialised, until told otherwise or until the deployment is
   * retired; 0 ends it. Told again after a restart: nothing of it is stored. False: the machine has no room for so many; nothing changed.
   */
  provision(deployment: Deployment, count: number): boolean;
  /** By deployment key. Undefined: nothing is provisioned for it. */
  provisioned(deploymentKey: string): Provisioned | undefined;
  /** Present numbers of an account and region, for account settings and metrics. */
  concurrency(account: string, region: string): { readonly busy: number; readonly environments: number };
  /** Invocations that run now: of the function, of the account, and of those of its functions that have reserved nothing. For every invocation. */
  running(owner: Pick<Deployment, "account" | "region" | "functionArn">): Running;
}

export interface Running {
  readonly function: number;
  readonly account: number;
  readonly unreserved: number;
}

/** How far a deployment's provisioned concurrency has come. */
export interface Provisioned {
  readonly requested: number;
  /** Initialised: idle, or busy with an invocation. */
  readonly allocated: number;
  /** Initialised and idle. */
  readonly available: number;
  /** Why the last attempt to initialise one failed; attempts go on. Absent: it did not. */
  readonly problem?: ProvisioningProblem;
}

export interface ProvisioningProblem {
  /** `init`: the function's own. */
  readonly kind: "init" | "environment";
  readonly message: string;
  /** Failures in a row. */
  readonly failures: number;
}

/** Temporary credentials of a role, for the environment variables of an execution environment. */
export interface RoleCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresMs: number;
}
