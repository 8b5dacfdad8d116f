// One run of a runtime in a sandbox, from its start to its end: the link, the output and the exit brought together.
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { SandboxError, type Sandbox, type SandboxExit, type SandboxHost, type SandboxSpec } from "../sandbox/sandbox.ts";
import { Allowance, EVENT_COST_BYTES } from "./allowance.ts";
import { controlLink } from "./control-link.ts";
import type { EnvironmentLog } from "./environment-log.ts";
import type { Ending } from "./failures.ts";
import { startSandbox, type LateBinding, type PreparedSandboxes, type StartedSandbox } from "./late-binding.ts";
import type { Answer, Link, LinkEvents, LinkInvocation } from "./link.ts";
import { Output } from "./output.ts";
import { RuntimeApi } from "./runtime-api.ts";
import { within } from "./within.ts";

/** Making a sandbox takes milliseconds; this long means that the machine is in trouble. */
const START_MS_MAX = 30_000;
/** After an exit the sockets end at once, unless a child process holds them open. */
const LAST_WORDS_MS = 250;
const STRANGE_MAX = 10;
/** After the control socket's end the exit follows at once, unless the runtime only closed the socket. */
const EXIT_MS_MAX = 1000;
/** The kill after a timeout waits for the figure as well. */
const USAGE_MS_MAX = 100;

export interface RuntimeProcessOptions {
  readonly sandboxes: SandboxHost;
  readonly clock: Clock;
  readonly log: Log;
  /** Without the Runtime API's listener, which is added where the protocol needs it. */
  readonly spec: SandboxSpec;
  /** Undefined: the function can't be given to a sandbox that is there already. */
  readonly late?: LateBinding | undefined;
  readonly prepared?: PreparedSandboxes | undefined;
  readonly protocol: "framed" | "runtime-api";
  readonly handler: string;
  /** Share of CPU from the end of initialisation on, in thousandths of one. */
  readonly cpuMillis: number;
  readonly output: Pick<EnvironmentLog, "event" | "lines">;
  /** The process has ended by itself or by `stop`. Called once, after everything that it had said was heard. */
  readonly ended: () => void;
}

export type InitEnding = { readonly kind: "ready" } | Extract<Ending, { kind: "init-failed" | "exited" | "timed-out" | "no-entrypoint" }>;

export class RuntimeProcess implements LinkEvents {
  readonly #options: RuntimeProcessOptions;
  readonly #sandbox: Sandbox;
  readonly #link: Link;
  readonly #output: Output;
  readonly #allowance = new Allowance();
  #strangeness = 0;
  /** How initialisation went, and how the process ended: both may come before somebody asks. */
  #init: InitEnding | undefined;
  #exit: SandboxExit | undefined;
  #initWaiter: ((ending: InitEnding) => void) | undefined;
  #answerWaiter: ((ending: Ending) => void) | undefined;

  /** Resolves when the first process has been started. Throws SandboxError. */
  static async start(options: RuntimeProcessOptions): Promise<RuntimeProcess> {
    const { sandboxes, spec, clock } = options;
    // The API's listener belongs to the specification of the sandbox, so it exists before the process that answers for it.
    let process: RuntimeProcess | undefined;
    const early: ((events: LinkEvents) => void)[] = [];
    const api = options.protocol === "runtime-api" ? new RuntimeApi(forward(() => process, early)) : undefined;
    const listeners = api === undefined ? spec.listeners : [...spec.listeners, api.listener];
    const starting = startSandbox(sandboxes, { ...spec, listeners }, options.late, options.prepared);
    const late = () => new SandboxError(`sandbox ${spec.id} did not start within ${START_MS_MAX} ms`);
    try {
      process = new RuntimeProcess(options, await within(clock, START_MS_MAX, starting, late), api);
    } catch (cause) {
      // One that starts after all must not be left over.
      void starting.then(
        ({ sandbox }) => sandbox.kill(),
        () => undefined,
      );
      throw cause;
    }
    for (const event of early) event(process);
    return process;
  }

  private constructor(options: RuntimeProcessOptions, { sandbox, variables }: StartedSandbox, api: RuntimeApi | undefined) {
    this.#options = options;
    this.#sandbox = sandbox;
    const { clock, handler, output } = options;
    this.#link = api ?? controlLink({ control: sandbox.control, handler, variables, clock, events: this });
    this.#output = new Output({ output: sandbox.output, clock, allowance: this.#allowance, lines: (lines) => output.lines(lines) });
    if (api === undefined) void this.#link.ended.then(() => this.#onSilence());
    else sandbox.control.on("error", () => undefined /* nothing is said there, so nothing is lost */);
    void this.#watch();
  }

  initialised(limitMs: number): Promise<InitEnding> {
    if (this.#init !== undefined) return Promise.resolve(this.#init);
    if (this.#exit !== undefined) return Promise.resolve({ kind: "exited", exit: this.#exit });
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(limitMs, () => this.#initWaiter?.({ kind: "timed-out" }));
      this.#initWaiter = (ending) => {
        timer.cancel();
        this.#initWaiter = undefined;
        resolve(ending);
      };
    });
  }

