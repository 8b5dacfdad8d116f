// One AWS protocol for one service: requests to input, output to responses, faults to error documents.
import type { OperationModel } from "./model.ts";
import type { WireRequest, WireResponse } from "./request.ts";
import type { WireFault } from "./wire-fault.ts";
import type { Readable } from "node:stream";

export type Labels = ReadonlyMap<string, string>;
export type Query = ReadonlyMap<string, readonly string[]>;

export interface Incoming {
  readonly request: WireRequest;
  readonly query: Query;
  readonly labels: Labels;
  /** The whole body; empty where the operation takes a stream. */
  readonly bytes: Uint8Array;
  /** The body of an operation that takes a stream. */
  readonly stream: Readable | undefined;
  /** See `ServiceDefinition.keepsOthers`. */
  readonly keepsOthers?: boolean;
}

export interface Protocol {
  /** Throws CommonFault when the request does not have the form of the operation's input. */
  decode(operation: OperationModel, incoming: Incoming): Record<string, unknown>;
  encode(operation: OperationModel, output: Readonly<Record<string, unknown>>, requestId: string): WireResponse;
  encodeFault(fault: WireFault, requestId: string): WireResponse;
}

export const REQUEST_ID = "x-amzn-RequestId";
