// Connections whose requests come whole, and those that leave for Node's server in the middle: as raw bytes on a socket.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { test, type TestContext } from "node:test";
import { silentLog, type Log } from "../base/log.ts";
import { fakeDoor } from "./fake-service.ts";
import type { Timeouts } from "./front-door.ts";
import type { WireResponse } from "./request.ts";

interface Client {
  readonly socket: Socket;
  /** All that was received, when it is as it should be, or when the connection is closed. */
  readonly until: (isEnough: (text: string) => boolean) => Promise<string>;
}

const LARGE = Buffer.alloc(300_000, "x");
const text = (body: WireResponse["body"], more: Record<string, string> = {}): WireResponse => ({
  status: 200,
  headers: { "content-type": "text/plain", ...more },
  ...(body === undefined ? {} : { body }),
});

async function* pieces(...all: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const one of all) yield await Promise.resolve(Buffer.from(one));
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from("begun"));
  throw new Error("the source failed");
}

const documents: Readonly<Record<string, () => WireResponse>> = {
  "/text": () => text("caf\u00e9"),
  "/large": () => text(LARGE),
  "/nothing": () => ({ status: 204, headers: {} }),
  "/empty": () => text(undefined),
  "/stream": () => text(pieces("one", "", "two")),
  "/readable": () => text(Readable.from([Buffer.from("one"), Buffer.from("two")])),
  "/sized": () => text(pieces("one", "two"), { "Content-Length": "6" }),
  "/broken": () => text(broken()),
  "/split": () => text("x", { "x-a": "b\r\nx-c: d" }),
  "/cookies": () => ({ ...text("x"), cookies: ["a=1", "b=2"] }),
};

async function start(t: TestContext, { timeouts, log = silentLog }: { timeouts?: Partial<Timeouts>; log?: Log } = {}) {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { door, port } = await fakeDoor([], {
    log,
    ...(timeouts === undefined ? {} : { timeouts }),
    documents: (path) => {
      if (path === "/slow") return released.then(() => text("late"));
      const answer = documents[path];
      return answer === undefined ? undefined : Promise.resolve(answer());
    },
  });
  t.after(() => door.close());
  const client = async (): Promise<Client> => {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    let had = "";
    let look = () => {};
    socket.setEncoding("latin1").on("data", (piece) => {
      had += String(piece);
      look();
    });
    socket.on("error", () => undefined).on("close", () => look());
    t.after(() => socket.destroy());
    return {
      socket,
      until: (isEnough) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error(`no more than ${JSON.stringify(had.slice(0, 500))}`)), 10_000);
          look = () => {
            if (!isEnough(had) && !socket.closed) return;
            clearTimeout(timer);
            look = () => {};
            resolve(had);
          };
          look();
        }),
    };
  };
  return { door, client, release };
}

const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
/** How many answers, of which each but those without a body has a length or is chunked. */
const answers = (all: string) => all.split("HTTP/1.1 ").length - 1;

