// The metadata endpoint: where an execution environment runs. https://docs.aws.amazon.com/lambda/latest/dg/configuration-metadata-endpoint.html
import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { hangUp, header, JSON_TYPE, write } from "./api-replies.ts";
import type { ApiPart } from "./environment-api.ts";

export const METADATA_API_VERSION = "2026-01-15";
const PATH = `/${METADATA_API_VERSION}/metadata/execution-environment`;
/** AWS's; nothing of it changes while an environment lives. */
const CACHED = "private, max-age=43200, immutable";
const COMPASS: Readonly<Record<string, string>> = { northeast: "ne", northwest: "nw", southeast: "se", southwest: "sw" };

/** One machine is one zone: the region's first. `us-east-1` → `use1-az1` */
export function zoneIdOf(region: string): string {
  const [area = "", ...words] = region.split("-");
  return `${area}${words.map((word) => COMPASS[word] ?? word.charAt(0)).join("")}-az1`;
}

export class MetadataApi implements ApiPart {
  readonly #region: string;
  readonly #authorization: Buffer;

  /** `token`: AWS_LAMBDA_METADATA_TOKEN of the environment. */
  constructor(region: string, token: string) {
    this.#region = region;
    this.#authorization = Buffer.from(`Bearer ${token}`);
  }

  handle(request: IncomingMessage, response: ServerResponse, path: string): void {
    if (path !== PATH) return hangUp(response, 404, "404 page not found\n");
    if (request.method !== "GET") return hangUp(response, 405, "405 method not allowed\n");
    const given = Buffer.from(header(request, "authorization") ?? "");
    if (given.length !== this.#authorization.length || !timingSafeEqual(given, this.#authorization))
      return hangUp(response, 401, "401 unauthorized\n");
    write(response, 200, JSON.stringify({ AvailabilityZoneID: zoneIdOf(this.#region) }), { ...JSON_TYPE, "Cache-Control": CACHED });
  }
}
