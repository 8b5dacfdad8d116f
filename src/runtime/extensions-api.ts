// The Lambda Extensions API over HTTP: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { accept, hangUp, header, JSON_TYPE, readText, refuse, write, type Refusal } from "./api-replies.ts";
import type { ApiPart } from "./environment-api.ts";
import type { Extension, ExtensionEventType, Extensions } from "./extensions.ts";
import { safeErrorType } from "./link.ts";
import type { FunctionSettings } from "./settings.ts";

export const EXTENSIONS_API_VERSION = "2020-01-01";
const ROOT = `/${EXTENSIONS_API_VERSION}/extension`;
const REGISTER_BYTES_MAX = 64 * 1024;
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

const forbidden = (errorType: string, errorMessage: string): Refusal => ({ status: 403, errorType, errorMessage });
const invalidFormat = (errorMessage: string): Refusal => forbidden("InvalidRequestFormat", errorMessage);
const CONFIGURATION_KEYS = "configurationKeys are deprecated; use environment variables instead";

/** Whose call it is, by its identifier. */
export function callerOf(request: IncomingMessage, extensions: Extensions): Extension | Refusal {
  const id = header(request, "lambda-extension-identifier");
  if (id === undefined || id === "") return forbidden("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header");
  if (!UUID.test(id)) return forbidden("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier");
  return extensions.find(id) ?? forbidden("Extension.UnknownExtensionIdentifier", `Unknown extension ${id}`);
}

/** As Go reads it: what is not there is empty. */
function eventsOf(text: string | undefined): readonly ExtensionEventType[] | Refusal {
  let body: { readonly events?: unknown; readonly configurationKeys?: unknown } | null;
  try {
    body = JSON.parse(text ?? "") as typeof body;
  } catch {
    return invalidFormat("the body is not JSON");
  }
  const events = body?.events ?? [];
  if (typeof body !== "object" || Array.isArray(body) || !Array.isArray(events)) return invalidFormat("events must be a list");
  if (Array.isArray(body?.configurationKeys) && body.configurationKeys.length > 0) return invalidFormat(CONFIGURATION_KEYS);
  const isKnown = (event: unknown): event is ExtensionEventType => event === "INVOKE" || event === "SHUTDOWN";
  const strange: unknown = events.find((event) => !isKnown(event));
  if (strange !== undefined) return forbidden("Extension.InvalidEventType", `${safeErrorType(strange, "event")}: invalid event type`);
  return [...new Set(events.filter(isKnown))];
}

export class ExtensionsApi implements ApiPart {
  readonly #extensions: Extensions;
  readonly #settings: Pick<FunctionSettings, "account" | "functionName" | "version" | "handler">;

  constructor(extensions: Extensions, settings: Pick<FunctionSettings, "account" | "functionName" | "version" | "handler">) {
    this.#extensions = extensions;
    this.#settings = settings;
  }

  handle(request: IncomingMessage, response: ServerResponse, path: string): void | Promise<void> {
    const call = `${request.method} ${path}`;
    if (call === `POST ${ROOT}/register`) return this.#onRegister(request, response);
    if (call === `GET ${ROOT}/event/next`) return this.#onNext(request, response);
    if (call === `POST ${ROOT}/init/error`) return this.#onError(request, response, "init");
    if (call === `POST ${ROOT}/exit/error`) return this.#onError(request, response, "exit");
    return hangUp(response, 404, "404 page not found\n");
  }

  async #onRegister(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = header(request, "lambda-extension-name");
    const events = eventsOf(await readText(request, REGISTER_BYTES_MAX));
    if (name === undefined || name === "") return refuse(response, forbidden("Extension.InvalidExtensionName", "Empty extension name"));
    if ("status" in events) return refuse(response, events);
    const one = this.#extensions.register(name, events);
    if ("status" in one) return refuse(response, one);
    const { functionName, version: functionVersion, handler, account } = this.#settings;
    const features = header(request, "lambda-extension-accept-feature")?.split(",") ?? [];
    const accountId = features.some((feature) => feature.trim() === "accountId") ? { accountId: account } : {};
    const body = JSON.stringify({ functionName, functionVersion, handler, ...accountId });
    write(response, 200, body, { ...JSON_TYPE, "Lambda-Extension-Identifier": one.id });
  }

  #onNext(request: IncomingMessage, response: ServerResponse): void {
    const one = callerOf(request, this.#extensions);
    if ("status" in one) return refuse(response, one);
    const id = { ...JSON_TYPE, "Lambda-Extension-Event-Identifier": randomUUID() };
    const waits = this.#extensions.next(one, (event) => write(response, 200, JSON.stringify(event), id));
    if ("status" in waits) return refuse(response, waits);
    response.on("close", waits.cancel);
  }

  async #onError(request: IncomingMessage, response: ServerResponse, phase: "init" | "exit"): Promise<void> {
    const one = callerOf(request, this.#extensions);
    await readText(request, REGISTER_BYTES_MAX); // AWS documents a body, and does not look at it
    if ("status" in one) return refuse(response, one);
    const errorType = header(request, "lambda-extension-function-error-type");
    if (errorType === undefined || errorType === "")
      return refuse(response, forbidden("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found"));
    const refusal = this.#extensions.fails(one, phase, safeErrorType(errorType, "Unknown"));
    if (refusal !== undefined) return refuse(response, refusal);
    accept(response);
  }
}
