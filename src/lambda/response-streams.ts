// InvokeWithResponseStream's answer: what the function writes as PayloadChunk events while it still runs, then one InvokeComplete.
import type { InvokeWithResponseStreamCompleteEvent, InvokeWithResponseStreamResponseEvent } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Output } from "../aws/operations.ts";
import type { Outcome } from "../pool/invocation.ts";
import { responseStream, type ResponseStream } from "../pool/response-stream.ts";
import { refusalOf } from "./outcomes.ts";

type Event = InvokeWithResponseStreamResponseEvent;
type Answer = Output<typeof client, "InvokeWithResponseStream">;

/** Resolves when the function has begun its response, or is done without one; throws what keeps it from running at all. */
export async function streamedAnswer(context: Context, version: string, run: (to: ResponseStream) => Promise<Outcome>): Promise<Answer> {
  const stream = responseStream();
  const running = run(stream).finally(() => stream.end());
  // Who has gone before the first byte reads none; the function runs to its end all the same.
  context.signal.addEventListener("abort", () => stream.cancel(), { once: true });
  const first = await Promise.race([running, stream.begun.then((contentType) => ({ kind: "begun" as const, contentType }))]);
  if (first.kind === "throttled" || first.kind === "unavailable") throw refusalOf(first);
  // Told by the events; a client that has gone hears of it no more.
  running.catch(() => undefined);
  // For callers in this process: on the wire the type is that of the events.
  const ResponseStreamContentType = first.kind === "begun" ? (first.contentType ?? "application/octet-stream") : undefined;
  return { StatusCode: 200, ExecutedVersion: version, ResponseStreamContentType, EventStream: eventsOf(stream, running) };
}

async function* eventsOf(stream: ResponseStream, running: Promise<Outcome>): AsyncGenerator<Event> {
  try {
    for await (const chunk of stream.chunks()) yield chunkEvent(chunk);
    const outcome = await running;
    if (outcome.kind === "throttled" || outcome.kind === "unavailable") throw refusalOf(outcome);
    // What a runtime did not stream comes in one piece.
    if (outcome.kind === "returned" && outcome.payload.length > 0) yield chunkEvent(outcome.payload);
    yield { InvokeComplete: completion(outcome) };
  } finally {
    stream.cancel();
  }
}

const chunkEvent = (bytes: Uint8Array): Event => ({ PayloadChunk: { Payload: bytes } });

function completion(outcome: Extract<Outcome, { kind: "returned" | "failed" }>): InvokeWithResponseStreamCompleteEvent {
  const { logTail } = outcome.report;
  return {
    ...(outcome.kind === "failed" ? { ErrorCode: "Unhandled", ErrorDetails: Buffer.from(outcome.payload).toString() } : {}),
    ...(logTail === undefined ? {} : { LogResult: Buffer.from(logTail).toString("base64") }),
  };
}
