// A JSON head and any number of byte strings in one body: how events and deliveries stand in a queue, without a copy in base64.

const LENGTH_BYTES = 4;

/** What `decodeEnvelope` gives back. `head` is JSON. */
export function encodeEnvelope(head: object, ...parts: readonly Uint8Array[]): Uint8Array {
  const lengths = parts.map((part) => part.byteLength);
  const text = JSON.stringify({ ...head, lengths });
  const headBytes = Buffer.byteLength(text);
  const body = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + length, LENGTH_BYTES + headBytes));
  let at = body.writeUInt32BE(headBytes);
  at += body.write(text, at);
  for (const part of parts) {
    body.set(part, at);
    at += part.byteLength;
  }
  return body;
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
