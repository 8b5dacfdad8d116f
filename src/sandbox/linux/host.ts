// The SandboxHost for Linux: namespaces, control groups and seccomp, made by the launcher.
import { constants } from "node:os";
import { Socket, createServer, type Server } from "node:net";
import type { Readable } from "node:stream";
import type { Log } from "../../base/log.ts";
import { SandboxError, type Sandbox, type SandboxExit, type SandboxHost, type SandboxSpec, type SandboxUsage } from "../sandbox.ts";
import { startFrame, type LauncherEvent } from "./frames.ts";
import { Launcher, type HandedOver } from "./launcher.ts";

/** Host user ids of sandboxes: each has one of its own while it lives, so that limits per user are limits per sandbox. */
const UID_FIRST = 1_300_000;
const UID_COUNT = 65_536;

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

interface Starting {
  readonly spec: SandboxSpec;
  readonly uid: number;
  control?: Socket;
  output?: Socket;
  isStarted: boolean;
  readonly servers: Server[];
  readonly made: PromiseWithResolvers<Sandbox>;
  readonly exited: PromiseWithResolvers<SandboxExit>;
  memoryPeakBytes: number;
}

export interface LinuxSandboxHost extends SandboxHost {
  /** Resolves with the reason when the launcher has died: every sandbox is gone, and no new one can be made. */
  readonly died: Promise<Error>;
}

/** Starts the launcher. Throws SandboxError when a layer of isolation is missing on this machine. */
export async function linuxSandboxHost(options: { launcherPath: string; log: Log }): Promise<LinuxSandboxHost> {
  const host = new Host(options.launcherPath, options.log);
  await host.ready;
  return host;
}

class Host implements LinuxSandboxHost {
  readonly ready: Promise<void>;
  readonly died: Promise<Error>;
  readonly #launcher: Launcher;
  readonly #sandboxes = new Map<number, Starting>();
  readonly #isReady = Promise.withResolvers<void>();
  readonly #uids = new Set<number>();
  #nextUid = 0;

  constructor(launcherPath: string, log: Log) {
    this.#launcher = new Launcher(
      launcherPath,
      log,
      (event) => this.#seen(event),
      (handed) => this.#handed(handed),
    );
    this.died = this.#launcher.died;
    this.ready = this.#isReady.promise;
    void this.died.then((reason) => this.#lost(reason));
  }

  async start(spec: SandboxSpec): Promise<Sandbox> {
    if (spec.network === "internet")
      throw new SandboxError("sandboxes with a way to the internet are not built yet: use the network setting endpoint");
    const id = this.#launcher.nextId();
    const starting: Starting = {
      spec,
      uid: this.#takeUid(),
      isStarted: false,
      servers: [],
      made: Promise.withResolvers(),
      exited: Promise.withResolvers(),
      memoryPeakBytes: 0,
    };
    this.#sandboxes.set(id, starting);
    try {
      this.#launcher.send(startFrame(id, spec, starting.uid));
    } catch (error) {
      this.#forget(id, starting);
      throw error;
    }
    return await starting.made.promise;
  }

