// rpc-v2-cbor over HTTP/1.1 and cleartext HTTP/2, written by hand with the official encoder, and hostile CBOR.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { buffer } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import * as logs from "@aws-sdk/client-cloudwatch-logs";
import * as lambda from "@aws-sdk/client-lambda";
import { cbor, tag } from "@smithy/core/cbor";
import { EventStreamCodec } from "@smithy/core/event-streams";
import { HttpRequest } from "@smithy/core/protocols";
import { fromUtf8, Hash, toUtf8 } from "@smithy/core/serde";
import { SignatureV4 } from "@smithy/signature-v4";
import { cbor as cborProtocol } from "./cbor.ts";
import { CommonFault, Fault } from "./fault.ts";
import { FAKE_ROOT, fakeDoor, fakeService } from "./fake-service.ts";
import { serviceModel } from "./model.ts";
import type { WireRequest } from "./request.ts";

async function* tail() {
  yield { sessionStart: { requestId: "r" } } as never;
}

async function start(t: TestContext) {
  const seen: unknown[] = [];
  const service = fakeService("logs", logs, "CloudWatchLogsClient", {
    PutLogEvents(_context, input) {
      seen.push(input);
      return { nextSequenceToken: "1", rejectedLogEventsInfo: { tooOldLogEventEndIndex: 2 } };
    },
    TagLogGroup: () => {
      throw new Fault(logs.ResourceNotFoundException$, "The specified log group does not exist.");
    },
    StartLiveTail: () => ({ responseStream: tail() }),
  });
  const fake = await fakeDoor([service]);
  t.after(() => fake.door.close());
  const host = `127.0.0.1:${fake.port}`;
  const signed = async (operation: string, body: Uint8Array) => {
    const path = `/service/Logs_20140328/operation/${operation}`;
    const headers = { host, "smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor" };
    const { accessKeyId } = FAKE_ROOT.caller;
    const credentials = { accessKeyId, secretAccessKey: FAKE_ROOT.secretAccessKey };
    const signer = new SignatureV4({ service: "logs", region: "us-east-1", credentials, sha256: Hash.bind(null, "sha256") });
    const request = new HttpRequest({ method: "POST", protocol: "http:", hostname: host, path, headers, body });
    return { path, headers: (await signer.sign(request)).headers };
  };
  const post = async (operation: string, body: Uint8Array) => {
    const { path, headers } = await signed(operation, body);
    const response = await fetch(`http://${host}${path}`, { method: "POST", headers, body: Buffer.from(body) });
    assert.equal(response.headers.get("smithy-protocol"), "rpc-v2-cbor");
    return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
  };
  return { seen, signed, post, host };
}

const input = { logGroupName: "g", logStreamName: "s", logEvents: [{ timestamp: 1_700_000_000_000, message: "é" }] };

test("CBOR both ways, faults and event streams included", async (t) => {
  const { seen, post } = await start(t);
  const answer = await post("PutLogEvents", cbor.serialize(input));
  assert.equal(answer.status, 200);
  assert.deepEqual(seen, [input]);
  assert.deepEqual(cbor.deserialize(answer.bytes), { nextSequenceToken: "1", rejectedLogEventsInfo: { tooOldLogEventEndIndex: 2 } });
  const missing = await post("TagLogGroup", cbor.serialize({ logGroupName: "g", tags: { a: "b" } }));
  assert.equal(missing.status, 400);
  assert.deepEqual(cbor.deserialize(missing.bytes), {
    __type: "com.amazonaws.cloudwatchlogs#ResourceNotFoundException",
    message: "The specified log group does not exist.",
  });
  const invalid = await post("PutLogEvents", cbor.serialize({ ...input, logGroupName: "bad name" }));
  assert.match((cbor.deserialize(invalid.bytes) as { message: string }).message, /^1 validation error detected: Value 'bad name'/);
  const live = await post("StartLiveTail", cbor.serialize({ logGroupIdentifiers: ["arn:aws:logs:us-east-1:000000000000:log-group:g"] }));
  const codec = new EventStreamCodec(toUtf8, fromUtf8);
  const first = codec.decode(live.bytes.subarray(0, live.bytes.readUInt32BE(0)));
  const second = codec.decode(live.bytes.subarray(live.bytes.readUInt32BE(0)));
  assert.deepEqual([first.headers[":event-type"]?.value, second.headers[":event-type"]?.value], ["initial-response", "sessionStart"]);
  assert.deepEqual(cbor.deserialize(second.body), { requestId: "r" });
});

