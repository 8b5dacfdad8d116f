// Content-addressed bytes: deployment packages, objects. Interface; the disk driver is disk-blobs.ts.
import type { Readable } from "node:stream";

export interface BlobInfo {
  /** Lower-case hex SHA-256 of the bytes. */
  readonly sha256: string;
  readonly bytes: number;
}

/** Bytes that are being written; nothing is visible before `commit`. */
export interface BlobWriter {
  write(chunk: Uint8Array): Promise<void>;
  /** Durable (file and directory synced) when it resolves; an equal blob that exists already is kept. */
  commit(): Promise<BlobInfo>;
  /** Forgets what was written; safe after a failed `commit`. */
  abort(): Promise<void>;
}

export interface BlobStore {
  writer(): Promise<BlobWriter>;
  /** Convenience for bytes that are in memory already. */
  put(bytes: Uint8Array): Promise<BlobInfo>;
  /** `undefined` when there is no such blob. `range` is in bytes, `end` exclusive. */
  read(sha256: string, range?: { start: number; end: number }): Promise<Readable | undefined>;
  has(sha256: string): Promise<boolean>;
  /** Path of the blob's file: for a reader that needs random access (zip). */
  path(sha256: string): string;
  /**
   * Removes blobs that `isReferenced` does not claim and that are older than `minimumAgeMs` (a blob is written before the record
   * that refers to it). Resolves with how many were removed.
   */
  collect(isReferenced: (sha256: string) => boolean, minimumAgeMs: number): Promise<number>;
}
