// The operations of an AWS service, typed by its official client: name -> (context, input) => output.
import type { Readable } from "node:stream";
import type { Caller } from "./identity.ts";

/** What an operation knows about the request besides its input. */
export interface Context {
  /** UUID; sent as `x-amzn-RequestId` and present in every log line about the request. */
  readonly requestId: string;
  /** Twelve digits: the account of the credentials that signed the request. */
  readonly account: string;
  /** The region of the request: from its signature. */
  readonly region: string;
  readonly caller: Caller;
  /** The public endpoint as the client reached it, without a slash at the end: for presigned URLs. */
  readonly endpoint: string;
  /** Absent when the caller is not the wire. */
  readonly sourceIp?: string;
  /** `X-Amzn-Trace-Id` of the request, if it had one. */
  readonly traceHeader?: string;
  /** Aborted when the client goes away or the server stops. */
  readonly signal: AbortSignal;
  /** Headers that the operation adds to its response, by name; absent when the caller is not the wire. */
  readonly responseHeaders?: Map<string, string>;
  /** Parts of the request that IAM has refused, with its sentence: see `AccessNeed.part`. */
  readonly denied?: Map<string, string>;
}

// A command's class; its constructor is overloaded where every member is optional, so the input is read off the last overload.
type Command<O> = { resolveMiddleware(...rest: never[]): (...args: never[]) => Promise<{ output: O }> };
type CommandOf<C, N extends string> = `${N}Command` extends keyof C ? C[`${N}Command`] : never;
type NameOf<K> = K extends `${infer Name}Command` ? (Name extends "$" ? never : Name) : never;

/** Names of all operations that the client module `C` has. */
type OperationName<C> = NameOf<keyof C & string>;

// Streaming members are the SDK's client-side union; on the server they are a byte stream (or bytes, on the way out). A `Payload` is bytes.
type ServerInput<I> = { [K in keyof I]: K extends "Body" | "InvokeArgs" ? Readable : K extends "Payload" ? Uint8Array | undefined : I[K] };
type ServerOutput<O> = { [K in keyof O]: K extends "Body" ? Readable | Uint8Array | undefined : O[K] };

export type Input<C, N extends string> =
  CommandOf<C, N> extends abstract new (...words: infer Words) => unknown ? ServerInput<NonNullable<Words[0]>> : never;
export type Output<C, N extends string> =
  CommandOf<C, N> extends abstract new (...words: never[]) => Command<infer O> ? ServerOutput<Omit<O, "$metadata">> : never;

export type Operation<C, N extends string> = (context: Context, input: Input<C, N>) => Output<C, N> | Promise<Output<C, N>>;

/** Marks an operation that Lambent does not have yet: the wire answers 501, docs/compatibility.md lists it. */
export const notBuilt = Symbol("not built");
type NotBuilt = typeof notBuilt;

/** Marks an operation that Lambent refuses on purpose: the wire answers 501 with the reason, docs/compatibility.md has it. */
export interface Refused {
  /** What the operation is about, and what to use instead: "capacity providers: …". */
  readonly about: string;
}
export const refused = (about: string): Refused => ({ about });

/** Every operation of the client, each a function, `notBuilt` or refused: a missing one is a compile error. */
export type Operations<C> = { [N in OperationName<C>]: Operation<C, N> | NotBuilt | Refused };