  inventory() {
    return Promise.resolve([...this.#sandboxes.values()].filter(({ isStarted }) => isStarted).map(({ spec }) => ({ id: spec.id })));
  }

  async stop(): Promise<void> {
    await this.#launcher.stop();
    this.#lost(new SandboxError("the server stops"));
  }

  #takeUid(): number {
    for (let tries = 0; tries < UID_COUNT; tries++) {
      const uid = UID_FIRST + (this.#nextUid++ % UID_COUNT);
      if (this.#uids.has(uid)) continue;
      this.#uids.add(uid);
      return uid;
    }
    throw new SandboxError("too many sandboxes: every user id is taken");
  }

  #handed({ id, kind, port, handle }: HandedOver): void {
    const starting = this.#sandboxes.get(id);
    if (starting === undefined) {
      (handle as { close(): void }).close(); // of a sandbox that could not be made
      return;
    }
    if (kind === "listener") return this.#listen(starting, port, handle);
    const socket = new Socket({ handle } as ConstructorParameters<typeof Socket>[0]);
    socket.on("error", () => undefined); // the end of the sandbox is told by `exited`
    if (kind === "control") starting.control = socket;
    else starting.output = socket;
    if (kind === "control") socket.resume().pause();
    this.#completeStart(id, starting);
  }

  #listen(starting: Starting, port: number, handle: object): void {
    const listener = starting.spec.listeners.find((one) => one.port === port);
    const server = createServer({ noDelay: true }, (socket) => listener?.onConnection(socket));
    server.on("error", () => undefined); // its namespace is going away with the sandbox
    starting.servers.push(server.listen(handle));
    server.unref();
  }

  #seen(event: LauncherEvent): void {
    if (event.kind === "ready") return this.#isReady.resolve();
    if (event.kind === "failed" && event.id === 0) return this.#isReady.reject(new SandboxError(`${event.reason}: run  ./lambent doctor`));
    const starting = this.#sandboxes.get(event.id);
    if (starting === undefined) return;
    switch (event.kind) {
      case "started":
        starting.isStarted = true;
        return this.#completeStart(event.id, starting);
      case "failed":
      case "refused":
        starting.made.reject(new SandboxError(`sandbox ${starting.spec.id}: ${event.reason}`));
        return this.#forget(event.id, starting);
      case "exited":
        starting.memoryPeakBytes = event.memoryPeakBytes;
        starting.exited.resolve(exitOf(event));
        starting.made.reject(new SandboxError(`sandbox ${starting.spec.id} ended before it had started`));
        return this.#forget(event.id, starting);
      case "done":
      case "usage":
        return undefined; // answers to questions that nobody waits for any more
    }
  }

  #completeStart(id: number, starting: Starting): void {
    const { control, output } = starting;
    if (!starting.isStarted || control === undefined || output === undefined) return;
    starting.made.resolve(new LinuxSandbox(this.#launcher, id, starting, control, output));
  }

  #forget(id: number, starting: Starting): void {
    this.#sandboxes.delete(id);
    this.#uids.delete(starting.uid);
    for (const server of starting.servers) server.close();
    // What the function said last is still in the socket and the pipe: they end by themselves when that has been read.
    if (starting.isStarted) return;
    starting.control?.destroy();
    starting.output?.destroy();
  }

  #lost(reason: Error): void {
    this.#isReady.reject(reason);
    for (const [id, starting] of this.#sandboxes) {
      starting.made.reject(reason);
      starting.exited.resolve({ signal: "SIGKILL", outOfMemory: false });
      this.#forget(id, starting);
    }
  }
}

function exitOf(event: Extract<LauncherEvent, { kind: "exited" }>): SandboxExit {
  if (event.signal === 0) return { code: event.code, outOfMemory: false };
  const signal = SIGNAL_NAMES.get(event.signal) ?? `SIG${event.signal}`;
  return { signal, outOfMemory: event.outOfMemory && signal === "SIGKILL" };
}

class LinuxSandbox implements Sandbox {
  readonly id: string;
  readonly control: Socket;
  readonly output: Readable;
  readonly exited: Promise<SandboxExit>;
  readonly #launcher: Launcher;
  readonly #state: Starting;
  #hasExited = false;

  constructor(launcher: Launcher, _id: number, state: Starting, control: Socket, output: Socket) {
    this.id = state.spec.id;
    this.control = control;
    this.output = output;
    this.exited = state.exited.promise;
    this.#launcher = launcher;
    this.#state = state;
    void this.exited.then(() => (this.#hasExited = true));
  }

  async limitCpu(cpuMillis: number): Promise<void> {
    await this.#launcher.ask("limitCpu", this.id, cpuMillis);
  }

  async freeze(): Promise<void> {
    await this.#launcher.ask("freeze", this.id);
  }

  async thaw(): Promise<void> {
    await this.#launcher.ask("thaw", this.id);
  }

  async kill(): Promise<void> {
    if (!this.#hasExited) await this.#launcher.ask("kill", this.id).catch(() => undefined); // it may have just ended by itself
    await this.exited;
    this.control.destroy();
    this.output.destroy();
  }

  async usage(): Promise<SandboxUsage> {
    if (this.#hasExited) return { memoryPeakBytes: this.#state.memoryPeakBytes };
    try {
      const answer = await this.#launcher.ask("usage", this.id);
      return { memoryPeakBytes: answer.kind === "usage" ? answer.memoryPeakBytes : 0 };
    } catch {
      await this.exited; // the launcher no longer knows it, so its end is on the way
      return { memoryPeakBytes: this.#state.memoryPeakBytes };
    }
  }
}
