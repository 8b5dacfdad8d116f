// Content in and out: streams into blobs with their digests, blobs out as one stream. Never a whole body in memory.
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { CommonFault } from "../../aws/fault.ts";
import type { BlobWriter } from "../../store/blob-store.ts";
import type { Entry } from "../../store/storage.ts";
import { checkEqual, checkMd5, newDigest, trailingChecksum, type Algorithm, type Checksum, type ExpectedChecksum } from "./checksum.ts";
import { entityTooLarge, incompleteBody, invalidRequest } from "./faults.ts";
import { PART, rangeOf, type Content, type ObjectRecord, type PartRecord, type S3Store } from "./model.ts";

/** S3 takes 5 GiB in one PUT, one part or one copy. */
export const PUT_BYTES_MAX = 5 * 2 ** 30;
const PARTS_PAGE = 1000;

export interface StoredContent {
  readonly sha256: string;
  readonly bytes: number;
  /** Hex. */
  readonly md5: string;
  readonly checksum?: Checksum;
}

interface StoreOptions {
  /** What Content-Length said. */
  readonly bytes?: number | undefined;
  readonly md5?: Buffer | undefined;
  readonly checksum?: ExpectedChecksum | undefined;
}

/** The trailers of aws-chunked content, once it has ended. A plain request has `trailers` too, which are not a Map and nobody signed. */
function trailersOf(source: Readable): ReadonlyMap<string, string> | undefined {
  const { trailers } = source as { readonly trailers?: unknown };
  return trailers instanceof Map ? (trailers as ReadonlyMap<string, string>) : undefined;
}

const GONE = new Set(["ABORT_ERR", "ECONNRESET", "EPIPE", "ERR_STREAM_DESTROYED", "ERR_STREAM_PREMATURE_CLOSE"]);

/** The source's own faults pass; that its client has gone is no fault of ours. */
function sourceFault(cause: unknown): unknown {
  const { code } = cause as NodeJS.ErrnoException;
  return code !== undefined && GONE.has(code)
    ? new CommonFault("RequestTimeout", "The client went away before its request was complete.", 400, {}, { cause })
    : cause;
}

async function pump(source: Readable, options: StoreOptions, writer: BlobWriter): Promise<StoredContent> {
  const md5 = createHash("md5");
  const { checksum: expected } = options;
  const digest = expected === undefined ? undefined : newDigest(expected.algorithm);
  const limit = options.bytes ?? PUT_BYTES_MAX;
  let bytes = 0;
  // Not destroyed when it is left early: its connection still has to carry the answer.
  for await (const chunk of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > limit) throw options.bytes === undefined ? entityTooLarge(bytes, PUT_BYTES_MAX) : incompleteBody();
    md5.update(chunk);
    digest?.update(chunk);
    await writer.write(chunk);
  }
  if (options.bytes !== undefined && bytes !== options.bytes) throw incompleteBody();
  const calculatedMd5 = md5.digest();
  if (options.md5 !== undefined) checkMd5(options.md5, calculatedMd5);
  const trailer = trailingChecksum(trailersOf(source));
  const calculated = digest?.digest().toString("base64");
  if (expected !== undefined && trailer !== undefined && trailer.algorithm !== expected.algorithm)
    throw invalidRequest(
      `Checksum Type mismatch occurred, expected checksum Type: ${expected.algorithm.toLowerCase()}, actual checksum Type: ${trailer.algorithm.toLowerCase()}`,
    );
  const value = expected?.value ?? trailer?.value;
  if (expected !== undefined && calculated !== undefined && value !== undefined) checkEqual(expected.algorithm, value, calculated);
  const { sha256 } = await writer.commit();
  const checksum: Checksum | undefined =
    expected === undefined || calculated === undefined
      ? undefined
      : { algorithm: expected.algorithm, value: calculated, type: "FULL_OBJECT" };
  return { sha256, bytes, md5: calculatedMd5.toString("hex"), ...(checksum === undefined ? {} : { checksum }) };
}

