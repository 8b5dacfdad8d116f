import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request, type IncomingHttpHeaders } from "node:http";
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, test } from "node:test";
import { EnvironmentApi } from "./environment-api.ts";
import { RESPONSE_BYTES_MAX, type Answer, type LinkInvocation } from "./link.ts";
import type { ResponseSink } from "./response-sink.ts";
import { RuntimeApi } from "./runtime-api.ts";

const NEXT = "/2018-06-01/runtime/invocation/next";
const call = (id: string, action: string) => `/2018-06-01/runtime/invocation/${id}/${action}`;
const INVOCATION: LinkInvocation = {
  requestId: "8f5d2f0e-0000-4000-8000-000000000001",
  deadlineMs: 1_767_225_603_000.5,
  invokedArn: "arn:aws:lambda:us-east-1:000000000000:function:f:live",
  traceHeader: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
  payload: Buffer.from('{"a":1}'),
};
const { requestId: ID } = INVOCATION;

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Call {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly trailers?: Record<string, string>;
}

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** The Runtime API behind a real port, as if it were inside a sandbox. */
async function api() {
  const seen = { ready: 0, answers: [] as Answer[], initErrors: [] as [string, string][], strange: [] as string[] };
  const runtimeApi = new RuntimeApi({
    ready: () => void seen.ready++,
    initFailed: (type, payload) => void seen.initErrors.push([type, Buffer.from(payload).toString()]),
    answered: (answer) => void seen.answers.push(answer),
    log: () => assert.fail("the Runtime API has no log"),
    strange: (message) => void seen.strange.push(message),
    broken: (message) => assert.fail(message),
  });
  const environmentApi = new EnvironmentApi();
  environmentApi.serve("2018-06-01", runtimeApi);
  const server = createServer((socket) => environmentApi.listener.onConnection(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  closers.push(() => {
    agent.destroy();
    environmentApi.close();
    server.close();
  });
  const send = ({ method = "POST", path, headers = {}, body, trailers }: Call): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ port, host: "127.0.0.1", agent, method, path, headers }, (reply) => {
        const chunks: Buffer[] = [];
        reply.on("data", (chunk: Buffer) => chunks.push(chunk));
        reply.on("end", () => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: Buffer.concat(chunks).toString() }));
        reply.on("error", reject);
      });
      outgoing.on("error", reject);
      if (trailers !== undefined) outgoing.addTrailers(trailers);
      outgoing.end(body);
    });
  const next = () => send({ method: "GET", path: NEXT });
  const raw = async (): Promise<Socket> => {
    const socket = createConnection(port, "127.0.0.1");
    closers.push(() => socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  return { seen, runtimeApi, environmentApi, send, next, raw, port };
}

async function running(invocation: LinkInvocation = INVOCATION) {
  const one = await api();
  const reply = one.next();
  one.runtimeApi.send(invocation);
  return { ...one, invocation: await reply };
}

test("a runtime asks for its next invocation, gets it, and answers it", async () => {
  const { send, next, seen, runtimeApi } = await api();
  const waiting = next();
  while (seen.ready === 0) await new Promise(setImmediate);
  runtimeApi.send({ ...INVOCATION, clientContext: '{"custom":{"ä":"世\n"}}', cognitoIdentity: '{"cognitoIdentityId":"x"}' });
  const { status, headers, body } = await waiting;
  assert.equal(status, 200);
  assert.equal(body, '{"a":1}');
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers["lambda-runtime-aws-request-id"], ID);
  assert.equal(headers["lambda-runtime-deadline-ms"], "1767225603000");
  assert.equal(headers["lambda-runtime-invoked-function-arn"], INVOCATION.invokedArn);
  assert.equal(headers["lambda-runtime-trace-id"], INVOCATION.traceHeader);
  assert.equal(headers["lambda-runtime-client-context"], '{"custom":{"\\u00e4":"\\u4e16 "}}');
  assert.equal(headers["lambda-runtime-cognito-identity"], '{"cognitoIdentityId":"x"}');
  const answered = await send({ path: call(ID, "response"), body: '{"b":2}' });
  assert.deepEqual([answered.status, answered.body], [202, '{"status":"OK"}\n']);
  assert.deepEqual(seen.answers, [{ kind: "succeeded", payload: Buffer.from('{"b":2}') }]);
  const again = next();
  runtimeApi.send({ ...INVOCATION, requestId: "other" });
  assert.equal((await again).headers["lambda-runtime-aws-request-id"], "other");
  assert.equal(seen.ready, 1);
});

