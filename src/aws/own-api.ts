// Lambent's own API beside AWS's, under /_lambent/: the same signatures and the same IAM, plain JSON.
import { timingSafeEqual, createHash } from "node:crypto";
import type { Log } from "../base/log.ts";
import { authenticate, type AuthenticateOptions } from "./authenticate.ts";
import { authorise } from "./authorise.ts";
import { readBytes } from "./body.ts";
import { tooLarge } from "./common-faults.ts";
import { CommonFault } from "./fault.ts";
import type { Caller } from "./identity.ts";
import type { Context } from "./operations.ts";
import { REQUEST_ID } from "./protocol.ts";
import type { WireRequest, WireResponse } from "./request.ts";
import { knownFault, faultMembers } from "./wire-fault.ts";

/** The signing name of its requests, and the prefix of its actions. */
const OWN_SERVICE = "lambent";
export const OWN_PATH = "/_lambent/";

export interface OwnCall {
  readonly context: Context;
  /** What stands for `{id}` in the route's path. */
  readonly id: string;
  readonly query: URLSearchParams;
  readonly body: string;
}

export interface OwnRoute {
  readonly method: "GET" | "POST";
  /** `/_lambent/events/failed/{id}` */
  readonly path: string;
  /** `lambent:GetFailedEvent` */
  readonly action: string;
  /** ARN, or `*`. */
  readonly resource: (call: OwnCall) => string;
  /** From this machine a name and password will do in place of a signature: an access key id and its secret. For scrapers, which can't sign. */
  readonly takesPassword?: true;
  /** A string is sent as it is, everything else as JSON. */
  readonly run: (call: OwnCall) => unknown;
}

const BODY_BYTES_MAX = 65_536;
const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/;
const EXPOSITION = "text/plain; version=0.0.4; charset=utf-8";

interface Options extends AuthenticateOptions {
  readonly log: Log;
}

/** Never rejects. */
export function ownApi(routes: readonly OwnRoute[], options: Options): (request: WireRequest) => Promise<WireResponse> {
  const answer = async (request: WireRequest): Promise<WireResponse> => {
    const [route, id] = routeOf(routes, request);
    const body = await readBytes(request.body(), BODY_BYTES_MAX, () => tooLarge(route.action, BODY_BYTES_MAX), { take() {}, release() {} });
    const context = contextOf(request, signerOf(request, route, body, options));
    const call: OwnCall = { context, id, query: new URLSearchParams(request.rawQuery), body: body.toString() };
    authorise(request, context, [{ action: route.action, resource: route.resource(call) }], options);
    const found = await route.run(call);
    options.log.info("request", {
      requestId: request.id,
      service: OWN_SERVICE,
      path: request.rawPath,
      status: 200,
      caller: context.caller.arn,
    });
    const isText = typeof found === "string";
    const headers = { "content-type": isText ? EXPOSITION : "application/json", [REQUEST_ID]: request.id };
    return { status: 200, headers, body: isText ? found : JSON.stringify(found) };
  };
  return async (request) => {
    try {
      return await answer(request);
    } catch (cause) {
      return refusalOf(request, cause, options.log);
    }
  };
}

function routeOf(routes: readonly OwnRoute[], { method, rawPath }: WireRequest): readonly [OwnRoute, string] {
  for (const route of routes) {
    const [before = "", after] = route.path.split("{id}");
    if (route.method !== method || !rawPath.startsWith(before)) continue;
    if (after === undefined && rawPath === before) return [route, ""];
    const id = rawPath.slice(before.length, rawPath.length - (after?.length ?? 0));
    if (after !== undefined && rawPath.endsWith(after) && /^[\w-]+$/.test(id)) return [route, id];
  }
  throw new CommonFault("ResourceNotFoundException", `There is no ${method} ${rawPath}.`, 404);
}

type Who = Pick<Context, "caller" | "region">;

function signerOf(request: WireRequest, route: OwnRoute, body: Uint8Array, options: Options): Who {
  const given = /^Basic ([A-Za-z0-9+/=]{1,1000})$/.exec(request.headers.get("authorization") ?? "")?.[1];
  if (given === undefined) return authenticate(request, OWN_SERVICE, body, options);
  if (route.takesPassword !== true || !LOOPBACK.test(request.sourceIp ?? ""))
    throw new CommonFault(
      "IncompleteSignatureException",
      "A name and password are taken on the loopback address only: sign the request.",
      403,
    );
  const [name = "", ...rest] = Buffer.from(given, "base64").toString().split(":");
  return { caller: callerOf(name, rest.join(":"), options), region: options.region };
}

const digest = (text: string) => createHash("sha256").update(text).digest();

function callerOf(accessKeyId: string, secret: string, { identities }: Options): Caller {
  const found = identities.credential(accessKeyId, undefined);
  if (typeof found === "string" || !timingSafeEqual(digest(found.secretAccessKey), digest(secret)))
    throw new CommonFault("UnrecognizedClientException", "The access key and secret are not a pair of this server.", 403);
  return found.caller;
}

function contextOf({ id: requestId, endpoint, signal, sourceIp }: WireRequest, { caller, region }: Who): Context {
  return { requestId, account: caller.account, region, caller, endpoint, signal, ...(sourceIp === undefined ? {} : { sourceIp }) };
}

function refusalOf(request: WireRequest, cause: unknown, log: Log): WireResponse {
  const fault = knownFault(cause);
  if (fault === undefined) log.error("request failed", { requestId: request.id, service: OWN_SERVICE, path: request.rawPath, cause });
  else log.info("request", { requestId: request.id, service: OWN_SERVICE, path: request.rawPath, status: fault.status, code: fault.code });
  const { code, status, message } = fault ?? {
    code: "InternalFailure",
    status: 500,
    message: "We encountered an internal error. Please try again.",
  };
  const members = fault === undefined ? {} : faultMembers(fault);
  const headers = { "content-type": "application/json", [REQUEST_ID]: request.id };
  return { status, headers, body: JSON.stringify({ __type: code, ...members, message }) };
}
