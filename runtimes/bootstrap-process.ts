// Runs a bootstrap outside a sandbox, for tests: a child process whose descriptor 3 is a socket to the test.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const PREFIX_BYTES = 9;
const WAIT_MS_MAX = 120_000;

interface Frame {
  readonly type: string;
  readonly head: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface InvocationHead {
  readonly requestId?: string;
  readonly deadlineMs?: number;
  readonly traceHeader?: string;
  readonly clientContext?: string;
  readonly cognitoIdentity?: string;
  readonly tenantId?: string;
  readonly streams?: boolean;
}

export function encode(type: string, head: object, body: string | Uint8Array = ""): Buffer {
  const headBytes = Buffer.from(JSON.stringify(head));
  const bodyBytes = Buffer.from(body);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(PREFIX_BYTES - 4 + headBytes.length + bodyBytes.length);
  prefix.write(type, 4);
  prefix.writeUInt32BE(headBytes.length, 5);
  return Buffer.concat([prefix, headBytes, bodyBytes]);
}

export interface BootstrapOptions {
  readonly argv: readonly string[];
  /** The package: name → text. */
  readonly files: Readonly<Record<string, string>>;
  readonly handler: string;
  /** Environment of the process, as on the path without a pool. */
  readonly env?: Readonly<Record<string, string>>;
  /** What comes with the boot frame, as on the path through the pool. */
  readonly variables?: Readonly<Record<string, string>>;
  /** It boots before there are any files, is asked whether it waits, and only then gets them. */
  readonly isPrepared?: boolean;
  /** What it loads while it waits. */
  readonly loads?: string;
}

async function writeFiles(directory: string, files: BootstrapOptions["files"]): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
}

export class BootstrapProcess {
  readonly directory: string;
  readonly control: Socket;
  readonly exited: Promise<Exit>;
  /** Raw output of the process. */
  output = "";
  /** Log events so far. */
  readonly logs: string[] = [];
  readonly #child: ChildProcess;
  readonly #answers: Frame[] = [];
  #pending = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #isOver = false;
  #requests = 0;

  static async start(options: BootstrapOptions): Promise<BootstrapProcess> {
    const directory = await mkdtemp(join(tmpdir(), "lambent-runtime-"));
    if (options.isPrepared !== true) await writeFiles(directory, options.files);
    const process = new BootstrapProcess(directory, options);
    if (options.isPrepared === true) {
      process.control.write(encode("P", options.loads === undefined ? {} : { loads: options.loads }));
      const { type } = await process.frame();
      if (type !== "W") throw new Error(`a prepared bootstrap says ${type}`);
      await writeFiles(directory, options.files);
    }
    process.control.write(encode("B", { handler: options.handler, variables: options.variables ?? {} }));
    return process;
  }

  private constructor(directory: string, { argv, env }: BootstrapOptions) {
    this.directory = directory;
    const [command = "", ...words] = argv;
    const variables = { LAMBDA_TASK_ROOT: directory, AWS_LAMBDA_FUNCTION_NAME: "tested", PYTHONDONTWRITEBYTECODE: "1", ...env };
    this.#child = spawn(command, words, { cwd: directory, env: variables, stdio: ["ignore", "pipe", "pipe", "pipe"] });
    this.control = this.#child.stdio[3] as Socket;
    this.control.on("data", (chunk: Buffer) => this.#take(chunk));
    this.control.on("error", () => undefined); // a killed process; the exit tells
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    this.exited = once(this.#child, "close").then(([code, signal]) => {
      this.#isOver = true;
      this.#wake?.();
      return { code: code as number | null, signal: signal as string | null };
    });
  }

  /** The next frame that is no log event; rejects when the process ends without one. */
  async frame(): Promise<Frame> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), WAIT_MS_MAX);
    try {
      while (this.#answers.length === 0) {
        if (this.#isOver) throw new Error(`the process ended without an answer; it wrote: ${this.output}`);
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      const [frame] = this.#answers.splice(0, 1);
      if (frame === undefined) throw new Error("unreachable");
      return frame;
    } finally {
      clearTimeout(late);
    }
  }

  send(event: string, head: InvocationHead = {}): string {
    const requestId = head.requestId ?? `request-${++this.#requests}`;
    const deadlineMs = head.deadlineMs ?? Date.now() + 3000;
    this.control.write(
      encode("I", { deadlineMs, invokedArn: "arn:aws:lambda:us-east-1:000000000000:function:tested", ...head, requestId }, event),
    );
    return requestId;
  }

  /** The answer to one invocation, its body read as JSON. */
  async invoke(event: unknown, head: InvocationHead = {}): Promise<{ type: string; head: Frame["head"]; value: unknown }> {
    this.send(JSON.stringify(event), head);
    const { type, head: answered, body } = await this.frame();
    return { type, head: answered, value: JSON.parse(body.toString()) };
  }

  /** Closes the control socket, which ends the process. */
  async dispose(): Promise<Exit> {
    this.control.end();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), WAIT_MS_MAX);
    const exit = await this.exited;
    clearTimeout(late);
    await rm(this.directory, { recursive: true, force: true });
    return exit;
  }

  #take(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 4) {
      const end = 4 + this.#pending.readUInt32BE(0);
      if (this.#pending.length < end) return;
      const headEnd = PREFIX_BYTES + this.#pending.readUInt32BE(5);
      const type = this.#pending.toString("latin1", 4, 5);
      const head = JSON.parse(this.#pending.toString("utf8", PREFIX_BYTES, headEnd)) as Frame["head"];
      const body = this.#pending.subarray(headEnd, end);
      this.#pending = this.#pending.subarray(end);
      if (type === "L") this.logs.push(body.toString());
      else this.#answers.push({ type, head, body });
    }
    this.#wake?.();
  }
}
