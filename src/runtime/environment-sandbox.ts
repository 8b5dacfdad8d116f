// The sandbox of one execution environment through all runs of its runtime: its output, its API server, its processes' common allowance.
import type { Duplex } from "node:stream";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import {
  SandboxError,
  type ProcessSpec,
  type Sandbox,
  type SandboxHost,
  type SandboxProcess,
  type SandboxSpec,
} from "../sandbox/sandbox.ts";
import { Allowance, EVENT_COST_BYTES } from "./allowance.ts";
import { EnvironmentApi } from "./environment-api.ts";
import type { EnvironmentLog } from "./environment-log.ts";
import { startSandbox, type LateBinding, type PreparedSandboxes } from "./late-binding.ts";
import { Output } from "./output.ts";
import { within } from "../base/within.ts";

/** Making a sandbox takes milliseconds; this long means that the machine is in trouble. */
const START_MS_MAX = 30_000;
const STRANGE_MAX = 10;
/** The kill after a timeout waits for the figure as well. */
const USAGE_MS_MAX = 100;

export interface EnvironmentSandboxOptions {
  readonly sandboxes: SandboxHost;
  readonly clock: Clock;
  readonly log: Log;
  /** Without the API's listener. */
  readonly spec: SandboxSpec;
  /** Undefined: the function can't be given to a sandbox that is there already. */
  readonly late?: LateBinding | undefined;
  readonly prepared?: PreparedSandboxes | undefined;
  readonly output: Pick<EnvironmentLog, "event" | "lines" | "extensionLines">;
}

/** The process that runs the function. */
export interface MainProcess extends Pick<SandboxProcess, "exited" | "signal"> {
  readonly control: Duplex;
  /** It was there before it was known what it runs, and has been told with its boot frame. */
  readonly isBooting: boolean;
}

export class EnvironmentSandbox {
  readonly api = new EnvironmentApi();
  readonly #options: EnvironmentSandboxOptions;
  readonly #allowance = new Allowance();
  #sandbox: Sandbox | undefined;
  #output: Output | undefined;
  #strangeness = 0;

  constructor(options: EnvironmentSandboxOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#options.spec.id;
  }

  /** Throws SandboxError when there is none (any more). */
  get #present(): Sandbox {
    if (this.#sandbox === undefined) throw new SandboxError(`sandbox ${this.id} has not been started`);
    return this.#sandbox;
  }

  /** Makes the sandbox, if it is not there, without a process of the function's. Throws SandboxError. */
  async openEmpty(): Promise<void> {
    if (this.#sandbox === undefined) await this.#open({ ...this.#options.spec, argv: [] }, undefined);
  }

  /** Starts the runtime, in the sandbox that is there or with a new one. Throws SandboxError. */
  async startMain({ argv, env, workingDirectory }: Omit<ProcessSpec, "role">): Promise<MainProcess> {
    const { spec, late } = this.#options;
    if (this.#sandbox === undefined) {
      const isBooting = await this.#open({ ...spec, argv, env, workingDirectory }, late);
      const { control, exited } = this.#present;
      return { control, exited, signal: (name) => this.#present.signal(name), isBooting };
    }
    const process = await this.#sandbox.spawn({ role: "main", argv, env, workingDirectory });
    if (process.control === undefined) throw new Error("a main process has a control socket");
    return { ...process, control: process.control, isBooting: false };
  }

  async #open(spec: SandboxSpec, late: LateBinding | undefined): Promise<boolean> {
    const { sandboxes, clock, prepared } = this.#options;
    const whole = { ...spec, listeners: [...spec.listeners, this.api.listener] };
    const starting = startSandbox(sandboxes, whole, late, prepared);
    const isLate = () => new SandboxError(`sandbox ${spec.id} did not start within ${START_MS_MAX} ms`);
    try {
      const { sandbox, isBooting } = await within(clock, START_MS_MAX, starting, isLate);
      this.#sandbox = sandbox;
      sandbox.control.on("error", () => undefined); // what is lost there is missed by who reads
      const lines = (text: readonly string[]) => this.#options.output.lines(text);
      this.#output = new Output({ output: sandbox.output, clock, allowance: this.#allowance, lines });
      return isBooting;
    } catch (cause) {
      // One that starts after all must not be left over.
      void starting.then(
        ({ sandbox }) => this.#end(sandbox),
        () => undefined,
      );
      throw cause;
    }
  }

  spawn(process: ProcessSpec): Promise<SandboxProcess> {
    return this.#present.spawn(process);
  }

  dial(port: number): Promise<Duplex> {
    return this.#present.dial(port);
  }

  /** Logs what an extension writes, until its end. */
  readExtension({ output, exited }: SandboxProcess): void {
    if (output === undefined) return;
    const { clock, output: log } = this.#options;
    const lines = (text: readonly string[]) => log.extensionLines(text);
    const reader = new Output({ output, clock, allowance: this.#allowance, lines });
    output.on("end", () => void reader.drained());
    void exited.then(() => reader.drained());
  }

  /** An invocation begins: what it logs has its own allowance. */
  begin(): void {
    this.#allowance.begin();
  }

  /** One log event of the runtime's. */
  log(timestampMs: number, text: string): void {
    if (this.#allowance.isSpent) return this.#allowance.drop(text.length);
    this.#allowance.keep(text.length + EVENT_COST_BYTES);
    this.#options.output.event(timestampMs, text);
  }

  /** Resolves when what the function wrote before its answer is in the log. */
  drained(): Promise<void> {
    return this.#output?.drained() ?? Promise.resolve();
  }

  limitCpu(cpuMillis: number): Promise<void> {
    return this.#present.limitCpu(cpuMillis);
  }

  freeze(): Promise<void> {
    return this.#present.freeze();
  }

  thaw(): Promise<void> {
    return this.#present.thaw();
  }

  /** Highest memory use so far, in MiB. */
  async memoryPeakMiB(): Promise<number> {
    const late = () => new SandboxError(`sandbox ${this.id} did not tell its memory use`);
    const { memoryPeakBytes } = await within(this.#options.clock, USAGE_MS_MAX, this.#present.usage(), late);
    return Math.ceil(memoryPeakBytes / 2 ** 20);
  }

  /** Ends every process and keeps the rest, /tmp above all. Rejects with SandboxError: then it has to be killed. */
  async clear(): Promise<void> {
    // Initialisation has more than the function's share; and whoever ends a runtime that spins must not wait for its turn.
    await this.#present.limitCpu(this.#options.spec.cpuMillis);
    await this.#present.clear();
  }

  /** Ends everything; resolves when nothing is left. One that is being made is killed by who makes it. */
  async kill(): Promise<void> {
    await this.#sandbox?.kill();
    this.api.close();
    this.#output?.close();
  }

  strange(message: string): void {
    this.#strangeness++;
    // A function can be strange a million times a second; the server's log is not its to fill.
    if (this.#strangeness > STRANGE_MAX) return;
    const isLast = this.#strangeness === STRANGE_MAX ? "; more of this is not logged" : "";
    this.#options.log.warn("a runtime does what it should not", { sandbox: this.id, problem: `${message}${isLast}` });
  }

  broken(message: string): void {
    this.strange(message);
    if (this.#sandbox !== undefined) void this.#end(this.#sandbox);
  }

  #end(sandbox: Sandbox): Promise<void> {
    return sandbox.kill().catch((cause: unknown) => this.#options.log.error("a sandbox could not be killed", { cause }));
  }
}
