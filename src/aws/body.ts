// Request bodies: read whole within a bound, unpacked within a bound, or passed on as a stream that is checked at its end.
import { createHash, hash } from "node:crypto";
import { pipeline, Transform, type Readable } from "node:stream";
import { gunzip } from "node:zlib";
import type { HeldBytes } from "./body-budget.ts";
import { CommonFault } from "./fault.ts";

export const EMPTY = Buffer.alloc(0);

/** Reads to the end; rejects with `tooLarge` as soon as there are more than `bytesMax`, or no room, and leaves the rest unread. */
export function readBytes(body: Readable, bytesMax: number, tooLarge: () => CommonFault, held: HeldBytes): Promise<Buffer> {
  // Events and not `for await`: the async iterator costs a noticeable share of a small request.
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const done = (settle: () => void) => {
      body.off("data", onData).off("end", onEnd).off("error", onError).off("close", onClose);
      settle();
    };
    const refuse = (cause: Error) => {
      body.pause();
      done(() => reject(cause));
    };
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length > bytesMax) return refuse(tooLarge());
      try {
        held.take(chunk.length);
      } catch (cause) {
        return refuse(cause as Error);
      }
      chunks.push(chunk);
    };
    const onEnd = () => done(() => resolve(chunks.length === 1 ? (chunks[0] ?? EMPTY) : Buffer.concat(chunks, length)));
    const onError = (cause: Error) => done(() => reject(cause));
    const onClose = () => done(() => reject(incomplete()));
    if (body.readableEnded || body.destroyed) return body.readableEnded ? resolve(EMPTY) : reject(incomplete());
    body.on("data", onData).on("end", onEnd).on("error", onError).on("close", onClose);
  });
}

const incomplete = () => new CommonFault("RequestTimeout", "The client went away before its request was complete.", 400);

/** Unpacks `Content-Encoding: gzip`, which SDKs use for large bodies; refuses what unpacks to more than `bytesMax`. */
export function unpack(bytes: Buffer, bytesMax: number, tooLarge: () => CommonFault): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gunzip(bytes, { maxOutputLength: bytesMax }, (cause, unpacked) => {
      if (cause === null) resolve(unpacked);
      else if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") reject(tooLarge());
      else reject(new CommonFault("SerializationException", "The body is not valid gzip.", 400, {}, { cause }));
    });
  });
}

export const sha256Hex = (bytes: Uint8Array): string => hash("sha256", bytes);

/** Passes the bytes on and fails at their end, before its reader sees one, when they don't have the signed digest. */
export function checkedSha256(expected: string): Transform {
  const digest = createHash("sha256");
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      digest.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      if (digest.digest("hex") === expected) done();
      else
        done(
          new CommonFault("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.", 400),
        );
    },
  });
}

/** Sends `source` through `through`; an error of either reaches whoever reads the result. */
export function through(source: Readable, transform: Transform): Transform {
  return pipeline(source, transform, () => {
    // The reader of `transform` gets the error; this callback only keeps it from being thrown a second time.
  });
}
