// The smallest program for arm64, in place of a compiler: it ends with a code.

/** mov x8, #93 (exit); mov x0, #code; svc #0 */
const instructions = (code: number): readonly number[] => [0xd2800ba8, (0xd2800000 | (code << 5)) >>> 0, 0xd4000001];

const ADDRESS = 0x400000n;
const HEADERS_BYTES = 120;

export function arm64Program(code: number): Buffer {
  const bytes = Buffer.alloc(HEADERS_BYTES + 12);
  bytes.write("\x7fELF\x02\x01\x01", "latin1");
  bytes.writeUInt16LE(2, 16); // an executable
  bytes.writeUInt16LE(183, 18); // for aarch64
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(ADDRESS + BigInt(HEADERS_BYTES), 24); // its first instruction
  bytes.writeBigUInt64LE(64n, 32); // the program header follows
  for (const [at, size] of [64, 56, 1].entries()) bytes.writeUInt16LE(size, 52 + at * 2);
  bytes.writeUInt32LE(1, 64); // loaded
  bytes.writeUInt32LE(5, 68); // readable and executable
  bytes.writeBigUInt64LE(ADDRESS, 80);
  bytes.writeBigUInt64LE(ADDRESS, 88);
  bytes.writeBigUInt64LE(BigInt(bytes.length), 96);
  bytes.writeBigUInt64LE(BigInt(bytes.length), 104);
  bytes.writeBigUInt64LE(4096n, 112);
  for (const [at, one] of instructions(code).entries()) bytes.writeUInt32LE(one, HEADERS_BYTES + at * 4);
  return bytes;
}