const ERRORS = [
  {
    name: "with a type",
    headers: { "Lambda-Runtime-Function-Error-Type": "Function.TypeError" },
    body: '{"errorMessage":"x"}',
    type: "Function.TypeError",
  },
  { name: "without a type", headers: {}, body: '{"errorMessage":"x"}', type: "Runtime.Unknown" },
  { name: "that is no JSON", headers: {}, body: "\u0000oops", type: "Runtime.Unknown" },
  { name: "of a type of its own", headers: { "Lambda-Runtime-Function-Error-Type": "Mine" }, body: "{}", type: "Runtime.Unknown" },
  {
    name: "with 8-bit signs in its type",
    headers: { "Lambda-Runtime-Function-Error-Type": "Function.T\u00fcp" },
    body: "{}",
    type: "Function.Unknown",
  },
  {
    name: "with a type of 64 KiB",
    headers: { "Lambda-Runtime-Function-Error-Type": `Function.A${"a".repeat(65_536)}` },
    body: "{}",
    type: "Function.Unknown",
  },
] as const;
for (const { name, headers, body, type } of ERRORS)
  test(`X04 an error ${name} is passed on as it is, its type only when it is one`, async () => {
    const { send, seen } = await running();
    assert.equal((await send({ path: call(ID, "error"), headers, body })).status, 202);
    assert.deepEqual(seen.answers, [{ kind: "errored", errorType: type, payload: Buffer.from(body), exits: false }]);
  });

test("an init error is reported once, with its document", async () => {
  const { send, seen, next } = await api();
  const headers = { "Lambda-Runtime-Function-Error-Type": "Runtime.ImportModuleError" };
  const sent = { path: "/2018-06-01/runtime/init/error", headers, body: "not json" };
  assert.equal((await send(sent)).status, 202);
  assert.deepEqual(seen.initErrors, [["Runtime.ImportModuleError", "not json"]]);
  assert.equal((await send(sent)).status, 403);
  assert.equal((await next()).status, 403);
  assert.equal(seen.initErrors.length, 1);
  assert.equal(seen.ready, 0);
});

const PATHS = [
  { path: "/", status: 404 },
  { path: "/2018-06-01/runtime/invocation//response", status: 404 },
  { path: `/2018-06-01/runtime/invocation/../invocation/${ID}/response`, status: 404 },
  { path: `/2018-06-01/runtime/invocation/${ID}%2fresponse`, status: 404 },
  { path: `/2018-06-01/runtime/invocation/${ID}%2f..%2f${ID}/response`, status: 400 },
  { path: call(`${ID}%00`, "response"), status: 400 },
  { path: call("..", "response"), status: 400 },
  { path: call("x".repeat(10_240), "response"), status: 400 },
  { path: `/2018-06-01/runtime/invocation/${ID}/delete`, status: 404 },
  { path: `/2015-03-31/runtime/invocation/${ID}/response`, status: 404 },
  { path: "/2018-06-01/runtime/restore/next", status: 404 },
  { path: "/2020-01-01/extension/register", status: 404 },
];
for (const { path, status } of PATHS)
  test(`X06 no trick with a path reaches anything: ${path.slice(0, 90)}`, async () => {
    const { send, seen } = await running();
    assert.equal((await send({ path, body: "null" })).status, status);
    assert.deepEqual(seen.answers, []);
    assert.equal((await send({ path: call(ID, "response"), body: "null" })).status, 202);
  });

test("other methods are refused, and a ping is answered", async () => {
  const { send } = await running();
  assert.equal((await send({ method: "PUT", path: call(ID, "response") })).status, 405);
  assert.equal((await send({ method: "GET", path: "/2018-06-01/ping" })).body, "pong");
});

test("of two answers the first one counts", async () => {
  const { send, seen } = await running();
  assert.equal((await send({ path: call(ID, "response"), body: "1" })).status, 202);
  const second = await send({ path: call(ID, "response"), body: "2" });
  assert.deepEqual([second.status, second.body], [400, '{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}']);
  assert.equal((await send({ path: call(ID, "error"), body: "3" })).status, 400);
  assert.deepEqual(seen.answers, [{ kind: "succeeded", payload: Buffer.from("1") }]);
});

