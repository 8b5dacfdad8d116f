// One isolated place to run processes. Drivers: linux/ (namespaces, cgroups, seccomp), fake.ts (in process, scripted).
import type { Socket } from "node:net";
import type { Duplex, Readable } from "node:stream";

/** A host directory or file that appears inside, read-only, nosuid, nodev. */
export interface SandboxMount {
  readonly source: string;
  /**
   * `/var/task`, `/var/runtime`, `/var/lang`, `/var/rapid`, `/opt`, or a path below one of them. `/`: the root of a container image, instead of the host's
   * system; it has directories `dev`, `proc`, `sys`, `tmp` and files `etc/hostname`, `etc/hosts`, `etc/resolv.conf` to mount over, none of them a link.
   */
  readonly target: string;
}

/** A TCP listener on every address inside the sandbox's network namespace; connections arrive in the server. */
export interface SandboxListener {
  readonly port: number;
  onConnection(socket: Socket): void;
}

/** A UDP port of 169.254.100.1 inside; datagrams arrive in the server, and none goes back. */
export interface SandboxDatagrams {
  readonly port: number;
  /** False: the port is closed, for the rest of the sandbox's life. */
  onDatagram(bytes: Buffer): boolean;
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
  /** How many CPUs the programs inside see and run on, if the machine has as many. */
  readonly processors: number;
  readonly processesMax: number;
  readonly openFilesMax: number;
  /** Size of the tmpfs at /tmp, in bytes, and how many inodes it may have. */
  readonly tmpBytes: number;
  readonly tmpInodes: number;
  readonly listeners: readonly SandboxListener[];
  /** Absent: nothing receives datagrams. */
  readonly datagrams?: SandboxDatagrams;
  /** `endpoint`: only the listeners above can be reached. `internet`: routed outside as well, private ranges excluded. */
  readonly network: "endpoint" | "internet";
  /** Its first process waits for what comes with `specialise`; until then nobody's code may run inside. */
  readonly isPrepared?: boolean;
  /** A static program of the host through which programs for arm64 run, in this sandbox and nowhere else. */
  readonly emulator?: string;
  /**
   * More than one process can be started in it, and it outlives them: `spawn`, `clear` and `dial` work. `argv` may be empty then: nothing
   * runs at first.
   */
  readonly isSupervised?: boolean;
}

/** A process that is started in a supervised sandbox after its beginning. */
export interface ProcessSpec {
  /** `main`: has the sandbox's output, and a control socket of its own as descriptor 3. `beside`: has an output of its own, and nothing else. */
  readonly role: "main" | "beside";
  readonly argv: readonly string[];
  /** Complete. */
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
}

export interface SandboxProcess {
  /** Of a `main` process: the other end of its descriptor 3. */
  readonly control?: Duplex;
  /** Of one `beside`: what it writes to stdout and stderr, merged. */
  readonly output?: Readable;
  readonly exited: Promise<SandboxExit>;
  signal(name: "SIGTERM" | "SIGKILL"): void;
}

/** What a prepared sandbox gets when it is known whom it serves; everything else was decided at its start. */
export interface Specialisation {
  /** At `/var/task` and `/opt`: in every sandbox these are there, and empty when nothing is mounted. Or over a file of an earlier mount. */
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
  /** Its program could not be run: the kernel's reason. */
  readonly problem?: string;
  /** It went with what keeps sandboxes, whatever its processes did. */
  readonly isLost?: boolean;
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
  /** Resolves once, when the first process has ended, for whatever reason; a supervised sandbox is still there then. */
  readonly exited: Promise<SandboxExit>;
  /**
   * Completes a prepared sandbox, once, and thaws it: new limits, size of /tmp, mounts. Rejects with SandboxError; one that could be
   * completed only in part is ended.
   */
  specialise(given: Specialisation): Promise<void>;
  /** Changes the share of CPU: initialisation has more than the function will have. */
  limitCpu(cpuMillis: number): Promise<void>;
  /** As `SandboxProcess.signal`, to the first process of a supervised sandbox. */
  signal(name: "SIGTERM" | "SIGKILL"): void;
  /** Supervised sandboxes: one more process. Rejects with SandboxError. A program that can't be run has a `problem` in its exit. */
  spawn(process: ProcessSpec): Promise<SandboxProcess>;
  /** Supervised sandboxes: ends every process, and keeps mounts, /tmp, network and limits. Rejects with SandboxError: then only `kill` is left. */
  clear(): Promise<void>;
  /** Supervised sandboxes: a connection to what listens on a TCP port inside. Rejects with SandboxError. */
  dial(port: number): Promise<Duplex>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /**
   * Ends every process and removes cgroups, mounts, namespaces. Idempotent; resolves when nothing is left. Rejects with SandboxError when the
   * kernel does not end a process of it within a minute.
   */
  kill(): Promise<void>;
  /** Rejects with SandboxError when it is not told within two seconds. */
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
