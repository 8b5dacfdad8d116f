// The SandboxHost for Linux: namespaces, control groups and seccomp, made by the launcher.
import type { Socket as DatagramSocket } from "node:dgram";
import { constants } from "node:os";
import { join } from "node:path";
import { Socket, createServer, type Server } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { systemClock, type Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { FILES_PER_ENVIRONMENT, freeFiles, RAISE_OPEN_FILES } from "../../base/open-files.ts";
import { within } from "../../base/within.ts";
import {
  ProgramError,
  SandboxError,
  type ProcessSpec,
  type Sandbox,
  type SandboxExit,
  type SandboxHost,
  type SandboxProcess,
  type SandboxSpec,
  type SandboxUsage,
  type Specialisation,
} from "../sandbox.ts";
import { controlGroups } from "./control-groups.ts";
import { prepareFrame, rootFields, startFrame, type LauncherEvent } from "./frames.ts";
import { openGateway, type Gateway } from "./gateway.ts";
import { Launcher, type HandedOver, type LauncherOptions } from "./launcher.ts";
import { leastUsed, machineTexts, ownProcessors, processorView } from "./processors.ts";
import { hostParts } from "./root-parts.ts";
import { mapIds, subordinateIds, type SubordinateIds } from "./subordinate-ids.ts";
import { supervised, Supervisor, type ProcessEnd } from "./supervisor.ts";
import { systemCallFilter } from "./system-call-filter.ts";

/**
 * Host user ids of sandboxes: each has one of its own while it lives, so that limits per user are limits per sandbox. Without root they are
 * subordinate ids, which the launcher's user namespace counts from 1.
 */
const UID_FIRST = 1_300_000;
const UID_COUNT = 65_534;

/** Making one takes milliseconds; a directory on a network that does not answer takes for ever. */
const START_MS_MAX = 30_000;
/** A process that hangs in the kernel can't be ended by anybody. */
const END_MS_EXPECTED = 10_000;
const END_MS_MAX = 60_000;
/** A figure that says whether memory was the cause of an end, which the end's report waits for. */
const USAGE_MS_MAX = 2000;

/** Some numbers have two names; the usual one comes first, so it is put in last. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    .toReversed()
    .map(([name, number]) => [number, name]),
);

interface Starting {
  readonly spec: SandboxSpec;
  /** Of a supervised sandbox. */
  readonly supervisor: Supervisor | undefined;
  readonly uid: number;
  readonly processors: readonly number[];
  isFrozen: boolean;
  control?: Socket;
  output?: Socket;
  /** From then on the launcher tells its end. */
  isSent: boolean;
  isStarted: boolean;
  /** Its end, when that came before its descriptors did: they travel on two ways. */
  ended?: SandboxExit;
  /** The server has no room for one of its descriptors: whatever becomes of it is not its processes' doing. */
  isLost: boolean;
  readonly servers: Server[];
  datagrams?: DatagramSocket | undefined;
  readonly made: PromiseWithResolvers<Sandbox>;
  readonly exited: PromiseWithResolvers<SandboxExit>;
  memoryPeakBytes: number;
}

export interface LinuxSandboxHost extends SandboxHost {
  /** Resolves with the reason when the launcher has died: every sandbox is gone, and no new one can be made. */
  readonly died: Promise<Error>;
}

export interface LinuxSandboxOptions {
  readonly launcherPath: string;
  readonly log: Log;
  readonly clock?: Clock;
  /** Control group below which Lambent's are made, in each hierarchy: `/machine/lambent`. By default the root's, or without root the user's own. */
  readonly cgroupParent?: string;
  /** Opens a way to the internet, for sandboxes that ask for it; `allowed` are networks besides public addresses, as `10.1.0.0/16`. */
  readonly internet?: { readonly allowed: readonly string[] };
}

