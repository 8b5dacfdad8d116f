// A JSON head and any number of byte strings in one body: how events and deliveries stand in a queue, without a copy in base64.

const LENGTH_BYTES = 4;

/** What `decodeEnvelope` gives back. `head` is JSON. */
export function encodeEnvelope(head: object, ...parts: readonly Uint8Array[]): Uint8Array {
  const text = Buffer.from(JSON.stringify({ ...head, lengths: parts.map((part) => part.byteLength) }));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(text.byteLength);
  return Buffer.concat([length, text, ...parts]);
}

/** Throws for what is no envelope. The head is what was encoded; the parts are views into `body`. */
export function decodeEnvelope(body: Uint8Array): { readonly head: unknown; readonly parts: readonly Uint8Array[] } {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let at = LENGTH_BYTES + bytes.readUInt32BE(0);
  const { lengths, ...head } = JSON.parse(bytes.toString("utf8", LENGTH_BYTES, at)) as { readonly lengths: readonly number[] };
  const parts = lengths.map((length) => bytes.subarray(at, (at += length)));
  if (at !== bytes.byteLength) throw new RangeError(`an envelope of ${at} bytes in ${bytes.byteLength}`);
  return { head, parts };
}
