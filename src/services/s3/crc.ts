// CRC-32C and CRC-64/NVME, and the CRC of a whole from the CRCs of its parts.

/** Reflected polynomials; all three begin and end with all ones. */
const POLYNOMIALS = {
  CRC32: { width: 32n, polynomial: 0xedb88320n },
  CRC32C: { width: 32n, polynomial: 0x82f63b78n },
  CRC64NVME: { width: 64n, polynomial: 0x9a6c9329ac4bc9b5n },
} as const;

export type CrcName = keyof typeof POLYNOMIALS;

function tableOf(polynomial: bigint): bigint[] {
  return Array.from({ length: 256 }, (_, index) => {
    let value = BigInt(index);
    for (let bit = 0; bit < 8; bit++) value = (value & 1n) === 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    return value;
  });
}

const CRC32C_TABLE = Int32Array.from(tableOf(POLYNOMIALS.CRC32C.polynomial), (value) => Number(BigInt.asIntN(32, value)));

/** Continues from `previous`, 0 at the beginning; unsigned. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  for (const byte of bytes) crc = (CRC32C_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

// In halves of 32 bits: arithmetic on 64-bit BigInts would be a hundred times slower.
const CRC64 = tableOf(POLYNOMIALS.CRC64NVME.polynomial);
const CRC64_LOW = Int32Array.from(CRC64, (value) => Number(BigInt.asIntN(32, value)));
const CRC64_HIGH = Int32Array.from(CRC64, (value) => Number(BigInt.asIntN(32, value >> 32n)));

export class Crc64Nvme {
  #low = -1;
  #high = -1;

  update(bytes: Uint8Array): void {
    let low = this.#low;
    let high = this.#high;
    for (const byte of bytes) {
      const index = (low ^ byte) & 0xff;
      low = (CRC64_LOW[index] ?? 0) ^ ((low >>> 8) | (high << 24));
      high = (CRC64_HIGH[index] ?? 0) ^ (high >>> 8);
    }
    this.#low = low;
    this.#high = high;
  }

  digest(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(~this.#high, 0);
    bytes.writeInt32BE(~this.#low, 4);
    return bytes;
  }
}

/** Product of two polynomials modulo the CRC's, in reflected form: the highest bit is x^0. */
function product(name: CrcName, a: bigint, b: bigint): bigint {
  const { width, polynomial } = POLYNOMIALS[name];
  let result = 0n;
  for (let bit = 1n << (width - 1n); bit > 0n; bit >>= 1n) {
    if ((a & bit) !== 0n) result ^= b;
    b = (b & 1n) === 1n ? (b >> 1n) ^ polynomial : b >> 1n;
  }
  return result;
}

/** x^(8·bytes) modulo the polynomial: what appending so many bytes multiplies a CRC with. */
function shiftOf(name: CrcName, bytes: number): bigint {
  const { width } = POLYNOMIALS[name];
  let result = 1n << (width - 1n);
  let power = 1n << (width - 2n);
  for (let left = BigInt(bytes) * 8n; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = product(name, result, power);
    power = product(name, power, power);
  }
  return result;
}

/** The CRC of the concatenation, big-endian, from the CRC and the length of each part. */
export function combinedCrc(name: CrcName, parts: readonly { readonly crc: Buffer; readonly bytes: number }[]): Buffer {
  // Parts of an upload have one length but for the last, so nearly all shifts are the same.
  const shifts = new Map<number, bigint>();
  let whole = 0n;
  for (const { crc, bytes } of parts) {
    let shift = shifts.get(bytes);
    if (shift === undefined) shifts.set(bytes, (shift = shiftOf(name, bytes)));
    whole = product(name, shift, whole) ^ BigInt(`0x${crc.toString("hex")}`);
  }
  return Buffer.from(whole.toString(16).padStart(Number(POLYNOMIALS[name].width) / 4, "0"), "hex");
}
