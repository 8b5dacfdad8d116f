// The server's side of native/supervisor.c: a supervised sandbox's first process, which starts, ends and connects others inside.
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { getSystemErrorMap } from "node:util";
import type { Clock, Timer } from "../../base/clock.ts";
import { within } from "../../base/within.ts";
import { SandboxError, type ProcessSpec, type SandboxListener, type SandboxProcess, type SandboxSpec } from "../sandbox.ts";

/** Inside; a function that listens here itself gets EADDRINUSE. */
const PORT = 9002;
const PATH = "/var/supervisor";
const TOKEN_BYTES = 16;
const NO_TOKEN = Buffer.alloc(TOKEN_BYTES);
/** Everything here takes well under a millisecond, unless the function leaves its supervisor no time or has stopped it. */
const ANSWER_MS_MAX = 2000;
const STRANGERS_MAX = 16;
const WITH_CONTROL = 1;
const WITH_OUTPUT = 2;

/** How a process ended, as the supervisor tells it. */
export interface ProcessEnd {
  readonly code: number;
  readonly signal: number;
  readonly problem?: string;
}

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (cause: Error) => void;
}

/** The specification with the supervisor in front. */
export function supervised(spec: SandboxSpec, program: string, listener: SandboxListener): SandboxSpec {
  return {
    ...spec,
    mounts: [...spec.mounts, { source: program, target: PATH }],
    argv: [PATH, String(PORT), ...spec.argv],
    listeners: [...spec.listeners, listener],
  };
}

function text(words: readonly string[]): Buffer {
  if (words.some((word) => word.includes("\0"))) throw new SandboxError("arguments and variables can't hold NUL");
  return Buffer.from(words.map((word) => `${word}\0`).join(""));
}

function frame(kind: string, id: number, ...parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(9);
  const body = Buffer.concat(parts);
  head.writeUInt32LE(5 + body.length, 0);
  head.write(kind, 4, "latin1");
  head.writeUInt32LE(id, 5);
  return Buffer.concat([head, body]);
}

function u16(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 2);
  for (const [index, number] of numbers.entries()) bytes.writeUInt16LE(number, index * 2);
  return bytes;
}

const noAnswer = () => new SandboxError("the sandbox's supervisor does not answer");

export class Supervisor {
  readonly listener: SandboxListener = { port: PORT, onConnection: (socket) => this.#onConnection(socket) };
  /** Resolves with the end of the process that was started first. */
  readonly mainEnded: Promise<ProcessEnd>;
  readonly #clock: Clock;
  readonly #channel = Promise.withResolvers<Socket>();
  readonly #streams = new Map<string, Waiting<Socket>>();
  readonly #answers = new Map<number, Waiting<void>>();
  readonly #ends = new Map<number, (end: ProcessEnd) => void>();
  readonly #sockets = new Set<Socket>();
  #hasChannel = false;
  #strangers = 0;
  #lastId = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(clock: Clock) {
    this.#clock = clock;
    const main = Promise.withResolvers<ProcessEnd>();
    this.mainEnded = main.promise;
    this.#ends.set(0, main.resolve);
    this.#channel.promise.catch(() => undefined); // told to each who asks
  }

  async spawn({
    role,
    argv,
    env,
    workingDirectory,
  }: ProcessSpec): Promise<Omit<SandboxProcess, "exited"> & { readonly ended: Promise<ProcessEnd> }> {
    const id = ++this.#lastId;
    const isMain = role === "main";
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const token = randomBytes(TOKEN_BYTES);
    const ended = new Promise<ProcessEnd>((resolve) => this.#ends.set(id, resolve));
    const stream = this.#stream(token);
    await this.#send(
      frame(
        "S",
        id,
        Buffer.of(isMain ? WITH_CONTROL : WITH_OUTPUT),
        ...(isMain ? [token, NO_TOKEN] : [NO_TOKEN, token]),
        u16(argv.length, variables.length),
        text([workingDirectory, ...argv, ...variables]),
      ),
    );
    const socket: Duplex & Readable = await stream;
    const signal = (name: "SIGTERM" | "SIGKILL") => this.signal(id, name);
    return isMain ? { control: socket, ended, signal } : { output: socket, ended, signal };
  }

