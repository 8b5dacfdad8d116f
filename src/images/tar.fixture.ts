// Makes tar archives for tests, wrong ones too.

export interface RawTarEntry {
  readonly name: string;
  /** Absent: a file. */
  readonly type?: string;
  readonly data?: string | Uint8Array;
  readonly link?: string;
  readonly mode?: number;
  /** What the header says, right or wrong. */
  readonly size?: number;
}

const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;

function blocksOf({ name, type = "0", data = "", link = "", mode = 0o644, size }: RawTarEntry): Buffer {
  const content = Buffer.from(data as string);
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write(octal(mode, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size ?? content.length, 11), 124);
  header.write(octal(1_000_000_000, 11), 136);
  header.write("        ", 148);
  header.write(type, 156);
  header.write(link, 157, 100);
  header.write("ustar\x0000", 257, "latin1");
  header.write(
    octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    ),
    148,
  );
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

export const tarOfEntries = (entries: readonly RawTarEntry[]): Buffer => Buffer.concat([...entries.map(blocksOf), Buffer.alloc(1024)]);
