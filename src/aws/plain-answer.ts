// Answers in HTTP/1.1 as bytes: the head, and bodies that are there or come piece by piece.
import { STATUS_CODES } from "node:http";
import { TOKEN } from "./plain-head.ts";
import type { WireResponse } from "./request.ts";

interface Closing {
  /** Seconds until the server closes a connection that is not used; undefined: it is closed behind this answer. */
  readonly keepAliveSeconds: number | undefined;
  /** As in a `Date` header. */
  readonly date: string;
}

const FOREIGN = /[^\t\x20-\x7e\x80-\xff]/;
/** Up to here a copy costs less than a second write. */
const COPY_BYTES_MAX = 64 * 1024;

/** Throws a TypeError for a header that would be more than one, or none. */
function headerLine(name: string, value: string): string {
  if (!TOKEN.test(name) || FOREIGN.test(value)) throw new TypeError(`the header ${JSON.stringify(name)} of an answer can't be sent`);
  return `${name}: ${value}\r\n`;
}

const namesLength = (headers: Readonly<Record<string, string>>): boolean =>
  Object.keys(headers).some((name) => name.toLowerCase() === "content-length");

/** How a reader finds the end of a body that the head does not tell the length of yet. */
function framing({ status, headers, body }: WireResponse, isHead: boolean): string {
  if (isHead || status === 204 || status === 304 || namesLength(headers)) return "";
  if (body === undefined) return "content-length: 0\r\n";
  if (typeof body === "string") return `content-length: ${Buffer.byteLength(body)}\r\n`;
  return body instanceof Uint8Array ? `content-length: ${body.byteLength}\r\n` : "transfer-encoding: chunked\r\n";
}

/** The head with the empty line behind it, one character a byte. Throws a TypeError for headers that can't be sent. */
export function answerHead(answer: WireResponse, isHead: boolean, { keepAliveSeconds, date }: Closing): string {
  const { status, headers, cookies = [] } = answer;
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`;
  for (const name in headers) head += headerLine(name, headers[name] ?? "");
  for (const cookie of cookies) head += headerLine("set-cookie", cookie);
  const connection = keepAliveSeconds === undefined ? "close\r\n" : `keep-alive\r\nKeep-Alive: timeout=${keepAliveSeconds}\r\n`;
  return `${head}${framing(answer, isHead)}Date: ${date}\r\nConnection: ${connection}\r\n`;
}

/** What is written, in one piece where a copy is cheap. */
export function answerPieces(head: string, body: string | Uint8Array): readonly Buffer[] {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  if (bytes.length > COPY_BYTES_MAX) return [Buffer.from(head, "latin1"), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)];
  const whole = Buffer.allocUnsafe(head.length + bytes.length);
  whole.write(head, "latin1");
  whole.set(bytes, head.length);
  return [whole];
}

/** A piece in the chunked transfer coding of RFC 9112, section 7.1. An empty one is the last. */
export const chunkOf = (piece: Uint8Array): readonly (string | Uint8Array)[] =>
  piece.length === 0 ? ["0\r\n\r\n"] : [`${piece.length.toString(16)}\r\n`, piece, "\r\n"];
