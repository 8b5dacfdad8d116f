// Invoke and InvokeWithResponseStream: from a name to the data plane and back. The warm path reads memory only.
import { randomBytes } from "node:crypto";
import { InvalidRequestContentException$, InvalidRuntimeException$, type InvokeCommandOutput } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { CommonFault, Fault } from "../aws/fault.ts";
import type { Context, Input, Operations } from "../aws/operations.ts";
import type { InvocationRequest, Outcome } from "../pool/invocation.ts";
import type { ResponseStream } from "../pool/response-stream.ts";
import { limits } from "../limits.ts";
import { deploymentCache } from "./deployments.ts";
import { conflict, invalidParameter, notFound } from "./faults.ts";
import { jsonProblem } from "./json-syntax.ts";
import { isPending, type Deployed, type Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";
import { refusalOf } from "./outcomes.ts";
import { streamedAnswer } from "./response-streams.ts";

type Answer = Omit<InvokeCommandOutput, "$metadata">;

const EMPTY_EVENT: Uint8Array = Buffer.from("{}");
const TRACE_ROOT = /(?:^|;)\s*Root=(1-[0-9a-f]{8}-[0-9a-f]{24})\s*(?:;|$)/;

export function invocations(lambda: Lambda) {
  const prepare = preparation(lambda);
  return {
    async Invoke(context, input) {
      const prepared = await prepare(context, input);
      return prepared === undefined ? { StatusCode: 204 } : answerOf(await prepared.run(), prepared.version);
    },
    async InvokeWithResponseStream(context, input) {
      const prepared = await prepare(context, input);
      return prepared === undefined ? { StatusCode: 204 } : await streamedAnswer(context, prepared.version, prepared.run);
    },
  } satisfies Pick<Operations<typeof client>, "Invoke" | "InvokeWithResponseStream">;
}

type Asked = Pick<
  Input<typeof client, "Invoke">,
  "FunctionName" | "Qualifier" | "InvocationType" | "LogType" | "ClientContext" | "Payload" | "TenantId" | "DurableExecutionName"
>;

interface Prepared {
  readonly version: string;
  readonly run: (response?: ResponseStream) => Promise<Outcome>;
}

/** Everything before the data plane: what is asked is read, checked, and its code is there. Undefined: it was a dry run. */
function preparation(lambda: Lambda): (context: Context, input: Asked) => Promise<Prepared | undefined> {
  const deploymentOf = deploymentCache(lambda);
  return async (context, input) => {
    const reference = functionReference(context, input.FunctionName ?? "", input.Qualifier);
    const deployed = invocable(lambda, reference);
    refuseUnsupported(input);
    const payload = eventOf(input);
    const clientContext = clientContextOf(input.ClientContext);
    if (input.InvocationType === "DryRun") return undefined;
    if (deployed.configuration.Architecture !== lambda.architecture) throw wrongArchitecture(lambda, deployed);
    const { sha256 } = deployed.code;
    if (!lambda.packages.isReady(sha256)) await lambda.packages.ensure(sha256);
    const deployment = deploymentOf(reference, deployed);
    const request: InvocationRequest = {
      requestId: context.requestId,
      payload,
      invokedArn: functionArn(reference),
      wantsLogTail: input.LogType === "Tail",
      ...(clientContext === undefined ? {} : { clientContext }),
      traceHeader: traceOf(lambda, context),
      signal: context.signal,
    };
    const run = async (response?: ResponseStream) => {
      const outcome = await lambda.invoker.invoke(deployment, response === undefined ? request : { ...request, response });
      if (outcome.kind === "unavailable" && outcome.code === "sandbox-failed") await lambda.packages.recheck(sha256);
      return outcome;
    };
    return { version: deployment.version, run };
  };
}

/** What runs when this is invoked: of a function that is being updated, what was there before. */
function invocable(lambda: Lambda, reference: FunctionReference): Deployed {
  const entry = lambda.functions.get(reference.account, reference.region, reference.name);
  const qualifier = reference.qualifier ?? "$LATEST";
  if (entry === undefined || qualifier !== "$LATEST") throw notFound(`Function not found: ${functionArn({ ...reference, qualifier })}`);
  const { running } = entry.value;
  if (isPending(entry.value) || running === undefined)
    throw conflict("The operation cannot be performed at this time. The function is currently in the following state: Pending");
  return running;
}

function refuseUnsupported({ InvocationType, TenantId, DurableExecutionName }: Asked): void {
  if (InvocationType === "Event")
    throw new CommonFault("NotImplementedException", "Lambent does not implement lambda:Invoke with InvocationType Event yet.", 501);
  if (TenantId !== undefined)
    throw invalidParameter(
      "The function is not configured with tenancy configuration. Remove the tenant-id from the request and try again.",
    );
  if (DurableExecutionName !== undefined)
    throw invalidParameter("The function is not a durable function. Remove the durable execution name from the request and try again.");
}

/** The event goes to the function byte for byte; it is only looked at to tell a caller early that it is no JSON. */
function eventOf({ Payload }: Asked): Uint8Array {
  if (Payload === undefined || Payload.length === 0) return EMPTY_EVENT;
  if (Payload.length > limits.invokePayloadBytesMax)
    throw new CommonFault(
      "RequestEntityTooLargeException",
      `Request must be smaller than ${limits.invokePayloadBytesMax} bytes for the InvokeFunction operation`,
      413,
    );
  const problem = jsonProblem(Payload);
  if (problem !== undefined) throw badContent(`Could not parse request body into json: Could not parse payload into json: ${problem}`);
  return Payload;
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
    case "throttled":
    case "unavailable":
      throw refusalOf(outcome);
  }
}

const wrongArchitecture = ({ architecture }: Lambda, { configuration }: Deployed): Fault =>
  new Fault(
    InvalidRuntimeException$,
    `The function is for ${configuration.Architecture} and this server runs on ${architecture}: update it with Architectures [${architecture}], and with code that is built for it.`,
    { Type: "Server" },
  );
