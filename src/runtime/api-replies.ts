// How the APIs inside a sandbox answer: JSON, RAPID's refusals, and nothing that a header cannot carry.
import type { IncomingMessage, ServerResponse } from "node:http";

export interface Refusal {
  readonly status: number;
  readonly errorType: string;
  readonly errorMessage: string;
}

export const JSON_TYPE = { "Content-Type": "application/json" };

/** A value that may stand in a header: JSON stays the same JSON, other text loses what HTTP cannot carry. */
export function headerText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, (sign) => (sign < " " ? " " : `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`));
}

export function write(response: ServerResponse, status: number, body: string | Uint8Array, headers: Record<string, string>): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { "Content-Length": String(Buffer.byteLength(body)), ...headers });
  response.end(body);
}

export function refuse(response: ServerResponse, { status, errorMessage, errorType }: Refusal): void {
  write(response, status, JSON.stringify({ errorMessage, errorType }), JSON_TYPE);
}

export function accept(response: ServerResponse): void {
  write(response, 202, '{"status":"OK"}\n', JSON_TYPE);
}

/** Answers without reading what may follow. */
export function hangUp(response: ServerResponse, status: number, text: string): void {
  write(response, status, text, { "Content-Type": "text/plain", Connection: "close" });
}

export function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Undefined: it is longer, or did not come whole. Never rejects. */
export function readText(request: IncomingMessage, bytesMax: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bytesMax) return resolve(undefined); // what still comes is read and forgotten
      chunks.push(chunk);
    });
    request.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    request.on("error", () => resolve(undefined));
    request.on("close", () => resolve(undefined));
  });
}
