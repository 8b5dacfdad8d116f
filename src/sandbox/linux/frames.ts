// The launcher's binary protocol: requests as tagged fields, events as short frames; integers are little-endian. See native/request.h.
import { SandboxError, type SandboxMount, type SandboxSpec, type Specialisation } from "../sandbox.ts";
import { HIDDEN, IMAGE_PARTS, type Link, type RootParts, type SharedParts, type TextFile } from "./root-parts.ts";

/** As in native/request.h: a longer frame is a broken stream to the launcher. */
const FRAME_BYTES_MAX = 2 ** 20;

const OPERATION = { start: 1, kill: 2, freeze: 3, thaw: 4, usage: 5, limitCpu: 6, specialise: 7, prepare: 8 } as const;
const FIELD = {
  name: 1,
  mount: 2,
  argument: 3,
  variable: 4,
  directory: 5,
  memory: 6,
  cpu: 7,
  processes: 8,
  openFiles: 9,
  tmpBytes: 10,
  tmpInodes: 11,
  listener: 12,
  uid: 13,
  slot: 14,
  prepared: 15,
  format: 16,
  processors: 17,
  datagrams: 18,
  filter: 19,
  link: 20,
  file: 21,
  part: 22,
  empty: 23,
  hidden: 24,
} as const;

/** Where an emulator is inside. */
const EMULATOR = "/var/emulator";
/**
 * A line of binfmt_misc: ELF programs, 64-bit and little-endian, of the machine 183, also position-independent ones. F: the emulator is opened
 * now, P: it is told the program's own first argument.
 */
const ARM64_FORMAT = [
  ":arm64:M:",
  String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`,
  String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`,
  EMULATOR,
  "PF",
].join(":");

/** Process 1 and the one that waits: as many have to be alive when a prepared sandbox is completed. */
const PREPARED_PROCESSES = 2;

function field(tag: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(tag, 0);
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Programs of its format run, and the emulator itself can be started by hand. */
const emulation = (emulator: string | undefined): readonly Buffer[] =>
  emulator === undefined ? [] : [text(FIELD.mount, `${emulator}\0${EMULATOR}`), text(FIELD.format, ARM64_FORMAT)];

const text = (tag: number, value: string) => field(tag, Buffer.from(`${value}\0`));

function number(tag: number, value: number): Buffer {
  if (!Number.isFinite(value) || value < 0) throw new SandboxError(`a limit can't be ${value}`);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(Math.floor(value)));
  return field(tag, bytes);
}

function shorts(tag: number, values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [at, value] of values.entries()) bytes.writeUInt16LE(value, at * 2);
  return field(tag, bytes);
}

function frame(operation: number, id: number, fields: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(9);
  const length = 5 + fields.reduce((sum, one) => sum + one.length, 0);
  if (length > FRAME_BYTES_MAX)
    throw new SandboxError(`arguments, variables and mounts are too large: ${length} bytes of ${FRAME_BYTES_MAX}`);
  head.writeUInt32LE(length, 0);
  head.writeUInt8(operation, 4);
  head.writeUInt32LE(id, 5);
  return Buffer.concat([head, ...fields]);
}

const mountField = ({ source, target }: SandboxMount) => text(FIELD.mount, `${source}\0${target}`);
const linkField = ({ path, to }: Link) => text(FIELD.link, `${to}\0${path}`);
const fileField = (file: TextFile) => text(FIELD.file, `${file.text}\0${file.path}`);

/** Mounts and limits: what a sandbox can also be given later. */
const givenFields = (given: Specialisation): readonly Buffer[] => [
  ...given.mounts.map(mountField),
  number(FIELD.memory, given.memoryBytes),
  number(FIELD.cpu, Math.max(1, given.cpuMillis)),
  number(FIELD.processes, given.processesMax),
  number(FIELD.tmpBytes, given.tmpBytes),
  number(FIELD.tmpInodes, given.tmpInodes),
];

export interface Place {
  /** The host's user id of everything inside. */
  readonly uid: number;
  /** At the gateway to the internet; 0: no way there. */
  readonly slot: number;
  /** Numbers of those that it runs on. */
  readonly processors: readonly number[];
  /** What the kernel would show otherwise. */
  readonly files: readonly TextFile[];
  /** Unless it has an image: `rootFields` of its parts. */
  readonly root: Buffer;
}

/** The first one, and the only one of its kind: `filter` is for the system calls of every sandbox. Its id is 0. */
export const prepareFrame = (filter: Uint8Array, shared: SharedParts): Buffer =>
  frame(OPERATION.prepare, 0, [
    field(FIELD.filter, filter),
    ...shared.mounts.map(mountField),
    ...shared.links.map(linkField),
    ...shared.files.map(fileField),
  ]);

