// How an invocation can end, and the answer that AWS gives to each: exact documents, error types and report status.
import type { SandboxExit } from "../sandbox/sandbox.ts";
import { RESPONSE_BYTES_MAX, type Answer } from "./link.ts";
import type { InvokeStatus } from "./report.ts";
import { STREAMED_BYTES_MAX } from "./response-sink.ts";

/** All that can become of an invocation inside an environment. */
export type Ending =
  | Answer
  | { readonly kind: "init-failed"; readonly errorType: string; readonly payload: Uint8Array }
  | { readonly kind: "exited"; readonly exit: SandboxExit }
  | { readonly kind: "no-entrypoint"; readonly problem: string; readonly errorType?: string }
  | { readonly kind: "extension-failed"; readonly errorType: string; readonly text: string; readonly isInit: boolean }
  | { readonly kind: "timed-out" };

export interface Verdict {
  readonly cause?: "error" | "init" | "timeout" | "exit" | "out-of-memory" | "response-too-large";
  readonly errorType?: string;
  /** What reports and telemetry call it. */
  readonly reportedType?: string;
  readonly payload: Uint8Array;
  /** Of a response that has been streamed; else it is the payload's. */
  readonly producedBytes?: number;
  readonly status: InvokeStatus;
  /** The runtime is well and can take another invocation. */
  readonly survives: boolean;
}

const NOTHING = new Uint8Array();

// As Go's syscall package words them, which is what RAPID prints.
const SIGNAL_TEXT: Readonly<Record<string, string>> = {
  SIGHUP: "hangup",
  SIGINT: "interrupt",
  SIGQUIT: "quit (core dumped)",
  SIGILL: "illegal instruction (core dumped)",
  SIGTRAP: "trace/breakpoint trap (core dumped)",
  SIGABRT: "aborted (core dumped)",
  SIGIOT: "aborted (core dumped)", // another name of the same number
  SIGBUS: "bus error (core dumped)",
  SIGFPE: "floating point exception (core dumped)",
  SIGKILL: "killed",
  SIGUSR1: "user defined signal 1",
  SIGSEGV: "segmentation fault (core dumped)",
  SIGUSR2: "user defined signal 2",
  SIGPIPE: "broken pipe",
  SIGALRM: "alarm clock",
  SIGTERM: "terminated",
  SIGXCPU: "CPU time limit exceeded (core dumped)",
  SIGSYS: "bad system call (core dumped)",
};

export const signalText = (signal: string): string => SIGNAL_TEXT[signal] ?? signal;

/** `Runtime exited with error: exit status 1` */
export function exitText({ code, signal, outOfMemory }: SandboxExit): string {
  if (outOfMemory) return "Runtime exited with error: signal: killed";
  if (signal !== undefined) return `Runtime exited with error: signal: ${signalText(signal)}`;
  return code === undefined || code === 0 ? "Runtime exited without providing a reason" : `Runtime exited with error: exit status ${code}`;
}

const REPORTED = /^(?:Runtime|Function)\.[A-Z][a-zA-Z]{1,199}$/;

/** The name of a runtime's own error in reports and telemetry: RAPID knows no others, whatever the caller is told. */
export function reportedType(errorType: string | undefined): string {
  if (errorType !== undefined && REPORTED.test(errorType)) return errorType;
  return errorType?.startsWith("Function.") === true ? "Function.Unknown" : "Runtime.Unknown";
}

/** The type comes first, as AWS writes it since November 2025. */
function errorDocument(errorType: string, errorMessage: string): Uint8Array {
  return Buffer.from(JSON.stringify({ errorType, errorMessage }));
}

function platformFailure(cause: NonNullable<Verdict["cause"]>, errorType: string, requestId: string, text: string): Verdict {
  const payload = errorDocument(errorType, `RequestId: ${requestId} Error: ${text}`);
  return { cause, errorType, reportedType: errorType, payload, status: cause === "timeout" ? "timeout" : "failure", survives: false };
}

function ownFailure(
  cause: "error" | "init",
  { errorType, payload }: Pick<Verdict, "payload"> & { readonly errorType: string },
  status: InvokeStatus,
  survives: boolean,
): Verdict {
  return { cause, errorType, reportedType: reportedType(errorType), payload, status, survives };
}

/** A stream that is cut off leaves a runtime that still writes it: that one is not used again. */
function tooLarge(bytesMax: number, survives: boolean): Verdict {
  const errorType = "Function.ResponseSizeTooLarge";
  const message = `Response payload size exceeded maximum allowed payload size (${bytesMax} bytes).`;
  return {
    cause: "response-too-large",
    errorType,
    reportedType: errorType,
    payload: errorDocument(errorType, message),
    status: "failure",
    survives,
  };
}

export function verdictOf(ending: Ending, requestId: string, timeoutMs: number): Verdict {
  if (ending.kind === "succeeded") return { payload: ending.payload, status: "success", survives: true };
  if (ending.kind === "errored") return ownFailure("error", ending, "error", !ending.exits);
  if (ending.kind === "streamed") return { payload: NOTHING, producedBytes: ending.bytes, status: "success", survives: true };
  if (ending.kind === "too-large") return tooLarge(RESPONSE_BYTES_MAX, true);
  if (ending.kind === "stream-too-large") return tooLarge(STREAMED_BYTES_MAX, false);
  if (ending.kind === "truncated") return platformFailure("exit", "Runtime.TruncatedResponse", requestId, "Runtime response was truncated");
  if (ending.kind === "init-failed") return ownFailure("init", ending, "failure", false);
  if (ending.kind === "no-entrypoint")
    return platformFailure("init", ending.errorType ?? "Runtime.InvalidEntrypoint", requestId, ending.problem);
  if (ending.kind === "extension-failed") return platformFailure(ending.isInit ? "init" : "exit", ending.errorType, requestId, ending.text);
  if (ending.kind === "exited" && ending.exit.problem !== undefined)
    return platformFailure("init", "Runtime.InvalidEntrypoint", requestId, ending.exit.problem);
  if (ending.kind === "exited") {
    const isMemory = ending.exit.outOfMemory;
    const errorType = isMemory ? "Runtime.OutOfMemory" : "Runtime.ExitError";
    return platformFailure(isMemory ? "out-of-memory" : "exit", errorType, requestId, exitText(ending.exit));
  }
  const seconds = (timeoutMs / 1000).toFixed(2);
  return platformFailure("timeout", "Sandbox.Timedout", requestId, `Task timed out after ${seconds} seconds`);
}
