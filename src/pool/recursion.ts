// Stops functions that call themselves without end, directly or through others: counted in the lineage of the trace header.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
import { lineageId, passesThrough, traceHeader } from "../base/trace-header.ts";

/** How often a function is run in one chain of requests. */
const PASSES_MAX = 16;

export function isRecursive(header: string | undefined, functionArn: string): boolean {
  return header?.includes("Lineage=") === true && passesThrough(header, lineageId(functionArn)) >= PASSES_MAX;
}

/** Whether it was stopped before in this chain: what was sent of that has led here again. */
export function isStoppedAgain(header: string | undefined, functionArn: string): boolean {
  return passesThrough(header, lineageId(functionArn)) > PASSES_MAX;
}

/** The header of what comes of an invocation: as the function has seen it. */
export function traceThrough(header: string | undefined, functionArn: string, nowMs: number): string {
  return traceHeader(header, lineageId(functionArn), nowMs);
}
