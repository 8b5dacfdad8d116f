// Archives field by field, honest or not: what no archiver would write.
import { crc32, deflateRawSync } from "node:zlib";

export interface RawEntry {
  readonly name: string | Uint8Array;
  readonly data?: string | Uint8Array;
  /** Type and permissions as Unix has them. */
  readonly mode?: number;
  readonly method?: number;
  readonly flags?: number;
  // Lies of the central directory; what is absent is true.
  readonly crc?: number;
  readonly bytes?: number;
  readonly compressedBytes?: number;
  readonly offset?: number;
  readonly versionMadeBy?: number;
  readonly extra?: Uint8Array;
  // Lies of the local header.
  readonly localName?: string;
  readonly localBytes?: number;
  /** There is no local header of its own. */
  readonly isOnlyListed?: boolean;
}

interface RawArchive {
  readonly prefix?: Uint8Array;
  readonly comment?: Uint8Array;
  readonly entryCount?: number;
  readonly usesZip64?: boolean;
}

const DOS_DATE = ((2024 - 1980) << 9) | (2 << 5) | 3;
const DOS_TIME = (4 << 11) | (5 << 5) | 3;

function numbers(...fields: readonly (readonly [value: number, bytes: 2 | 4 | 8])[]): Buffer {
  return Buffer.concat(
    fields.map(([value, bytes]) => {
      const buffer = Buffer.alloc(bytes);
      if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value));
      else buffer.writeUIntLE(value, 0, bytes);
      return buffer;
    }),
  );
}

interface Content {
  readonly plain: Buffer;
  readonly packed: Buffer;
  readonly sum: number;
}

/** Bombs list the same bytes again and again. */
const known = new WeakMap<object, Content>();

function contentOf({ data = "", method = 8 }: RawEntry): Content {
  const found = typeof data === "object" && method === 8 ? known.get(data) : undefined;
  if (found !== undefined) return found;
  const plain = Buffer.from(data as Uint8Array);
  const made = { plain, packed: method === 8 ? deflateRawSync(plain) : plain, sum: crc32(plain) };
  if (typeof data === "object" && method === 8) known.set(data, made);
  return made;
}

function localHeader(entry: RawEntry, { plain, packed, sum }: Content): Buffer {
  const name = Buffer.from((entry.localName ?? entry.name) as Uint8Array);
  const head = numbers(
    [0x04034b50, 4],
    [20, 2],
    [entry.flags ?? 0x800, 2],
    [entry.method ?? 8, 2],
    [DOS_TIME, 2],
    [DOS_DATE, 2],
    [sum, 4],
    [packed.length, 4],
    [entry.localBytes ?? plain.length, 4],
    [name.length, 2],
    [0, 2],
  );
  return Buffer.concat([head, name]);
}

function centralHeader(entry: RawEntry, { plain, packed, sum }: Content, offset: number): Buffer {
  const name = Buffer.from(entry.name as Uint8Array);
  const extra = Buffer.from(entry.extra ?? []);
  const head = numbers(
    [0x02014b50, 4],
    [entry.versionMadeBy ?? 0x031e, 2],
    [20, 2],
    [entry.flags ?? 0x800, 2],
    [entry.method ?? 8, 2],
    [DOS_TIME, 2],
    [DOS_DATE, 2],
    [entry.crc ?? sum, 4],
    [entry.compressedBytes ?? packed.length, 4],
    [entry.bytes ?? plain.length, 4],
    [name.length, 2],
    [extra.length, 2],
    [0, 2],
    [0, 2],
    [0, 2],
    [((entry.mode ?? 0o100644) << 16) >>> 0, 4],
    [entry.offset ?? offset, 4],
  );
  return Buffer.concat([head, name, extra]);
}

export function rawZip(entries: readonly RawEntry[], archive: RawArchive = {}): Buffer {
  const body: Buffer[] = [Buffer.from(archive.prefix ?? [])];
  const directory: Buffer[] = [];
  let at = body[0]?.length ?? 0;
  for (const entry of entries) {
    const content = contentOf(entry);
    directory.push(centralHeader(entry, content, at));
    if (entry.isOnlyListed === true) continue;
    const local = Buffer.concat([localHeader(entry, content), content.packed]);
    body.push(local);
    at += local.length;
  }
  const listed = Buffer.concat(directory);
  const comment = Buffer.from(archive.comment ?? []);
  const count = archive.entryCount ?? entries.length;
  const zip64 = archive.usesZip64 === true ? zip64End(count, listed.length, at) : Buffer.alloc(0);
  const few = archive.usesZip64 === true ? 0xffff : count;
  const end = numbers([0x06054b50, 4], [0, 2], [0, 2], [few, 2], [few, 2], [listed.length, 4], [at, 4], [comment.length, 2]);
  return Buffer.concat([...body, listed, zip64, end, comment]);
}

function zip64End(count: number, directoryBytes: number, directoryAt: number): Buffer {
  const record = numbers(
    [0x06064b50, 4],
    [44, 8],
    [45, 2],
    [45, 2],
    [0, 4],
    [0, 4],
    [count, 8],
    [count, 8],
    [directoryBytes, 8],
    [directoryAt, 8],
  );
  return Buffer.concat([record, numbers([0x07064b50, 4], [0, 4], [directoryAt + directoryBytes, 8], [1, 4])]);
}
