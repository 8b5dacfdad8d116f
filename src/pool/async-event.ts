// An accepted event as it stands in the queue: what was asked for, and what has come of it so far.
import { decodeEnvelope, encodeEnvelope } from "../base/envelope.ts";

/** What the function answered, at the last attempt that it was run. */
export interface AsyncResponse {
  readonly executedVersion: string;
  readonly payload: Uint8Array;
}

export interface AsyncEvent {
  /** The same over all attempts; the function sees it as aws_request_id. */
  readonly requestId: string;
  /** ARN as the caller qualified it. */
  readonly invokedArn: string;
  /** Wall time: the event's age counts from here. */
  readonly acceptedMs: number;
  readonly traceHeader?: string;
  /** Whom it is for, if the function isolates its tenants. */
  readonly tenantId?: string;
  readonly payload: Uint8Array;
  /** How often the function was run and failed. */
  readonly failures: number;
  /** The last failure's. */
  readonly response?: AsyncResponse;
}

type Head = Omit<AsyncEvent, "payload" | "response"> & { readonly executedVersion?: string };

export function encodeAsyncEvent({ payload, response, ...head }: AsyncEvent): Uint8Array {
  if (response === undefined) return encodeEnvelope(head, payload);
  return encodeEnvelope({ ...head, executedVersion: response.executedVersion }, payload, response.payload);
}

/** Throws for what is none. */
export function decodeAsyncEvent(body: Uint8Array): AsyncEvent {
  const { head, parts } = decodeEnvelope(body);
  const { executedVersion, ...event } = head as Head;
  const [payload, answer] = parts;
  if (payload === undefined) throw new RangeError("an event without a payload");
  if (executedVersion === undefined || answer === undefined) return { ...event, payload };
  return { ...event, payload, response: { executedVersion, payload: answer } };
}
