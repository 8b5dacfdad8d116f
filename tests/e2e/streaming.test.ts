// Streamed responses from real sandboxes through a real server: when bytes arrive, what memory they cost, and who is held up.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { InvokeCommand, InvokeWithResponseStreamCommand, type InvokeWithResponseStreamResponseEvent } from "@aws-sdk/client-lambda";
import { makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";

const MIB = 2 ** 20;
const NODE = `
  export const handler = awslambda.streamifyResponse(async (event, stream) => {
    if (event.until) { stream.write("first"); while (Date.now() < event.until) await new Promise((go) => setTimeout(go, 5)); }
    const part = Buffer.alloc(64 * 1024, "x");
    for (let left = event.bytes ?? 0; left > 0; left -= part.length)
      if (!stream.write(part.subarray(0, left))) await new Promise((go) => stream.once("drain", go));
    if (event.fail) throw new TypeError("in the middle");
    if (event.forever) for (;;) await new Promise((go) => setTimeout(go, 1000));
    stream.end("last");
  });`;
const PYTHON = "def handler(event, context):\n    return {'buffered': True}\n";
/** A runtime of its own, which streams: a chunk, a pause, another one, and trailers where it is asked to fail. */
const OWN = `#!/usr/bin/python3 -IS
import http.client, json, os, socket, base64
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
api = http.client.HTTPConnection(host, int(port))
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    reply = api.getresponse()
    event = json.loads(reply.read())
    id = reply.headers["Lambda-Runtime-Aws-Request-Id"]
    s = socket.create_connection((host, int(port)))
    send = lambda text: s.sendall(f"{len(text):x}\\r\\n{text}\\r\\n".encode())
    s.sendall(f"POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\\r\\nHost: x\\r\\nLambda-Runtime-Function-Response-Mode: streaming\\r\\nTransfer-Encoding: chunked\\r\\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\\r\\n\\r\\n".encode())
    send("one ")
    send("two")
    trailers = ""
    if "fail" in event:
        body = base64.b64encode(b'{"errorMessage":"own","errorType":"Own"}').decode()
        trailers = f"Lambda-Runtime-Function-Error-Type: Function.Own\\r\\nLambda-Runtime-Function-Error-Body: {body}\\r\\n"
    s.sendall(f"0\\r\\n{trailers}\\r\\n".encode())
    s.recv(1000)
    s.close()
`;

let server: LambentProcess;
let lambda: ReturnType<LambentProcess["clients"]>["lambda"];
before(async () => {
  server = await startLambent();
  const clients = server.clients();
  lambda = clients.lambda;
  const role = await makeRole(clients.iam);
  await makeFunction(lambda, { name: "node", role, runtime: "nodejs24.x", code: NODE, settings: { Timeout: 300, MemorySize: 256 } });
  await makeFunction(lambda, { name: "short", role, runtime: "nodejs24.x", code: NODE, settings: { Timeout: 3 } });
  await makeFunction(lambda, { name: "python", role, runtime: "python3.11", code: PYTHON });
  await makeFunction(lambda, { name: "own", role, runtime: "provided.al2023", code: OWN });
});
after(() => server.dispose());

async function open(FunctionName: string, event: object, abortSignal?: AbortSignal) {
  const command = new InvokeWithResponseStreamCommand({ FunctionName, Payload: JSON.stringify(event), LogType: "Tail" });
  const { EventStream } = await lambda.send(command, abortSignal === undefined ? {} : { abortSignal });
  assert.ok(EventStream);
  return EventStream[Symbol.asyncIterator]();
}

const bytesOf = (event: InvokeWithResponseStreamResponseEvent | undefined) => event?.PayloadChunk?.Payload ?? new Uint8Array();

async function read(events: AsyncIterator<InvokeWithResponseStreamResponseEvent>) {
  let [bytes, start] = [0, ""];
  for (let one = await events.next(); one.done !== true; one = await events.next()) {
    if (one.value.InvokeComplete !== undefined) return { bytes, start, end: one.value.InvokeComplete };
    bytes += bytesOf(one.value).length;
    if (start.length < 100) start += Buffer.from(bytesOf(one.value)).toString("utf8", 0, 100);
  }
  return assert.fail("a stream without its end");
}

/** Of the server's process, in bytes: what it has now, and the most that it ever had. */
async function memory(): Promise<{ now: number; most: number }> {
  const text = await readFile(`/proc/${server.child.pid}/status`, "utf8");
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) * 1024;
  return { now: of("VmRSS"), most: of("VmHWM") };
}

