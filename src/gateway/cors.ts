// Cross-origin rules of a function URL: answers to browsers that ask first, and headers for those that come.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html#urls-cors
import type { WireRequest, WireResponse } from "../aws/request.ts";

/** As in FunctionUrlConfig. */
export interface CorsRules {
  readonly AllowCredentials?: boolean | undefined;
  readonly AllowHeaders?: readonly string[] | undefined;
  readonly AllowMethods?: readonly string[] | undefined;
  readonly AllowOrigins?: readonly string[] | undefined;
  readonly ExposeHeaders?: readonly string[] | undefined;
  readonly MaxAge?: number | undefined;
}

const includes = (list: readonly string[] | undefined, value: string) =>
  list?.some((one) => one === "*" || one.toLowerCase() === value.toLowerCase()) === true;

/** Empty when the origin is not one that may read the answer. */
export function corsHeaders(rules: CorsRules | undefined, { headers }: Pick<WireRequest, "headers">): Record<string, string> {
  const origin = headers.get("origin");
  if (rules === undefined || origin === undefined || !includes(rules.AllowOrigins, origin)) return {};
  return {
    "access-control-allow-origin": rules.AllowOrigins?.includes("*") === true ? "*" : origin,
    vary: "Origin",
    ...(rules.AllowCredentials === true ? { "access-control-allow-credentials": "true" } : {}),
    ...(rules.ExposeHeaders === undefined || rules.ExposeHeaders.length === 0
      ? {}
      : { "access-control-expose-headers": rules.ExposeHeaders.join(",") }),
  };
}

/** The answer to a browser that asks first; undefined when this is no such question, or there are no rules: then the function answers. */
export function preflight(rules: CorsRules | undefined, request: WireRequest): WireResponse | undefined {
  const method = request.headers.get("access-control-request-method");
  if (rules === undefined || request.method !== "OPTIONS" || method === undefined) return undefined;
  const { "access-control-expose-headers": _exposed, ...headers } = corsHeaders(rules, request);
  const asked = (request.headers.get("access-control-request-headers") ?? "").split(",").map((name) => name.trim());
  const isAllowed = includes(rules.AllowMethods, method) && asked.every((name) => name === "" || includes(rules.AllowHeaders, name));
  if (Object.keys(headers).length === 0 || !isAllowed) return { status: 200, headers: {} };
  return {
    status: 200,
    headers: {
      ...headers,
      "access-control-allow-methods": rules.AllowMethods?.join(",") ?? "",
      ...(rules.AllowHeaders === undefined ? {} : { "access-control-allow-headers": rules.AllowHeaders.join(",") }),
      ...(rules.MaxAge === undefined ? {} : { "access-control-max-age": String(rules.MaxAge) }),
    },
  };
}
