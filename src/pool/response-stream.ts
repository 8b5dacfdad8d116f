// The bounded queue between a function that streams its response and the client that reads it.
import type { ResponseSink } from "../runtime/response-sink.ts";

/** A client that reads slowly costs this much memory, and one read of the function's socket more. */
const HELD_BYTES_MAX = 256 * 1024;

export interface ResponseStream extends ResponseSink {
  /** Resolves with the content type, if the function set one, when it has begun its response; never when it does not stream. */
  readonly begun: Promise<string | undefined>;
  /** In order, once; ends after `end`, when everything has been read. */
  chunks(): AsyncGenerator<Uint8Array>;
  /** No more is written. */
  end(): void;
  /** Nobody reads any more: what is held goes, and what comes is thrown away, so that the function can run to its end. */
  cancel(): void;
}

export function responseStream(): ResponseStream {
  return new QueuedResponse();
}

class QueuedResponse implements ResponseStream {
  readonly #begun = Promise.withResolvers<string | undefined>();
  readonly begun = this.#begun.promise;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #hasEnded = false;
  #isCancelled = false;
  /** The reader waits for a chunk or the end. */
  #arrival: PromiseWithResolvers<void> | undefined;
  /** The writer waits for room. */
  #room: PromiseWithResolvers<void> | undefined;

  begin(contentType: string | undefined): void {
    this.#begun.resolve(contentType);
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#isCancelled || this.#hasEnded) return undefined;
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    this.#wakeReader();
    if (this.#heldBytes < HELD_BYTES_MAX) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#held.shift();
      if (chunk !== undefined) {
        this.#heldBytes -= chunk.length;
        if (this.#heldBytes < HELD_BYTES_MAX) this.#makeRoom();
        yield chunk;
      } else if (this.#hasEnded) return;
      else {
        this.#arrival ??= Promise.withResolvers<void>();
        await this.#arrival.promise;
      }
    }
  }

  end(): void {
    this.#hasEnded = true;
    this.#wakeReader();
    this.#makeRoom();
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#held = [];
    this.#heldBytes = 0;
    this.end();
  }

  #wakeReader(): void {
    this.#arrival?.resolve();
    this.#arrival = undefined;
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}
