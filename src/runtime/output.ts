// What the processes of a sandbox write to stdout and stderr: from a pipe to lines, at a pace that the server can bear.
import type { Readable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { EVENT_COST_BYTES, Pace, type Allowance } from "./allowance.ts";

/** CloudWatch's limit of one event. */
const LINE_BYTES_MAX = 256 * 1024;
/** A function's threads may go on writing after its answer: the wait for its last words has an end. */
const DRAIN_ROUNDS_MAX = 64;
const NEWLINE = 0x0a;
const PARTIAL_BYTES_FIRST = 4 * 1024;

export interface OutputOptions {
  readonly output: Readable;
  readonly clock: Clock;
  readonly allowance: Allowance;
  /** Complete lines without their newline, in order. */
  readonly lines: (lines: readonly string[]) => void;
}

/** One tick of the event loop: everything that was readable when it began has been read when it ends. */
const nextIteration = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

export class Output {
  readonly #options: OutputOptions;
  /** The beginning of a line whose end has not come. */
  #partial = Buffer.alloc(0);
  #partialBytes = 0;
  #chunks = 0;
  readonly #pace: Pace;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.#pace = new Pace(options.clock, options.output);
    options.output.on("data", (chunk: Buffer) => this.#read(chunk));
    options.output.resume();
    // The end of a killed sandbox; what was read before has been reported.
    options.output.on("error", () => this.close());
    options.output.on("close", () => this.close());
  }

  /**
   * Resolves when what the function wrote before its answer has been reported, a last line without newline included.
   * Those bytes were in the kernel before the answer was, so they are readable by now: when a whole iteration of the event loop
   * brings no more output, there is none left. The first iteration may have been half over when the answer came, hence two.
   */
  async drained(): Promise<void> {
    await nextIteration();
    for (let round = 1; round < DRAIN_ROUNDS_MAX; round++) {
      const seen = this.#chunks;
      await nextIteration();
      if (this.#chunks === seen) break;
    }
    this.#flush();
  }

  close(): void {
    this.#pace.close();
  }

  #flush(): void {
    const lines: string[] = [];
    if (this.#partialBytes > 0) lines.push(this.#takePartial());
    const notice = this.#options.allowance.takeNotice();
    if (notice !== undefined) lines.push(notice);
    if (lines.length > 0) this.#options.lines(lines);
  }

  #read(chunk: Buffer): void {
    const { allowance } = this.#options;
    this.#chunks++;
    this.#pace.spend(chunk.length, allowance.isSpent);
    if (allowance.isSpent) allowance.drop(chunk.length);
    else this.#keep(chunk);
  }

  #keep(chunk: Buffer): void {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#hold(chunk.subarray(start, end), lines);
      lines.push(this.#takePartial());
      start = end + 1;
    }
    this.#hold(chunk.subarray(start), lines);
    this.#options.allowance.keep(chunk.length + lines.length * EVENT_COST_BYTES);
    if (lines.length > 0) this.#options.lines(lines);
  }

  /** Adds to the present line; what is longer than an event may be becomes an event of its own, cut between two characters. */
  #hold(bytes: Buffer, into: string[]): void {
    for (let offset = 0; offset < bytes.length;) {
      const taken = Math.min(bytes.length - offset, LINE_BYTES_MAX - this.#partialBytes);
      this.#reserve(this.#partialBytes + taken);
      bytes.copy(this.#partial, this.#partialBytes, offset, offset + taken);
      this.#partialBytes += taken;
      offset += taken;
      if (this.#partialBytes === LINE_BYTES_MAX && offset < bytes.length) this.#cut(into);
    }
  }

  #cut(into: string[]): void {
    // The last character is left to the next event when more of it may come: it begins with the last byte that continues none.
    let end = this.#partialBytes - 1;
    while (end > this.#partialBytes - 4 && isContinuation(this.#partial[end])) end--;
    if ((this.#partial[end] ?? 0) < 0x80) end = this.#partialBytes;
    into.push(this.#partial.toString("utf8", 0, end));
    this.#partial.copyWithin(0, end, this.#partialBytes);
    this.#partialBytes -= end;
  }

  #reserve(bytes: number): void {
    if (this.#partial.length >= bytes) return;
    const grown = Buffer.allocUnsafe(Math.max(bytes, PARTIAL_BYTES_FIRST, this.#partial.length * 2));
    this.#partial.copy(grown, 0, 0, this.#partialBytes);
    this.#partial = grown;
  }

  #takePartial(): string {
    const text = this.#partial.toString("utf8", 0, this.#partialBytes);
    this.#partialBytes = 0;
    // A long line's buffer is not worth keeping for the next one.
    if (this.#partial.length > PARTIAL_BYTES_FIRST) this.#partial = Buffer.alloc(0);
    return text;
  }
}
