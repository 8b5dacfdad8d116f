// What X-Ray learns of an invocation that is traced: a segment of the service, and one of the function below it, under which the function's own
// stand. Formats: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
import type { Clock } from "../base/clock.ts";
import { randomHex } from "../base/id.ts";
import { formatTrace, sampledTrace, type Trace } from "../base/trace-header.ts";
import type { Deployment, InvocationRequest, Invoker, Outcome } from "../pool/invocation.ts";

/** Takes segment documents in the name of the function's role; never throws, adds no wait. */
export type Segments = (owner: Pick<Deployment, "account" | "region" | "functionName" | "roleArn">, documents: readonly string[]) => void;

/** One that has begun. */
interface Traced {
  readonly trace: Trace;
  readonly serviceId: string;
  readonly functionId: string;
  readonly startMs: number;
}

/** Error documents that are longer are not looked into. */
const ERROR_BYTES_MAX = 64 * 1024;
const MESSAGE_LENGTH_MAX = 4096;

/** Records what passes through and is sampled. The function finds its own segment as the parent of whatever it does. */
export function tracingInvoker(invoker: Invoker, clock: Clock, segments: Segments): Invoker {
  return {
    ...invoker,
    async invoke(deployment, request) {
      const trace = sampledTrace(request.traceHeader);
      if (trace === undefined) return await invoker.invoke(deployment, request);
      const traced = { trace, serviceId: randomHex(8), functionId: randomHex(8), startMs: clock.now() };
      const traceHeader = formatTrace({ ...trace, parent: traced.functionId });
      const outcome = await invoker.invoke(deployment, { ...request, traceHeader });
      segments(
        deployment,
        documentsOf(deployment, request, traced, outcome, clock.now()).map((document) => JSON.stringify(document)),
      );
      return outcome;
    },
  };
}

function documentsOf(
  deployment: Deployment,
  request: InvocationRequest,
  traced: Traced,
  outcome: Outcome,
  endMs: number,
): readonly object[] {
  const { trace, serviceId, functionId, startMs } = traced;
  const service = {
    id: serviceId,
    name: deployment.functionName,
    trace_id: trace.root,
    ...(trace.parent === undefined ? {} : { parent_id: trace.parent }),
    start_time: startMs / 1000,
    end_time: endMs / 1000,
    origin: "AWS::Lambda",
    resource_arn: request.invokedArn,
    aws: { request_id: request.requestId },
    ...answerOf(outcome),
  };
  if (outcome.kind === "throttled" || outcome.kind === "unavailable") return [service];
  const { durationMs, latencyMs, initMs = 0 } = outcome.report;
  const initStartMs = endMs - durationMs - initMs;
  return [
    service,
    {
      id: functionId,
      name: deployment.functionName,
      trace_id: trace.root,
      parent_id: serviceId,
      start_time: initStartMs / 1000,
      end_time: endMs / 1000,
      origin: "AWS::Lambda::Function",
      resource_arn: request.invokedArn,
      aws: { account_id: deployment.account, function_arn: deployment.functionArn, resource_names: [deployment.functionName] },
      annotations: { "aws.responseLatency": toMicrosecond(latencyMs), "aws.responseDuration": toMicrosecond(durationMs - latencyMs) },
      ...(outcome.kind === "failed" ? { fault: true, cause: causeOf(outcome) } : {}),
      ...(initMs === 0
        ? {}
        : { subsegments: [{ id: randomHex(8), name: "Init", start_time: initStartMs / 1000, end_time: (initStartMs + initMs) / 1000 }] }),
    },
  ];
}

/** Milliseconds, rounded. */
const toMicrosecond = (ms: number): number => Math.round(ms * 1000) / 1000;

/** An error of the function is none of the service's answer, and its fault all the same. */
function answerOf(outcome: Outcome): object {
  switch (outcome.kind) {
    case "returned":
      return { http: { response: { status: 200 } } };
    case "failed":
      return { http: { response: { status: 200 } }, fault: true };
    case "throttled":
      return { http: { response: { status: 429 } }, error: true, throttle: true };
    case "unavailable":
      return { http: { response: { status: 500 } }, fault: true };
  }
}

function causeOf({ errorType, payload }: Extract<Outcome, { kind: "failed" }>): object {
  return { working_directory: "/var/task", exceptions: [{ id: randomHex(8), type: errorType, message: messageOf(payload) }] };
}

/** Functions write the document: it may be anything. */
function messageOf(payload: Uint8Array): string {
  if (payload.length > ERROR_BYTES_MAX) return "";
  try {
    const { errorMessage } = JSON.parse(Buffer.from(payload).toString()) as { readonly errorMessage?: unknown };
    return typeof errorMessage === "string" ? errorMessage.slice(0, MESSAGE_LENGTH_MAX) : "";
  } catch {
    return "";
  }
}