  signal(id: number, name: "SIGTERM" | "SIGKILL"): void {
    // One that has ended needs no signal; a sandbox that is gone has no processes.
    void this.#send(frame("K", id, Buffer.of(name === "SIGTERM" ? 15 : 9))).catch(() => undefined);
  }

  async clear(): Promise<void> {
    const id = ++this.#lastId;
    const done = this.#answer(id);
    await this.#send(frame("C", id));
    await done;
  }

  async dial(port: number): Promise<Duplex> {
    const id = ++this.#lastId;
    const token = randomBytes(TOKEN_BYTES);
    const stream = this.#stream(token);
    const refused = this.#answer(id).then(() => Promise.reject(new SandboxError(`nothing listens on port ${port} inside`)));
    refused.catch(() => undefined); // it comes only instead of the stream
    try {
      await this.#send(frame("T", id, u16(port), token));
      return await Promise.race([stream, refused]);
    } finally {
      this.#answers.delete(id);
      this.#streams.get(token.toString("hex"))?.reject(new SandboxError("the connection was refused"));
    }
  }

  /** The sandbox is gone. */
  close(): void {
    const gone = new SandboxError("the sandbox is gone");
    this.#channel.reject(gone);
    for (const waiting of [...this.#streams.values(), ...this.#answers.values()]) waiting.reject(gone);
    for (const end of this.#ends.values()) end({ code: 0, signal: 9 });
    for (const socket of this.#sockets) socket.destroy();
  }

  async #send(bytes: Buffer): Promise<void> {
    const channel = await within(this.#clock, ANSWER_MS_MAX, this.#channel.promise, noAnswer);
    if (!channel.writable) throw new SandboxError("the sandbox's supervisor has ended");
    channel.write(bytes);
  }

  #wait<K, T>(map: Map<K, Waiting<T>>, key: K): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const timer: Timer = this.#clock.after(ANSWER_MS_MAX, () => reject(noAnswer()));
    map.set(key, { resolve, reject });
    const waited = promise.finally(() => {
      timer.cancel();
      map.delete(key);
    });
    waited.catch(() => undefined); // told to who waits, if anybody still does
    return waited;
  }

  #stream(token: Buffer): Promise<Socket> {
    return this.#wait(this.#streams, token.toString("hex"));
  }

  #answer(id: number): Promise<void> {
    return this.#wait(this.#answers, id);
  }

  /** The supervisor connects before it starts anything: whoever comes first is it. Of the others, only those count that know a token. */
  #onConnection(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (!this.#hasChannel) {
      this.#hasChannel = true;
      this.#sockets.add(socket);
      socket.on("data", (chunk: Buffer) => this.#read(chunk));
      this.#channel.resolve(socket);
      return;
    }
    if (this.#strangers >= STRANGERS_MAX) return void socket.destroy();
    this.#strangers++;
    this.#identify(socket);
  }

  #identify(socket: Socket): void {
    const settle = (token?: Buffer) => {
      late.cancel();
      socket.off("readable", read);
      socket.off("close", gone);
      this.#strangers--;
      const waiting = token === undefined ? undefined : this.#streams.get(token.toString("hex"));
      if (waiting === undefined) return void socket.destroy();
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      waiting.resolve(socket);
    };
    const read = () => {
      const token = socket.read(TOKEN_BYTES) as Buffer | null;
      if (token !== null) settle(token);
    };
    const gone = () => settle();
    const late = this.#clock.after(ANSWER_MS_MAX, gone);
    socket.on("readable", read);
    socket.once("close", gone);
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (; this.#rest.length >= 11; this.#rest = this.#rest.subarray(11)) this.#hear(this.#rest);
  }

  /** u32 7, u8 kind, u32 id, u8, u8. */
  #hear(event: Buffer): void {
    const kind = String.fromCharCode(event.readUInt8(4));
    const id = event.readUInt32LE(5);
    const [first, second] = [event.readUInt8(9), event.readUInt8(10)];
    if (kind === "X") return this.#ended(id, { code: first, signal: second });
    if (kind === "N") return this.#ended(id, { code: 127, signal: 0, problem: reasonOf(first) });
    this.#answers.get(id)?.resolve();
  }

  #ended(id: number, end: ProcessEnd): void {
    this.#ends.get(id)?.(end);
    this.#ends.delete(id);
  }
}

function reasonOf(number: number): string {
  return getSystemErrorMap().get(-number)?.[1] ?? `error ${number}`;
}
