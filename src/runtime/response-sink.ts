// A streamed response on its way: where its chunks go while the function still writes, and how many bytes there were.

/** AWS's limit of a streamed response: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
export const STREAMED_BYTES_MAX = 200 * 2 ** 20;

/** Takes a response as it comes. What is written after its owner has lost interest is thrown away. */
export interface ResponseSink {
  /** The function has begun its response. Called once, before the first chunk. */
  begin(contentType: string | undefined): void;
  /** Keeps the chunk. Undefined: the next may come at once; else when the promise has resolved, which it always does. */
  write(chunk: Uint8Array): Promise<void> | undefined;
}

/** One response between a runtime and its sink. */
export class StreamedResponse {
  readonly #sink: ResponseSink;
  #hasBegun = false;
  #bytes = 0;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isTooLarge(): boolean {
    return this.#bytes > STREAMED_BYTES_MAX;
  }

  begin(contentType: string | undefined): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#sink.begin(contentType);
  }

  /** As the sink's. A chunk beyond the limit is not passed on. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    this.begin(undefined);
    this.#bytes += chunk.length;
    return this.isTooLarge || chunk.length === 0 ? undefined : this.#sink.write(chunk);
  }
}
