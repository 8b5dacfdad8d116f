// A SandboxHost whose sandboxes are functions in this process: for tests and simulation. It isolates nothing.
import { duplexPair, PassThrough, type Duplex } from "node:stream";
import { createConnection, createServer, type Socket } from "node:net";
import { encodeFrame, FrameReader, frameType } from "./control-frames.ts";
import {
  SandboxError,
  type ProcessSpec,
  type Sandbox,
  type SandboxExit,
  type SandboxHost,
  type SandboxInfo,
  type SandboxProcess,
  type SandboxSpec,
  type SandboxUsage,
  type Specialisation,
} from "./sandbox.ts";

/** What a scripted function can do besides returning or throwing. */
export interface FakeContext {
  readonly requestId: string;
  readonly deadlineMs: number;
  readonly invokedArn: string;
  readonly traceHeader: string;
  readonly clientContext?: string;
  readonly cognitoIdentity?: string;
  readonly tenantId?: string;
  /** Environment variables of the sandbox. */
  readonly env: Readonly<Record<string, string>>;
  readonly sandbox: FakeSandbox;
  /** Raw output, as written to stdout. */
  readonly print: (text: string) => void;
  /** One event through the runtime's log. */
  readonly log: (text: string) => void;
  /** The process ends; nothing that comes after is seen. */
  readonly exit: (code?: number) => Promise<never>;
  readonly crash: (signal?: string) => Promise<never>;
  readonly outOfMemory: () => Promise<never>;
  /** Never settles. */
  readonly hang: () => Promise<never>;
  /** Writes output until all of it was taken or the sandbox is gone. */
  readonly flood: (bytes: number) => Promise<void>;
  /** Sends any frame: a second answer, a foreign one, nonsense. */
  readonly send: (letter: string, head: object, body?: Uint8Array) => void;
  readonly useMemory: (bytes: number) => void;
}

export type FakeInit = Pick<
  FakeContext,
  "env" | "sandbox" | "print" | "log" | "exit" | "crash" | "outOfMemory" | "hang" | "send" | "useMemory"
>;
export type FakeHandler = (event: unknown, context: FakeContext) => unknown;

export interface FakeFunction {
  /** Runs before the first invocation; what it throws is an init error. */
  readonly init?: (context: FakeInit) => unknown;
  readonly handler: FakeHandler;
  /** Is the first process, which then is no runtime and has no handler. */
  readonly program?: FakeProgram;
  /** Programs that are started beside it, by their path. */
  readonly extensions?: Readonly<Record<string, FakeProgram>>;
  readonly ignoresSigterm?: boolean;
}

/** Ends with the code that it returns, or with 0. */
export type FakeProgram = (context: FakeInit) => number | undefined | Promise<number | undefined>;

/**
 * Finds what a sandbox runs, usually by `spec.env["AWS_LAMBDA_FUNCTION_NAME"]`; throws SandboxError to make the start fail. A prepared
 * sandbox is asked for when it boots: its specification is complete then.
 */
export type FakeScript = (spec: SandboxSpec) => FakeHandler | FakeFunction | Promise<FakeHandler | FakeFunction>;

/** What has been started and what is left; all `…Now` are zero after `stop`. */
export interface FakeLedger {
  readonly started: number;
  readonly killed: number;
  readonly freezes: number;
  readonly thaws: number;
  readonly runningNow: number;
  readonly frozenNow: number;
  readonly socketsNow: number;
  /** Highest number of sandboxes that were there at once. */
  readonly runningMost: number;
}

export interface FakeSandboxHost extends SandboxHost {
  ledger(): FakeLedger;
  readonly sandboxes: ReadonlyMap<string, FakeSandbox>;
}

/** Thrown away by everything that waits in a sandbox that has ended. */
const NEVER = new Promise<never>(() => undefined);

interface Tally {
  started: number;
  killed: number;
  freezes: number;
  thaws: number;
  runningMost: number;
  readonly sockets: Set<Socket>;
}

