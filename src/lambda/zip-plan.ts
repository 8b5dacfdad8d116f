// What a deployment package says it holds, checked before anything of it is read or written.
//
// Only the central directory counts (through yauzl); what local headers say besides is not looked at, so there is one view of an archive.
import { isUtf8 } from "node:buffer";
import { posix } from "node:path";
import { fromRandomAccessReaderPromise, type Entry } from "yauzl";
import { limits } from "../limits.ts";
import { invalidParameter } from "./faults.ts";
import { BadZip, DirectoryReader, type ArchiveFile } from "./zip-file.ts";

const NAME_BYTES_MAX = 1_024;
const PART_BYTES_MAX = 255;
const PARTS_MAX = 128;
const LOCAL_HEADER_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;
/** Encrypted, strongly encrypted, masked headers. */
const ENCRYPTION_FLAGS = 0x2041;
const MADE_BY_UNIX = 3;
const TYPE_MASK = 0o170_000;
const REGULAR = 0o100_000;
const DIRECTORY = 0o040_000;
const SYMLINK = 0o120_000;

export interface PlannedEntry {
  /** Relative, with `/` between its parts, none of which is `.` or `..`. */
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink";
  readonly isExecutable: boolean;
  readonly modified: Date;
  readonly isDeflated: boolean;
  readonly bytes: number;
  readonly crc32: number;
  readonly compressedBytes: number;
  /** Where its local header is, and where the next entry begins. */
  readonly start: number;
  readonly end: number;
}

/** Reads the plan; throws BadZip, yauzl's errors, or AWS's error for a package that is too large. */
export async function readZipPlan(file: ArchiveFile): Promise<readonly PlannedEntry[]> {
  const reader = new DirectoryReader(file);
  return await Promise.race([plannedEntries(reader, file.bytes), reader.failed]);
}

async function plannedEntries(reader: DirectoryReader, fileBytes: number): Promise<readonly PlannedEntry[]> {
  const options = { lazyEntries: true, autoClose: false, strictFileNames: true, decodeStrings: false };
  const archive = await fromRandomAccessReaderPromise(reader, fileBytes, options);
  if (archive.entryCount > limits.zipEntriesMax) throw new BadZip("too many entries");
  const found: Omit<PlannedEntry, "end">[] = [];
  let bytes = 0;
  for await (const entry of archive.eachEntry()) {
    bytes += entry.uncompressedSize;
    if (bytes >= limits.unzippedBytesMax) throw invalidParameter(`Unzipped size must be smaller than ${limits.unzippedBytesMax} bytes`);
    const planned = plannedEntry(entry);
    if (planned !== undefined) found.push(planned);
  }
  return withoutClashes(withEnds(found, fileBytes));
}

function plannedEntry(entry: Entry): Omit<PlannedEntry, "end"> | undefined {
  const name = nameOf(entry);
  if ((entry.generalPurposeBitFlag & ENCRYPTION_FLAGS) !== 0) throw new BadZip(`${name} is encrypted`);
  if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED)
    throw new BadZip(`${name} has an unknown compression method`);
  const path = pathOf(name);
  // `./` itself: the directory that is there anyway.
  if (path === "") return undefined;
  const mode = modeOf(entry);
  return {
    path,
    kind: kindOf(mode, name),
    isExecutable: (mode & 0o111) !== 0,
    // Without a time zone in the archive a package gives the same tree on every machine.
    modified: entry.getLastModDate({ timezone: "UTC" }),
    isDeflated: entry.compressionMethod === DEFLATED,
    bytes: entry.uncompressedSize,
    crc32: entry.crc32,
    compressedBytes: entry.compressedSize,
    start: entry.relativeOffsetOfLocalHeader,
  };
}

function nameOf(entry: Entry): string {
  const bytes = entry.fileNameRaw;
  if (bytes.length > NAME_BYTES_MAX || !isUtf8(bytes)) throw new BadZip("a name is too long or not UTF-8");
  const name = bytes.toString("utf8");
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(name)) throw new BadZip("a name holds control characters");
  // Backslashes are separators to some archivers and literal to others.
  if (name.startsWith("/") || name.includes("\\") || /^[A-Za-z]:/.test(name)) throw new BadZip(`the name ${name} is absolute or ambiguous`);
  return name;
}

/** Without the `./` that some archivers write before every name. */
function pathOf(name: string): string {
  const parts = name.replace(/\/$/, "").split("/");
  if (parts.length > PARTS_MAX || parts.some((part) => part === "" || part === ".." || Buffer.byteLength(part) > PART_BYTES_MAX))
    throw new BadZip(`the name ${name} is not a path inside the package`);
  return parts.filter((part) => part !== ".").join("/");
}

/** Modes are there only when the archive says that Unix made it. */
const modeOf = (entry: Entry) => (entry.versionMadeBy >> 8 === MADE_BY_UNIX ? entry.externalFileAttributes >>> 16 : 0);

function kindOf(mode: number, name: string): PlannedEntry["kind"] {
  if (name.endsWith("/")) return "directory";
  switch (mode & TYPE_MASK) {
    case 0:
    case REGULAR:
      return "file";
    case DIRECTORY:
      return "directory";
    case SYMLINK:
      return "symlink";
    default:
      throw new BadZip(`${name} is a device, a pipe or a socket`);
  }
}

/** Entries that share bytes are how 42 kB become 5 GB. */
function withEnds(found: readonly Omit<PlannedEntry, "end">[], fileBytes: number): PlannedEntry[] {
  const order = found.toSorted((a, b) => a.start - b.start);
  return order.map((entry, index) => {
    const end = order[index + 1]?.start ?? fileBytes;
    if (entry.start + LOCAL_HEADER_BYTES + entry.compressedBytes > end) throw new BadZip(`${entry.path} overlaps what follows it`);
    return { ...entry, end };
  });
}

/** Of equal names the one that stands last counts, as with unzip; nothing may stand below a file or a link. */
function withoutClashes(entries: readonly PlannedEntry[]): readonly PlannedEntry[] {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path } of byPath.values())
    for (let parent = posix.dirname(path); parent !== "."; parent = posix.dirname(parent)) {
      const above = byPath.get(parent);
      if (above !== undefined && above.kind !== "directory") throw new BadZip(`${path} stands below ${parent}, which is a ${above.kind}`);
    }
  return [...byPath.values()];
}
