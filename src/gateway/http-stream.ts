// A streamed result as an HTTP response: the prelude becomes status and headers, the rest goes out as the function writes it.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
import { Readable } from "node:stream";
import type { WireResponse } from "../aws/request.ts";
import { badGateway, preludeOf } from "./http-response.ts";

export interface StreamedInvocation {
  /** As the function's runtime said it; absent: it did not stream. */
  readonly contentType?: string | undefined;
  /** Throws when the function fails after it has begun. */
  readonly chunks: AsyncGenerator<Uint8Array>;
}

const WITH_PRELUDE = "application/vnd.awslambda.http-integration-response";
const PRELUDE_END = Buffer.alloc(8);
const PRELUDE_BYTES_MAX = 64 * 1024;

/** Resolves when the head is known; a function that fails before that, or whose prelude is none, becomes 502. */
export async function streamedResponse({ contentType = "application/octet-stream", chunks }: StreamedInvocation): Promise<WireResponse> {
  try {
    if (contentType === WITH_PRELUDE) return await withPrelude(chunks);
    const first = await chunks.next();
    const head = first.done === true ? [] : [first.value];
    return { status: 200, headers: { "content-type": contentType }, body: following(head, chunks) };
  } catch {
    return badGateway();
  }
}

async function withPrelude(chunks: AsyncGenerator<Uint8Array>): Promise<WireResponse> {
  let held = Buffer.alloc(0);
  for (let end = -1; end === -1; end = held.indexOf(PRELUDE_END)) {
    const { done, value } = await chunks.next();
    if (done === true || held.length > PRELUDE_BYTES_MAX) {
      await chunks.return(undefined);
      return badGateway();
    }
    held = Buffer.concat([held, value]);
  }
  const end = held.indexOf(PRELUDE_END);
  const head = preludeOf(held.subarray(0, end));
  if (head === undefined) {
    await chunks.return(undefined);
    return badGateway();
  }
  const rest = held.subarray(end + PRELUDE_END.length);
  return { ...head, body: following(rest.length === 0 ? [] : [rest], chunks) };
}

function following(head: readonly Uint8Array[], chunks: AsyncGenerator<Uint8Array>): Readable {
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* head;
    yield* chunks;
  }
  const body = Readable.from(all());
  // A client that has gone, or wants no body, lets the function run to its end.
  body.once("close", () => void chunks.return(undefined));
  return body;
}
