// Session tokens that carry their own session, sealed with the install's key: nothing is stored, and a restart changes nothing.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import type { CallerSession } from "./identity.ts";

export interface Session {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly account: string;
  readonly expiresMs: number;
  /** Absent for GetSessionToken: then the session is its user's or the root's. */
  readonly role?: { readonly arn: string; readonly name: string; readonly id: string; readonly sessionName: string };
  readonly user?: { readonly arn: string; readonly id: string };
  readonly session: CallerSession;
}

const VERSION = 2;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;
const SESSION_BYTES_MAX = 256 * 1024;

export const sealSession = (session: Session, key: Uint8Array): string => seal(session, key);

/** `undefined` for a token that this key did not seal. */
export const openSession = (token: string, key: Uint8Array): Session | undefined => open(token, key) as Session | undefined;

/** Anything that JSON can hold. `key` is 32 bytes, of this purpose only. */
export function seal(value: object, key: Uint8Array): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  const text = Buffer.concat([cipher.update(gzipSync(JSON.stringify(value))), cipher.final()]);
  return Buffer.concat([Buffer.from([VERSION]), nonce, cipher.getAuthTag(), text]).toString("base64");
}

/** `undefined` for what this key did not seal. */
export function open(token: string, key: Uint8Array): unknown {
  const bytes = Buffer.from(token, "base64");
  // Base64 is read leniently: without the comparison, one session would have many tokens.
  if (bytes[0] !== VERSION || bytes.length <= HEAD_BYTES || bytes.toString("base64") !== token) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(1, 1 + NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(1 + NONCE_BYTES, HEAD_BYTES));
  try {
    const text = Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES)), decipher.final()]);
    return JSON.parse(gunzipSync(text, { maxOutputLength: SESSION_BYTES_MAX }).toString()) as unknown;
  } catch {
    return undefined; // forged, damaged, or sealed by another installation
  }
}