export function fakeSandboxHost(script: FakeScript): FakeSandboxHost {
  const present = new Map<string, FakeSandbox>();
  const tally: Tally = { started: 0, killed: 0, freezes: 0, thaws: 0, runningMost: 0, sockets: new Set() };
  return {
    sandboxes: present,
    async start(spec) {
      const load = async (whole: SandboxSpec) => {
        const found = await script(whole);
        return typeof found === "function" ? { handler: found } : found;
      };
      const loaded = spec.isPrepared === true ? undefined : await load(spec);
      const sandbox = new FakeSandbox(spec, loaded ?? load, tally, () => present.delete(spec.id));
      if (present.has(spec.id)) throw new Error(`a sandbox called ${spec.id} is there already`);
      present.set(spec.id, sandbox);
      tally.started++;
      tally.runningMost = Math.max(tally.runningMost, present.size);
      return sandbox;
    },
    inventory: () => Promise.resolve([...present.values()].map(({ id }): SandboxInfo => ({ id }))),
    async stop() {
      await Promise.all([...present.values()].map((sandbox) => sandbox.kill()));
    },
    ledger: () => ({
      started: tally.started,
      killed: tally.killed,
      freezes: tally.freezes,
      thaws: tally.thaws,
      runningMost: tally.runningMost,
      runningNow: present.size,
      frozenNow: [...present.values()].filter(({ isFrozen }) => isFrozen).length,
      socketsNow: tally.sockets.size,
    }),
  };
}

export class FakeSandbox implements Sandbox {
  readonly id: string;
  /** With what a prepared sandbox got since its start. */
  spec: SandboxSpec;
  readonly control: Duplex;
  readonly output = new PassThrough({ highWaterMark: 64 * 1024 });
  readonly exited: Promise<SandboxExit>;
  /** What it may use; nothing here takes CPU of its own. */
  cpuMillis: number;
  /** How often its processes were ended so that others could begin. */
  clears = 0;
  /** What a prepared one was told to load. */
  loads: string | undefined;
  readonly #tally: Tally;
  readonly #gone: () => void;
  readonly #main: FakeProcess;
  /** Those that are alive. */
  readonly #processes = new Set<FakeProcess>();
  readonly #connections = new Set<Socket>();
  readonly #inner = new Map<number, (connection: Duplex) => void>();
  #script: FakeFunction | ((spec: SandboxSpec) => Promise<FakeFunction>);
  #isKilled = false;
  #isOpen: boolean;
  #isDeaf = false;
  #memoryPeakBytes = 30 * 2 ** 20;
  #thawed: PromiseWithResolvers<void> | undefined;

  constructor(spec: SandboxSpec, script: FakeFunction | ((spec: SandboxSpec) => Promise<FakeFunction>), tally: Tally, gone: () => void) {
    this.id = spec.id;
    this.spec = spec;
    this.cpuMillis = spec.cpuMillis;
    this.#isOpen = spec.isPrepared === true;
    this.#script = script;
    this.#tally = tally;
    this.#gone = gone;
    this.#main = this.#start(this.output, {});
    this.control = this.#main.control;
    this.exited = this.#main.exited;
    if (typeof script !== "function" && script.program !== undefined) void this.#main.runProgram(script.program);
  }

  get isFrozen(): boolean {
    return this.#thawed !== undefined;
  }

