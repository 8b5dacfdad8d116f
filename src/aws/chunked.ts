// The aws-chunked coding: content in chunks with their own signatures, and trailers behind it. Decoded and checked as it streams.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
import { createHash, hash, timingSafeEqual } from "node:crypto";
import { Transform, type TransformCallback } from "node:stream";
import { CommonFault } from "./fault.ts";
import type { SignedPayload } from "./signature.ts";

type Streaming = Extract<SignedPayload, { kind: "streaming" }>;

export interface ChunkedContent {
  /** What `x-amz-decoded-content-length` says: the content must be exactly this long. */
  readonly bytes?: number;
  /** What `x-amz-trailer` announces, in lower case: other trailers are refused. */
  readonly trailers?: ReadonlySet<string>;
}

const CHUNK_LINE_BYTES_MAX = 256;
const TRAILERS_BYTES_MAX = 8_192;
/** All chunks but the last must be as long as this. */
const CHUNK_BYTES_MIN = 8_192;
const TRAILER_SIGNATURE = "x-amz-trailer-signature";
const EMPTY_SHA256 = hash("sha256", "");

const broken = (message: string) => new CommonFault("InvalidRequest", message, 400);
const badTrailer = () =>
  new CommonFault(
    "MalformedTrailerError",
    "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    400,
  );
const incomplete = () =>
  new CommonFault("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header", 400);
const mismatch = () =>
  new CommonFault(
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    403,
  );
const chunkTooSmall = (chunk: number, bytes: number) =>
  new CommonFault("InvalidChunkSizeError", `Only the last chunk is allowed to have a size less than ${CHUNK_BYTES_MIN} bytes`, 403, {
    Chunk: String(chunk),
    BadChunkSize: String(bytes),
  });

function isEqual(expected: string, given: string): boolean {
  return expected.length === given.length && timingSafeEqual(Buffer.from(expected, "latin1"), Buffer.from(given, "latin1"));
}

/** Chunk signatures, each made over the one before. */
class SignatureChain {
  readonly #seed: Streaming["seed"];
  #previous: string;
  #content = createHash("sha256");

  constructor(seed: Streaming["seed"]) {
    this.#seed = seed;
    this.#previous = seed.signature;
  }

  add(content: Buffer): void {
    this.#content.update(content);
  }

  checkChunk(claimed: string): void {
    this.#check("PAYLOAD", `${EMPTY_SHA256}\n${this.#content.digest("hex")}`, claimed);
    this.#content = createHash("sha256");
    this.#previous = claimed;
  }

  checkTrailers(text: string, claimed: string): void {
    this.#check("TRAILER", hash("sha256", Buffer.from(text, "latin1")), claimed);
  }

  #check(kind: "PAYLOAD" | "TRAILER", digest: string, claimed: string): void {
    const { signingKey, date, scope } = this.#seed;
    const text = `AWS4-HMAC-SHA256-${kind}\n${date}\n${scope}\n${this.#previous}\n${digest}`;
    if (!isEqual(signingKey.sign(text), claimed)) throw mismatch();
  }
}

export class ChunkedDecoder extends Transform {
  /** Complete when the stream has ended; names in lower case. */
  readonly trailers = new Map<string, string>();
  readonly #content: ChunkedContent;
  readonly #hasTrailer: boolean;
  readonly #signatures: SignatureChain | undefined;
  #state: "head" | "data" | "data-end" | "trailers" | "done" = "head";
  #line: Buffer = Buffer.alloc(0);
  #lineBytesMax = CHUNK_LINE_BYTES_MAX;
  #chunks = 0;
  #chunkBytes = 0;
  /** Of the chunk that is being read. */
  #left = 0;
  #claimed = "";
  #bytes = 0;
  #trailerText = "";
  #isTrailerSigned = false;

