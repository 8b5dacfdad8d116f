// One isolated place to run processes. Drivers: linux/ (namespaces, cgroups, seccomp), fake.ts (in process, scripted).
import type { Socket } from "node:net";
import type { Duplex, Readable } from "node:stream";

/** A host directory or file that appears inside, read-only, nosuid, nodev. */
export interface SandboxMount {
  readonly source: string;
  /** `/var/task`, `/var/runtime`, `/var/lang`, `/opt`, or a path below one of them. */
  readonly target: string;
}

/** A TCP listener on every address inside the sandbox's network namespace; connections arrive in the server. */
export interface SandboxListener {
  readonly port: number;
  onConnection(socket: Socket): void;
}

/** Everything about a sandbox, fully spelled out: the launcher has no policy of its own. */
export interface SandboxSpec {
  /** Unique; lower-case letters, digits and dashes, at most 40. */
  readonly id: string;
  readonly mounts: readonly SandboxMount[];
  readonly argv: readonly string[];
  /** The complete environment of the first process. */
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly memoryBytes: number;
  /** CPU time per second of wall time, in thousandths of a CPU. */
  readonly cpuMillis: number;
  readonly processesMax: number;
  readonly openFilesMax: number;
  /** Size of the tmpfs at /tmp, in bytes, and how many inodes it may have. */
  readonly tmpBytes: number;
  readonly tmpInodes: number;
  readonly listeners: readonly SandboxListener[];
  /** `endpoint`: only the listeners above can be reached. `internet`: routed outside as well, private ranges excluded. */
  readonly network: "endpoint" | "internet";
  /** Its first process waits for what comes with `specialise`; until then nobody's code may run inside. */
  readonly isPrepared?: boolean;
}

/** What a prepared sandbox gets when it is known whom it serves; everything else was decided at its start. */
export interface Specialisation {
  /** At `/var/task` and `/opt`: in every sandbox these are there, and empty when nothing is mounted. */
  readonly mounts: readonly SandboxMount[];
  readonly memoryBytes: number;
  readonly cpuMillis: number;
  readonly processesMax: number;
  readonly tmpBytes: number;
  readonly tmpInodes: number;
}

export interface SandboxExit {
  /** Exit code of the first process, or the signal that ended it. */
  readonly code?: number;
  readonly signal?: string;
  /** The memory limit was the cause. */
  readonly outOfMemory: boolean;
}

export interface SandboxUsage {
  /** Highest memory use so far, in bytes. */
  readonly memoryPeakBytes: number;
}

export interface Sandbox {
  readonly id: string;
  /** The other end of file descriptor 3 of the first process. */
  readonly control: Duplex;
  /** What the processes inside write to stdout and stderr, merged; reading stops when the consumer does. */
  readonly output: Readable;
  /** Resolves once, when the first process has ended, for whatever reason. */
  readonly exited: Promise<SandboxExit>;
  /**
   * Completes a prepared sandbox, once, and thaws it: new limits, size of /tmp, mounts. Rejects with SandboxError; one that could be
   * completed only in part is ended.
   */
  specialise(given: Specialisation): Promise<void>;
  /** Changes the share of CPU: initialisation has more than the function will have. */
  limitCpu(cpuMillis: number): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Ends every process and removes cgroups, mounts, namespaces. Idempotent; resolves when nothing is left. */
  kill(): Promise<void>;
  usage(): Promise<SandboxUsage>;
}

export interface SandboxInfo {
  readonly id: string;
}

/** A sandbox could not be made: a missing layer of isolation, no memory, a wrong path. Nothing of it is left. */
export class SandboxError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SandboxError";
  }
}

/** Every layer was made, and the kernel refused the program: a format that it does not know, an interpreter that is not there. */
export class ProgramError extends SandboxError {
  readonly program: string;
  /** In the kernel's words: `Exec format error`. */
  readonly reason: string;
  constructor(message: string, program: string, reason: string) {
    super(message);
    this.program = program;
    this.reason = reason;
  }
}

export interface SandboxHost {
  /** Resolves when the first process has been started. Throws SandboxError; fails closed. */
  start(spec: SandboxSpec): Promise<Sandbox>;
  /** What is running now: routing state is rebuilt from it, never stored. */
  inventory(): Promise<readonly SandboxInfo[]>;
  /** Kills everything and resolves when nothing is left. */
  stop(): Promise<void>;
}