/** What a root has besides mounts and files, and what is hidden in it. The same for many sandboxes: encoded once. */
export const rootFields = ({ parts, links, emptyDirectories }: RootParts): Buffer =>
  Buffer.concat([
    ...parts.map((path) => text(FIELD.part, path)),
    ...links.map(linkField),
    ...emptyDirectories.map((path) => text(FIELD.empty, path)),
    ...HIDDEN.map((path) => text(FIELD.hidden, path)),
  ]);

const IMAGE_FIELDS = rootFields(IMAGE_PARTS);

/** Texts must not hold NUL: the launcher refuses such a frame. */
export function startFrame(id: number, spec: SandboxSpec, { uid, slot, processors, files, root }: Place): Buffer {
  const hasImage = spec.mounts.some(({ target }) => target === "/");
  return frame(OPERATION.start, id, [
    text(FIELD.name, spec.id),
    text(FIELD.directory, spec.workingDirectory),
    hasImage ? IMAGE_FIELDS : root,
    ...files.map(fileField),
    ...givenFields(spec),
    ...emulation(spec.emulator),
    ...spec.argv.map((word) => text(FIELD.argument, word)),
    ...Object.entries(spec.env).map(([name, value]) => text(FIELD.variable, `${name}=${value}`)),
    ...spec.listeners.map((listener) => shorts(FIELD.listener, [listener.port])),
    number(FIELD.datagrams, spec.datagrams?.port ?? 0),
    shorts(FIELD.processors, processors),
    number(FIELD.openFiles, spec.openFilesMax),
    number(FIELD.uid, uid),
    number(FIELD.slot, slot),
    number(FIELD.prepared, spec.isPrepared === true ? PREPARED_PROCESSES + (spec.isSupervised === true ? 1 : 0) : 0),
  ]);
}

export type Command = Exclude<keyof typeof OPERATION, "start" | "prepare">;

/** `given` belongs to `specialise`, its CPU share alone to `limitCpu`. */
export function commandFrame(
  id: number,
  operation: Command,
  name: string,
  given?: Specialisation | { readonly cpuMillis: number },
): Buffer {
  const share = given === undefined ? [] : "mounts" in given ? givenFields(given) : [number(FIELD.cpu, Math.max(1, given.cpuMillis))];
  return frame(OPERATION[operation], id, [text(FIELD.name, name), ...share]);
}

export type LauncherEvent =
  | { readonly kind: "waiting" | "ready"; readonly id: number }
  | { readonly kind: "started"; readonly id: number; readonly pid: number }
  | { readonly kind: "failed" | "refused"; readonly id: number; readonly reason: string }
  | {
      readonly kind: "exited";
      readonly id: number;
      readonly code: number;
      readonly signal: number;
      readonly outOfMemory: boolean;
      readonly memoryPeakBytes: number;
    }
  | { readonly kind: "done"; readonly id: number }
  | { readonly kind: "usage"; readonly id: number; readonly memoryPeakBytes: number; readonly memoryKills: number };

function decode(kind: number, id: number, payload: Buffer): LauncherEvent {
  switch (kind) {
    case 0:
      return { kind: "ready", id };
    case 1:
      return { kind: "started", id, pid: payload.readInt32LE(0) };
    case 2:
    case 6:
      return { kind: kind === 2 ? "failed" : "refused", id, reason: payload.toString("utf8") };
    case 3: {
      const [code = 0, signal = 0, outOfMemory = 0] = payload;
      return { kind: "exited", id, code, signal, outOfMemory: outOfMemory === 1, memoryPeakBytes: Number(payload.readBigUInt64LE(3)) };
    }
    case 4:
      return { kind: "done", id };
    case 5:
      return { kind: "usage", id, memoryPeakBytes: Number(payload.readBigUInt64LE(0)), memoryKills: Number(payload.readBigUInt64LE(8)) };
    case 7:
      return { kind: "waiting", id };
    default:
      throw new Error(`the launcher sent an event of unknown kind ${kind}`);
  }
}

/** Cuts a stream of bytes into events. */
export function eventReader(seen: (event: LauncherEvent) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= 4) {
      const length = rest.readUInt32LE(at);
      if (rest.length - at - 4 < length) break;
      seen(decode(rest.readUInt8(at + 4), rest.readUInt32LE(at + 5), rest.subarray(at + 9, at + 4 + length)));
      at += 4 + length;
    }
    rest = rest.subarray(at);
  };
}