test("two answers at the same time are one answer and one refusal", async () => {
  const { send, seen } = await running();
  const both = await Promise.all([send({ path: call(ID, "response"), body: "1" }), send({ path: call(ID, "response"), body: "2" })]);
  assert.equal(both.filter(({ status }) => status === 202).length, 1);
  assert.equal(seen.answers.length, 1);
});

test("X07 an answer to an invocation that nobody waits for any more is refused", async () => {
  const { send, seen, runtimeApi } = await running();
  runtimeApi.abandon();
  assert.equal((await send({ path: call(ID, "response"), body: "1" })).status, 400);
  assert.deepEqual(seen.answers, []);
});

test("a slow answer that is abandoned while it comes is refused", async () => {
  const { raw, seen, runtimeApi } = await running();
  const socket = await raw();
  socket.write(`POST ${call(ID, "response")} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nnu`);
  await new Promise(setImmediate);
  runtimeApi.abandon();
  socket.write("ll");
  const [reply] = (await once(socket, "data")) as [Buffer];
  assert.match(reply.toString(), /^HTTP\/1\.1 400 /);
  assert.deepEqual(seen.answers, []);
});

test("an answer before the first invocation, or to a foreign one, has no effect", async () => {
  const { send, seen } = await api();
  assert.equal((await send({ path: call(ID, "response"), body: "1" })).status, 400);
  const { send: sendTo, seen: seenThere } = await running({ ...INVOCATION, requestId: "another" });
  assert.equal((await sendTo({ path: call(ID, "response"), body: "1" })).status, 400);
  assert.deepEqual([seen.answers, seenThere.answers], [[], []]);
});

test("asking for the next invocation before the last one was answered is out of turn", async () => {
  const { next } = await running();
  const { status, body } = await next();
  assert.equal(status, 403);
  assert.deepEqual(JSON.parse(body), {
    errorMessage: "State transition from Running to Ready failed for runtime. Error: State transition is not allowed",
    errorType: "InvalidStateTransition",
  });
});

test("after its answer a runtime is at rest when it asks for the next invocation", async () => {
  const { runtimeApi, send, next } = await running();
  let isAtRest = false;
  void runtimeApi.rest()?.then(() => (isAtRest = true));
  await send({ path: call(ID, "response"), body: "1" });
  assert.equal(isAtRest, false);
  const waiting = next();
  await runtimeApi.rest();
  assert.deepEqual([isAtRest, runtimeApi.rest()], [true, undefined]);
  runtimeApi.send(INVOCATION);
  await waiting;
});

test("a runtime that asks again while it waits gets the event once, on the newest connection", async () => {
  const { next, seen, runtimeApi } = await api();
  const first = next();
  while (seen.ready === 0) await new Promise(setImmediate);
  const second = next();
  assert.equal((await first).status, 403);
  runtimeApi.send(INVOCATION);
  assert.equal((await second).status, 200);
});

test("a runtime that lost its connection gets the event when it asks again", async () => {
  const { raw, next, send, seen, runtimeApi } = await api();
  const socket = await raw();
  socket.write(`GET ${NEXT} HTTP/1.1\r\nHost: x\r\n\r\n`);
  while (seen.ready === 0) await new Promise(setImmediate);
  socket.destroy();
  // The server reads the end of the one connection before the call on the other.
  await send({ method: "GET", path: "/ping" });
  const again = next();
  runtimeApi.send(INVOCATION);
  assert.equal((await again).status, 200);
});