test("the first byte arrives before the last is produced", async () => {
  await read(await open("node", {}));
  // The function goes on at a time that it is told: on a slow machine that must be later.
  for (const seconds of [1, 5, 25]) {
    const until = Date.now() + seconds * 1000;
    const events = await open("node", { until });
    const first = await events.next();
    const hasGoneOn = Date.now() >= until;
    assert.equal(Buffer.from(bytesOf(first.value)).toString("utf8", 0, 5), "first");
    const { end } = await read(events);
    assert.ok(Date.now() >= until);
    assert.match(Buffer.from(end.LogResult ?? "", "base64").toString(), /START RequestId[^]*END RequestId[^]*REPORT RequestId/);
    if (!hasGoneOn) return;
  }
  assert.fail("the function had always gone on when its first byte was here");
});

test("150 MiB leave the server's memory flat", async () => {
  await read(await open("node", { bytes: 20 * MIB }));
  const earlier = await memory();
  const { bytes, end } = await read(await open("node", { bytes: 150 * MIB }));
  const { most } = await memory();
  assert.deepEqual([bytes, end.ErrorCode], [150 * MIB + 4, undefined]);
  assert.ok(most - Math.max(earlier.now, earlier.most) < 100 * MIB, `${Math.round((most - earlier.most) / MIB)} MiB more than before`);
});

test("more than 200 MiB are cut off with AWS's error", async () => {
  const { bytes, end } = await read(await open("node", { bytes: 210 * MIB }));
  assert.ok(bytes <= 200 * MIB);
  assert.equal((JSON.parse(end.ErrorDetails ?? "") as { errorType: string }).errorType, "Function.ResponseSizeTooLarge");
});

test("an error and a timeout after the first chunks stand in the end", async () => {
  const failed = await read(await open("node", { bytes: 1000, fail: true }));
  const document = JSON.parse(failed.end.ErrorDetails ?? "") as { errorType: string };
  assert.deepEqual([failed.bytes, failed.end.ErrorCode, document.errorType], [1000, "Unhandled", "TypeError"]);
  const late = await read(await open("short", { bytes: 1000, forever: true }));
  assert.equal(late.bytes, 1000);
  assert.match(late.end.ErrorDetails ?? "", /Sandbox\.Timedout.*timed out after 3\.00 seconds/);
});

test("a client that goes away does not keep the function from its end", async () => {
  const gone = new AbortController();
  const events = await open("node", { bytes: 100 * MIB }, gone.signal);
  await events.next();
  gone.abort();
  await assert.rejects(async () => {
    while ((await events.next()).done !== true);
  });
  assert.equal((await read(await open("node", { bytes: 10 }))).bytes, 14);
});

test("Invoke gathers what a function streams, up to its own limit", async () => {
  assert.equal(
    Buffer.from((await lambda.send(new InvokeCommand({ FunctionName: "node", Payload: '{"bytes":3}' }))).Payload ?? []).toString(),
    "xxxlast",
  );
  const large = await lambda.send(new InvokeCommand({ FunctionName: "node", Payload: JSON.stringify({ bytes: 7 * MIB }) }));
  assert.equal(large.FunctionError, "Unhandled");
});

test("what a buffered runtime returns is one chunk", async () => {
  assert.deepEqual((await read(await open("python", {}))).start, '{"buffered": true}');
});

test("a runtime of the function's own streams through the Runtime API", async () => {
  const fine = await read(await open("own", {}));
  assert.deepEqual([fine.start, fine.end.ErrorCode], ["one two", undefined]);
  const failed = await read(await open("own", { fail: 1 }));
  assert.deepEqual([failed.start, failed.end.ErrorDetails], ["one two", '{"errorMessage":"own","errorType":"Own"}']);
  const { Payload } = await lambda.send(new InvokeCommand({ FunctionName: "own" }));
  assert.equal(Buffer.from(Payload ?? []).toString(), "one two");
});
