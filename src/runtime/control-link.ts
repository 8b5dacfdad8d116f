// The framed control protocol (runtimes/README.md): the link to Lambent's own bootstraps.
import type { Duplex } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { Clock } from "../base/clock.ts";
import { encodeFrame, FrameReader, frameType, type FrameEvents } from "../sandbox/control-frames.ts";
import { EVENT_COST_BYTES, Pace, valveOf } from "./allowance.ts";
import { RESPONSE_BYTES_MAX, safeErrorType, type Answer, type Link, type LinkEvents, type LinkInvocation } from "./link.ts";
import { StreamedResponse } from "./response-sink.ts";

const READY = frameType("R");
const INIT_FAILED = frameType("F");
const SUCCEEDED = frameType("S");
const ERRORED = frameType("E");
const LOG = frameType("L");
const CHUNK = frameType("C");

const LOG_EVENT_BYTES_MAX = 256 * 1024;
const TOO_LARGE = "Function.ResponseSizeTooLarge";
/** After these AWS's Node runtime ends as well: https://docs.aws.amazon.com/lambda/latest/dg/nodejs-exceptions.html */
const ENDS_THE_RUNTIME = new Set(["Runtime.UnhandledPromiseRejection", "Runtime.NodeJsExit"]);
const UNKNOWN_BYTES_MAX = 64 * 1024;
/** A large write of a streaming function goes on to the caller in pieces of this size. */
const CHUNK_BYTES_MAX = 64 * 1024;

type Head = Readonly<Record<string, unknown>>;

/** Members are looked up by fixed names only, so a hostile head can do no more than be wrong. */
function parseHead(bytes: Buffer): Head | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Head) : undefined;
  } catch {
    // No JSON: the caller reports it as a frame that it cannot read.
    return undefined;
  }
}

function errorOf(head: Head, payload: Buffer): Answer {
  const errorType = safeErrorType(head["errorType"], "Function.Unknown");
  // A bootstrap measures before it sends; the document is the same as for one that does not.
  if (errorType === TOO_LARGE) return { kind: "too-large" };
  return { kind: "errored", errorType, payload, exits: head["exits"] === true || ENDS_THE_RUNTIME.has(errorType) };
}

function limitOf(type: number): { bytesMax: number; beyond: "skip" | "pieces" } {
  if (type === SUCCEEDED || type === ERRORED || type === INIT_FAILED) return { bytesMax: RESPONSE_BYTES_MAX, beyond: "skip" };
  if (type === LOG) return { bytesMax: LOG_EVENT_BYTES_MAX, beyond: "pieces" };
  if (type === CHUNK) return { bytesMax: CHUNK_BYTES_MAX, beyond: "pieces" };
  return { bytesMax: UNKNOWN_BYTES_MAX, beyond: "skip" };
}

export interface ControlLinkOptions {
  readonly control: Duplex;
  readonly handler: string;
  /** It has got its boot frame already. */
  readonly isBooting: boolean;
  readonly clock: Clock;
  readonly events: LinkEvents;
}

/** `variables`: what the process does not have in its environment. */
export const bootFrame = (handler: string, variables: Readonly<Record<string, string>>): readonly Uint8Array[] =>
  encodeFrame("B", { handler, variables });

/** Boots the runtime at the other end of the socket, and speaks with it until the socket is closed. */
export function controlLink(options: ControlLinkOptions): Link {
  const link = new ControlLink(options);
  if (!options.isBooting) link.boot(options.handler);
  return link;
}

class ControlLink implements Link, FrameEvents {
  readonly ended: Promise<void>;
  readonly #control: Duplex;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  readonly #reader: FrameReader;
  readonly #pace: Pace;
  readonly #text = new StringDecoder("utf8");
  #initialised = false;
  /** Stops reading while the caller of a streamed response reads no further. */
  readonly #backPressure: { pause(): void; resume(): void };
  #requestId: string | undefined;
  /** Of the present invocation, if its caller takes a stream. */
  #streamed: StreamedResponse | undefined;

  constructor(options: ControlLinkOptions) {
    this.#control = options.control;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#reader = new FrameReader(this, limitOf);
    const stops = valveOf(options.control);
    this.#pace = new Pace(options.clock, stops());
    this.#backPressure = stops();
    const ended = Promise.withResolvers<void>();
    this.ended = ended.promise;
    this.#control.on("data", (chunk: Buffer) => this.#reader.push(chunk));
    // A driver may have paused it until somebody listens.
    this.#control.resume();
    this.#control.on("end", () => ended.resolve());
    this.#control.on("close", () => ended.resolve());
    // A reset is the normal end of a killed process; "close" follows.
    this.#control.on("error", () => ended.resolve());
  }