test("an answer has its length, the date, and says how long the connection stays", async (t) => {
  const { client } = await start(t);
  const { socket, until } = await client();
  socket.write(get("/text"));
  const answer = await until((all) => all.endsWith("caf\u00c3\u00a9"));
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(answer, /\r\ncontent-length: 5\r\n/);
  assert.match(answer, /\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
  assert.match(answer, /\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\n/);
});

test("bodies of every kind: none, large, in pieces, of a known length, with cookies", async (t) => {
  const { client } = await start(t);
  const body = async (path: string, end: string) => {
    const { socket, until } = await client();
    socket.write(get(path) + get("/text"));
    const all = await until((had) => had.endsWith("caf\u00c3\u00a9"));
    const headEnd = all.indexOf("\r\n\r\n");
    const [head, rest] = [all.slice(0, headEnd + 2), all.slice(headEnd + 4)];
    assert.ok(rest.slice(0, rest.indexOf("HTTP/1.1 ")).endsWith(end), path);
    return head;
  };
  assert.doesNotMatch(await body("/nothing", ""), /content-length|transfer-encoding/i);
  assert.match(await body("/empty", ""), /\r\ncontent-length: 0\r\n/);
  assert.match(await body("/large", LARGE.toString()), /\r\ncontent-length: 300000\r\n/);
  assert.match(await body("/stream", "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), /\r\ntransfer-encoding: chunked\r\n/);
  assert.match(await body("/readable", "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), /\r\ntransfer-encoding: chunked\r\n/);
  assert.doesNotMatch(await body("/sized", "onetwo"), /chunked/);
  assert.match(await body("/cookies", "x"), /\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n/);
});

test("requests that come at once are answered one after the other, also behind a stream", async (t) => {
  const { client } = await start(t);
  const { socket, until } = await client();
  socket.write(get("/stream").repeat(30) + get("/text").repeat(30));
  const all = await until((had) => answers(had) === 60 && had.endsWith("caf\u00c3\u00a9"));
  assert.ok(all.lastIndexOf("two") < all.indexOf("caf\u00c3"));
  assert.equal(socket.closed, false);
});

test("a body in many pieces is awaited; the rest of the connection is Node's after a coding, an expectation or a long body", async (t) => {
  const { client } = await start(t);
  const { socket, until } = await client();
  const post = `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n`;
  let count = 0;
  const refused = async (...parts: readonly string[]) => {
    for (const part of parts) {
      socket.write(part, "latin1");
      await new Promise((resolve) => setImmediate(resolve));
    }
    count++;
    assert.equal(answers(await until((had) => answers(had) === count && /(?:\}|<\/Error>)$/.test(had))), count);
  };
  await refused(post, "01234", "56789");
  await refused(post.slice(0, 1), post.slice(1), "0123456789");
  await refused(`POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`, "5\r\n01234\r\n", "0\r\n\r\n");
  await refused(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n`, "x".repeat(50_000), "x".repeat(50_000));
  await refused(post, "01234", "56789");
  const again = await client();
  again.socket.write(`POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
  await again.until((had) => had.startsWith("HTTP/1.1 100 Continue"));
});

test("a header that would be two, and a source that fails, cut the connection, and the log says so", async (t) => {
  const causes: unknown[] = [];
  const { client } = await start(t, { log: { ...silentLog, error: (_message, fields) => void causes.push(fields?.["cause"]) } });
  const split = await client();
  split.socket.write(get("/split"));
  assert.equal(await split.until(() => false), "");
  const cut = await client();
  cut.socket.write(get("/broken"));
  assert.match(await cut.until(() => false), /5\r\nbegun\r\n$/);
  assert.deepEqual(
    causes.map((cause) => (cause as Error).message),
    ['the header "x-a" of an answer can\'t be sent', "the source failed"],
  );
});

test("HEAD has the headers and no body", async (t) => {
  const { client } = await start(t);
  const { socket, until } = await client();
  socket.write("HEAD /b/k HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const all = await until((had) => had.endsWith("\r\n\r\n"));
  assert.match(all, /^HTTP\/1\.1 \d{3} /);
  socket.write(get("/text"));
  assert.equal(answers(await until((had) => had.endsWith("caf\u00c3\u00a9"))), 2);
});

test("who sends no more of a body, or nothing more at all, is cut off", async (t) => {
  const { client } = await start(t, { timeouts: { bodyIdleMs: 100, keepAliveMs: 100 } });
  const slow = await client();
  slow.socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234");
  assert.equal(await slow.until(() => false), "");
  const idle = await client();
  idle.socket.write(get("/text"));
  assert.equal(answers(await idle.until(() => false)), 1);
});

test("an answer that takes longer than connections may rest is sent; after it the connection may rest as long as others", async (t) => {
  const { client, release } = await start(t, { timeouts: { keepAliveMs: 100 } });
  const { socket, until } = await client();
  socket.write(get("/slow"));
  // Longer than the server's limit, with its margin: that passing is what is to do nothing.
  setTimeout(release, 1500);
  assert.match(await until((had) => had.endsWith("late")), /^HTTP\/1\.1 200 OK/);
  await until(() => false);
  assert.equal(socket.closed, true);
});

test("a door that closes ends connections without a request at once", async (t) => {
  const { door, client } = await start(t);
  const { socket, until } = await client();
  socket.write(get("/text"));
  await until((had) => had.endsWith("caf\u00c3\u00a9"));
  await Promise.all([once(socket, "close"), door.close()]);
});
