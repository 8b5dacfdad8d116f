// Frames of the control protocol (runtimes/README.md): encoding, and a reader that bounds what a sandbox can make the server hold.

/** Length, type and length of the head. */
const PREFIX_BYTES = 9;
const HEAD_BYTES_MAX = 64 * 1024;
/** Below this, one copy is cheaper than a second write. */
const COPY_BYTES_MAX = 64 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

export const frameType = (letter: string): number => letter.charCodeAt(0);

/** The bytes of one frame, in one or two pieces. */
export function encodeFrame(letter: string, head: object, body: Uint8Array = EMPTY): readonly Uint8Array[] {
  const headText = JSON.stringify(head);
  const headBytes = Buffer.byteLength(headText);
  const together = body.length <= COPY_BYTES_MAX;
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + headBytes + (together ? body.length : 0));
  frame.writeUInt32BE(PREFIX_BYTES - 4 + headBytes + body.length, 0);
  frame.writeUInt8(frameType(letter), 4);
  frame.writeUInt32BE(headBytes, 5);
  frame.write(headText, PREFIX_BYTES);
  if (!together) return [frame, body];
  frame.set(body, PREFIX_BYTES + headBytes);
  return [frame];
}

/** What a reader does with a body that is longer than its type's limit. */
interface BodyLimit {
  readonly bytesMax: number;
  /** `skip`: reported once, then thrown away as it arrives. `pieces`: handed over in pieces of at most `bytesMax`. */
  readonly beyond: "skip" | "pieces";
}

export interface FrameEvents {
  /** `hasMore`: this is a piece of the body, and another follows. The bytes may be kept. */
  frame(type: number, head: Buffer, body: Buffer, hasMore: boolean): void;
  /** A body of the kind `skip` was announced that is longer than allowed. */
  oversize(type: number, head: Buffer, bodyBytes: number): void;
  /** What was sent is no frame: nothing more will be read. */
  broken(message: string): void;
}

type Phase = "prefix" | "head" | "body" | "skip" | "broken";

/** Takes bytes as they come, however they are cut, and reports frames; holds at most one frame within its limits. */
export class FrameReader {
  readonly #events: FrameEvents;
  readonly #limitOf: (type: number) => BodyLimit;
  #phase: Phase = "prefix";
  /** Bytes that the present phase still takes as one block, or still skips. */
  #wanted = PREFIX_BYTES;
  #partial: Buffer | undefined;
  #partialBytes = 0;
  #type = 0;
  #head = EMPTY;
  #headBytes = 0;
  #bodyLeft = 0;

  constructor(events: FrameEvents, limitOf: (type: number) => BodyLimit) {
    this.#events = events;
    this.#limitOf = limitOf;
  }

  push(chunk: Buffer): void {
    let offset = 0;
    while (this.#phase !== "broken") {
      if (this.#phase === "skip") {
        const skipped = Math.min(this.#wanted, chunk.length - offset);
        offset += skipped;
        this.#wanted -= skipped;
        if (this.#wanted > 0) return;
        this.#expect("prefix", PREFIX_BYTES);
      }
      const block = this.#take(chunk, offset);
      if (block === undefined) return;
      offset += block.consumed;
      this.#complete(block.bytes);
    }
  }

  /** The next `#wanted` bytes: a view when the chunk has them all, else gathered in a buffer of exactly that size. */
  #take(chunk: Buffer, offset: number): { bytes: Buffer; consumed: number } | undefined {
    const available = chunk.length - offset;
    if (this.#partial === undefined) {
      if (available >= this.#wanted) return { bytes: chunk.subarray(offset, offset + this.#wanted), consumed: this.#wanted };
      if (available === 0) return undefined;
      this.#partial = Buffer.allocUnsafe(this.#wanted);
    }
    const consumed = chunk.copy(this.#partial, this.#partialBytes, offset, offset + Math.min(available, this.#wanted - this.#partialBytes));
    this.#partialBytes += consumed;
    if (this.#partialBytes < this.#wanted) return undefined;
    const bytes = this.#partial;
    this.#partial = undefined;
    this.#partialBytes = 0;
    return { bytes, consumed };
  }

  #complete(bytes: Buffer): void {
    if (this.#phase === "prefix") return this.#onPrefix(bytes);
    if (this.#phase === "head") return this.#onHead(bytes);
    this.#bodyLeft -= bytes.length;
    const hasMore = this.#bodyLeft > 0;
    const [type, head] = [this.#type, this.#head];
    if (hasMore) this.#expect("body", Math.min(this.#bodyLeft, this.#limitOf(type).bytesMax));
    else this.#expect("prefix", PREFIX_BYTES);
    this.#events.frame(type, head, bytes, hasMore);
  }

  #onPrefix(bytes: Buffer): void {
    const length = bytes.readUInt32BE(0);
    this.#type = bytes.readUInt8(4);
    this.#headBytes = bytes.readUInt32BE(5);
    this.#bodyLeft = length - (PREFIX_BYTES - 4) - this.#headBytes;
    if (this.#bodyLeft < 0) return this.#break(`a frame of ${length} bytes cannot have a head of ${this.#headBytes}`);
    if (this.#headBytes > HEAD_BYTES_MAX) return this.#break(`a head of ${this.#headBytes} bytes is more than ${HEAD_BYTES_MAX}`);
    this.#expect("head", this.#headBytes);
  }

  #onHead(bytes: Buffer): void {
    this.#head = bytes;
    const limit = this.#limitOf(this.#type);
    if (this.#bodyLeft <= limit.bytesMax || limit.beyond === "pieces")
      return this.#expect("body", Math.min(this.#bodyLeft, limit.bytesMax));
    this.#expect("skip", this.#bodyLeft);
    this.#events.oversize(this.#type, bytes, this.#bodyLeft);
  }

  #expect(phase: Phase, bytes: number): void {
    this.#phase = phase;
    this.#wanted = bytes;
  }

  #break(message: string): void {
    this.#phase = "broken";
    this.#events.broken(message);
  }
}
