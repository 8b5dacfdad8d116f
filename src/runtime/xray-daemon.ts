// What stands for the X-Ray daemon of one environment: takes the segments that SDKs inside send to AWS_XRAY_DAEMON_ADDRESS.
import type { Clock } from "../base/clock.ts";

/** Where AWS_XRAY_DAEMON_ADDRESS points. */
export const XRAY_DAEMON_PORT = 2000;

/** More than a function sends that records each of its calls; a flood must not keep the server busy. */
const WINDOW_MS = 1000;
const DATAGRAMS_MAX = 1000;
const BYTES_MAX = 4 * 2 ** 20;

export interface XrayDaemonOptions {
  readonly clock: Clock;
  /** Takes the JSON object of one segment or subsegment; does not throw. */
  segment(document: string): void;
  strange(message: string): void;
}

export class XrayDaemon {
  readonly #options: XrayDaemonOptions;
  #windowMs = -Infinity;
  #datagrams = 0;
  #bytes = 0;
  #isClosed = false;
  #isStrange = false;

  constructor(options: XrayDaemonOptions) {
    this.#options = options;
  }

  /** False: it takes nothing any more. */
  take(datagram: Buffer): boolean {
    if (this.#isClosed) return false;
    this.#isClosed = this.#isTooMuch(datagram.length);
    if (this.#isClosed) {
      this.#options.strange("it sends more to the X-Ray daemon's address than can be taken; nothing is taken there any more");
      return false;
    }
    const document = segmentDocument(datagram);
    if (document === undefined) this.#wonder();
    else this.#options.segment(document);
    return true;
  }

  #isTooMuch(bytes: number): boolean {
    const now = this.#options.clock.monotonic();
    if (now - this.#windowMs >= WINDOW_MS) [this.#windowMs, this.#datagrams, this.#bytes] = [now, 0, 0];
    this.#datagrams++;
    this.#bytes += bytes;
    return this.#datagrams > DATAGRAMS_MAX || this.#bytes > BYTES_MAX;
  }

  #wonder(): void {
    if (this.#isStrange) return;
    this.#isStrange = true;
    this.#options.strange("what it sends to the X-Ray daemon's address is no segment in JSON; it is dropped");
  }
}

/** A line of JSON that says format and version, then the document: less than X-Ray's 64 KB, as a datagram has at most 65,507 bytes. */
function segmentDocument(datagram: Buffer): string | undefined {
  const end = datagram.indexOf("\n");
  const head = objectIn(datagram.toString("utf8", 0, Math.max(0, end)));
  if (head === undefined || head["format"] !== "json" || head["version"] !== 1) return undefined;
  const document = datagram.toString("utf8", end + 1);
  return objectIn(document) === undefined ? undefined : document;
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
