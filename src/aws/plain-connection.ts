// A connection in HTTP/1.1 while its requests are plain and come whole, as nearly all calls of SDKs do: read and answered at a fraction of
// what Node's server takes. The first request that is anything else leaves with its connection to that server, for good.
import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { answerHead, answerPieces, chunkOf } from "./plain-answer.ts";
import { plainHead, type PlainHead } from "./plain-head.ts";
import type { WireResponse } from "./request.ts";
import { letGo } from "./respond.ts";

export interface PlainRequest {
  readonly head: PlainHead;
  readonly body: Buffer;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}

export interface PlainAnswer {
  readonly response: WireResponse;
  /** Whatever follows on this connection was framed by the same sender, who is not trusted any more. */
  readonly isLast: boolean;
}

interface PlainTimeouts {
  /** Until the first bytes. */
  readonly headersMs: number;
  /** Between two pieces of a body. */
  readonly bodyIdleMs: number;
  /** Between two requests. */
  readonly keepAliveMs: number;
}

interface PlainConnectionOptions {
  readonly clock: Clock;
  readonly timeouts: PlainTimeouts;
  /** Must not reject. */
  readonly serve: (request: PlainRequest) => Promise<PlainAnswer>;
  /** The connection is somebody else's from now on, paused; these bytes are the first that its reader finds. */
  readonly leave: (bytes: Buffer) => void;
  /** A request has begun, and has ended: its answer is sent, or nobody is there to have it. */
  readonly begun: () => void;
  readonly ended: () => void;
  /** An answer was cut short. */
  readonly failed: (response: WireResponse, cause: unknown) => void;
}

/** A request of which at least the head is there. */
interface Beginning {
  readonly head: PlainHead;
  readonly bodyStart: number;
  /** Of the whole request. */
  readonly length: number;
}

const HEAD_END = Buffer.from("\r\n\r\n");
const CHUNKED = "\r\ntransfer-encoding: chunked\r\n";
const NOTHING = new Uint8Array();
const HEAD_BYTES_MAX = 16 * 1024;
/** What is kept of a request that is not whole yet; a longer one is read by Node as it comes. */
const HELD_BYTES_MAX = 16 * 1024;
/** Clients that reckon with the same time as the server send into a closing connection. */
const KEEP_ALIVE_MARGIN_MS = 1000;

export class PlainConnection {
  readonly #socket: Socket;
  readonly #options: PlainConnectionOptions;
  /** What was read and is no whole request, or comes behind the one that is being answered. */
  #held: Buffer | undefined;
  /** Of what is held, when its head is there. */
  #begun: Beginning | undefined;
  /** Present while a request is being answered. */
  #asked: AbortController | undefined;
  /** What is being sent. */
  #response: WireResponse | undefined;
  /** No further request is taken. */
  #isEnding = false;
  #idleMs = 0;