  boot(handler: string): void {
    this.#write(bootFrame(handler, {}));
  }

  send(invocation: LinkInvocation): void {
    const { payload, response, ...head } = invocation;
    this.#requestId = invocation.requestId;
    this.#streamed = response === undefined ? undefined : new StreamedResponse(response);
    this.#write(encodeFrame("I", response === undefined ? head : { ...head, streams: true }, payload));
  }

  /** An invocation may be sent before the bootstrap asks, and one that is about to end says so with its answer. */
  rest(): undefined {
    return undefined;
  }

  abandon(): void {
    this.#requestId = undefined;
  }

  close(): void {
    this.#pace.close();
    this.#control.destroy();
  }

  #write(pieces: readonly Uint8Array[]): void {
    // After the end there is nobody to write to, and the exit tells the environment so.
    if (!this.#control.writable) return;
    for (const piece of pieces) this.#control.write(piece);
  }

  frame(type: number, headBytes: Buffer, body: Buffer, hasMore: boolean): void {
    const head = parseHead(headBytes);
    if (head === undefined) return this.#events.strange("a frame whose head is no JSON object");
    if (type === LOG) return this.#onLog(head, body, hasMore);
    if (type === CHUNK) return this.#onChunk(head, body);
    if (type === READY || type === INIT_FAILED) return this.#onInit(type, head, body);
    if (type !== SUCCEEDED && type !== ERRORED) return this.#events.strange(`a frame of unknown type ${type}`);
    if (!this.#isAwaited(head)) return;
    this.#events.answered(type === SUCCEEDED ? this.#successOf(body) : errorOf(head, body));
  }

  oversize(type: number, headBytes: Buffer, bodyBytes: number): void {
    const head = parseHead(headBytes);
    const isAnswer = type === SUCCEEDED || type === ERRORED;
    if (!isAnswer || head === undefined) return this.#events.strange(`a frame of type ${type} with ${bodyBytes} bytes, too many`);
    if (this.#isAwaited(head)) this.#events.answered({ kind: "too-large" });
  }

  broken(message: string): void {
    this.#events.broken(message);
  }

  #onInit(type: number, head: Head, body: Buffer): void {
    if (this.#initialised) return this.#events.strange("a second end of initialisation");
    this.#initialised = true;
    if (type === READY) return this.#events.ready();
    this.#events.initFailed(safeErrorType(head["errorType"], "Runtime.Unknown"), body);
  }

  /** A runtime whose handler does not stream answers with everything at once. */
  #successOf(body: Buffer): Answer {
    const bytes = this.#streamed?.bytes ?? 0;
    return bytes === 0 ? { kind: "succeeded", payload: body } : { kind: "streamed", bytes };
  }

  #onChunk(head: Head, body: Buffer): void {
    const streamed = this.#streamed;
    if (streamed === undefined || head["requestId"] !== this.#requestId)
      return this.#events.strange("a part of a response that nobody waits for");
    streamed.begin(typeof head["contentType"] === "string" ? head["contentType"] : undefined);
    const room = streamed.write(body);
    if (streamed.isTooLarge) {
      this.#requestId = undefined;
      return this.#events.answered({ kind: "stream-too-large" });
    }
    if (room === undefined) return;
    this.#backPressure.pause();
    void room.then(() => this.#backPressure.resume());
  }

  #onLog(head: Head, body: Buffer, hasMore: boolean): void {
    this.#pace.spend(body.length + EVENT_COST_BYTES, false);
    const text = this.#text.write(body) + (hasMore ? "" : this.#text.end());
    const stamp = head["timestampMs"];
    // The function controls its clock's reading, not what a log may hold: a wild time stamp would sort the event out of sight.
    const now = this.#clock.now();
    const isSane = typeof stamp === "number" && stamp > now - 3_600_000 && stamp <= now + 60_000;
    this.#events.log(isSane ? Math.floor(stamp) : now, text);
  }

  /** Takes the answer to the present invocation, once; anything else is late, foreign, or a second one. */
  #isAwaited(head: Head): boolean {
    const id = head["requestId"];
    if (this.#requestId !== undefined && id === this.#requestId) {
      this.#requestId = undefined;
      return true;
    }
    this.#events.strange(`an answer to ${safeErrorType(id, "nothing")}, which nobody waits for`);
    return false;
  }
}
