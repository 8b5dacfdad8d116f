// How an execution environment talks with the runtime inside: one interface over the control socket and the Runtime API.
import type { ResponseSink } from "./response-sink.ts";

/** AWS's hard limit of a response, in bytes: 6 MiB and 100. */
export const RESPONSE_BYTES_MAX = 6_291_556;

/** One invocation as the runtime gets it. */
export interface LinkInvocation {
  readonly requestId: string;
  /** Wall time in ms since the epoch. */
  readonly deadlineMs: number;
  readonly invokedArn: string;
  readonly traceHeader: string;
  readonly clientContext?: string;
  readonly cognitoIdentity?: string;
  readonly tenantId?: string;
  readonly payload: Uint8Array;
  /** The caller takes the response as it comes, if the runtime streams it. */
  readonly response?: ResponseSink;
}

/** What the runtime says that an invocation came to. */
export type Answer =
  | { readonly kind: "succeeded"; readonly payload: Uint8Array }
  /** `exits`: the runtime is about to end, so it gets no other invocation. */
  | { readonly kind: "errored"; readonly errorType: string; readonly payload: Uint8Array; readonly exits: boolean }
  /** All of it has gone to the invocation's sink. */
  | { readonly kind: "streamed"; readonly bytes: number }
  | { readonly kind: "too-large" }
  | { readonly kind: "stream-too-large" }
  | { readonly kind: "truncated" };

export interface LinkEvents {
  /** Initialisation is done; the runtime waits for its first invocation. */
  ready(): void;
  initFailed(errorType: string, payload: Uint8Array): void;
  /** Exactly one for each invocation that was sent, and only for that one: links drop late, foreign and second answers. */
  answered(answer: Answer): void;
  /** One log event, formatted by the runtime. */
  log(timestampMs: number, text: string): void;
  /** Something that a correct runtime does not do; it had no effect. */
  strange(message: string): void;
  /** The runtime can no longer be talked with. */
  broken(message: string): void;
}

export interface Link {
  /** Passes an invocation on; the runtime has been ready, and has answered the one before. */
  send(invocation: LinkInvocation): void;
  /** Undefined: the runtime can take an invocation. Else resolves when it can: after an answer it may still do other things, or end. */
  rest(): Promise<void> | undefined;
  /** Nobody waits for the present invocation any more: what still comes is refused. */
  abandon(): void;
  /** Resolves when everything that the runtime had sent before its end has been reported. */
  readonly ended: Promise<void>;
  close(): void;
}

const UNPRINTABLE = /[^\x20-\x7e]/g;
const ERROR_TYPE_MAX = 256;

/** An error type from inside a sandbox, fit to stand in a header or a log line. */
export function safeErrorType(value: unknown, fallback: string): string {
  if (typeof value !== "string") return fallback;
  const clean = value.slice(0, ERROR_TYPE_MAX).replaceAll(UNPRINTABLE, "").trim();
  return clean === "" ? fallback : clean;
}
