// Responses onto the transport: HTTP/1.1 or HTTP/2, whole bodies or streams.
import { STATUS_CODES } from "node:http";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { CommonFault } from "./fault.ts";
import { REQUEST_ID } from "./protocol.ts";
import type { WireResponse } from "./request.ts";

/** What the response objects of HTTP/1.1 and HTTP/2 have in common. */
interface ResponseWriter extends Writable {
  writeHead(status: number, headers: Record<string, string | string[]>): unknown;
}

/** Sends the response; rejects when a streamed body fails or the client goes away, after the connection is cut. */
export async function respond(to: ResponseWriter, response: WireResponse, method: string): Promise<void> {
  const { status, body, cookies } = response;
  const headers: Record<string, string | string[]> = response.headers;
  if (cookies !== undefined) headers["set-cookie"] = [...cookies];
  if (body === undefined || method === "HEAD") {
    if (body === undefined && method !== "HEAD" && status !== 204 && status !== 304) headers["content-length"] = "0";
    to.writeHead(status, headers);
    to.end();
    letGo(response);
    return;
  }
  if (typeof body === "string" || body instanceof Uint8Array) {
    headers["content-length"] = String(typeof body === "string" ? Buffer.byteLength(body) : body.byteLength);
    to.writeHead(status, headers);
    to.end(body);
    return;
  }
  to.writeHead(status, headers);
  await pipeline(body, to);
}

/** A body that is not sent still has to be let go. */
export function letGo({ body }: WireResponse): void {
  if (typeof body === "object" && "destroy" in body) body.destroy();
}

/** The answer to a request of which not even the service is known. */
export function refusal(fault: CommonFault, requestId: string): WireResponse & { readonly body: string } {
  return {
    status: fault.status,
    headers: { "content-type": "application/json", [REQUEST_ID]: requestId, "x-amzn-ErrorType": fault.code },
    body: JSON.stringify({ message: fault.message }),
  };
}

/** The same as text, for a socket that has no response object because its request could not be read. */
export function rawRefusal(fault: CommonFault, requestId: string): string {
  const { headers, body } = refusal(fault, requestId);
  const lines = Object.entries({ ...headers, "content-length": String(Buffer.byteLength(body)), connection: "close" });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `HTTP/1.1 ${fault.status} ${STATUS_CODES[fault.status] ?? "Error"}\r\n${head}\r\n${body}`;
}