  constructor(socket: Socket, options: PlainConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#allow(options.timeouts.headersMs);
    socket.on("data", this.#onData).on("end", this.#onEnd).on("timeout", this.#onTimeout).on("close", this.#onClose);
  }

  /** Ends behind the answer that is due, at once when there is none. */
  end(): void {
    this.#isEnding = true;
    if (this.#asked === undefined) this.#socket.destroy();
  }

  readonly #onData = (piece: Buffer) => {
    const bytes = this.#held === undefined ? piece : Buffer.concat([this.#held, piece]);
    if (this.#asked === undefined) return this.#take(bytes);
    // Of requests behind this one no more is read before its answer is sent.
    this.#held = bytes;
    this.#socket.pause();
  };

  /** Clients that go away say no more than those that have sent all they want to. Node's server does the same. */
  readonly #onEnd = () => this.#socket.destroy();

  /** A function may take its time, a client that has to read or write may not. */
  readonly #onTimeout = () => {
    if (this.#asked === undefined || this.#socket.writableLength > 0) this.#socket.destroy();
  };

  readonly #onClose = () => {
    if (this.#response !== undefined) letGo(this.#response);
    if (this.#asked === undefined) return;
    this.#asked.abort(new Error("the client went away"));
    this.#finish();
  };

  #allow(idleMs: number): void {
    if (this.#idleMs !== idleMs) this.#socket.setTimeout(idleMs);
    this.#idleMs = idleMs;
  }

  #take(bytes: Buffer): void {
    const begun = this.#begun ?? beginningOf(bytes);
    const isWhole = begun !== undefined && bytes.length >= begun.length;
    // HTTP/2 begins like a PUT, which the second byte decides.
    const mustLeave = begun === undefined ? bytes.length > 1 : !isWhole && begun.length > HELD_BYTES_MAX;
    if (mustLeave) return this.#leave(bytes);
    if (!isWhole) return this.#await(bytes, begun);
    this.#begun = undefined;
    this.#held = bytes.length > begun.length ? bytes.subarray(begun.length) : undefined;
    this.#allow(this.#options.timeouts.keepAliveMs + KEEP_ALIVE_MARGIN_MS);
    void this.#answer(begun.head, bytes.subarray(begun.bodyStart, begun.length));
  }

  #await(bytes: Buffer, begun: Beginning | undefined): void {
    this.#held = bytes;
    this.#begun = begun;
    if (begun !== undefined) this.#allow(this.#options.timeouts.bodyIdleMs);
  }

  #leave(bytes: Buffer): void {
    const socket = this.#socket;
    socket.off("data", this.#onData).off("end", this.#onEnd).off("timeout", this.#onTimeout).off("close", this.#onClose);
    socket.setTimeout(0);
    socket.pause();
    socket.unshift(bytes);
    this.#options.leave(bytes);
  }

  async #answer(head: PlainHead, body: Buffer): Promise<void> {
    const asked = new AbortController();
    this.#asked = asked;
    this.#options.begun();
    const { response, isLast } = await this.#options.serve({ head, body, signal: asked.signal });
    this.#isEnding ||= isLast;
    if (this.#asked !== asked) return letGo(response);
    this.#response = response;
    try {
      await this.#send(response, head.method === "HEAD");
    } catch (cause) {
      this.#socket.destroy();
      this.#options.failed(response, cause);
    }
    this.#response = undefined;
    if (this.#asked !== asked) return;
    this.#finish();
    if (this.#isEnding) this.#socket.end(() => this.#socket.destroy());
    else this.#goOn();
  }

  /** Resolves when it is with the kernel; rejects when it can't be sent, or its body fails. */
  #send(response: WireResponse, isHead: boolean): Promise<void> | undefined {
    const { timeouts, clock } = this.#options;
    const keepAliveSeconds = this.#isEnding ? undefined : Math.floor(timeouts.keepAliveMs / 1000);
    const head = answerHead(response, isHead, { keepAliveSeconds, date: httpDate(clock.now()) });
    const { body = "" } = response;
    if (typeof body === "string" || body instanceof Uint8Array) {
      for (const piece of answerPieces(head, isHead ? "" : body)) this.#socket.write(piece);
      return this.#sent();
    }
    this.#socket.write(head, "latin1");
    if (!isHead) return this.#sendStream(body, head.includes(CHUNKED));
    letGo(response);
    return this.#sent();
  }

  async #sendStream(body: AsyncIterable<Uint8Array>, isChunked: boolean): Promise<void> {
    for await (const piece of body) {
      if (this.#socket.destroyed) return;
      if (piece.length > 0) this.#writeAll(isChunked ? chunkOf(piece) : [piece]);
      if (this.#socket.writableNeedDrain) await this.#sent();
    }
    if (isChunked) this.#writeAll(chunkOf(NOTHING));
    await this.#sent();
  }

  #writeAll(pieces: readonly (string | Uint8Array)[]): void {
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
  }

  /** Undefined when the kernel has all of what was written. */
  #sent(): Promise<void> | undefined {
    const socket = this.#socket;
    if (socket.writableLength === 0 || socket.destroyed) return undefined;
    // Called in its turn, and also when the connection closes.
    return new Promise((resolve) => socket.write("", () => resolve()));
  }

  #finish(): void {
    this.#asked = undefined;
    this.#options.ended();
  }

  /** With what has come in the meantime. */
  #goOn(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#socket.resume();
    this.#take(held);
  }
}

/** Undefined: the head is not plain, or not there. */
function beginningOf(bytes: Buffer): Beginning | undefined {
  const headBytes = bytes.indexOf(HEAD_END);
  if (headBytes < 0 || headBytes > HEAD_BYTES_MAX) return undefined;
  const head = plainHead(bytes.toString("latin1", 0, headBytes));
  const bodyStart = headBytes + HEAD_END.length;
  return head === undefined ? undefined : { head, bodyStart, length: bodyStart + head.bodyBytes };
}

let dateOf = { second: 0, text: "" };

/** IMF-fixdate of RFC 9110. */
function httpDate(nowMs: number): string {
  const second = Math.floor(nowMs / 1000);
  if (dateOf.second !== second) dateOf = { second, text: new Date(second * 1000).toUTCString() };
  return dateOf.text;
}
