// The Telemetry API and its predecessor, the Logs API, over HTTP: an extension says what it wants to hear, and where.
// https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api-reference.html
import type { IncomingMessage, ServerResponse } from "node:http";
import { hangUp, readText, refuse, write, type Refusal } from "./api-replies.ts";
import type { ApiPart } from "./environment-api.ts";
import { callerOf } from "./extensions-api.ts";
import type { Extensions } from "./extensions.ts";
import type { LogsSchema, TelemetrySchema } from "./telemetry-records.ts";
import type { Subscription } from "./telemetry-subscriber.ts";
import type { Telemetry } from "./telemetry.ts";

/** Each schema's version is a path as well; AWS's own extensions use the first. */
export const TELEMETRY_API_VERSIONS = ["2022-07-01", "2022-12-13", "2025-01-29"] as const;
export const LOGS_API_VERSION = "2020-08-15";

const BODY_BYTES_MAX = 64 * 1024;
const TYPES = ["platform", "function", "extension"] as const;
const SCHEMAS: Readonly<Record<"telemetry" | "logs", readonly (TelemetrySchema | LogsSchema)[]>> = {
  telemetry: TELEMETRY_API_VERSIONS,
  logs: ["2020-08-15", "2021-03-18"],
};
/** Bounds and default of each. */
const BUFFERING = { maxItems: [1000, 10_000, 10_000], maxBytes: [262_144, 1_048_576, 262_144], timeoutMs: [25, 30_000, 1000] } as const;
const HOSTS = new Set(["sandbox.localdomain", "sandbox"]);

class Invalid extends Error {}

function objectOf(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  throw new Invalid(`${name} must be an object`);
}

function bounded(buffering: Readonly<Record<string, unknown>>, name: keyof typeof BUFFERING): number {
  const [min, max, usual] = BUFFERING[name];
  const value = buffering[name] ?? usual;
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Invalid(`buffering.${name} must be an integer between ${min} and ${max}`);
}

function portOf(value: unknown, name: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value > 0 && value < 65_536) return value;
  throw new Invalid(`${name} must be a port`);
}

function destinationOf(value: unknown, api: Subscription["api"]): Subscription["destination"] {
  const destination = objectOf(value, "destination");
  if (destination["protocol"] === "TCP")
    return { protocol: "TCP", port: portOf(destination["port"], "destination.port"), path: "/", method: "POST" };
  if (destination["protocol"] !== "HTTP") throw new Invalid("destination.protocol must be HTTP or TCP");
  const method = destination["method"] ?? "POST";
  if (method !== "POST" && (api !== "logs" || method !== "PUT")) throw new Invalid("destination.method is not known");
  const uri = destination["URI"];
  if (typeof uri !== "string" || !URL.canParse(uri)) throw new Invalid("destination.URI must be a URI");
  const { protocol, hostname, port, pathname, search } = new URL(uri);
  if (protocol !== "http:" || !HOSTS.has(hostname)) throw new Invalid("destination.URI must begin with http://sandbox.localdomain:<port>");
  return { protocol: "HTTP", port: portOf(port === "" ? 80 : Number(port), "destination.URI"), path: pathname + search, method };
}

/** Throws Invalid. */
function subscriptionOf(text: string | undefined, name: string, api: Subscription["api"], version: string): Subscription {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text ?? "");
  } catch {
    throw new Invalid("the body is not JSON");
  }
  const body = objectOf(parsed, "the body");
  const schema = SCHEMAS[api].find((one) => one === (body["schemaVersion"] ?? version));
  if (schema === undefined) throw new Invalid(`schemaVersion must be one of ${SCHEMAS[api].join(", ")}`);
  const { types } = body;
  if (!Array.isArray(types) || types.length === 0 || types.some((type) => !TYPES.includes(type as never)))
    throw new Invalid(`types must be some of ${TYPES.join(", ")}`);
  const buffering = objectOf(body["buffering"] ?? {}, "buffering");
  return {
    name,
    api,
    schema,
    types: TYPES.filter((type) => types.includes(type)),
    destination: destinationOf(body["destination"], api),
    maxItems: bounded(buffering, "maxItems"),
    maxBytes: bounded(buffering, "maxBytes"),
    timeoutMs: bounded(buffering, "timeoutMs"),
  };
}

export interface TelemetryApiOptions {
  readonly extensions: Extensions;
  readonly telemetry: Telemetry;
  /** Said in the log, and to subscribers. */
  readonly subscribed: (subscription: Subscription) => void;
}

export class TelemetryApi implements ApiPart {
  readonly #options: TelemetryApiOptions;
  readonly #version: string;
  readonly #api: Subscription["api"];

  constructor(options: TelemetryApiOptions, version: string) {
    this.#options = options;
    this.#version = version;
    this.#api = version === LOGS_API_VERSION ? "logs" : "telemetry";
  }

  async handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (path !== `/${this.#version}/${this.#api}`) return hangUp(response, 404, "404 page not found\n");
    if (request.method !== "PUT") return hangUp(response, 405, "405 method not allowed\n");
    const { extensions, telemetry, subscribed } = this.#options;
    const caller = callerOf(request, extensions);
    const text = await readText(request, BODY_BYTES_MAX);
    if ("status" in caller) return refuse(response, caller);
    if (!telemetry.isOpen) return refuse(response, this.#closed());
    try {
      const subscription = subscriptionOf(text, caller.name, this.#api, this.#version);
      telemetry.subscribe(subscription);
      subscribed(subscription);
      write(response, 200, "OK", { "Content-Type": "text/plain" });
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      refuse(response, { status: 400, errorType: "ValidationError", errorMessage: error.message });
    }
  }

  #closed(): Refusal {
    const name = this.#api === "logs" ? "Logs" : "Telemetry";
    return { status: 403, errorType: `${name}.SubscriptionClosed`, errorMessage: `${name} API subscription is closed already` };
  }
}
