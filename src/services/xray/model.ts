// What the operations of X-Ray share: its store, its error, and how its times and ids are written.
import { InvalidRequestException$ } from "@aws-sdk/client-xray";
import { Fault } from "../../aws/fault.ts";
import type { Clock } from "../../base/clock.ts";
import type { TraceStore } from "../../store/trace-store.ts";

export interface XRay {
  readonly traces: TraceStore;
  readonly clock: Clock;
  /** Resolves when what was recorded so far can be read. */
  readonly flush: () => Promise<void>;
}

export const invalidRequest = (message: string) => new Fault(InvalidRequestException$, message, { Message: message });

/** `1-58406520-a006649127e371903a2de979`; https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html */
export const TRACE_ID = /^1-[0-9a-f]{8}-[0-9a-f]{24}$/i;
