// What must not come in, as raw bytes on a socket: ambiguous HTTP, foreign hosts, other origins, the slow and the vanished.
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import { frontDoor, type FrontDoorOptions } from "./front-door.ts";
import { admit, hostRules } from "./guard.ts";
import { memoryIdentities } from "./memory-identities.ts";

async function start(t: TestContext, options: Partial<FrontDoorOptions> = {}) {
  const door = frontDoor({
    services: new Map(),
    identities: memoryIdentities([]),
    clock: systemClock,
    log: silentLog,
    account: "000000000000",
    region: "us-east-1",
    hostNames: ["lambent.example", "*.functions.example"],
    ...options,
  });
  const { port } = await door.listen(0, "127.0.0.1");
  t.after(() => door.close());
  return { door, port };
}

/** All that the server answers until it closes the connection or `isEnough`. */
function exchange(socket: Socket, bytes: string | Buffer, isEnough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const settle = () => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(60_000, () =>
      reject(new Error(`no answer to ${JSON.stringify(bytes.toString("latin1").slice(0, 200))}, had ${text}`)),
    );
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (isEnough(text)) settle();
    });
    socket.on("close", settle).on("error", settle);
    socket.write(bytes);
  });
}

const isComplete = (text: string) => /\r\n\r\n[^]*\}$/.test(text);
const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
const HOST = "Host: localhost\r\n";

