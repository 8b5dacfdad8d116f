// Unpacks deployment packages: hostile ones are refused, and nothing is ever written outside of the target.
//
// Sizes are known and checked before anything is allocated, and counted again while it is inflated. Every file is created new (O_EXCL,
// O_NOFOLLOW) in directories that we made.
import { isUtf8 } from "node:buffer";
import { constants, createReadStream } from "node:fs";
import { lutimes, mkdir, open, symlink, type FileHandle } from "node:fs/promises";
import { join, posix } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32, createInflateRaw, inflateRawSync } from "node:zlib";
import { Fault } from "../aws/fault.ts";
import { invalidParameter } from "./faults.ts";
import { ArchiveFile, BadZip } from "./zip-file.ts";
import { readZipPlan, type PlannedEntry } from "./zip-plan.ts";

const LOCAL_HEADER_BYTES = 30;
/** With the longest name and the longest extra field. */
const LOCAL_HEADER_BYTES_MAX = LOCAL_HEADER_BYTES + 2 * 0xffff;
const LOCAL_HEADER_SIGNATURE = 0x04034b50;
/** Smaller entries are inflated at once: a stream for each of thousands of files costs more than the files. */
const AT_ONCE_BYTES_MAX = 256 * 1024;
/** Linux's limit of a path, without the NUL at its end. */
const LINK_BYTES_MAX = 4095;
const FILES_AT_ONCE = 8;
const CREATE_NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Unpacks into `directory`, which must be new, empty and readable by all. Throws AWS's errors for a package that can't be used. */
export async function unpackZip(path: string, directory: string): Promise<void> {
  try {
    const archive = await ArchiveFile.open(path);
    try {
      const plan = await readZipPlan(archive);
      await makeDirectories(plan, directory);
      // Links come last: until then there is nothing that could be followed.
      const files = plan.filter(({ kind }) => kind === "file");
      const links = plan.filter(({ kind }) => kind === "symlink");
      await inParallel(files, (entry) => writeFile(archive, entry, directory));
      await inParallel(links, (entry) => writeLink(archive, entry, directory));
    } finally {
      await archive.close();
    }
  } catch (cause) {
    // Faults say it already, and what a system call refuses is the disk's fault; whatever else an archive provokes is its own.
    if (cause instanceof Fault || (cause as NodeJS.ErrnoException).syscall !== undefined) throw cause;
    throw invalidParameter("Could not unzip uploaded file. Please check your file, then try to upload again.", { cause });
  }
}

/** What a package that could be unpacked takes then. */
export async function unzippedBytes(path: string): Promise<number> {
  const archive = await ArchiveFile.open(path);
  try {
    return (await readZipPlan(archive)).reduce((sum, { bytes }) => sum + bytes, 0);
  } finally {
    await archive.close();
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  let hasFailed = false;
  const worker = async () => {
    for (const item of rest) {
      if (hasFailed) return;
      try {
        await work(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  // All are waited for, so that nobody writes any more when the caller cleans up.
  const settled = await Promise.allSettled(Array.from({ length: FILES_AT_ONCE }, worker));
  for (const one of settled) if (one.status === "rejected") throw one.reason;
}

/** Every directory that is named or implied, parents first. */
async function makeDirectories(plan: readonly PlannedEntry[], directory: string): Promise<void> {
  const paths = new Set<string>();
  const add = (path: string) => {
    if (path === "." || paths.has(path)) return;
    add(posix.dirname(path));
    paths.add(path);
  };
  for (const { path, kind } of plan) add(kind === "directory" ? path : posix.dirname(path));
  for (const path of paths) {
    const made = join(directory, path);
    await mkdir(made);
    await setMode(made);
  }
}

/** Whatever the process's umask is, functions run as another user and must be able to read. */
async function setMode(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await handle.chmod(0o755);
  } finally {
    await handle.close();
  }
}

async function writeFile(archive: ArchiveFile, entry: PlannedEntry, directory: string): Promise<void> {
  const file = await open(join(directory, entry.path), CREATE_NEW, 0o600);
  try {
    if (Math.max(entry.bytes, entry.compressedBytes) <= AT_ONCE_BYTES_MAX) await file.writeFile(await contentOf(archive, entry));
    else await stream(archive, entry, file);
    // 0755 for what somebody may execute, 0644 for the rest: set-uid bits and private modes mean nothing inside.
    await file.chmod(entry.isExecutable ? 0o755 : 0o644);
    // Compiled Python is stale when the time of its source is not the one that it was made from, which costs every cold start.
    await file.utimes(entry.modified, entry.modified);
  } finally {
    await file.close();
  }
}

/** Kept as it is: a link is only ever followed inside a sandbox, where it finds what is there. */
async function writeLink(archive: ArchiveFile, entry: PlannedEntry, directory: string): Promise<void> {
  if (Math.max(entry.bytes, entry.compressedBytes) > LINK_BYTES_MAX) throw new BadZip(`${entry.path} points to too long a name`);
  const target = await contentOf(archive, entry);
  if (target.length === 0 || target.includes(0) || !isUtf8(target)) throw new BadZip(`${entry.path} points to no name`);
  const path = join(directory, entry.path);
  await symlink(target.toString("utf8"), path);
  await lutimes(path, entry.modified, entry.modified);
}

/** The bytes of a small entry, checked. Its header is read together with them. */
async function contentOf(archive: ArchiveFile, entry: PlannedEntry): Promise<Buffer> {
  const { start, end, compressedBytes } = entry;
  const whole = await archive.read(start, Math.min(end - start, LOCAL_HEADER_BYTES_MAX + compressedBytes));
  const at = dataStart(entry, whole) - start;
  const raw = whole.subarray(at, at + compressedBytes);
  const bytes = entry.isDeflated ? inflateRawSync(raw, { maxOutputLength: Math.max(1, entry.bytes) }) : raw;
  if (bytes.length !== entry.bytes || crc32(bytes) !== entry.crc32) throw new BadZip(`${entry.path}: size or checksum is wrong`);
  return bytes;
}

/** Throws when the bytes of the entry would not be its own. */
function dataStart({ path, start, end, compressedBytes }: PlannedEntry, header: Buffer): number {
  if (header.readUInt32LE(0) !== LOCAL_HEADER_SIGNATURE) throw new BadZip(`${path} is not where it should be`);
  const at = start + LOCAL_HEADER_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (at + compressedBytes > end) throw new BadZip(`${path} overlaps what follows it`);
  return at;
}

async function stream(archive: ArchiveFile, entry: PlannedEntry, file: FileHandle): Promise<void> {
  const start = dataStart(entry, await archive.read(entry.start, LOCAL_HEADER_BYTES));
  const source = createReadStream(archive.path, { start, end: start + entry.compressedBytes - 1 });
  // The handle is the caller's to close, which a stream of its own would not wait for.
  const write = async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) await file.writeFile(chunk);
  };
  if (entry.isDeflated) await pipeline(source, createInflateRaw(), checked(entry), write);
  else await pipeline(source, checked(entry), write);
}

/** Stops a stream that gives more than was declared, and checks the sum at its end. */
function checked(entry: PlannedEntry): Transform {
  let bytes = 0;
  let sum = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      sum = crc32(chunk, sum);
      if (bytes > entry.bytes) done(new BadZip(`${entry.path} is larger than it says`));
      else done(null, chunk);
    },
    flush(done) {
      done(bytes === entry.bytes && sum === entry.crc32 ? null : new BadZip(`${entry.path}: size or checksum is wrong`));
    },
  });
}
