// Identifiers: random request ids and trace ids, time-ordered record ids.
import { randomBytes, randomUUID } from "node:crypto";

/** A random UUID (version 4), as AWS uses for request ids and revision ids. */
export const requestId = (): string => randomUUID();

const POOL_BYTES = 4096;
let pool = Buffer.alloc(0);

/** Asking the kernel for 16 bytes costs as much as for thousands; none is handed out twice. `count` is small. */
function random(count: number): Buffer {
  if (pool.length < count) pool = randomBytes(POOL_BYTES);
  const bytes = pool.subarray(0, count);
  pool = pool.subarray(count);
  return bytes;
}

/** So many random bytes, two digits each; for names, not for secrets. */
export const randomHex = (bytes: number): string => random(bytes).toString("hex");

/** A UUIDv7 (RFC 9562): sorts by creation time, so it is a good key of a durable record. */
export function timeOrderedId(nowMs: number): string {
  const bytes = random(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
