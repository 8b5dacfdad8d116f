// rpcv2Cbor: the operation in the path, CBOR both ways; spoken beside the JSON and query protocols of a service.
import { cborValue } from "./cbor-value.ts";
import { encodeEvents, EVENT_STREAM_TYPE, initialResponse, type EventBody } from "./event-stream.ts";
import { CommonFault } from "./fault.ts";
import { queryErrorHeader, splitEventStream } from "./json.ts";
import { valueReader, type Leaves } from "./json-value.ts";
import type { OperationModel, ServiceModel } from "./model.ts";
import { REQUEST_ID, type Incoming, type Protocol } from "./protocol.ts";
import type { WireResponse } from "./request.ts";
import { dateFrom, Malformed } from "./scalar.ts";
import { cbor as encoder } from "./smithy.ts";
import { faultMembers, type WireFault } from "./wire-fault.ts";

type Output = Readonly<Record<string, unknown>>;

const CONTENT_TYPE = "application/cbor";
const DEPTH_MAX = 100;
const INDEFINITE = 31;
const BREAK = 0xff;
const EPOCH_TAG = 1;

class Tagged {
  readonly tag: number;
  readonly value: unknown;
  constructor(tag: number, value: unknown) {
    this.tag = tag;
    this.value = value;
  }
}

/** Reads one item; never allocates for a length that the bytes don't back, and never goes deeper than DEPTH_MAX. */
class Decoder {
  readonly #bytes: Buffer;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  decode(): unknown {
    const value = this.#item();
    if (this.#at !== this.#bytes.length) throw new Malformed("bytes after the end of the document");
    return value;
  }

  #take(count: number): number {
    const from = this.#at;
    if (count > this.#bytes.length - from) throw new Malformed("the document ends too early");
    this.#at += count;
    return from;
  }

  #argument(minor: number): number {
    if (minor < 24) return minor;
    if (minor === 24) return this.#bytes.readUInt8(this.#take(1));
    if (minor === 25) return this.#bytes.readUInt16BE(this.#take(2));
    if (minor === 26) return this.#bytes.readUInt32BE(this.#take(4));
    if (minor !== 27) throw new Malformed("an item that CBOR does not have");
    const value = this.#bytes.readBigUInt64BE(this.#take(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed("NUMBER_VALUE is out of range");
    return Number(value);
  }

  #item(): unknown {
    const head = this.#bytes.readUInt8(this.#take(1));
    const major = head >> 5;
    const minor = head & 31;
    if (major === 7) return this.#simple(minor);
    if (major === 0) return this.#argument(minor);
    if (major === 1) return -1 - this.#argument(minor);
    if (major === 2) return this.#string(major, minor);
    if (major === 3) return this.#string(major, minor).toString();
    if (++this.#depth > DEPTH_MAX) throw new Malformed(`the document is nested deeper than ${DEPTH_MAX} levels`);
    const value = major === 4 ? this.#list(minor) : major === 5 ? this.#map(minor) : new Tagged(this.#argument(minor), this.#item());
    this.#depth -= 1;
    return value;
  }

  #string(major: number, minor: number): Buffer {
    if (minor !== INDEFINITE) {
      const length = this.#argument(minor);
      const from = this.#take(length);
      return this.#bytes.subarray(from, from + length);
    }
    const parts: Buffer[] = [];
    while (!this.#isBreak()) {
      const head = this.#bytes.readUInt8(this.#take(1));
      if (head >> 5 !== major || (head & 31) === INDEFINITE) throw new Malformed("a part of a string that is not one");
      parts.push(this.#string(major, head & 31));
    }
    return Buffer.concat(parts);
  }

  #isBreak(): boolean {
    if (this.#bytes[this.#at] !== BREAK) return false;
    this.#at += 1;
    return true;
  }

  /** Counts items down, or watches for the break of an indefinite length; each item takes at least a byte, so the bytes bound it. */
  *#each(minor: number): Generator<void> {
    if (minor === INDEFINITE) while (!this.#isBreak()) yield;
    else for (let left = this.#argument(minor); left > 0; left--) yield;
  }

  #list(minor: number): unknown[] {
    const list: unknown[] = [];
    for (const _ of this.#each(minor)) list.push(this.#item());
    return list;
  }

  #map(minor: number): Record<string, unknown> {
    const map = Object.create(null) as Record<string, unknown>;
    for (const _ of this.#each(minor)) {
      const key = this.#item();
      if (typeof key !== "string") throw new Malformed("a key that is not a string");
      map[key] = this.#item();
    }
    return map;
  }

  #simple(minor: number): unknown {
    if (minor === 20 || minor === 21) return minor === 21;
    if (minor === 22 || minor === 23) return null;
    if (minor === 25) return halfFloat(this.#bytes.readUInt16BE(this.#take(2)));
    if (minor === 26) return this.#bytes.readFloatBE(this.#take(4));
    if (minor === 27) return this.#bytes.readDoubleBE(this.#take(8));
    throw new Malformed("an item that CBOR does not have");
  }
}

