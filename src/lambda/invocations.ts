// Invoke and InvokeWithResponseStream: from a name to the data plane and back. The warm path reads memory only.
import { buffer } from "node:stream/consumers";
import { InvalidRequestContentException$, type InvokeCommandOutput } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { CommonFault, Fault } from "../aws/fault.ts";
import type { Context, Input, Operations } from "../aws/operations.ts";
import { formatTrace, newTrace, parseTrace } from "../base/trace-header.ts";
import type { Deployment, InvocationRequest, Outcome } from "../pool/invocation.ts";
import type { ResponseStream } from "../pool/response-stream.ts";
import { limits } from "../limits.ts";
import { invalidParameter } from "./faults.ts";
import { jsonProblem } from "./json-syntax.ts";
import type { Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";
import { refusalOf } from "./outcomes.ts";
import { runnableOf } from "./ready.ts";
import { isStopped, recursive } from "./recursion.ts";
import { streamedAnswer } from "./response-streams.ts";
import { checkTenant } from "./tenancy.ts";

type Answer = Omit<InvokeCommandOutput, "$metadata">;

const EMPTY_EVENT: Uint8Array = Buffer.from("{}");

export function invocations(lambda: Lambda) {
  return {
    async Invoke(context, input) {
      const isEvent = input.InvocationType === "Event";
      const prepared = await prepare(lambda, context, input, isEvent ? limits.eventPayloadBytesMax : limits.invokePayloadBytesMax);
      if (prepared === undefined) return { StatusCode: 204 };
      if (!isEvent) return answerOf(await prepared.run(), prepared.version);
      await accept(lambda, context, prepared);
      return { StatusCode: 202 };
    },
    async InvokeWithResponseStream(context, input) {
      const prepared = await prepare(lambda, context, input, limits.invokePayloadBytesMax);
      return prepared === undefined ? { StatusCode: 204 } : await streamedAnswer(context, prepared.version, prepared.run);
    },
    async InvokeAsync(context, { FunctionName = "", InvokeArgs }) {
      const reference = functionReference(context, FunctionName);
      const payload = eventOf(InvokeArgs === undefined ? undefined : await buffer(InvokeArgs), limits.invokeAsyncBytesMax);
      const deployment = await lambda.ready(reference);
      await accept(lambda, context, { reference, payload, traceHeader: traceOf(lambda, context, deployment) });
      return { Status: 202 };
    },
  } satisfies Pick<Operations<typeof client>, "Invoke" | "InvokeWithResponseStream" | "InvokeAsync">;
}

type Asked = Pick<
  Input<typeof client, "Invoke">,
  "FunctionName" | "Qualifier" | "InvocationType" | "LogType" | "ClientContext" | "Payload" | "TenantId" | "DurableExecutionName"
>;

interface Accepted {
  readonly reference: FunctionReference;
  readonly payload: Uint8Array;
  readonly traceHeader: string;
  readonly tenantId?: string;
}

interface Prepared extends Accepted {
  readonly version: string;
  readonly run: (response?: ResponseStream) => Promise<Outcome>;
}

/** Everything before the data plane: what is asked is read, checked, and its code is there. Undefined: it was a dry run. */
async function prepare(lambda: Lambda, context: Context, input: Asked, payloadBytesMax: number): Promise<Prepared | undefined> {
  const reference = functionReference(context, input.FunctionName ?? "", input.Qualifier);
  checkTenant(runnableOf(lambda, reference).deployed, input.TenantId);
  refuseUnsupported(input);
  const payload = eventOf(input.Payload, payloadBytesMax);
  const clientContext = clientContextOf(input.ClientContext);
  if (input.InvocationType === "DryRun") return undefined;
  const deployment = await lambda.ready(reference, input.TenantId);
  const traceHeader = traceOf(lambda, context, deployment);
  if (input.InvocationType !== "Event" && isStopped(lambda, reference, traceHeader)) throw recursive();
  const request: InvocationRequest = {
    requestId: context.requestId,
    payload,
    invokedArn: functionArn(reference),
    wantsLogTail: input.LogType === "Tail",
    ...(clientContext === undefined ? {} : { clientContext }),
    traceHeader,
    signal: context.signal,
  };
  const run = (response?: ResponseStream) => lambda.invoker.invoke(deployment, response === undefined ? request : { ...request, response });
  const tenant = input.TenantId === undefined ? {} : { tenantId: input.TenantId };
  return { reference, payload, traceHeader, ...tenant, version: deployment.version, run };
}

/** Resolves when the event is durable. Events wait in a line for each function. */
async function accept(lambda: Lambda, { requestId }: Context, accepted: Accepted): Promise<void> {
  const { reference, payload, traceHeader, tenantId } = accepted;
  const { qualifier: _qualifier, ...unqualified } = reference;
  const tenant = tenantId === undefined ? {} : { tenantId };
  await lambda.events.accept(functionArn(unqualified), { requestId, invokedArn: functionArn(reference), traceHeader, ...tenant, payload });
}

function refuseUnsupported({ DurableExecutionName }: Asked): void {
  if (DurableExecutionName !== undefined)
    throw invalidParameter("The function is not a durable function. Remove the durable execution name from the request and try again.");
}

/** The event goes to the function byte for byte; it is only looked at to tell a caller early that it is no JSON. */
function eventOf(payload: Uint8Array | undefined, bytesMax: number): Uint8Array {
  if (payload === undefined || payload.length === 0) return EMPTY_EVENT;
  if (payload.length > bytesMax)
    throw new CommonFault(
      "RequestEntityTooLargeException",
      `Request must be smaller than ${bytesMax} bytes for the InvokeFunction operation`,
      413,
    );
  const problem = jsonProblem(payload);
  if (problem !== undefined) throw badContent(`Could not parse request body into json: Could not parse payload into json: ${problem}`);
  return payload;
}

const badContent = (message: string): Fault => new Fault(InvalidRequestContentException$, message, { Type: "User" });

/** The JSON text in it; the function's runtime makes an object of it. */
function clientContextOf(base64: string | undefined): string | undefined {
  if (base64 === undefined || base64 === "") return undefined;
  if (base64.length > limits.clientContextBytesMax)
    throw invalidParameter(`Client context must be no more than ${limits.clientContextBytesMax} bytes when base64-encoded.`);
  const bytes = Buffer.from(base64, "base64");
  const text = bytes.toString("utf8").trim();
  if (!text.startsWith("{") || jsonProblem(bytes) !== undefined)
    throw badContent("Client context must be a valid Base64-encoded JSON object.");
  return text;
}

/** The trace that the caller named, or a new one; the caller learns its root. Functions with active tracing decide where nobody has. */
function traceOf(lambda: Lambda, { traceHeader, responseHeaders }: Context, { functionArn: arn, isTraced }: Deployment): string {
  const given = parseTrace(traceHeader);
  const isOpen = given?.isSampled === undefined && isTraced === true;
  const isSampled = isOpen && lambda.sampler.samples(arn);
  const made = given === undefined ? newTrace(lambda.clock.now(), isSampled) : { ...given, isSampled };
  const header = traceHeader !== undefined && given !== undefined && !isOpen ? traceHeader : formatTrace(made);
  responseHeaders?.set("x-amzn-trace-id", given === undefined ? header : `Root=${given.root}${isSampled ? ";Sampled=1" : ""}`);
  responseHeaders?.set("x-amzn-remapped-content-length", "0");
  return header;
}

function answerOf(outcome: Outcome, version: string): Answer {
  switch (outcome.kind) {
    case "returned":
    case "failed": {
      const { payload, report } = outcome;
      return {
        StatusCode: 200,
        ExecutedVersion: version,
        Payload: payload as NonNullable<Answer["Payload"]>,
        ...(outcome.kind === "failed" ? { FunctionError: "Unhandled" } : {}),
        ...(report.logTail === undefined ? {} : { LogResult: Buffer.from(report.logTail).toString("base64") }),
      };
    }
    case "throttled":
    case "unavailable":
      throw refusalOf(outcome);
  }
}
