// Whatever is taken for a plain head, Node's parser must understand in the same way; what two readers could understand differently is left.
import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { random } from "../../tests/support/hostile-requests.ts";
import { plainHead, type PlainHead } from "./plain-head.ts";

const SEED = Number(process.env["SEED"] ?? 20_261_128);
const MUTANTS = 20_000;

const PLAIN = [
  "POST /2015-03-31/functions/f/invocations HTTP/1.1",
  "Host: localhost:4566",
  "content-type: application/json",
  "Content-Length: 5",
  "X-Amz-Date: 20261128T000000Z",
  "Authorization: AWS4-HMAC-SHA256 Credential=A/20261128/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=0a",
  "x-empty:",
  "x-latin: caf\u00e9",
  "Connection: keep-alive",
];

const headOf = (...lines: readonly string[]): PlainHead | undefined => plainHead(lines.join("\r\n"));

test("the request line, headers and the length of the body", () => {
  assert.deepEqual(headOf("PUT /b/k?x=%20 HTTP/1.1", "Host: h", "X-A:b", "CONTENT-length: 12"), {
    method: "PUT",
    target: "/b/k?x=%20",
    rawHeaders: ["host", "h", "x-a", "b", "content-length", "12"],
    bodyBytes: 12,
  });
  assert.equal(headOf("GET / HTTP/1.1")?.bodyBytes, 0);
});

const left: readonly (readonly [name: string, ...lines: string[]])[] = [
  ["a coding", "POST / HTTP/1.1", "Transfer-Encoding: chunked"],
  ["an expectation", "PUT / HTTP/1.1", "Expect: 100-continue", "Content-Length: 5"],
  ["an upgrade", "GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c"],
  ["the end of the connection", "GET / HTTP/1.1", "Connection: close"],
  ["a named hop-by-hop header", "GET / HTTP/1.1", "Connection: keep-alive, x-a"],
  ["HTTP/1.0", "GET / HTTP/1.0"],
  ["two lengths", "POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 5"],
  ["a signed length", "POST / HTTP/1.1", "Content-Length: +5"],
  ["an empty length", "POST / HTTP/1.1", "Content-Length:"],
  ["white space before the colon", "GET / HTTP/1.1", "Host : h"],
  ["a folded header", "GET / HTTP/1.1", "X-A: b", " c"],
  ["a tab before a value", "GET / HTTP/1.1", "X-A:\tb"],
  ["a space behind a value", "GET / HTTP/1.1", "X-A: b "],
  ["a line without a colon", "GET / HTTP/1.1", "X-A"],
  ["a header without a name", "GET / HTTP/1.1", ": x"],
  ["a name that is no token", "GET / HTTP/1.1", "X A: b"],
  ["a bare line feed", "GET / HTTP/1.1", "X-A: b\nX-B: c"],
  ["a bare carriage return", "GET / HTTP/1.1", "X-A: b\rX-B: c"],
  ["a NUL", "GET / HTTP/1.1", "X-A: b\0"],
  ["an absolute target", "GET http://h/ HTTP/1.1"],
  ["two spaces", "GET  / HTTP/1.1"],
  ["another method", "OPTIONS / HTTP/1.1"],
  ["an empty line first", "", "GET / HTTP/1.1"],
];

test("what could be understood in two ways is left to Node's parser, and so is what is rare", () => {
  for (const [name, ...lines] of left) assert.equal(headOf(...lines), undefined, name);
});

const PIECES = [
  "\r",
  "\n",
  "\r\n",
  " ",
  "\t",
  ":",
  "\0",
  "\x7f",
  "\u00e9",
  ",",
  "0",
  "+",
  "chunked",
  "close",
  "Content-Length: 7",
  "Te: x",
  "HTTP/1.0",
];

function mutant(chance: () => number): string {
  const below = (limit: number) => Math.floor(chance() * limit);
  let text = PLAIN.join("\r\n");
  for (let change = below(3); change >= 0; change--) {
    const at = below(text.length + 1);
    const kind = below(4);
    if (kind === 0) text = text.slice(0, at) + (PIECES[below(PIECES.length)] ?? "") + text.slice(at);
    else if (kind === 1) text = text.slice(0, at) + text.slice(at + 1 + below(3));
    else if (kind === 2) text = text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1);
    else text = [...text.split("\r\n"), PLAIN[1 + below(PLAIN.length - 1)] ?? ""].join("\r\n");
  }
  return text;
}

class Wire extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
  }
  setTimeout(): this {
    return this;
  }
}

/** As Node's parser reads it; undefined where it refuses it. */
function nodesHead(text: string): PlainHead | undefined {
  let read: IncomingMessage | undefined;
  const server = createServer({ requireHostHeader: false }, (request) => (read ??= request));
  server.on("clientError", (_cause, socket) => socket.destroy());
  const wire = new Wire();
  server.emit("connection", wire);
  wire.emit("data", Buffer.from(`${text}\r\n\r\nhello world`, "latin1"));
  wire.destroy();
  if (read === undefined) return undefined;
  const rawHeaders = read.rawHeaders.map((one, index) => (index % 2 === 0 ? one.toLowerCase() : one));
  return { method: read.method ?? "", target: read.url ?? "", rawHeaders, bodyBytes: Number(read.headers["content-length"] ?? 0) };
}

test(`${MUTANTS} mutants of a head: those that are taken for plain are what Node's parser reads (SEED=${SEED})`, () => {
  const chance = random(SEED);
  let taken = 0;
  for (let n = 0; n < MUTANTS; n++) {
    const text = mutant(chance);
    const head = plainHead(text);
    if (head === undefined) continue;
    taken++;
    assert.deepEqual(nodesHead(text), head, JSON.stringify(text));
  }
  // A parser that takes everything, or nothing, proves nothing.
  assert.ok(taken > MUTANTS / 20 && taken < (MUTANTS * 3) / 4, String(taken));
});
