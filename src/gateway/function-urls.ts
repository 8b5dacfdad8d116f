// Serves function URLs: an HTTP request becomes an invocation, and its result the response.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
import { authenticate, type AuthenticateOptions } from "../aws/authenticate.ts";
import { authorise } from "../aws/authorise.ts";
import { bodyBudget } from "../aws/body-budget.ts";
import { readBytes } from "../aws/body.ts";
import type { AccessNeed } from "../aws/definition.ts";
import { CommonFault } from "../aws/fault.ts";
import type { Caller } from "../aws/identity.ts";
import type { Context } from "../aws/operations.ts";
import { REQUEST_ID } from "../aws/protocol.ts";
import type { FunctionUrlHost, WireRequest, WireResponse } from "../aws/request.ts";
import { Malformed } from "../aws/scalar.ts";
import { knownFault } from "../aws/wire-fault.ts";
import type { Log } from "../base/log.ts";
import { limits } from "../limits.ts";
import { corsHeaders, preflight, type CorsRules } from "./cors.ts";
import { httpEvent } from "./http-event.ts";
import { badGateway, httpResponse } from "./http-response.ts";
import { streamedResponse, type StreamedInvocation } from "./http-stream.ts";

/** A URL that is there, and whose it is. */
interface FunctionUrl {
  readonly account: string;
  /** Qualified by the alias whose URL it is. */
  readonly functionArn: string;
  readonly AuthType: string;
  readonly InvokeMode: string;
  readonly Cors?: CorsRules | undefined;
}

interface Invocation {
  /** JSON. */
  readonly payload: Uint8Array;
  readonly hasFailed: boolean;
}

interface GatewayDeps extends AuthenticateOptions {
  readonly log: Log;
  /** Bytes of request bodies held at a time. */
  readonly bodyBytesMax: number;
  readonly find: (host: FunctionUrlHost) => FunctionUrl | undefined;
  /** What IAM checks for an invocation of the function. */
  readonly access: (context: Context, functionArn: string) => Promise<readonly AccessNeed[]>;
  /** Throws Lambda's faults. */
  readonly invoke: (context: Context, functionArn: string, event: Uint8Array) => Promise<Invocation>;
  /** The same for a response that is streamed. */
  readonly stream: (context: Context, functionArn: string, event: Uint8Array) => Promise<StreamedInvocation>;
}

export type Gateway = (request: WireRequest, host: FunctionUrlHost) => Promise<WireResponse>;

const FORBIDDEN =
  "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";

const refusal = (status: number, code: string, Message: string | null): WireResponse => ({
  status,
  headers: { "content-type": "application/json", "x-amzn-ErrorType": code },
  body: JSON.stringify({ Message }),
});
const forbidden = (message: string | null = FORBIDDEN) => refusal(403, "AccessDeniedException", message);

export function functionUrlGateway(deps: GatewayDeps): Gateway {
  const budget = bodyBudget(deps.bodyBytesMax);
  return async (request, host) => {
    const url = deps.find(host);
    const asked = preflight(url?.Cors, request);
    if (asked !== undefined) return { ...asked, headers: { ...asked.headers, [REQUEST_ID]: request.id } };
    const held = budget.hold();
    let response: WireResponse;
    try {
      response = url === undefined ? forbidden(null) : await answer(deps, url, host, request, held);
    } catch (cause) {
      response = failure(deps, request, cause);
    } finally {
      held.release();
    }
    deps.log.info("function URL", { functionArn: url?.functionArn, status: response.status, requestId: request.id });
    const headers = { ...response.headers, ...corsHeaders(url?.Cors, request), [REQUEST_ID]: request.id };
    return { ...response, headers };
  };
}

type Held = ReturnType<ReturnType<typeof bodyBudget>["hold"]>;

async function answer(
  deps: GatewayDeps,
  url: FunctionUrl,
  { urlId, region }: FunctionUrlHost,
  request: WireRequest,
  held: Held,
): Promise<WireResponse> {
  const tooLarge = () => new CommonFault("RequestEntityTooLargeException", "Request Entity Too Large", 413);
  const body = await readBytes(request.body(), limits.invokePayloadBytesMax, tooLarge, held);
  const signer = url.AuthType === "AWS_IAM" ? authenticate(request, "lambda", body, deps) : undefined;
  const caller = signer?.caller ?? anonymous(url);
  if (signer !== undefined && signer.region !== region) return forbidden();
  const context = contextOf(request, caller, url, region);
  authorise(request, context, await needsOf(deps, context, url), deps);
  const nowMs = deps.clock.now();
  const event = Buffer.from(JSON.stringify(httpEvent({ request, body, urlId, caller, nowMs })));
  if (event.length > limits.invokePayloadBytesMax) throw tooLarge();
  if (url.InvokeMode === "RESPONSE_STREAM") return await streamedResponse(await deps.stream(context, url.functionArn, event));
  const { payload, hasFailed } = await deps.invoke(context, url.functionArn, event);
  return hasFailed ? badGateway() : httpResponse(payload);
}

const anonymous = ({ account }: FunctionUrl): Caller => ({ kind: "anonymous", account, arn: "", userId: "anonymous", accessKeyId: "" });

function contextOf(request: WireRequest, caller: Caller, url: FunctionUrl, region: string): Context {
  const { id: requestId, endpoint, signal, headers } = request;
  const traceHeader = headers.get("x-amzn-trace-id");
  return {
    requestId,
    account: url.account,
    region,
    caller,
    endpoint,
    signal,
    ...(traceHeader === undefined ? {} : { traceHeader }),
  };
}

/** Both are needed, as for every URL that was made since October 2025. */
async function needsOf(deps: GatewayDeps, context: Context, { functionArn, AuthType }: FunctionUrl): Promise<readonly AccessNeed[]> {
  const needs = await deps.access(context, functionArn);
  return needs.flatMap((need) => {
    const conditions = () => ({ ...need.conditions?.(), "lambda:FunctionUrlAuthType": AuthType });
    return [
      { ...need, action: "lambda:InvokeFunctionUrl", conditions },
      { ...need, conditions: () => ({ ...conditions(), "lambda:InvokedViaFunctionUrl": "true" }) },
    ];
  });
}

function failure(deps: GatewayDeps, request: WireRequest, cause: unknown): WireResponse {
  if (cause instanceof Malformed) return refusal(400, "BadRequestException", "Bad Request");
  const fault = knownFault(cause);
  if (fault === undefined) {
    deps.log.error("request to a function URL failed", { requestId: request.id, cause });
    return { ...badGateway(), status: 500 };
  }
  if (fault.status === 413 || fault.status === 429) return refusal(fault.status, fault.code, fault.message);
  // An alias that is gone, a signature that is not right, a policy that is silent: who asks learns no more.
  if (fault.status < 500) return forbidden();
  return badGateway();
}
