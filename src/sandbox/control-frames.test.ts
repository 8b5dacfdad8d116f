import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFrame, FrameReader, frameType } from "./control-frames.ts";

interface Seen {
  readonly what: string;
  readonly head: string;
  readonly bytes: number;
}

function reader(bytesMax: number, beyond: "skip" | "pieces") {
  const seen: Seen[] = [];
  const events = {
    frame: (type: number, head: Buffer, body: Buffer, hasMore: boolean) =>
      void seen.push({ what: `${String.fromCharCode(type)}${hasMore ? "…" : ""}`, head: head.toString(), bytes: body.length }),
    oversize: (type: number, head: Buffer, bytes: number) =>
      void seen.push({ what: `oversize ${String.fromCharCode(type)}`, head: head.toString(), bytes }),
    broken: (message: string) => void seen.push({ what: "broken", head: message, bytes: 0 }),
  };
  return { seen, reader: new FrameReader(events, () => ({ bytesMax, beyond })) };
}

const bytesOf = (...args: Parameters<typeof encodeFrame>) => Buffer.concat(encodeFrame(...args));

test("frames come out the same however the bytes are cut", () => {
  const bytes = Buffer.concat([
    bytesOf("R", {}),
    bytesOf("S", { requestId: "ä" }, Buffer.from("null")),
    bytesOf("L", { timestampMs: 1 }, Buffer.alloc(0)),
    bytesOf("S", { requestId: "b" }, Buffer.alloc(100_000, "x")),
  ]);
  const expected = [
    { what: "R", head: "{}", bytes: 0 },
    { what: "S", head: '{"requestId":"ä"}', bytes: 4 },
    { what: "L", head: '{"timestampMs":1}', bytes: 0 },
    { what: "S", head: '{"requestId":"b"}', bytes: 100_000 },
  ];
  for (const size of [1, 2, 3, 7, 8, 9, 10, 64, 1000, 65_536, bytes.length]) {
    const { seen, reader: frames } = reader(200_000, "skip");
    for (let at = 0; at < bytes.length; at += size) frames.push(bytes.subarray(at, at + size));
    assert.deepEqual(seen, expected, `pieces of ${size}`);
  }
});

test("a body beyond its limit is reported once, skipped, and what follows is read", () => {
  for (const size of [1, 50, 5000]) {
    const { seen, reader: frames } = reader(10, "skip");
    const bytes = Buffer.concat([bytesOf("S", { a: 1 }, Buffer.alloc(11)), bytesOf("R", {})]);
    for (let at = 0; at < bytes.length; at += size) frames.push(bytes.subarray(at, at + size));
    assert.deepEqual(seen, [
      { what: "oversize S", head: '{"a":1}', bytes: 11 },
      { what: "R", head: "{}", bytes: 0 },
    ]);
  }
});

test("the size of what is too large is known before it has come", () => {
  const { seen, reader: frames } = reader(10, "skip");
  const bytes = bytesOf("S", {}, Buffer.alloc(1000));
  frames.push(bytes.subarray(0, 11));
  assert.deepEqual(seen, [{ what: "oversize S", head: "{}", bytes: 1000 }]);
});

test("a log body beyond its limit comes in pieces", () => {
  const { seen, reader: frames } = reader(10, "pieces");
  frames.push(bytesOf("L", {}, Buffer.alloc(25)));
  assert.deepEqual(
    seen.map(({ what, bytes }) => [what, bytes]),
    [
      ["L…", 10],
      ["L…", 10],
      ["L", 5],
    ],
  );
});

const prefix = (length: number, head: number) => {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt8(frameType("S"), 4);
  bytes.writeUInt32BE(head, 5);
  return bytes;
};

const NONSENSE = [
  { name: "a head longer than the frame", bytes: prefix(10, 100), message: /cannot have a head of 100/ },
  { name: "a frame of no length", bytes: prefix(0, 0), message: /a frame of 0 bytes/ },
  { name: "a head of 4 GiB", bytes: prefix(0xffff_ffff, 0xffff_fff0), message: /more than 65536/ },
  { name: "a head of 64 KiB and one", bytes: prefix(65_537 + 5, 65_537), message: /more than 65536/ },
];
for (const { name, bytes, message } of NONSENSE)
  test(`${name} breaks the stream, and nothing after it is read`, () => {
    const { seen, reader: frames } = reader(10, "skip");
    frames.push(Buffer.concat([bytes, bytesOf("R", {})]));
    frames.push(bytesOf("R", {}));
    assert.equal(seen.length, 1);
    assert.match(seen[0]?.head ?? "", message);
  });
