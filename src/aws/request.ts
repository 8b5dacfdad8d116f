// Requests and responses without a transport: what the front door hands to the services and what it gets back.
import type { Readable } from "node:stream";
import { Malformed } from "./scalar.ts";

export interface WireRequest {
  /** UUID; every response and every log line about the request has it. */
  readonly id: string;
  /** Upper case. */
  readonly method: string;
  /** Still percent-encoded, without the query: routes are matched on it, labels are decoded afterwards. */
  readonly rawPath: string;
  /** Without the question mark; empty when there is none. */
  readonly rawQuery: string;
  /** By lower-case name; repeated headers are joined with a comma. */
  readonly headers: ReadonlyMap<string, string>;
  /** The public endpoint as the client reached it: `http://localhost:4566`. A bucket in the host name is not part of it. */
  readonly endpoint: string;
  /** Bucket named by the host (`photos.s3.localhost`), for S3 alone. */
  readonly hostBucket: string | undefined;
  /** Address of the client, for `aws:SourceIp`; undefined where the connection has none. */
  readonly sourceIp: string | undefined;
  /** To be asked for once. */
  readonly body: () => Readable;
  /** The same, where all of it is there. */
  readonly whole?: Buffer;
  /** Whether the head announces a body; of HTTP/2 that is not known before its end. */
  readonly hasBody: boolean;
  /** Aborted when the client goes away or the server stops. */
  readonly signal: AbortSignal;
}

/** Which function URL a host name stands for. */
export interface FunctionUrlHost {
  readonly urlId: string;
  readonly region: string;
}

type WireBody = Uint8Array | string | Readable | AsyncIterable<Uint8Array>;

export interface WireResponse {
  readonly status: number;
  /** By the name to send. */
  readonly headers: Record<string, string>;
  /** Each becomes a `set-cookie` header. */
  readonly cookies?: readonly string[];
  /** Absent: the response is empty. */
  readonly body?: WireBody;
}

function decodeQueryText(text: string): string {
  try {
    return decodeURIComponent(text.includes("+") ? text.replaceAll("+", " ") : text);
  } catch (cause) {
    throw new Malformed("the query string is not valid percent-encoding", { cause });
  }
}

const PARAMETERS_MAX = 10_000;

/** Decodes a query string or a form; throws Malformed. */
export function parseQuery(raw: string): Map<string, string[]> {
  const parameters = new Map<string, string[]>();
  if (raw === "") return parameters;
  const parts = raw.split("&");
  if (parts.length > PARAMETERS_MAX) throw new Malformed(`there are more than ${PARAMETERS_MAX} parameters`);
  for (const part of parts) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = decodeQueryText(equals === -1 ? part : part.slice(0, equals));
    const value = equals === -1 ? "" : decodeQueryText(part.slice(equals + 1));
    const present = parameters.get(name);
    if (present === undefined) parameters.set(name, [value]);
    else present.push(value);
  }
  return parameters;
}