for (const isChunked of [false, true])
  test(`a response of one byte too many is cut off (${isChunked ? "chunked" : "announced"})`, async () => {
    const { raw, seen } = await running();
    const socket = await raw();
    const framing = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${RESPONSE_BYTES_MAX + 1}`;
    socket.write(`POST ${call(ID, "response")} HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n`);
    if (isChunked) socket.write(`${(RESPONSE_BYTES_MAX + 1).toString(16)}\r\n`);
    socket.write(Buffer.alloc(RESPONSE_BYTES_MAX + 1, "x"));
    socket.on("error", () => undefined);
    const [reply] = (await once(socket, "data")) as [Buffer];
    assert.match(reply.toString(), /^HTTP\/1\.1 413 [^]*Exceeded maximum allowed payload size \(6291556 bytes\)\./);
    assert.deepEqual(seen.answers, [{ kind: "too-large" }]);
  });

test("a client that sends all of it before it reads an answer gets that answer; one that never ends does not", async () => {
  const body = Buffer.alloc(RESPONSE_BYTES_MAX + 4_000_000, "x");
  for (const headers of [{}, { "Transfer-Encoding": "chunked" }]) {
    const { send, seen, next, runtimeApi } = await running();
    assert.equal((await send({ path: call(ID, "response"), headers, body })).status, 413);
    assert.deepEqual(seen.answers, [{ kind: "too-large" }]);
    const waiting = next();
    runtimeApi.send({ ...INVOCATION, requestId: "other" });
    assert.equal((await waiting).status, 200);
  }
  const other = await running();
  const socket = await other.raw();
  socket.on("error", () => undefined).resume();
  socket.write(`POST ${call(ID, "response")} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n`);
  const moved = () => new Promise((resolve) => void socket.once("drain", resolve).once("close", resolve));
  for (let sent = 0; sent < 100 && !socket.destroyed; sent++) if (!socket.write(Buffer.alloc(1e6))) await moved();
  assert.ok(socket.destroyed);
  assert.deepEqual(other.seen.answers, [{ kind: "too-large" }]);
});

test("a response of exactly the limit is passed on", async () => {
  const { send, seen } = await running();
  assert.equal((await send({ path: call(ID, "response"), body: Buffer.alloc(RESPONSE_BYTES_MAX, "x") })).status, 202);
  const [answer] = seen.answers;
  assert.ok(answer?.kind === "succeeded" && answer.payload.length === RESPONSE_BYTES_MAX);
});

test("a response that breaks off is truncated", async () => {
  const { raw, seen } = await running();
  const socket = await raw();
  socket.write(`POST ${call(ID, "response")} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf`);
  await new Promise(setImmediate);
  socket.destroy();
  while (seen.answers.length === 0) await new Promise(setImmediate);
  assert.deepEqual(seen.answers, [{ kind: "truncated" }]);
});

test("a streamed response is gathered, and an error in its trailers counts", async () => {
  const headers = { "Lambda-Runtime-Function-Response-Mode": "streaming", "Transfer-Encoding": "chunked" };
  const { send, seen } = await running();
  assert.equal((await send({ path: call(ID, "response"), headers, body: "part" })).status, 202);
  const other = await running();
  const trailers = {
    "Lambda-Runtime-Function-Error-Type": "Function.Late",
    "Lambda-Runtime-Function-Error-Body": Buffer.from('{"errorMessage":"late"}').toString("base64"),
  };
  const announced = { ...headers, Trailer: Object.keys(trailers).join(", ") };
  await other.send({ path: call(ID, "response"), headers: announced, body: "part", trailers });
  assert.deepEqual(
    [...seen.answers, ...other.seen.answers],
    [
      { kind: "succeeded", payload: Buffer.from("part") },
      { kind: "errored", errorType: "Function.Late", payload: Buffer.from('{"errorMessage":"late"}'), exits: false },
    ],
  );
});

const STREAMING = { "Lambda-Runtime-Function-Response-Mode": "streaming", "Transfer-Encoding": "chunked" };

/** A caller that takes a stream. */
function sink() {
  const got = { types: [] as (string | undefined)[], text: "" };
  const response: ResponseSink = {
    begin: (type) => void got.types.push(type),
    write: (chunk) => void (got.text += Buffer.from(chunk).toString()),
  };
  return { got, response };
}

test("a caller that takes a stream gets each chunk when it comes, and the end afterwards", async () => {
  const { got, response } = sink();
  const { port, seen } = await running({ ...INVOCATION, response });
  const outgoing = request({
    port,
    host: "127.0.0.1",
    method: "POST",
    path: call(ID, "response"),
    headers: { ...STREAMING, "Content-Type": "text/html" },
  });
  const replied = once(outgoing, "response");
  outgoing.write("first ");
  while (got.text !== "first ") await new Promise(setImmediate);
  assert.deepEqual([seen.answers, got.types], [[], ["text/html"]]);
  outgoing.end("last");
  assert.equal(((await replied) as [{ statusCode: number }])[0].statusCode, 202);
  assert.deepEqual([seen.answers, got.text], [[{ kind: "streamed", bytes: 10 }], "first last"]);
  outgoing.destroy();
});

test("what a runtime sends in chunks is streamed without its mode, and what has a length comes as a whole", async () => {
  for (const [headers, answer] of [
    [{ "Transfer-Encoding": "chunked" }, { kind: "streamed", bytes: 4 }],
    [{ "Content-Length": "4" }, { kind: "succeeded", payload: Buffer.from("part") }],
  ] as const) {
    const { response } = sink();
    const { send, seen } = await running({ ...INVOCATION, response });
    await send({ path: call(ID, "response"), headers, body: "part" });
    assert.deepEqual(seen.answers, [answer]);
  }
});

test("a stream that fails in its trailers or breaks off has had its first chunks", async () => {
  const trailers = {
    "Lambda-Runtime-Function-Error-Type": "Function.Late",
    "Lambda-Runtime-Function-Error-Body": Buffer.from('{"errorMessage":"late"}').toString("base64"),
  };
  const late = sink();
  const one = await running({ ...INVOCATION, response: late.response });
  await one.send({
    path: call(ID, "response"),
    headers: { ...STREAMING, Trailer: Object.keys(trailers).join(", ") },
    body: "part",
    trailers,
  });
  const document = Buffer.from('{"errorMessage":"late"}');
  assert.deepEqual(one.seen.answers, [{ kind: "errored", errorType: "Function.Late", payload: document, exits: false }]);
  const cut = sink();
  const other = await running({ ...INVOCATION, response: cut.response });
  const outgoing = request({ port: other.port, host: "127.0.0.1", method: "POST", path: call(ID, "response"), headers: STREAMING });
  outgoing.on("error", () => undefined);
  outgoing.write("part");
  while (cut.got.text === "") await new Promise(setImmediate);
  outgoing.destroy();
  while (other.seen.answers.length === 0) await new Promise(setImmediate);
  assert.deepEqual([late.got.text, cut.got.text, other.seen.answers], ["part", "part", [{ kind: "truncated" }]]);
});

test("an invocation's identifier that is not echoed as it is leaves the invocation open", async () => {
  const { send, seen } = await running();
  const headers = { "Lambda-Runtime-Invocation-Id": "another" };
  const { status, body } = await send({ path: call(ID, "response"), headers, body: "1" });
  assert.deepEqual([status, (JSON.parse(body) as { errorType: string }).errorType], [400, "InvalidInvocationId"]);
  assert.deepEqual(seen.answers, []);
  assert.equal((await send({ path: call(ID, "response"), body: "1" })).status, 202);
});

test("a response mode that there is not is the invocation's error, and the runtime may go on", async () => {
  const { send, next, seen, runtimeApi } = await running();
  const headers = { "Lambda-Runtime-Function-Response-Mode": "buffered" };
  const { status, body } = await send({ path: call(ID, "response"), headers, body: "1" });
  assert.deepEqual([status, (JSON.parse(body) as { errorType: string }).errorType], [400, "InvalidFunctionResponseMode"]);
  const errorType = "Runtime.InvalidResponseModeHeader";
  assert.deepEqual(seen.answers, [{ kind: "errored", errorType, payload: Buffer.alloc(0), exits: false }]);
  const waiting = next();
  runtimeApi.send({ ...INVOCATION, requestId: "other" });
  assert.equal((await waiting).headers["lambda-runtime-aws-request-id"], "other");
});

test("nonsense on a connection ends that connection only", async () => {
  const { raw, send, seen } = await running();
  for (const nonsense of ["\u0000\u0001\u0002\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", `GET /${"x".repeat(300_000)} HTTP/1.1\r\n\r\n`]) {
    const socket = await raw();
    // A reset is as good an end as any.
    socket.on("error", () => undefined);
    socket.write(nonsense, "latin1");
    await new Promise((resolve) => socket.resume().on("close", resolve));
  }
  assert.equal((await send({ path: call(ID, "response"), body: "1" })).status, 202);
  assert.equal(seen.answers.length, 1);
});

test("a function cannot hold more than 64 connections", async () => {
  const { raw, environmentApi } = await api();
  const sockets = await Promise.all(Array.from({ length: 64 }, raw));
  const last = await raw();
  await once(last.resume(), "close");
  assert.ok(sockets.every((socket) => !socket.destroyed));
  environmentApi.close();
  await Promise.all(sockets.map((socket) => once(socket.resume(), "close")));
});