  /** Resolves when it is not frozen. */
  async thawed(): Promise<void> {
    while (this.#thawed !== undefined) await this.#thawed.promise;
  }

  /** What its processes run; of a prepared one it is found when it boots. */
  async script(variables: Readonly<Record<string, string>>): Promise<FakeFunction> {
    this.spec = { ...this.spec, env: { ...this.spec.env, ...variables } };
    if (typeof this.#script === "function") this.#script = await this.#script(this.spec);
    return this.#script;
  }

  useMemory(bytes: number): void {
    this.#memoryPeakBytes = Math.max(this.#memoryPeakBytes, bytes);
  }

  async specialise(given: Specialisation): Promise<void> {
    if (!this.#isOpen || this.#main.hasEnded) throw new SandboxError(`sandbox ${this.id} is not prepared, or serves already`);
    this.#isOpen = false;
    this.spec = { ...this.spec, ...given, mounts: [...this.spec.mounts, ...given.mounts] };
    await this.thaw();
  }

  limitCpu(cpuMillis: number): Promise<void> {
    this.cpuMillis = cpuMillis;
    return Promise.resolve();
  }

  signal(name: "SIGTERM" | "SIGKILL"): void {
    this.#main.signal(name);
  }

  async spawn({ role, argv, env }: ProcessSpec): Promise<SandboxProcess> {
    if (this.spec.isSupervised !== true) throw new SandboxError(`sandbox ${this.id} is not supervised`);
    if (role === "main") {
      const process = this.#start(this.output, env);
      return { control: process.control, exited: process.exited, signal: (name) => process.signal(name) };
    }
    const output = new PassThrough();
    const process = this.#start(output, env);
    const { extensions = {} } = await this.script({});
    const program = extensions[argv[0] ?? ""];
    if (program === undefined) process.end({ code: 127, outOfMemory: false, problem: "permission denied" });
    else void process.runProgram(program);
    return { output, exited: process.exited, signal: (name) => process.signal(name) };
  }

  clear(): Promise<void> {
    if (this.spec.isSupervised !== true || this.#isKilled) return Promise.reject(new SandboxError(`sandbox ${this.id} can't be cleared`));
    this.clears++;
    this.#endAll();
    return Promise.resolve();
  }

  /** Inside: takes the connections that the server makes to a port. */
  listen(port: number, onConnection: (connection: Duplex) => void): void {
    this.#inner.set(port, onConnection);
  }

  dial(port: number): Promise<Duplex> {
    const onConnection = this.#inner.get(port);
    if (onConnection === undefined) return Promise.reject(new SandboxError(`nothing listens on port ${port} inside`));
    const [ours, theirs] = duplexPair();
    onConnection(theirs);
    return Promise.resolve(ours);
  }

  freeze(): Promise<void> {
    if (this.#isKilled) return Promise.reject(new Error(`sandbox ${this.id} is gone`));
    this.#tally.freezes++;
    this.#thawed ??= Promise.withResolvers<void>();
    return Promise.resolve();
  }

  thaw(): Promise<void> {
    if (this.#isKilled) return Promise.reject(new Error(`sandbox ${this.id} is gone`));
    this.#tally.thaws++;
    this.#thawed?.resolve();
    this.#thawed = undefined;
    return Promise.resolve();
  }

  kill(): Promise<void> {
    this.#endAll();
    if (this.#isKilled) return Promise.resolve();
    this.#isKilled = true;
    this.#tally.killed++;
    this.#thawed = undefined;
    this.output.destroy();
    this.#gone();
    return Promise.resolve();
  }

  usage(): Promise<SandboxUsage> {
    return Promise.resolve({ memoryPeakBytes: this.#memoryPeakBytes });
  }

  /** Opens a connection from inside to one of the sandbox's listeners; returns the inner end. */
  async connect(port: number): Promise<Socket> {
    const listener = this.spec.listeners.find((one) => one.port === port);
    if (listener === undefined) throw new Error(`nothing listens on port ${port} in sandbox ${this.id}`);
    const accepted = Promise.withResolvers<Socket>();
    const server = createServer((socket) => accepted.resolve(socket));
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
    const inner = createConnection(address.port, "127.0.0.1");
    const outer = await accepted.promise;
    server.close();
    for (const socket of [inner, outer]) {
      this.#tally.sockets.add(socket);
      socket.on("close", () => this.#tally.sockets.delete(socket));
    }
    this.#connections.add(inner);
    inner.on("error", () => undefined); // its process has ended
    listener.onConnection(outer);
    return inner;
  }

  /** Sends a datagram from inside; where nobody receives it, it is lost. */
  sendDatagram(port: number, bytes: Uint8Array): void {
    const { datagrams } = this.spec;
    if (this.#isKilled || this.#isDeaf || datagrams?.port !== port) return;
    this.#isDeaf = !datagrams.onDatagram(Buffer.from(bytes));
  }

  /** The first process ends; the sandbox itself is there until it is killed. */
  end(exit: SandboxExit): void {
    this.#main.end(exit);
  }

  #start(output: PassThrough, env: Readonly<Record<string, string>>): FakeProcess {
    const process = new FakeProcess(this, output, env);
    this.#processes.add(process);
    void process.exited.then(() => this.#processes.delete(process));
    return process;
  }

  #endAll(): void {
    for (const process of this.#processes) process.end({ signal: "SIGKILL", outOfMemory: false });
    for (const connection of this.#connections) connection.destroy();
    this.#connections.clear();
  }
}

/** One process of a fake sandbox: a runtime that speaks the control protocol, or a program beside it. */
class FakeProcess {
  readonly control: Duplex;
  readonly exited: Promise<SandboxExit>;
  readonly #sandbox: FakeSandbox;
  readonly #output: PassThrough;
  readonly #variables: Readonly<Record<string, string>>;
  readonly #inside: Duplex;
  readonly #reader: FrameReader;
  readonly #exit = Promise.withResolvers<SandboxExit>();
  #function: FakeFunction | undefined;
  #hasEnded = false;
  /** Frames are handled one after the other, and none while frozen. */
  #work: Promise<void> = Promise.resolve();

  constructor(sandbox: FakeSandbox, output: PassThrough, variables: Readonly<Record<string, string>>) {
    this.#sandbox = sandbox;
    this.#output = output;
    this.#variables = variables;
    this.exited = this.#exit.promise;
    [this.control, this.#inside] = duplexPair();
    const events = {
      frame: (type: number, head: Buffer, body: Buffer) => this.#receive(type, head, body),
      oversize: () => this.end({ code: 1, outOfMemory: false }),
      broken: () => this.end({ code: 1, outOfMemory: false }),
    };
    this.#reader = new FrameReader(events, () => ({ bytesMax: 16 * 2 ** 20, beyond: "skip" }));
    this.#inside.on("data", (chunk: Buffer) => this.#reader.push(chunk));
    // The control socket's end is the runtime's: it has nobody left to work for.
    this.#inside.on("close", () => this.end({ signal: "SIGKILL", outOfMemory: false }));
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  signal(name: "SIGTERM" | "SIGKILL"): void {
    if (name === "SIGTERM" && this.#function?.ignoresSigterm === true) return;
    this.end({ signal: name, outOfMemory: false });
  }

  end(exit: SandboxExit): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#sandbox.spec.isSupervised !== true) this.#output.end();
    this.#inside.end();
    this.#exit.resolve(exit);
  }

  /** A program that is no runtime: what it returns is its exit code. */
  async runProgram(program: FakeProgram): Promise<void> {
    try {
      const code = await program({ ...this.#toolbox(), env: this.#variables });
      this.end({ code: code ?? 0, outOfMemory: false });
    } catch {
      this.end({ code: 1, outOfMemory: false });
    }
  }

  #receive(type: number, head: Buffer, body: Buffer): void {
    this.#work = this.#work.then(async () => {
      await this.#sandbox.thawed();
      const fields = JSON.parse(head.toString()) as Record<string, unknown>;
      if (type === frameType("P")) {
        this.#sandbox.loads = fields["loads"] as string | undefined;
        this.#send("W", {});
      }
      if (type === frameType("B")) await this.#boot((fields["variables"] ?? {}) as Record<string, string>);
      if (type === frameType("I")) await this.#invoke(fields, body);
    });
  }

  #send(letter: string, head: object, body?: Uint8Array): void {
    if (this.#hasEnded) return;
    for (const piece of encodeFrame(letter, head, body)) this.#inside.write(piece);
  }

  async #boot(variables: Readonly<Record<string, string>>): Promise<void> {
    try {
      this.#function = await this.#sandbox.script({ ...this.#variables, ...variables });
      await this.#function.init?.(this.#toolbox());
      this.#send("R", {});
    } catch (cause) {
      const { errorType, document } = errorOf(cause);
      this.#send("F", { errorType }, document);
      this.end({ code: 1, outOfMemory: false });
    }
  }

  async #invoke(fields: Record<string, unknown>, body: Buffer): Promise<void> {
    const context = { ...fields, ...this.#toolbox() } as unknown as FakeContext;
    const { requestId } = context;
    try {
      const event: unknown = body.length === 0 ? {} : JSON.parse(body.toString());
      if (this.#function === undefined) throw new Error("an invocation came before the boot frame");
      const result = await this.#function.handler(event, context);
      this.#send("S", { requestId }, Buffer.from(JSON.stringify(result) ?? "null"));
    } catch (cause) {
      const { errorType, document } = errorOf(cause);
      this.#send("E", { requestId, errorType }, document);
    }
  }

  #toolbox(): FakeInit & Pick<FakeContext, "flood"> {
    const ended = (exit: SandboxExit) => {
      this.end(exit);
      return NEVER;
    };
    return {
      env: this.#sandbox.spec.env,
      sandbox: this.#sandbox,
      print: (text) => void (this.#hasEnded || this.#output.write(text)),
      log: (text) => this.#send("L", {}, Buffer.from(text)),
      exit: (code = 0) => ended({ code, outOfMemory: false }),
      crash: (signal = "SIGSEGV") => ended({ signal, outOfMemory: false }),
      outOfMemory: () => ended({ signal: "SIGKILL", outOfMemory: true }),
      hang: () => NEVER,
      flood: (bytes) => this.#flood(bytes),
      send: (letter, head, body) => this.#send(letter, head, body),
      useMemory: (bytes) => this.#sandbox.useMemory(bytes),
    };
  }

  async #flood(bytes: number): Promise<void> {
    const line = Buffer.alloc(1024, "x");
    line[1023] = 0x0a;
    const block = Buffer.concat(Array.from({ length: 64 }, () => line));
    for (let written = 0; written < bytes && !this.#hasEnded; written += block.length)
      if (!this.#output.write(block)) await Promise.race([new Promise((resolve) => this.#output.once("drain", resolve)), this.exited]);
  }
}

function errorOf(cause: unknown): { errorType: string; document: Buffer } {
  const [errorType, errorMessage] = cause instanceof Error ? [cause.name, cause.message] : ["Error", String(cause)];
  return { errorType, document: Buffer.from(JSON.stringify({ errorType, errorMessage, trace: [] })) };
}
