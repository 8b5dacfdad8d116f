// Copies the bodies of calls into few buffers that are handed over to another thread: one transfer instead of one copy per body.
const BLOCK_BYTES_MIN = 16_384;
const BLOCK_BYTES_MAX = 1_048_576;

export class Arena {
  #blocks: ArrayBuffer[] = [];
  #used = 0;
  #bytes = 0;

  /** Bytes copied since the last `take`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The copy is lost for this thread once `take`'s buffers are transferred. */
  copy(body: Uint8Array): Uint8Array {
    this.#bytes += body.byteLength;
    let block = this.#blocks.at(-1);
    if (block === undefined || block.byteLength - this.#used < body.byteLength) {
      const next = block === undefined ? BLOCK_BYTES_MIN : Math.min(block.byteLength * 4, BLOCK_BYTES_MAX);
      block = new ArrayBuffer(Math.max(next, body.byteLength));
      this.#blocks.push(block);
      this.#used = 0;
    }
    const copy = new Uint8Array(block, this.#used, body.byteLength);
    copy.set(body);
    this.#used += body.byteLength;
    return copy;
  }

  /** The buffers that the copies since the last call stand in. */
  take(): ArrayBuffer[] {
    const blocks = this.#blocks;
    this.#blocks = [];
    this.#used = 0;
    this.#bytes = 0;
    return blocks;
  }
}