  constructor({ signed, trailer, seed }: Streaming, content: ChunkedContent) {
    super();
    this.#content = content;
    this.#hasTrailer = trailer;
    this.#signatures = signed ? new SignatureChain(seed) : undefined;
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      for (let at = 0; at < piece.length;) at = this.#state === "data" ? this.#data(piece, at) : this.#text(piece, at);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _flush(done: TransformCallback): void {
    // Without trailers the last empty line may be missing: what matters is that the final chunk was seen.
    const isEnd = this.#state === "done" || (this.#state === "trailers" && !this.#hasTrailer && this.#line.length === 0);
    done(isEnd ? null : incomplete());
  }

  #data(piece: Buffer, at: number): number {
    const end = Math.min(piece.length, at + this.#left);
    const part = piece.subarray(at, end);
    this.#left -= part.length;
    this.#signatures?.add(part);
    this.push(part);
    if (this.#left === 0) this.#state = "data-end";
    return end;
  }

  #text(piece: Buffer, at: number): number {
    if (this.#state === "done") throw broken("There is content behind the last chunk.");
    const end = piece.indexOf(10, at);
    const part = piece.subarray(at, end < 0 ? piece.length : end + 1);
    if (this.#line.length + part.length > this.#lineBytesMax) throw broken("A line of the chunked coding is too long.");
    this.#line = this.#line.length === 0 ? part : Buffer.concat([this.#line, part]);
    if (end < 0) return piece.length;
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
        this.#signatures?.checkChunk(this.#claimed);
        this.#state = "head";
        return;
      case "trailers":
        return line === "" ? this.#end() : this.#trailer(line);
      case "data":
      case "done":
        throw broken("The chunked coding is malformed.");
    }
  }

  #head(line: string): void {
    const match = /^([0-9a-fA-F]{1,10})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line);
    if (match === null) throw broken("The header of a chunk is malformed.");
    if ((match[2] === undefined) === (this.#signatures !== undefined)) throw mismatch();
    this.#claimed = match[2] ?? "";
    const bytes = Number.parseInt(match[1] ?? "", 16);
    if (bytes === 0) return this.#finalChunk();
    if (this.#chunks > 0 && this.#chunkBytes < CHUNK_BYTES_MIN) throw chunkTooSmall(this.#chunks, this.#chunkBytes);
    this.#chunks += 1;
    this.#chunkBytes = bytes;
    this.#left = bytes;
    this.#bytes += bytes;
    // Before its bytes are read: nobody has to take in what is too much.
    if (this.#bytes > (this.#content.bytes ?? Infinity)) throw incomplete();
    this.#state = "data";
  }

  #finalChunk(): void {
    this.#signatures?.checkChunk(this.#claimed);
    if (this.#content.bytes !== undefined && this.#bytes !== this.#content.bytes) throw incomplete();
    this.#state = "trailers";
    this.#lineBytesMax = TRAILERS_BYTES_MAX;
  }

  #trailer(line: string): void {
    // The signature is over all trailers before it, so nothing may follow it.
    if (!this.#hasTrailer || this.#isTrailerSigned) throw badTrailer();
    this.#lineBytesMax -= line.length;
    const at = line.indexOf(":");
    const name = line.slice(0, Math.max(at, 0)).toLowerCase();
    const value = line.slice(at + 1).trim();
    if (name === TRAILER_SIGNATURE) {
      if (this.#signatures === undefined) throw badTrailer();
      this.#signatures.checkTrailers(this.#trailerText, value);
      this.#isTrailerSigned = true;
      return;
    }
    if (!/^[a-z0-9-]+$/.test(name) || this.trailers.has(name) || this.#content.trailers?.has(name) === false) throw badTrailer();
    this.#trailerText += `${name}:${value}\n`;
    this.trailers.set(name, value);
  }

  #end(): void {
    if (this.#signatures !== undefined && this.#hasTrailer && !this.#isTrailerSigned) throw mismatch();
    this.#state = "done";
  }
}

/**
 * Errors with CommonFault: SignatureDoesNotMatch, IncompleteBody for content that is cut off or of another length, InvalidChunkSizeError,
 * MalformedTrailerError, InvalidRequest for what is no aws-chunked coding.
 */
export const chunkedDecoder = (payload: Streaming, content: ChunkedContent = {}): ChunkedDecoder => new ChunkedDecoder(payload, content);