  /** Sends an invocation and resolves with what became of it, at the latest after `limitMs`. */
  answer(invocation: LinkInvocation, limitMs: number): Promise<Ending> {
    if (this.#exit !== undefined) return Promise.resolve({ kind: "exited", exit: this.#exit });
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(limitMs, () => {
        this.#link.abandon();
        this.#answerWaiter?.({ kind: "timed-out" });
      });
      this.#answerWaiter = (ending) => {
        timer.cancel();
        this.#answerWaiter = undefined;
        resolve(ending);
      };
      this.#allowance.begin();
      this.#link.send(invocation);
    });
  }

  /**
   * Whether the runtime can take an invocation. After an answer it may still have to do before it asks for the next one, or it may
   * end: a promise resolves when that is known, with false at the latest after `limitMs`.
   */
  rested(limitMs: number): true | Promise<boolean> {
    const rest = this.#link.rest();
    if (rest === undefined) return true;
    const isLate = Promise.withResolvers<boolean>();
    const timer = this.#options.clock.after(limitMs, () => isLate.resolve(false));
    const ended = this.#sandbox.exited.then(() => false);
    return Promise.race([rest.then(() => true), ended, isLate.promise]).finally(() => timer.cancel());
  }

  /** Resolves when what the function wrote before its answer is in the log. */
  drained(): Promise<void> {
    return this.#output.drained();
  }

  freeze(): Promise<void> {
    return this.#sandbox.freeze();
  }

  thaw(): Promise<void> {
    return this.#sandbox.thaw();
  }

  /** Highest memory use so far, in MiB. */
  async memoryPeakMiB(): Promise<number> {
    const late = () => new SandboxError(`sandbox ${this.#sandbox.id} did not tell its memory use`);
    const { memoryPeakBytes } = await within(this.#options.clock, USAGE_MS_MAX, this.#sandbox.usage(), late);
    return Math.ceil(memoryPeakBytes / 2 ** 20);
  }

  /** Ends everything inside; resolves when nothing is left. */
  async stop(): Promise<void> {
    await this.#sandbox.kill();
    this.#link.close();
    this.#output.close();
  }

  async #watch(): Promise<void> {
    const exit = await this.#sandbox.exited;
    const late = () => new SandboxError(`sandbox ${this.#sandbox.id} has ended, its socket has not`);
    await within(this.#options.clock, LAST_WORDS_MS, this.#link.ended, late).catch((cause: unknown) => this.strange(String(cause)));
    this.#exit = exit;
    this.#initWaiter?.({ kind: "exited", exit });
    this.#answerWaiter?.({ kind: "exited", exit });
    this.#options.ended();
  }

  #onSilence(): void {
    const timer = this.#options.clock.after(EXIT_MS_MAX, () => this.broken("the runtime closed its control socket"));
    void this.#sandbox.exited.then(() => timer.cancel());
  }

  ready(): void {
    // Not waited for: the handler may have a millisecond at full speed. A share that can't be set ends the environment.
    void this.#sandbox.limitCpu(this.#options.cpuMillis).catch((cause: unknown) => {
      if (this.#exit === undefined) this.broken(`its CPU could not be limited: ${String(cause)}`);
    });
    this.#initEnds({ kind: "ready" });
  }

  initFailed(errorType: string, payload: Uint8Array): void {
    this.#initEnds({ kind: "init-failed", errorType, payload });
  }

  #initEnds(ending: InitEnding): void {
    this.#init = ending;
    this.#initWaiter?.(ending);
  }

  answered(answer: Answer): void {
    this.#answerWaiter?.(answer);
  }

  log(timestampMs: number, text: string): void {
    if (this.#allowance.isSpent) return this.#allowance.drop(text.length);
    this.#allowance.keep(text.length + EVENT_COST_BYTES);
    this.#options.output.event(timestampMs, text);
  }

  strange(message: string): void {
    this.#strangeness++;
    // A function can be strange a million times a second; the server's log is not its to fill.
    if (this.#strangeness > STRANGE_MAX) return;
    const isLast = this.#strangeness === STRANGE_MAX ? "; more of this is not logged" : "";
    this.#options.log.warn("a runtime does what it should not", { sandbox: this.#sandbox.id, problem: `${message}${isLast}` });
  }

  broken(message: string): void {
    this.strange(message);
    this.#sandbox.kill().catch((cause: unknown) => this.#options.log.error("a sandbox could not be killed", { cause }));
  }
}

/** Events for a process that does not exist yet are kept until it does. */
function forward(target: () => LinkEvents | undefined, early: ((events: LinkEvents) => void)[]): LinkEvents {
  const pass = (event: (events: LinkEvents) => void) => {
    const present = target();
    if (present === undefined) early.push(event);
    else event(present);
  };
  return {
    ready: () => pass((events) => events.ready()),
    initFailed: (errorType, payload) => pass((events) => events.initFailed(errorType, payload)),
    answered: (answer) => pass((events) => events.answered(answer)),
    log: (timestampMs, text) => pass((events) => events.log(timestampMs, text)),
    strange: (message) => pass((events) => events.strange(message)),
    broken: (message) => pass((events) => events.broken(message)),
  };
}
