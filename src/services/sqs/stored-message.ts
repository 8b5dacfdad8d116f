// A message as it is stored: what its sender gave, beside what the mailbox keeps of it.
import type { StoredAttributes } from "./message-attributes.ts";

export interface StoredMessage {
  readonly body: string;
  readonly attributes: StoredAttributes;
  /** UserId of who sent it. */
  readonly senderId: string;
  readonly traceHeader?: string;
  readonly deduplicationId?: string;
  /** In standard queues too, where it orders nothing. */
  readonly groupId?: string;
}

export const encodeMessage = (message: StoredMessage): Uint8Array => Buffer.from(JSON.stringify(message));

export const decodeMessage = (bytes: Uint8Array): StoredMessage =>
  JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as StoredMessage;

/** AWS's sequence numbers have twenty digits. */
export const sequenceNumber = (sequence: number): string => String(10n ** 19n + BigInt(sequence));
