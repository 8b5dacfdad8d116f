// What the parts of the Storage contract share: keys, bodies, and names that have been trouble elsewhere.
import type { ManualClock } from "../../src/base/manual-clock.ts";
import { StorageError, type Key, type Storage, type StorageFailure } from "../../src/store/storage.ts";

export type WithStorage = (title: string, run: (storage: Storage, clock: ManualClock) => Promise<void>) => void;

export const ACCOUNT = "000000000000";
export const REGION = "us-east-1";

export const key = (id: string, kind = "thing"): Key => ({ account: ACCOUNT, region: REGION, kind, id });
export const bytes = (text: string) => new Uint8Array(Buffer.from(text));
export const textOf = (body: Uint8Array | undefined) => Buffer.from(body ?? []).toString();
export const failsWith = (failure: StorageFailure) => (error: unknown) => error instanceof StorageError && error.failure === failure;

export const message = (id: string, queue = "q") => ({ queue, id, body: bytes(id) });

/** In UTF-8 byte order, which is not the order of UTF-16. */
export const ODD_NAMES: readonly string[] = [
  "",
  "\0",
  " ",
  "%",
  "' OR 1=1 --",
  "../../etc",
  "__proto__",
  "a",
  "a\0b",
  "a/b",
  "constructor",
  'quote"',
  "ä",
  "\ud7ff",
  "\uffee",
  "\u{1f600}",
];
