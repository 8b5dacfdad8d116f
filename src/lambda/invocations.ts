// Invoke: from a name to the data plane and back. The warm path reads memory only.
import { randomBytes } from "node:crypto";
import { buffer } from "node:stream/consumers";
import {
  InvalidRequestContentException$,
  InvalidRuntimeException$,
  ServiceException$,
  TooManyRequestsException$,
  type InvokeCommandInput,
  type InvokeCommandOutput,
} from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { CommonFault, Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import type { Outcome } from "../pool/invocation.ts";
import { limits } from "../limits.ts";
import { aliasOf, routedVersion } from "./alias-records.ts";
import { deploymentCache, type Runnable } from "./deployments.ts";
import { conflict, invalidParameter, notFound } from "./faults.ts";
import { jsonProblem } from "./json-syntax.ts";
import type { Deployed, Lambda, ReadyDeployment } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";
import { isStopped, recursive } from "./recursion.ts";
import { isVersionPending, versionOf } from "./version-records.ts";

type Answer = Omit<InvokeCommandOutput, "$metadata">;
type Unavailable = Extract<Outcome, { kind: "unavailable" }>;

const EMPTY_EVENT: Uint8Array = Buffer.from("{}");
const TRACE_ROOT = /(?:^|;)\s*Root=(1-[0-9a-f]{8}-[0-9a-f]{24})\s*(?:;|$)/;

export function invocations(lambda: Lambda) {
  return {
    async Invoke(context, input) {
      const reference = functionReference(context, input.FunctionName ?? "", input.Qualifier);
      invocable(lambda, reference);
      refuseUnsupported(input);
      const isEvent = input.InvocationType === "Event";
      const payload = eventOf(input.Payload, isEvent ? limits.eventPayloadBytesMax : limits.invokePayloadBytesMax);
      const clientContext = clientContextOf(input.ClientContext);
      if (input.InvocationType === "DryRun") return { StatusCode: 204 };
      const deployment = await lambda.ready(reference);
      const traceHeader = traceOf(lambda, context);
      if (isEvent) {
        await accept(lambda, context, reference, payload, traceHeader);
        return { StatusCode: 202 };
      }
      if (isStopped(lambda, reference, traceHeader)) throw recursive();
      const outcome = await lambda.invoker.invoke(deployment, {
        requestId: context.requestId,
        payload,
        invokedArn: functionArn(reference),
        wantsLogTail: input.LogType === "Tail",
        ...(clientContext === undefined ? {} : { clientContext }),
        traceHeader,
        signal: context.signal,
      });
      return answerOf(outcome, deployment.version);
    },
    async InvokeAsync(context, { FunctionName = "", InvokeArgs }) {
      const reference = functionReference(context, FunctionName);
      const payload = eventOf(InvokeArgs === undefined ? undefined : await buffer(InvokeArgs), limits.invokeAsyncBytesMax);
      await lambda.ready(reference);
      await accept(lambda, context, reference, payload, traceOf(lambda, context));
      return { Status: 202 };
    },
  } satisfies Pick<Operations<typeof client>, "Invoke" | "InvokeAsync">;
}

/** Resolves when the event is durable. Events wait in a line for each function. */
async function accept(lambda: Lambda, { requestId }: Context, reference: FunctionReference, payload: Uint8Array, traceHeader: string) {
  const { qualifier: _qualifier, ...unqualified } = reference;
  await lambda.events.accept(functionArn(unqualified), { requestId, invokedArn: functionArn(reference), traceHeader, payload });
}

type Records = Pick<Lambda, "functions" | "versions" | "aliases" | "chance">;

export function readyDeployments(lambda: Records & Pick<Lambda, "packages" | "architecture">): ReadyDeployment {
  const deploymentOf = deploymentCache(lambda);
  return async (reference) => {
    const runnable = invocable(lambda, reference);
    const { deployed } = runnable;
    if (deployed.configuration.Architecture !== lambda.architecture) throw wrongArchitecture(lambda, deployed);
    const { sha256 } = deployed.code;
    if (!lambda.packages.isReady(sha256)) await lambda.packages.ensure(sha256);
    return deploymentOf(reference, runnable);
  };
}

/** What runs when this is invoked: of a function that is being updated, what was there before; of an alias, a version by its share. */
function invocable(lambda: Records, reference: FunctionReference): Runnable {
  const { account, region, name, qualifier = "$LATEST" } = reference;
  const entry = lambda.functions.get(account, region, name);
  const alias = aliasOf(lambda, reference, qualifier);
  const version = alias === undefined ? qualifier : routedVersion(alias.value, alias.value.weights === undefined ? 0 : lambda.chance());
  if (version === "$LATEST" && entry !== undefined) return { deployed: entry.value.running ?? pending(), version };
  const published = versionOf(lambda, reference, version);
  if (entry === undefined || published === undefined) throw notFound(`Function not found: ${functionArn({ ...reference, qualifier })}`);
  return { deployed: isVersionPending(entry.value, published.value) ? pending() : published.value.deployed, version };
}

function pending(): never {
  throw conflict("The operation cannot be performed at this time. The function is currently in the following state: Pending");
}

function refuseUnsupported(given: Pick<InvokeCommandInput, "TenantId" | "DurableExecutionName">): void {
  const { TenantId, DurableExecutionName } = given;
  if (TenantId !== undefined)
    throw invalidParameter(
      "The function is not configured with tenancy configuration. Remove the tenant-id from the request and try again.",
    );
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

/** The trace that the caller named, or a new one; the caller learns its root. */
function traceOf(lambda: Lambda, { traceHeader, responseHeaders }: Context): string {
  const root = traceHeader === undefined ? undefined : TRACE_ROOT.exec(traceHeader)?.[1];
  const header = traceHeader !== undefined && root !== undefined ? traceHeader : newTrace(lambda.clock.now());
  responseHeaders?.set("x-amzn-trace-id", root === undefined ? header : `Root=${root}`);
  responseHeaders?.set("x-amzn-remapped-content-length", "0");
  return header;
}

function newTrace(nowMs: number): string {
  const random = randomBytes(20).toString("hex");
  const seconds = Math.floor(nowMs / 1000)
    .toString(16)
    .padStart(8, "0");
  return `Root=1-${seconds}-${random.slice(0, 24)};Parent=${random.slice(24)};Sampled=0`;
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
    case "throttled": {
      const retry = outcome.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: String(outcome.retryAfterSeconds) };
      throw new Fault(TooManyRequestsException$, "Rate Exceeded.", { Reason: outcome.reason, Type: "User", ...retry });
    }
    case "unavailable":
      throw unavailable(outcome);
  }
}

function unavailable({ code, message }: Unavailable): Error {
  switch (code) {
    case "runtime-not-installed":
      return new Fault(InvalidRuntimeException$, message, { Type: "Server" });
    case "sandbox-failed":
      return new Fault(ServiceException$, message, { Type: "Service" });
    case "stopping":
    case "overloaded":
      return new CommonFault("ServiceUnavailableException", message, 503, { Type: "Service" });
  }
}

const wrongArchitecture = ({ architecture }: Pick<Lambda, "architecture">, { configuration }: Deployed): Fault =>
  new Fault(
    InvalidRuntimeException$,
    `The function is for ${configuration.Architecture} and this server runs on ${architecture}: update it with Architectures [${architecture}], and with code that is built for it.`,
    { Type: "Server" },
  );