/** Finds the control groups and starts the launcher. Throws SandboxError when a layer of isolation is missing on this machine. */
export async function linuxSandboxHost(options: LinuxSandboxOptions): Promise<LinuxSandboxHost> {
  const ids = process.getuid?.() === 0 ? undefined : subordinateIds();
  if (ids !== undefined && "missing" in ids) throw new SandboxError(`without root: ${ids.missing}: ${ids.remedy}`);
  const clock = options.clock ?? systemClock;
  const hierarchies = await controlGroups(options.cgroupParent, clock);
  const host = new Host({ ...options, clock, hierarchies, ...(ids === undefined ? {} : { ids }) });
  try {
    await host.ready;
    if (options.internet !== undefined) await host.openGateway(options.internet.allowed);
    return host;
  } catch (error) {
    await host.stop();
    throw error;
  }
}

const noFiles = () => new SandboxError(`the server has no file descriptor left: ${RAISE_OPEN_FILES}`);

function failureOf(id: string, reason: string): SandboxError {
  const [, program, cause] = /^exec: (.+): (.+)$/.exec(reason) ?? [];
  const message = `sandbox ${id}: ${reason}`;
  return program === undefined || cause === undefined ? new SandboxError(message) : new ProgramError(message, program, cause);
}

/** From the beginning: nobody has to be there to answer. */
function receive(starting: Starting, socket: DatagramSocket): void {
  const { datagrams } = starting.spec;
  starting.datagrams = socket;
  socket.on("error", () => undefined); // its namespace is going away with the sandbox
  socket.on("message", (bytes) => void (datagrams?.onDatagram(bytes) === true || stopReceiving(starting)));
  socket.unref();
}

function stopReceiving(starting: Starting): void {
  starting.datagrams?.close();
  starting.datagrams = undefined;
}

type HostOptions = LinuxSandboxOptions & Pick<LauncherOptions, "clock" | "hierarchies"> & { readonly ids?: SubordinateIds };

class Host implements LinuxSandboxHost {
  readonly ready: Promise<void>;
  readonly died: Promise<Error>;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #launcher: Launcher;
  readonly #resolverFile: string;
  readonly #supervisorFile: string;
  readonly #sandboxes = new Map<number, Starting>();
  readonly #isReady = Promise.withResolvers<void>();
  readonly #uidFirst: number;
  readonly #uidCount: number;
  readonly #ids: SubordinateIds | undefined;
  readonly #processors = ownProcessors();
  readonly #filesOf = processorView(machineTexts());
  readonly #parts = hostParts();
  readonly #root = rootFields(this.#parts.root);
  readonly #uids = new Set<number>();
  #nextUid = 0;
  #gateway: Gateway | undefined;