function halfFloat(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >> 15 === 1 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * 2 ** -14 * (fraction / 1024) : sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

const LEAVES: Leaves = {
  readBlob(value) {
    if (!(value instanceof Uint8Array)) throw new Malformed("Unexpected value for a Blob");
    return value;
  },
  readTimestamp(_shape, value) {
    if (!(value instanceof Tagged) || value.tag !== EPOCH_TAG || typeof value.value !== "number")
      throw new Malformed("Unexpected value for a Timestamp");
    return dateFrom("epoch-seconds", value.value);
  },
};

const values = valueReader(LEAVES, { usesJsonName: false });

/** A copy, because the encoder hands out a view of its own buffer. */
const toBytes = (value: unknown): Uint8Array => Buffer.from(encoder.serialize(value));

const EVENTS: EventBody = { contentType: CONTENT_TYPE, encode: (shape, value) => toBytes(cborValue(shape, value)) };

function decode(operation: OperationModel, { bytes }: Incoming): Record<string, unknown> {
  if (operation.input === undefined || bytes.length === 0) return {};
  try {
    return values.read(operation.input, new Decoder(bytes).decode()) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof Malformed) throw new CommonFault("SerializationException", cause.message, 400, {}, { cause });
    throw cause;
  }
}

const headersFor = (requestId: string, contentType: string) => ({
  "content-type": contentType,
  "smithy-protocol": "rpc-v2-cbor",
  [REQUEST_ID]: requestId,
});

function encode(operation: OperationModel, output: Output, requestId: string): WireResponse {
  if (operation.output === undefined) return { status: 200, headers: { "smithy-protocol": "rpc-v2-cbor", [REQUEST_ID]: requestId } };
  const stream = splitEventStream(operation.output);
  if (stream === undefined)
    return { status: 200, headers: headersFor(requestId, CONTENT_TYPE), body: toBytes(cborValue(operation.output, output)) };
  const source = output[stream.name] as AsyncIterable<Record<string, unknown>>;
  const body = encodeEvents(stream.union, source, EVENTS, initialResponse(stream.rest, output, EVENTS));
  return { status: 200, headers: headersFor(requestId, EVENT_STREAM_TYPE), body };
}

export function cbor(model: ServiceModel): Protocol {
  const encodeFault = (fault: WireFault, requestId: string): WireResponse => {
    const type = fault.model === undefined ? fault.code : `${model.namespace}#${fault.code}`;
    const members = faultMembers(fault);
    const document = fault.model === undefined ? members : (cborValue(fault.model.shape, members) as Record<string, unknown>);
    const headers = { ...headersFor(requestId, CONTENT_TYPE), ...queryErrorHeader(model, fault) };
    return { status: fault.status, headers, body: toBytes({ __type: type, ...document }) };
  };
  return { decode, encode, encodeFault };
}
