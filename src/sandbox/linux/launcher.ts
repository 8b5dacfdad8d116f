// The launcher process: one per server, started with an empty environment; frames go in, events and descriptors come out.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Clock, Timer } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { SandboxError, type Specialisation } from "../sandbox.ts";
import type { Hierarchy } from "./control-groups.ts";
import { commandFrame, eventReader, type Command, type LauncherEvent } from "./frames.ts";

/**
 * A descriptor of the launcher's, as Node hands it out: a raw handle for `new net.Socket({ handle })` or `server.listen(handle)`; for datagrams a
 * `dgram.Socket` that receives already.
 */
export interface HandedOver {
  readonly id: number;
  readonly kind: "control" | "output" | "listener" | "datagrams";
  readonly port: number;
  readonly handle: object;
}

interface Waiting {
  readonly resolve: (event: LauncherEvent) => void;
  readonly reject: (error: Error) => void;
  readonly deadline: Timer;
}

export interface LauncherOptions {
  readonly launcherPath: string;
  readonly log: Log;
  readonly clock: Clock;
  /** See control-groups.ts: it makes its own groups there, and removes them when it ends, however this process ends. */
  readonly hierarchies: readonly Hierarchy[];
  /** Whether it makes a gateway to the internet; see gateway.ts. */
  readonly hasGateway?: boolean;
}

export interface LauncherSink {
  /** Events of the launcher itself (their id is 0) and of sandboxes (started, failed, exited); answers to `ask` go to who asked. */
  seen(event: LauncherEvent): void;
  handed(handed: HandedOver): void;
  /** A descriptor of this sandbox has been lost: this process may have no more open. */
  missed(id: number): void;
}

/** An answer is a few system calls away; behind a hundred starts it waits for them. A launcher that takes longer hangs, and is ended. */
const ANSWER_MS_MAX = 30_000;
/** Ending every sandbox, and removing their control groups. */
const STOP_MS_MAX = 30_000;

/** As in native/cgroup.h: `2mcpf/sys/fs/cgroup`. */
const ROLES = { memory: "m", cpu: "c", pids: "p", freezer: "f" } as const;
const wordOf = ({ version, roles, directory }: Hierarchy): string => `${version}${roles.map((role) => ROLES[role]).join("")}${directory}`;

export class Launcher {
  /** Resolves with the reason when the launcher has ended without being asked to: then every sandbox is gone. */
  readonly died: Promise<Error>;
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  readonly #requests: Writable;
  readonly #waiting = new Map<number, Waiting>();
  #sequence = 1;
  #ended: Error | undefined;
  #isStopping = false;

  constructor({ launcherPath, log, clock, hierarchies, hasGateway = false }: LauncherOptions, sink: LauncherSink) {
    this.#clock = clock;
    const words = [hasGateway ? "internet" : "", ...hierarchies.map(wordOf)];
    this.#child = spawn(launcherPath, words, { env: {}, cwd: "/", stdio: ["pipe", "pipe", "pipe", "ipc"], serialization: "json" });
    if (this.#child.stdin === null || this.#child.stdout === null) throw new Error("the launcher has no pipes");
    this.#requests = this.#child.stdin;
    this.#requests.on("error", () => undefined); // the exit that follows says why
    const events = eventReader((event) => this.#route(event, sink));
    this.#child.stdout.on("data", events);
    this.#child.stderr?.on("data", (chunk: Buffer) => log.warn("launcher", { text: chunk.toString().trim() }));
    this.#child.on("message", (message, handle) =>
      sink.handed({ ...(message as Omit<HandedOver, "handle">), handle: handle as unknown as object }),
    );
    // Node only tells the sender that it has got none.
    this.#child.on("internalMessage", ({ cmd, msg }: { cmd?: string; msg?: { id: number } }, handle: unknown) => {
      if (cmd === "NODE_HANDLE" && msg !== undefined && (handle === undefined || handle === null)) sink.missed(msg.id);
    });
    this.#child.on("error", (cause) =>
      this.#end(new SandboxError(`the launcher ${launcherPath} can't be started: run  ./lambent doctor`, { cause })),
    );
    this.died = new Promise((resolve) => {
      this.#child.on("exit", (code, signal) => {
        const reason = new SandboxError(`the launcher ended with ${signal ?? `code ${code}`}`);
        this.#end(reason);
        if (!this.#isStopping) resolve(this.#ended ?? reason);
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#ended === undefined;
  }

  nextId(): number {
    const id = this.#sequence;
    this.#sequence = (this.#sequence % 0xffff_fffe) + 1;
    return id;
  }

  send(bytes: Buffer): void {
    if (this.#ended !== undefined) throw this.#ended;
    this.#requests.write(bytes);
  }

  /** Asks something about a running sandbox; rejects with SandboxError when there is none of that name. */
  async ask(operation: Command, name: string, given?: Specialisation | { readonly cpuMillis: number }): Promise<LauncherEvent> {
    const id = this.nextId();
    return await new Promise((resolve, reject) => {
      const deadline = this.#clock.after(ANSWER_MS_MAX, () => {
        this.#end(new SandboxError(`the launcher has not answered ${operation} within ${ANSWER_MS_MAX / 1000} s`));
        // Nothing works without it: every sandbox goes with it, and who is asked to restart the server can.
        this.#child.kill("SIGKILL");
      });
      this.#waiting.set(id, { resolve, reject, deadline });
      try {
        this.send(commandFrame(id, operation, name, given));
      } catch (error) {
        this.#waiting.delete(id);
        deadline.cancel();
        reject(error);
      }
    });
  }

  /** Closes the launcher's input: it ends every sandbox, removes its control groups and exits. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#isStopping = true;
    const exited = once(this.#child, "exit");
    this.#requests.end();
    // Killed, it takes every sandbox with it; its control groups are swept by the next start.
    const deadline = this.#clock.after(STOP_MS_MAX, () => this.#child.kill("SIGKILL"));
    await exited;
    deadline.cancel();
  }

  #route(event: LauncherEvent, sink: LauncherSink): void {
    const waiting = this.#waiting.get(event.id);
    if (waiting === undefined) return sink.seen(event);
    this.#waiting.delete(event.id);
    waiting.deadline.cancel();
    if (event.kind === "refused") waiting.reject(new SandboxError(event.reason));
    else waiting.resolve(event);
  }

  #end(reason: Error): void {
    this.#ended ??= reason;
    for (const { reject, deadline } of this.#waiting.values()) {
      deadline.cancel();
      reject(this.#ended);
    }
    this.#waiting.clear();
  }
}
