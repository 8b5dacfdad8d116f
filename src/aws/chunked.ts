// The aws-chunked coding: content in chunks with their own signatures, and trailers behind it. Decoded and checked as it streams.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { Transform, type TransformCallback } from "node:stream";
import { CommonFault } from "./fault.ts";
import type { SignedPayload } from "./signature.ts";

type Streaming = Extract<SignedPayload, { kind: "streaming" }>;

const LINE_BYTES_MAX = 16_384;
const TRAILERS_MAX = 32;
const EMPTY_SHA256 = createHash("sha256").digest("hex");

const broken = (message: string) => new CommonFault("InvalidRequest", message, 400);
const incomplete = () =>
  new CommonFault("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.", 400);
const mismatch = () =>
  new CommonFault(
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    403,
  );

function isEqual(expected: string, given: string): boolean {
  return expected.length === given.length && timingSafeEqual(Buffer.from(expected), Buffer.from(given));
}

export class ChunkedDecoder extends Transform {
  /** Complete when the stream has ended; names in lower case. */
  readonly trailers = new Map<string, string>();
  readonly #payload: Streaming;
  #state: "head" | "data" | "data-end" | "trailers" | "done" = "head";
  #line: Buffer = Buffer.alloc(0);
  #left = 0;
  #hash = createHash("sha256");
  #claimed = "";
  #previous: string;
  #trailerText = "";

  constructor(payload: Streaming) {
    super();
    this.#payload = payload;
    this.#previous = payload.seed.signature;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      for (let at = 0; at < chunk.length;) at = this.#state === "data" ? this.#data(chunk, at) : this.#lines(chunk, at);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _flush(done: TransformCallback): void {
    // The last CRLF of the trailers may be missing: what matters is that the final chunk was seen.
    if (this.#state === "trailers" && this.#line.length === 0 && !this.#payload.trailer) return done();
    done(this.#state === "done" ? null : incomplete());
  }

  #data(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    const part = chunk.subarray(at, end);
    this.#left -= part.length;
    if (this.#payload.signed) this.#hash.update(part);
    this.push(part);
    if (this.#left === 0) this.#state = "data-end";
    return end;
  }

  #lines(chunk: Buffer, at: number): number {
    if (this.#state === "done") throw broken("There is content behind the last chunk.");
    const end = chunk.indexOf(10, at);
    const part = chunk.subarray(at, end < 0 ? chunk.length : end + 1);
    this.#line = this.#line.length === 0 ? part : Buffer.concat([this.#line, part]);
    if (this.#line.length > LINE_BYTES_MAX) throw broken("A chunk's header is too long.");
    if (end < 0) return chunk.length;
    const line = this.#line.toString("latin1");
    this.#line = Buffer.alloc(0);
    if (!line.endsWith("\r\n")) throw broken("A line of the chunked coding does not end in CRLF.");
    this.#takeLine(line.slice(0, -2));
    return end + 1;
  }

  #takeLine(line: string): void {
    switch (this.#state) {
      case "head":
        return this.#head(line);
      case "data-end":
        if (line !== "") throw broken("A chunk is longer than its header says.");
        this.#checkChunk();
        this.#state = "head";
        return;
      case "trailers":
        return this.#trailer(line);
      case "data":
      case "done":
        throw broken("The chunked coding is malformed.");
    }
  }

  #head(line: string): void {
    const match = /^([0-9a-fA-F]{1,10})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line);
    if (match === null) throw broken("The chunk size or signature is malformed.");
    if (this.#payload.signed && match[2] === undefined) throw mismatch();
    this.#claimed = match[2] ?? "";
    this.#left = Number.parseInt(match[1] ?? "", 16);
    if (this.#left > 0) {
      this.#state = "data";
      return;
    }
    this.#checkChunk();
    this.#state = "trailers";
  }

  #checkChunk(): void {
    if (!this.#payload.signed) return;
    const { date, scope } = this.#payload.seed;
    const digest = this.#hash.digest("hex");
    this.#hash = createHash("sha256");
    this.#check(`AWS4-HMAC-SHA256-PAYLOAD\n${date}\n${scope}\n${this.#previous}\n${EMPTY_SHA256}\n${digest}`, this.#claimed);
    this.#previous = this.#claimed;
  }

  #check(text: string, claimed: string): void {
    if (!isEqual(createHmac("sha256", this.#payload.seed.signingKey).update(text).digest("hex"), claimed)) throw mismatch();
  }

  #trailer(line: string): void {
    if (line === "") {
      if (this.#payload.signed && this.#payload.trailer && !this.trailers.has("x-amz-trailer-signature")) throw mismatch();
      this.#state = "done";
      return;
    }
    const at = line.indexOf(":");
    if (at < 1 || !this.#payload.trailer || this.trailers.size >= TRAILERS_MAX) throw broken("The trailers are malformed.");
    const name = line.slice(0, at).toLowerCase();
    const value = line.slice(at + 1).trim();
    if (name === "x-amz-trailer-signature" && this.#payload.signed) {
      const { date, scope } = this.#payload.seed;
      const digest = createHash("sha256").update(this.#trailerText).digest("hex");
      this.#check(`AWS4-HMAC-SHA256-TRAILER\n${date}\n${scope}\n${this.#previous}\n${digest}`, value);
    } else this.#trailerText += `${name}:${value}\n`;
    this.trailers.set(name, value);
  }
}

/** Errors with CommonFault: SignatureDoesNotMatch, IncompleteBody for a truncated stream, InvalidRequest for a malformed one. */
export const chunkedDecoder = (payload: Streaming): ChunkedDecoder => new ChunkedDecoder(payload);
