// Signed requests that no client would send, and what came back.
import { createHash } from "node:crypto";
import { request, type Agent } from "node:http";
import { SignatureV4 } from "@smithy/signature-v4";
import { Sha256 } from "../../bench/support/signed-requests.ts";
import type { Credentials } from "./api.ts";
import type { HostileRequest } from "./hostile-requests.ts";

/** Of the services that speak forms. */
export const VERSIONS: Readonly<Record<string, string>> = { iam: "2010-05-08", sts: "2011-06-15", sns: "2010-03-31" };

export interface Answered {
  readonly status: number;
  readonly requestId: string | undefined;
  /** The error's code, where a header has it. */
  readonly errorType: string | undefined;
  readonly body: string;
}

/** Signs for a service and sends; rejects when the answer is cut short. */
export function sender(
  service: string,
  endpoint: URL,
  credentials: Credentials,
  agent?: Agent,
): (made: HostileRequest) => Promise<Answered> {
  const signer = new SignatureV4({
    service,
    region: "us-east-1",
    credentials,
    sha256: Sha256,
    uriEscapePath: service !== "s3",
    applyChecksum: true,
  });
  return async (made) => {
    // Without it S3 looks no further at some of its bodies.
    const digest = service === "s3" ? { "content-md5": createHash("md5").update(made.body).digest("base64") } : {};
    const signed = await signer.sign({
      method: made.method,
      protocol: "http:",
      hostname: endpoint.hostname,
      path: made.path,
      query: made.query,
      headers: { ...made.headers, ...digest, host: endpoint.host },
      body: made.body,
    });
    return await send(endpoint, made, { ...signed.headers, "content-length": String(Buffer.byteLength(made.body)) }, agent);
  };
}

function send(endpoint: URL, made: HostileRequest, headers: Readonly<Record<string, string>>, agent: Agent | undefined): Promise<Answered> {
  const search = new URLSearchParams(made.query).toString().replaceAll("+", "%20");
  const options = {
    host: endpoint.hostname,
    port: endpoint.port,
    method: made.method,
    path: search === "" ? made.path : `${made.path}?${search}`,
    headers,
    ...(agent === undefined ? {} : { agent }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      let body = "";
      // A stream of events ends when its reader goes.
      const isEndless = response.headers["content-type"] === "application/vnd.amazon.eventstream";
      if (isEndless) response.destroy();
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("close", () => {
        if (!isEndless && !response.complete) return reject(new Error(`${made.operation}: the answer was cut short`));
        resolve({
          status: response.statusCode ?? 0,
          requestId: (response.headers["x-amzn-requestid"] ?? response.headers["x-amz-request-id"])?.toString(),
          errorType: response.headers["x-amzn-errortype"]?.toString(),
          body,
        });
      });
    });
    sent.on("error", reject);
    sent.end(made.body);
  });
}
