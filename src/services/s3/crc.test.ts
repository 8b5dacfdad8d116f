// CRCs against their published check values, and the CRC of a whole against the CRC over its bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { combinedCrc, crc32c, Crc64Nvme } from "./crc.ts";

const CHECK = Buffer.from("123456789");

const crc64 = (...chunks: readonly Uint8Array[]) => {
  const digest = new Crc64Nvme();
  for (const chunk of chunks) digest.update(chunk);
  return digest.digest();
};

const big = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

test("CRCs have their check values", () => {
  // https://reveng.sourceforge.io/crc-catalogue/all.htm
  assert.equal(crc32c(CHECK), 0xe3069283);
  assert.equal(crc64(CHECK).toString("hex"), "ae8b14860a799888");
  assert.equal(crc64().toString("hex"), "0000000000000000");
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43); // RFC 3720, B.4
});

test("a CRC goes on over chunks", () => {
  const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => (index * 31) & 0xff));
  assert.equal(crc32c(bytes.subarray(333), crc32c(bytes.subarray(0, 333))), crc32c(bytes));
  assert.deepEqual(crc64(bytes.subarray(0, 1), bytes.subarray(1)), crc64(bytes));
});

test("the CRC of a whole comes from those of its parts", () => {
  const bytes = Buffer.from(Array.from({ length: 70_001 }, (_, index) => (index * index) & 0xff));
  const parts = [bytes.subarray(0, 30_000), bytes.subarray(30_000, 60_000), bytes.subarray(60_000), Buffer.alloc(0)];
  const combine = (name: "CRC32" | "CRC32C" | "CRC64NVME", of: (part: Buffer) => Buffer) =>
    combinedCrc(
      name,
      parts.map((part) => ({ crc: of(part), bytes: part.length })),
    );
  assert.deepEqual(
    combine("CRC32", (part) => big(crc32(part))),
    big(crc32(bytes)),
  );
  assert.deepEqual(
    combine("CRC32C", (part) => big(crc32c(part))),
    big(crc32c(bytes)),
  );
  assert.deepEqual(
    combine("CRC64NVME", (part) => crc64(part)),
    crc64(bytes),
  );
});