test("a signed call over HTTP/2 without TLS", async (t) => {
  const { seen, signed, host } = await start(t);
  const session = connectHttp2(`http://${host}`);
  t.after(() => session.destroy());
  const bytes = cbor.serialize(input);
  const { path, headers } = await signed("PutLogEvents", bytes);
  const { host: authority, ...others } = headers as Record<string, string>;
  const stream = session.request({ ":method": "POST", ":path": path, ":authority": authority ?? "", ...others });
  stream.end(bytes);
  const [response] = (await once(stream, "response")) as [Record<string, string | number>];
  assert.equal(response[":status"], 200);
  assert.deepEqual(cbor.deserialize(await buffer(stream)), {
    nextSequenceToken: "1",
    rejectedLogEventsInfo: { tooOldLogEventEndIndex: 2 },
  });
  assert.deepEqual(seen, [input]);
});

const model = serviceModel("lambda", lambda, "LambdaClient");
const protocol = cborProtocol(model);
const request = {} as WireRequest;

function decode(operation: string, bytes: Uint8Array): Record<string, unknown> {
  const found = model.operations.get(operation);
  assert.ok(found);
  return protocol.decode(found, { request, query: new Map(), labels: new Map(), bytes, stream: undefined });
}

test("what the official encoder writes is read: blobs, timestamps, doubles, unsigned and negative numbers", () => {
  const bytes = Buffer.from([0, 255]);
  assert.deepEqual(decode("CreateFunction", cbor.serialize({ FunctionName: "f", Timeout: 300, Code: { ZipFile: bytes } })), {
    FunctionName: "f",
    Timeout: 300,
    Code: { ZipFile: bytes },
  });
  const created = decode(
    "CreateEventSourceMapping",
    cbor.serialize({ StartingPositionTimestamp: tag({ tag: 1, value: 1_700_000_000.5 }) }),
  );
  assert.deepEqual(created, { StartingPositionTimestamp: new Date(1_700_000_000_500) });
  const alias = decode("UpdateAlias", cbor.serialize({ RoutingConfig: { AdditionalVersionWeights: { 2: 0.25, 3: -1 } } }));
  assert.deepEqual({ ...(alias["RoutingConfig"] as { AdditionalVersionWeights: object }).AdditionalVersionWeights }, { 2: 0.25, 3: -1 });
});

const text = (value: string) => [0x60 + value.length, ...Buffer.from(value)];

const hostile: readonly (readonly [name: string, bytes: readonly number[]])[] = [
  ["nothing behind a length", [0xbb, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]],
  ["a list of four billion items", [0xa1, ...text("Layers"), 0x9a, 0xff, 0xff, 0xff, 0xff]],
  ["a string longer than the document", [0xa1, ...text("Role"), 0x7a, 0xff, 0xff, 0xff, 0xff, 0x61]],
  ["an integer beyond 2^53", [0xa1, ...text("Timeout"), 0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ["depth of 100,000", Array.from({ length: 100_000 }, () => 0x81)],
  ["a key that is a number", [0xa1, 1, 1]],
  ["bytes behind the document", [0xa0, 0xa0]],
  ["an indefinite map without a break", [0xbf]],
  ["an indefinite string of numbers", [0xa1, ...text("Role"), 0x7f, 1, 0xff]],
  ["a reserved length", [0x1c]],
  ["an undefined simple value", [0xf8, 0x20]],
  ["a list for the input", [0x80]],
  ["a number for a string", [0xa1, ...text("Role"), 5]],
  ["bytes for a string", [0xa1, ...text("Role"), 0x41, 0x61]],
  ["bytes for a structure", [0xa1, ...text("Code"), 0x41, 0x61]],
  ["bytes for a map", [0xa1, ...text("Tags"), 0x41, 0x61]],
  ["a tag for a structure", [0xa1, ...text("Code"), 0xc1, 1]],
  ["a float for an integer", [0xa1, ...text("Timeout"), 0xf9, 0x3e, 0x00]],
];

test("hostile CBOR is refused as SerializationException", () => {
  for (const [name, bytes] of hostile)
    assert.throws(
      () => decode("CreateFunction", Buffer.from(bytes)),
      (error) => error instanceof CommonFault && error.code === "SerializationException",
      name,
    );
  const indefinite = Buffer.from([0xbf, ...text("Role"), 0x7f, ...text("a"), ...text("b"), 0xff, 0xff]);
  assert.deepEqual(decode("CreateFunction", indefinite), { Role: "ab" });
  const polluting = Buffer.from([0xa1, ...text("Tags"), 0xa1, ...text("__proto__"), ...text("x")]);
  assert.deepEqual(Object.entries(decode("CreateFunction", polluting)["Tags"] as object), [["__proto__", "x"]]);
});