async function digestOf(store: S3Store, sha256: string, bytes: number, algorithm: Algorithm): Promise<string> {
  const digest = newDigest(algorithm);
  for await (const chunk of readContent(store, [{ sha256, bytes }], 0, bytes) as AsyncIterable<Buffer>) digest.update(chunk);
  return digest.digest().toString("base64");
}

/**
 * Writes the stream into a blob with back-pressure, and checks length and digests at its end. Whatever goes wrong leaves nothing.
 * Throws CommonFault: IncompleteBody, BadDigest, EntityTooLarge.
 */
export async function storeContent(store: S3Store, source: Readable | undefined, options: StoreOptions): Promise<StoredContent> {
  if ((options.bytes ?? 0) > PUT_BYTES_MAX) throw entityTooLarge(options.bytes ?? 0, PUT_BYTES_MAX);
  const body = source ?? Readable.from([], { objectMode: false });
  const writer = await store.blobs.writer();
  let stored: StoredContent;
  try {
    stored = await pump(body, options, writer);
  } catch (cause) {
    await writer.abort();
    throw sourceFault(cause);
  }
  const trailer = trailingChecksum(trailersOf(body));
  if (trailer === undefined || options.checksum !== undefined) return stored;
  // A trailer that no header had announced: its algorithm is known only now, so what was written is read once more.
  checkEqual(trailer.algorithm, trailer.value, await digestOf(store, stored.sha256, stored.bytes, trailer.algorithm));
  return { ...stored, checksum: { ...trailer, type: "FULL_OBJECT" } };
}

/** Bytes of an object that lie in one blob. */
interface Piece {
  readonly sha256: string;
  readonly bytes: number;
}

/** The parts of a finished or running upload, in order of their numbers, after `afterPart`. */
export async function* partsOf(store: S3Store, uploadId: string, afterPart = 0): AsyncGenerator<Entry<PartRecord>> {
  let after = `${uploadId}\0${String(afterPart).padStart(5, "0")}`;
  for (let more = true; more;) {
    const page = await store.meta.list<PartRecord>({ ...rangeOf(PART), prefix: `${uploadId}\0`, after, limit: PARTS_PAGE });
    more = page.length === PARTS_PAGE;
    after = page.at(-1)?.key.id ?? after;
    yield* page;
  }
}

export async function piecesOf(store: S3Store, object: Pick<ObjectRecord, "content" | "bytes">): Promise<Piece[]> {
  const { content, bytes } = object;
  if ("sha256" in content) return [{ sha256: content.sha256, bytes }];
  const pieces: Piece[] = [];
  for await (const { value } of partsOf(store, content.uploadId)) pieces.push({ sha256: value.sha256, bytes: value.bytes });
  return pieces;
}

async function* chunksOf(store: S3Store, pieces: readonly Piece[], start: number, end: number): AsyncGenerator<Uint8Array> {
  let offset = 0;
  for (const { sha256, bytes } of pieces) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, bytes);
    offset += bytes;
    if (from >= to) continue;
    const stream = await store.blobs.read(sha256, { start: from, end: to });
    if (stream === undefined) throw new Error(`a blob that an object refers to is missing: ${sha256}`);
    yield* stream as AsyncIterable<Uint8Array>;
  }
}

/** Bytes `start` to `end` (exclusive) as they come from the disk; their blobs are held until the stream is closed. */
export function readContent(store: S3Store, pieces: readonly Piece[], start: number, end: number): Readable {
  const letGo = store.records.hold(pieces.map(({ sha256 }) => sha256));
  return Readable.from(chunksOf(store, pieces, start, end), { objectMode: false }).once("close", letGo);
}

/** The multipart upload that becomes garbage with this content. */
export const uploadIdOf = (content: Content): string | undefined => ("uploadId" in content ? content.uploadId : undefined);
