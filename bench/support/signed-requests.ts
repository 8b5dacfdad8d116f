// Requests that are signed beforehand, so that the client's own cost stays out of the figures.
import { request as httpRequest, Agent } from "node:http";
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Checksum, SourceData } from "@smithy/types";

/** What the signer wants of a hash: HMAC when it is given a key. */
export class Sha256 implements Checksum {
  readonly #key: SourceData | undefined;
  #hash: Hash | Hmac;
  constructor(key?: SourceData) {
    this.#key = key;
    this.#hash = this.#fresh();
  }
  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {
    this.#hash = this.#fresh();
  }
  #fresh(): Hash | Hmac {
    return this.#key === undefined
      ? createHash("sha256")
      : createHmac("sha256", typeof this.#key === "string" ? this.#key : new Uint8Array(this.#key as ArrayBuffer));
  }
}

export interface Prepared {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface ToSign {
  readonly endpoint: string;
  readonly credentials: Credentials;
  readonly service: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export async function signedPost({ endpoint, credentials, service, path, headers, body }: ToSign): Promise<Prepared> {
  const url = new URL(path, endpoint);
  const signer = new SignatureV4({ service, region: "us-east-1", credentials, sha256: Sha256 });
  const signed = await signer.sign({
    method: "POST",
    protocol: "http:",
    hostname: url.hostname,
    port: Number(url.port),
    path: url.pathname,
    headers: { host: url.host, ...headers },
    body,
    query: {},
  });
  return { url, headers: { ...signed.headers, "content-length": String(Buffer.byteLength(body)) }, body };
}

export function signedInvoke(
  endpoint: string,
  credentials: Credentials,
  name: string,
  body: string,
  invocationType: "RequestResponse" | "Event" = "RequestResponse",
): Promise<Prepared> {
  const path = `/2015-03-31/functions/${name}/invocations`;
  const headers = { "content-type": "application/json", "x-amz-invocation-type": invocationType };
  return signedPost({ endpoint, credentials, service: "lambda", path, headers, body });
}

export const connections = (count: number) => new Agent({ keepAlive: true, maxSockets: count });

/** Resolves with the milliseconds until the whole answer was there. */
export function send({ url, headers, body }: Prepared, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const request = httpRequest(url, { method: "POST", headers, agent }, (response) => {
      response.resume();
      response.on("end", () => {
        if ((response.statusCode ?? 500) < 300 && response.headers["x-amz-function-error"] === undefined)
          resolve(performance.now() - startedMs);
        else reject(new Error(`answered ${response.statusCode}`));
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}