const refusedBytes: readonly (readonly [name: string, status: number, bytes: string])[] = [
  ["two Host headers", 400, `GET /health HTTP/1.1\r\n${HOST}Host: 127.0.0.1\r\n\r\n`],
  ["the same Host header twice", 400, `GET /health HTTP/1.1\r\n${HOST}${HOST}\r\n`],
  ["no Host header", 400, "GET /health HTTP/1.1\r\n\r\n"],
  ["no Host header in HTTP/1.0", 400, "GET /health HTTP/1.0\r\n\r\n"],
  ["an empty Host header", 400, "GET /health HTTP/1.1\r\nHost: \r\n\r\n"],
  ["a Host with a user", 400, "GET /health HTTP/1.1\r\nHost: a@localhost\r\n\r\n"],
  ["a Host with a slash", 400, "GET /health HTTP/1.1\r\nHost: localhost/x\r\n\r\n"],
  ["a Host with a comma", 400, "GET /health HTTP/1.1\r\nHost: localhost, evil\r\n\r\n"],
  ["a Host with a NUL", 400, "GET /health HTTP/1.1\r\nHost: local\0host\r\n\r\n"],
  ["a Host with a large port", 400, "GET /health HTTP/1.1\r\nHost: localhost:65536\r\n\r\n"],
  ["a foreign host (DNS rebinding)", 403, "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n"],
  ["a host that ends like an allowed one", 403, "GET /health HTTP/1.1\r\nHost: evillocalhost\r\n\r\n"],
  ["a host that begins like an allowed one", 403, "GET /health HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n"],
  ["another address of this machine", 403, "GET /health HTTP/1.1\r\nHost: 0.0.0.0\r\n\r\n"],
  ["the sandbox's address from outside", 403, "GET /health HTTP/1.1\r\nHost: 169.254.100.1\r\n\r\n"],
  ["a page of another origin", 403, `GET /health HTTP/1.1\r\n${HOST}Origin: http://evil.example\r\n\r\n`],
  ["a page of another port", 403, `GET /health HTTP/1.1\r\n${HOST}Origin: http://localhost:3000\r\n\r\n`],
  ["a sandboxed page", 403, `GET /health HTTP/1.1\r\n${HOST}Origin: null\r\n\r\n`],
  ["two origins", 400, `GET /health HTTP/1.1\r\n${HOST}Origin: http://localhost\r\nOrigin: http://evil.example\r\n\r\n`],
  ["a cross-site fetch", 403, `GET /health HTTP/1.1\r\n${HOST}Sec-Fetch-Site: cross-site\r\n\r\n`],
  ["a same-site fetch", 403, `GET /health HTTP/1.1\r\n${HOST}Sec-Fetch-Site: same-site\r\n\r\n`],
  ["a target with a host", 400, `GET http://localhost/health HTTP/1.1\r\n${HOST}\r\n`],
  ["an asterisk for a target", 405, `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`],
  ["a fragment", 400, `GET /health#x HTTP/1.1\r\n${HOST}\r\n`],
  ["bytes beyond ASCII in the target", 400, `GET /h\u00e9 HTTP/1.1\r\n${HOST}\r\n`],
  ["TRACE", 405, `TRACE /health HTTP/1.1\r\n${HOST}\r\n`],
  ["CONNECT", 405, `CONNECT localhost:80 HTTP/1.1\r\n${HOST}\r\n`],
  ["OPTIONS", 405, `OPTIONS /health HTTP/1.1\r\n${HOST}\r\n`],
  ["an unknown method", 400, `PROPFINDX /health HTTP/1.1\r\n${HOST}\r\n`],
  ["a lower-case method", 400, `get /health HTTP/1.1\r\n${HOST}\r\n`],
  ["a request line without a version, with a bare line feed", 505, `GET /health\n${HOST}\r\n`],
  ["the same with a body", 400, `POST /health\nHost: localhost\nContent-Length: 5\n\nhello`],
  ["HTTP/0.9", 505, "GET /health HTTP/0.9\r\nHost: localhost\r\n\r\n"],
  ["HTTP/2.0 on the line of HTTP/1.1", 505, `GET /health HTTP/2.0\r\n${HOST}\r\n`],
  ["HTTP/1.2", 400, `GET /health HTTP/1.2\r\n${HOST}\r\n`],
  ["a length and a coding", 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["two different lengths", 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
  ["two equal lengths", 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`],
  ["a list of lengths", 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 5, 5\r\n\r\nhello`],
  ["a signed length", 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: +5\r\n\r\nhello`],
  ["a hexadecimal length", 400, `POST / HTTP/1.1\r\n${HOST}Content-Length: 0x5\r\n\r\nhello`],
  ["another coding", 400, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ["a coding that only looks like chunked", 400, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ["chunked in HTTP/1.0", 400, `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["a space before the colon", 400, `GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n`],
  ["a folded header", 400, `GET /health HTTP/1.1\r\n${HOST}X-A: b\r\n c\r\n\r\n`],
  ["a bare carriage return in a header", 400, `GET /health HTTP/1.1\r\n${HOST}X-A: b\rX-B: c\r\n\r\n`],
  ["a NUL in a header", 400, `GET /health HTTP/1.1\r\n${HOST}X-A: b\0c\r\n\r\n`],
  ["a header without a name", 400, `GET /health HTTP/1.1\r\n${HOST}: x\r\n\r\n`],
  ["headers of 20 KiB", 431, `GET /health HTTP/1.1\r\n${HOST}X-A: ${"a".repeat(20_480)}\r\n\r\n`],
  ["a target of 20 KiB", 431, `GET /${"a".repeat(20_480)} HTTP/1.1\r\n${HOST}\r\n`],
  ["101 headers", 431, `GET /health HTTP/1.1\r\n${HOST}${"X-A: b\r\n".repeat(100)}\r\n`],
  ["two Authorization headers", 400, `GET /health HTTP/1.1\r\n${HOST}Authorization: a\r\nAuthorization: b\r\n\r\n`],
  ["two Content-Encoding headers", 400, `POST / HTTP/1.1\r\n${HOST}Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n\r\n`],
  ["an expectation of another kind", 417, `POST / HTTP/1.1\r\n${HOST}Expect: a-miracle\r\nContent-Length: 0\r\n\r\n`],
  ["garbage", 400, "\0\u0001\u0002\u0003\r\n\r\n"],
];

test("ambiguous and foreign requests are refused with a request id, and their connection is closed", async (t) => {
  const { port } = await start(t);
  for (const [name, status, bytes] of refusedBytes) {
    const text = await exchange(connect(port, "127.0.0.1"), Buffer.from(bytes, "latin1"), isComplete);
    assert.equal(statusOf(text), status, `${name}: ${text}`);
    assert.match(text, /x-amzn-RequestId: [0-9a-f-]{36}\r\n/i, name);
    assert.match(text, /connection: close/i, name);
    assert.doesNotMatch(text, /node:|\/src\/|Access-Control/i, name);
  }
});

test("a refused request takes what is pipelined behind it along", async (t) => {
  const { port } = await start(t);
  const smuggled = `GET /health HTTP/1.1\r\n${HOST}\r\n`;
  const text = await exchange(connect(port, "127.0.0.1"), `GET /health\nHost: localhost\n\n${smuggled}${smuggled}`, () => false);
  assert.doesNotMatch(text, /200 OK/);
});

const acceptedHosts = [
  "localhost",
  "LOCALHOST:4566",
  "127.0.0.1:1",
  "[::1]:4566",
  "photos.s3.localhost:4566",
  "x.localhost",
  "lambent.example",
  "b.s3.lambent.example",
  "s3.lambent.example",
  "abc.functions.example",
];

test("the allowed names are let in, and health needs no signature", async (t) => {
  const { port } = await start(t);
  for (const host of acceptedHosts) {
    const text = await exchange(connect(port, "127.0.0.1"), `GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`, isComplete);
    assert.equal(statusOf(text), 200, host);
    assert.match(text, /\{"status":"ok"\}$/);
    assert.match(text, /x-amzn-RequestId: [0-9a-f-]{36}\r\n/i);
  }
  const own = await exchange(
    connect(port, "127.0.0.1"),
    `GET /health HTTP/1.1\r\nHost: localhost:9\r\nOrigin: http://localhost:9\r\nSec-Fetch-Site: same-origin\r\n\r\n`,
    isComplete,
  );
  assert.equal(statusOf(own), 200);
});

test("the bucket and the endpoint come out of the host name", () => {
  const rules = hostRules(["lambent.example"], "network");
  const admitted = (host: string) => {
    const { endpoint, hostBucket } = admit(
      { method: "GET", target: "/", httpVersion: "1.1", isHttp2: false, rawHeaders: ["Host", host] },
      rules,
      "http",
    );
    return [endpoint, hostBucket];
  };
  assert.deepEqual(admitted("localhost:4566"), ["http://localhost:4566", undefined]);
  assert.deepEqual(admitted("b.localhost:4566"), ["http://localhost:4566", "b"]);
  assert.deepEqual(admitted("my.bucket.s3.localhost:4566"), ["http://s3.localhost:4566", "my.bucket"]);
  assert.deepEqual(admitted("b.s3.eu-west-1.localhost"), ["http://s3.eu-west-1.localhost", "b"]);
  assert.deepEqual(admitted("s3.localhost"), ["http://s3.localhost", undefined]);
  assert.deepEqual(admitted("b.s3.lambent.example"), ["http://s3.lambent.example", "b"]);
  assert.deepEqual(admitted("s3.lambent.example"), ["http://s3.lambent.example", undefined]);
});

/** A connection whose other end was handed to `accept`, as those from a sandbox are. */
async function fromSandbox(t: TestContext, accept: (socket: Socket) => void): Promise<Socket> {
  const inner = createServer(accept);
  inner.listen(0, "127.0.0.1");
  await once(inner, "listening");
  t.after(() => inner.close());
  return connect((inner.address() as AddressInfo).port, "127.0.0.1");
}

test("a connection from a sandbox has its own host names", async (t) => {
  const { door } = await start(t);
  for (const [host, status] of [
    ["169.254.100.1:4566", 200],
    ["localhost", 200],
    ["127.0.0.1:80", 200],
    ["lambent.example", 403],
    ["evil.example", 403],
  ] as const) {
    const socket = await fromSandbox(t, (one) => door.accept(one, { sandboxId: "s" }));
    const text = await exchange(socket, `GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`, isComplete);
    assert.equal(statusOf(text), status, host);
  }
});

test("nothing is said about a path that does not exist before a signature", async (t) => {
  const { port } = await start(t);
  for (const path of ["/_lambent", "/_lambent/health", "/health/", "/health?x", "/..%2f", "/__proto__", "//"]) {
    const text = await exchange(connect(port, "127.0.0.1"), `GET ${path} HTTP/1.1\r\n${HOST}\r\n`, (all) => all.endsWith("</Error>"));
    assert.notEqual(statusOf(text), 200, path);
    assert.match(text, /x-amzn-RequestId/i, path);
  }
});

test("who is too slow is cut off: before the first byte, in the head, in the body", async (t) => {
  const { port } = await start(t, { timeouts: { headersMs: 1000, bodyIdleMs: 1000 } });
  const silent = connect(port, "127.0.0.1");
  const [, head] = await Promise.all([
    once(silent, "close"),
    exchange(connect(port, "127.0.0.1"), "GET /health HTTP/1.1\r\nHo", isComplete),
    exchange(connect(port, "127.0.0.1"), "P", () => false),
    exchange(
      connect(port, "127.0.0.1"),
      `POST / HTTP/1.1\r\n${HOST}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nAction`,
      () => false,
    ),
  ]);
  assert.equal(statusOf(head), 408);
});

test("HTTP/2 without TLS is served on the same port, under the same rules", async (t) => {
  const { port } = await start(t);
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const get = async (headers: Record<string, string | string[]>) => {
    const stream = session.request({ ":path": "/health", ...headers });
    const [response] = (await once(stream, "response")) as [Record<string, string | number>];
    stream.resume();
    await once(stream, "close");
    return response;
  };
  const healthy = await get({});
  assert.equal(healthy[":status"], 200);
  assert.match(String(healthy["x-amzn-requestid"]), /^[0-9a-f-]{36}$/);
  assert.equal((await get({ ":authority": "evil.example" }))[":status"], 403);
  assert.equal((await get({ ":authority": "localhost", host: "127.0.0.1" }))[":status"], 400);
  assert.equal((await get({ ":method": "TRACE" }))[":status"], 405);
  assert.equal((await get({ origin: "http://evil.example" }))[":status"], 403);
  assert.equal(constants.NGHTTP2_NO_ERROR, 0);
});

test("a body is asked for only when its head was let in", async (t) => {
  const { port } = await start(t);
  const ask = async (headers: Record<string, string>) => {
    const request = httpRequest({
      port,
      host: "127.0.0.1",
      method: "PUT",
      path: "/b/k",
      headers: { expect: "100-continue", "content-length": "5", ...headers },
    });
    t.after(() => request.destroy());
    const events: string[] = [];
    request.on("continue", () => {
      events.push("continue");
      request.end("hello");
    });
    request.on("error", () => {});
    request.flushHeaders();
    const [response] = (await once(request, "response")) as [{ statusCode: number; resume(): void }];
    response.resume();
    events.push(String(response.statusCode));
    return events;
  };
  assert.deepEqual(await ask({ host: "evil.example" }), ["403"]);
  assert.deepEqual(await ask({ host: "localhost" }), ["continue", "501"]);
});