  constructor(options: HostOptions) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#ids = options.ids;
    this.#uidFirst = options.ids === undefined ? UID_FIRST : 1;
    this.#uidCount = Math.min(UID_COUNT, options.ids?.count ?? UID_COUNT);
    this.#resolverFile = join(options.launcherPath, "..", "..", "resolv.conf");
    this.#supervisorFile = join(options.launcherPath, "..", "supervisor");
    this.#launcher = new Launcher(
      { ...options, hasGateway: options.internet !== undefined },
      {
        seen: (event) => this.#seen(event),
        handed: (handed) => this.#handed(handed),
        missed: (id) => this.#missed(id),
      },
    );
    this.died = this.#launcher.died;
    this.ready = this.#isReady.promise;
    const late = options.clock.after(START_MS_MAX, () => this.#isReady.reject(new SandboxError("the launcher does not get ready")));
    void this.ready.finally(() => late.cancel()).catch(() => undefined); // told by `ready` itself
    void this.died.then((reason) => this.#lost(reason));
  }

  get #launcherPid(): number {
    if (this.#launcher.pid === undefined) throw new SandboxError("the launcher is not running");
    return this.#launcher.pid;
  }

  /** Without root, it is root in a user namespace of its own from here on. */
  async #prepare(): Promise<void> {
    if (this.#ids !== undefined) await mapIds(this.#launcherPid, this.#ids, this.#clock);
    this.#launcher.send(prepareFrame(systemCallFilter(process.arch), this.#parts.shared));
  }

  async openGateway(allowed: readonly string[]): Promise<void> {
    const [launcherPid, isRootless] = [this.#launcherPid, this.#ids !== undefined];
    this.#gateway = await openGateway({ launcherPid, isRootless, allowed, log: this.#log, clock: this.#clock });
  }

  async start(spec: SandboxSpec): Promise<Sandbox> {
    if (spec.network === "endpoint") return await this.#start(spec, false);
    if (this.#gateway === undefined)
      throw new SandboxError("no sandbox here has a way to the internet: that is the network setting internet");
    await this.#gateway.refresh();
    const resolver = { source: this.#resolverFile, target: "/etc/resolv.conf" };
    return await this.#start({ ...spec, mounts: [...spec.mounts, resolver] }, true);
  }

  async #start(asked: SandboxSpec, hasWayOut: boolean): Promise<Sandbox> {
    this.#checkFiles();
    const id = this.#launcher.nextId();
    const supervisor = asked.isSupervised === true ? new Supervisor(this.#clock) : undefined;
    const spec = supervisor === undefined ? asked : supervised(asked, this.#supervisorFile, supervisor.listener);
    const starting: Starting = {
      spec,
      supervisor,
      uid: this.#takeUid(),
      processors: leastUsed(this.#processors, spec.processors, this.#sandboxes.values()),
      isFrozen: false,
      isSent: false,
      isStarted: false,
      isLost: false,
      servers: [],
      made: Promise.withResolvers(),
      exited: Promise.withResolvers(),
      memoryPeakBytes: 0,
    };
    this.#sandboxes.set(id, starting);
    const deadline = this.#clock.after(START_MS_MAX, () => this.#giveUp(starting));
    try {
      // A user id is one sandbox's at a time, and so is what is counted from it.
      const slot = hasWayOut ? starting.uid - this.#uidFirst + 1 : 0;
      const { uid, processors } = starting;
      const place = { uid, slot, processors, files: this.#filesOf(processors), root: this.#root };
      this.#launcher.send(startFrame(id, spec, place));
      starting.isSent = true;
      return await starting.made.promise;
    } catch (error) {
      if (!starting.isSent) this.#forget(id, starting);
      throw error;
    } finally {
      deadline.cancel();
    }
  }

  /**
   * Where descriptors are short, nothing is begun: a connection that can't be accepted is closed by Node, and the program inside that made it takes
   * that for its own failure. Those that are under way count, and as many again are left for what is there.
   */
  #checkFiles(): void {
    const underWay = [...this.#sandboxes.values()].filter(({ isStarted }) => !isStarted).length;
    if (freeFiles() < FILES_PER_ENVIRONMENT * (underWay + 2)) throw noFiles();
  }

  #giveUp(starting: Starting): void {
    starting.made.reject(new SandboxError(`sandbox ${starting.spec.id} has not started within ${START_MS_MAX} ms`));
    // It may have ended just now, or hang in the kernel: its end is told when it comes, and its user id is free again then.
    this.#launcher.ask("kill", starting.spec.id).catch((cause) => this.#log.warn("a sandbox that did not start", { cause }));
  }

  inventory() {
    return Promise.resolve([...this.#sandboxes.values()].filter(({ isStarted }) => isStarted).map(({ spec }) => ({ id: spec.id })));
  }

  async stop(): Promise<void> {
    await this.#launcher.stop();
    await this.#gateway?.close();
    this.#lost(new SandboxError("the server stops"));
  }

  #takeUid(): number {
    for (let tries = 0; tries < this.#uidCount; tries++) {
      const uid = this.#uidFirst + (this.#nextUid++ % this.#uidCount);
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
    if (kind === "listener") return this.#listenWhenMade(id, starting, port, handle);
    if (kind === "datagrams") return receive(starting, handle as DatagramSocket);
    const socket = new Socket({ handle } as ConstructorParameters<typeof Socket>[0]);
    socket.on("error", () => undefined); // the end of the sandbox is told by `exited`
    if (kind === "control") starting.control = socket;
    else starting.output = socket;
    this.#completeStart(id, starting);
  }

  #missed(id: number): void {
    const starting = this.#sandboxes.get(id);
    if (starting === undefined || starting.isLost) return;
    starting.isLost = true;
    const problem = noFiles();
    this.#log.error("a sandbox is given up", { sandbox: starting.spec.id, cause: problem });
    starting.made.reject(problem);
    this.#launcher.ask("kill", starting.spec.id).catch(() => undefined); // it may not have begun, or have ended
  }

  /** A quick program connects before its sandbox is known to be there: it is heard when who made it can answer. */
  #listenWhenMade(id: number, starting: Starting, port: number, handle: object): void {
    const drop = () => (handle as { close(): void }).close();
    starting.made.promise.then(() => (this.#sandboxes.get(id) === starting ? this.#listen(starting, port, handle) : drop()), drop);
  }

  #listen(starting: Starting, port: number, handle: object): void {
    const listener = starting.spec.listeners.find((one) => one.port === port);
    const server = createServer({ noDelay: true }, (socket) => listener?.onConnection(socket));
    server.on("error", () => undefined); // its namespace is going away with the sandbox
    starting.servers.push(server.listen(handle));
    server.unref();
  }

  #preparing(event: LauncherEvent): void {
    if (event.kind === "waiting") this.#prepare().catch((error: unknown) => this.#isReady.reject(error));
    if (event.kind === "ready") this.#isReady.resolve();
    if (event.kind === "failed" || event.kind === "refused")
      this.#isReady.reject(new SandboxError(`${event.reason}: run  ./lambent doctor`));
  }

  #seen(event: LauncherEvent): void {
    if (event.id === 0) return this.#preparing(event);
    const starting = this.#sandboxes.get(event.id);
    if (starting === undefined) return;
    switch (event.kind) {
      case "started":
        starting.isStarted = true;
        return this.#completeStart(event.id, starting);
      case "failed":
      case "refused":
        starting.made.reject(failureOf(starting.spec.id, event.reason));
        return this.#forget(event.id, starting);
      case "exited":
        starting.memoryPeakBytes = event.memoryPeakBytes;
        starting.ended = starting.isLost ? { ...exitOf(event), isLost: true } : exitOf(event);
        if (!starting.isStarted) starting.made.reject(new SandboxError(`sandbox ${starting.spec.id} ended before it had started`));
        return this.#completeEnd(event.id, starting);
      case "waiting":
      case "ready":
      case "done":
      case "usage":
        return undefined; // of no sandbox, and answers to questions that nobody waits for any more
    }
  }

  #completeStart(id: number, starting: Starting): void {
    const { control, output } = starting;
    if (starting.isLost || !starting.isStarted || control === undefined || output === undefined) return;
    starting.made.resolve(
      new LinuxSandbox({ launcher: this.#launcher, clock: this.#clock, log: this.#log, state: starting, control, output }),
    );
    this.#completeEnd(id, starting);
  }

  #completeEnd(id: number, starting: Starting): void {
    const { ended, isStarted, control, output } = starting;
    if (ended === undefined || (isStarted && !starting.isLost && (control === undefined || output === undefined))) return;
    starting.exited.resolve(ended);
    this.#forget(id, starting);
  }

  #forget(id: number, starting: Starting): void {
    this.#sandboxes.delete(id);
    this.#uids.delete(starting.uid);
    for (const server of starting.servers) server.close();
    stopReceiving(starting);
    starting.supervisor?.close();
    // What the function said last is still in the socket and the pipe: they end by themselves when that has been read.
    if (starting.isStarted && !starting.isLost) return;
    starting.control?.destroy();
    starting.output?.destroy();
  }

  #lost(reason: Error): void {
    this.#isReady.reject(reason);
    for (const [id, starting] of this.#sandboxes) {
      starting.made.reject(reason);
      starting.exited.resolve({ signal: "SIGKILL", outOfMemory: false, isLost: true });
      this.#forget(id, starting);
    }
  }
}

function exitOf(event: Pick<Extract<LauncherEvent, { kind: "exited" }>, "code" | "signal" | "outOfMemory">): SandboxExit {
  if (event.signal === 0) return { code: event.code, outOfMemory: false };
  const signal = SIGNAL_NAMES.get(event.signal) ?? `SIG${event.signal}`;
  return { signal, outOfMemory: event.outOfMemory && signal === "SIGKILL" };
}

interface LinuxSandboxParts {
  readonly launcher: Launcher;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: Starting;
  readonly control: Socket;
  readonly output: Socket;
}

class LinuxSandbox implements Sandbox {
  readonly id: string;
  readonly control: Socket;
  readonly output: Readable;
  readonly exited: Promise<SandboxExit>;
  readonly #launcher: Launcher;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #state: Starting;
  readonly #gone: Promise<SandboxExit>;
  #isGone = false;
  /** Processes that the kernel has ended for their memory, and how many of them have been accounted for. */
  #memoryKills = 0;
  #memoryKillsTold = 0;

  constructor({ launcher, clock, log, state, control, output }: LinuxSandboxParts) {
    this.id = state.spec.id;
    this.control = control;
    this.output = output;
    this.#gone = state.exited.promise;
    this.#launcher = launcher;
    this.#clock = clock;
    this.#log = log;
    this.#state = state;
    void this.#gone.then(() => (this.#isGone = true));
    this.exited = state.supervisor === undefined ? this.#gone : this.#exitOf(state.supervisor.mainEnded);
  }

  signal(name: "SIGTERM" | "SIGKILL"): void {
    this.#supervisor.signal(0, name);
  }

  async spawn(process: ProcessSpec): Promise<SandboxProcess> {
    const { ended, ...spawned } = await this.#supervisor.spawn(process);
    return { ...spawned, exited: this.#exitOf(ended) };
  }

  async clear(): Promise<void> {
    await this.#supervisor.clear();
  }

  async dial(port: number): Promise<Duplex> {
    return await this.#supervisor.dial(port);
  }

  get #supervisor(): Supervisor {
    if (this.#state.supervisor === undefined) throw new SandboxError(`sandbox ${this.id} is not supervised`);
    return this.#state.supervisor;
  }

  /** What the supervisor can't see is whether the kernel killed a process for its memory. */
  async #exitOf(end: Promise<ProcessEnd>): Promise<SandboxExit> {
    const told = await Promise.race([end, this.#gone]);
    if ("outOfMemory" in told) return told;
    const { code, signal, problem } = told;
    if (problem !== undefined) return { code, outOfMemory: false, problem };
    if (signal !== constants.signals.SIGKILL) return exitOf({ code, signal, outOfMemory: false });
    await this.usage().catch(() => undefined); // without the figure it was not the memory
    const outOfMemory = this.#memoryKills > this.#memoryKillsTold;
    this.#memoryKillsTold = this.#memoryKills;
    return exitOf({ code, signal, outOfMemory });
  }

  async specialise(given: Specialisation): Promise<void> {
    this.#state.isFrozen = false;
    await this.#launcher.ask("specialise", this.id, given);
  }

  async limitCpu(cpuMillis: number): Promise<void> {
    await this.#launcher.ask("limitCpu", this.id, { cpuMillis });
  }

  async freeze(): Promise<void> {
    this.#state.isFrozen = true;
    await this.#launcher.ask("freeze", this.id);
  }

  async thaw(): Promise<void> {
    this.#state.isFrozen = false;
    await this.#launcher.ask("thaw", this.id);
  }

  async kill(): Promise<void> {
    if (!this.#isGone) await this.#launcher.ask("kill", this.id).catch(() => undefined); // it may have just ended by itself
    const late = this.#clock.after(END_MS_EXPECTED, () => this.#log.error("a killed sandbox is still there", { sandbox: this.id }));
    const hangs = () => new SandboxError(`sandbox ${this.id} can't be ended`);
    try {
      await within(this.#clock, END_MS_MAX, this.#gone, hangs);
    } finally {
      late.cancel();
      this.control.destroy();
      this.output.destroy();
    }
  }

  async usage(): Promise<SandboxUsage> {
    const late = () => new SandboxError(`the memory use of sandbox ${this.id} was not told in time`);
    return await within(this.#clock, USAGE_MS_MAX, this.#usage(), late);
  }

  async #usage(): Promise<SandboxUsage> {
    if (this.#isGone) return { memoryPeakBytes: this.#state.memoryPeakBytes };
    try {
      const answer = await this.#launcher.ask("usage", this.id);
      if (answer.kind !== "usage") return { memoryPeakBytes: 0 };
      this.#memoryKills = answer.memoryKills;
      return { memoryPeakBytes: answer.memoryPeakBytes };
    } catch {
      await this.#gone; // the launcher no longer knows it, so its end is on the way
      return { memoryPeakBytes: this.#state.memoryPeakBytes };
    }
  }
}
