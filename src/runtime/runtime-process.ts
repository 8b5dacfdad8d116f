// One run of a runtime and its extensions, from its start to its end: the link, the extensions and the exit brought together.
import type { Clock } from "../base/clock.ts";
import { SandboxError, type ProcessSpec, type SandboxExit } from "../sandbox/sandbox.ts";
import { controlLink } from "./control-link.ts";
import type { EnvironmentSandbox, MainProcess } from "./environment-sandbox.ts";
import { EXTENSIONS_API_VERSION, ExtensionsApi } from "./extensions-api.ts";
import { Extensions, type ExtensionFailure, type ExtensionNotice, type ShutdownReason } from "./extensions.ts";
import type { Ending } from "./failures.ts";
import type { Answer, Link, LinkEvents, LinkInvocation } from "./link.ts";
import { METADATA_API_VERSION, MetadataApi } from "./metadata-api.ts";
import { RUNTIME_API_VERSION, RuntimeApi } from "./runtime-api.ts";
import type { FunctionSettings } from "./settings.ts";
import { LOGS_API_VERSION, TELEMETRY_API_VERSIONS, TelemetryApi } from "./telemetry-api.ts";
import type { Subscription } from "./telemetry-subscriber.ts";
import type { Telemetry } from "./telemetry.ts";
import { within } from "../base/within.ts";

/** After an exit the sockets end at once, unless a child process holds them open. */
const LAST_WORDS_MS = 250;
/** After the control socket's end the exit follows at once, unless the runtime only closed the socket. */
const EXIT_MS_MAX = 1000;

export interface RuntimeProcessOptions {
  readonly sandbox: EnvironmentSandbox;
  readonly clock: Clock;
  readonly protocol: "framed" | "runtime-api";
  readonly settings: Pick<FunctionSettings, "account" | "region" | "functionName" | "version" | "handler">;
  readonly command: Omit<ProcessSpec, "role">;
  /** Names of the programs in /opt/extensions. */
  readonly externalExtensions: readonly string[];
  readonly extensionNotice: (notice: ExtensionNotice) => void;
  readonly telemetry: Telemetry;
  readonly subscribed: (subscription: Subscription) => void;
  /** Share of CPU from the end of initialisation on, in thousandths of one. */
  readonly cpuMillis: number;
  /** It has ended by itself or by `stop`. Called once, after everything that it had said was heard. */
  readonly ended: () => void;
}

export type InitEnding =
  | { readonly kind: "ready" }
  | Extract<Ending, { kind: "init-failed" | "exited" | "timed-out" | "no-entrypoint" | "extension-failed" }>;

/** Why an invocation can't be answered any more. */
type Failure = Extract<Ending, { kind: "exited" | "extension-failed" }>;

export class RuntimeProcess implements LinkEvents {
  readonly extensions: Extensions;
  readonly #options: RuntimeProcessOptions;
  readonly #sandbox: EnvironmentSandbox;
  readonly #api: RuntimeApi | undefined;
  #main: MainProcess | undefined;
  #link: Link | undefined;
  /** How initialisation went, and how the process ended: both may come before somebody asks. */
  #init: InitEnding | undefined;
  #failure: Failure | undefined;
  #initWaiter: ((ending: InitEnding) => void) | undefined;
  #answerWaiter: ((ending: Ending) => void) | undefined;
  readonly #isFailed = Promise.withResolvers<void>();
  #isOver = false;
  /** It has had an invocation: initialisation has more CPU than the function will have. */
  #isLimited = false;

  /** Resolves when the first process has been started. Throws SandboxError. */
  static async start(options: RuntimeProcessOptions): Promise<RuntimeProcess> {
    const { sandbox, command, externalExtensions } = options;
    // It is on its way while the rest is made here.
    const starting = externalExtensions.length === 0 ? sandbox.startMain(command) : sandbox.openEmpty();
    const run = new RuntimeProcess(options);
    const main = await starting;
    if (main === undefined) void run.#startBesideExtensions().catch((cause: unknown) => run.#notStarted(cause));
    else run.#attach(main);
    return run;
  }

  private constructor(options: RuntimeProcessOptions) {
    const { sandbox, clock, protocol, settings, command, telemetry, subscribed } = options;
    this.#options = options;
    this.#sandbox = sandbox;
    this.extensions = new Extensions({
      clock,
      variables: command.env,
      spawn: (process) => sandbox.spawn(process),
      output: (process) => sandbox.readExtension(process),
      notice: options.extensionNotice,
      failed: (failure) => this.#onExtensionFailure(failure),
    });
    this.#api = protocol === "runtime-api" ? new RuntimeApi(this) : undefined;
    if (this.#api !== undefined) sandbox.api.serve(RUNTIME_API_VERSION, this.#api);
    sandbox.api.serve(EXTENSIONS_API_VERSION, new ExtensionsApi(this.extensions, settings));
    const token = command.env["AWS_LAMBDA_METADATA_TOKEN"] ?? "";
    sandbox.api.serve(METADATA_API_VERSION, new MetadataApi(settings.region, token));
    const { extensions } = this;
    for (const version of [...TELEMETRY_API_VERSIONS, LOGS_API_VERSION])
      sandbox.api.serve(version, new TelemetryApi({ extensions, telemetry, subscribed }, version));
  }

  /** Told by `initialised`. */
  #notStarted(cause: unknown): void {
    this.broken(`it could not be started: ${String(cause)}`);
    this.#fail({ kind: "exited", exit: { signal: "SIGKILL", outOfMemory: false } });
  }

  /** The runtime begins when every external extension has registered. */
  async #startBesideExtensions(): Promise<void> {
    await this.extensions.launch(this.#options.externalExtensions);
    await this.extensions.registered();
    if (this.#isOver || this.#failure !== undefined) return;
    this.#attach(await this.#sandbox.startMain(this.#options.command));
  }

  #attach(main: MainProcess): void {
    const { clock, settings } = this.#options;
    const { control, isBooting } = main;
    this.#main = main;
    if (this.#isOver) return main.signal("SIGKILL");
    this.#link = this.#api ?? controlLink({ control, handler: settings.handler, isBooting, clock, events: this });
    if (this.#api === undefined) void this.#link.ended.then(() => this.#onSilence(main));
    else control.on("error", () => undefined /* nothing is said there, so nothing is lost */).resume();
    void this.#watch(main, this.#link);
  }

  initialised(limitMs: number): Promise<InitEnding> {
    const known = this.#init ?? this.#failure;
    if (known !== undefined) return Promise.resolve(known);
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
    if (this.#failure !== undefined) return Promise.resolve(this.#failure);
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(limitMs, () => {
        this.#link?.abandon();
        this.#answerWaiter?.({ kind: "timed-out" });
      });
      this.#answerWaiter = (ending) => {
        timer.cancel();
        this.#answerWaiter = undefined;
        resolve(ending);
      };
      this.#sandbox.begin();
      const { deadlineMs, requestId, invokedArn, traceHeader } = invocation;
      if (this.extensions.count > 0) this.extensions.invoke({ deadlineMs, requestId, invokedFunctionArn: invokedArn, traceHeader });
      this.#link?.send(invocation);
      this.#limitCpu();
    });
  }

  /**
   * Whether the runtime can take an invocation. After an answer it may still have to do before it asks for the next one, or it may
   * end: a promise resolves when that is known, with false at the latest after `limitMs`.
   */
  rested(limitMs: number): true | Promise<boolean> {
    const rest = this.#link?.rest();
    if (rest === undefined && this.extensions.areReady && this.#failure === undefined) return true;
    const isLate = Promise.withResolvers<boolean>();
    const timer = this.#options.clock.after(limitMs, () => isLate.resolve(false));
    const failed = this.#isFailed.promise.then(() => false);
    const all = Promise.all([rest, this.extensions.ready()]).then(() => true);
    return Promise.race([failed, all, isLate.promise]).finally(() => timer.cancel());
  }

  /** Whether the runtime, its extensions aside, can take an invocation. */
  get isReady(): boolean {
    return this.#link?.rest() === undefined;
  }

  /** How long from now until the runtime can take an invocation, its extensions aside: 0 when it can. Undefined: not within `limitMs`, or never. */
  async overheadMs(limitMs: number): Promise<number | undefined> {
    const rest = this.#link?.rest();
    if (rest === undefined) return 0;
    const { clock } = this.#options;
    const startedMs = clock.monotonic();
    const asked = rest.then(() => clock.monotonic() - startedMs);
    const failed = this.#isFailed.promise.then(() => undefined);
    return await within(clock, limitMs, Promise.race([asked, failed]), () => new Error("late")).catch(() => undefined);
  }

  /** The first thing that went wrong with it, if anything did. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** Resolves when its processes have ended as gently as they may: what is left is to be killed. */
  async shutDown(reason: ShutdownReason): Promise<void> {
    this.#isOver = true;
    await this.extensions.shutDown(reason, this.#main, () => this.#options.telemetry.hurry());
  }

  /** Its processes have been killed. */
  close(): void {
    this.#isOver = true;
    this.#link?.close();
  }

  async #watch(main: MainProcess, link: Link): Promise<void> {
    const exit = await main.exited;
    const late = () => new SandboxError(`sandbox ${this.#sandbox.id} has ended, its socket has not`);
    await within(this.#options.clock, LAST_WORDS_MS, link.ended, late).catch((cause: unknown) => this.strange(String(cause)));
    this.#fail({ kind: "exited", exit: this.#named(exit) });
  }

  #named(exit: SandboxExit): SandboxExit {
    if (exit.problem === undefined) return exit;
    return { ...exit, problem: `fork/exec ${this.#options.command.argv[0]}: ${exit.problem}` };
  }

  #onExtensionFailure(failure: ExtensionFailure): void {
    this.#fail({ kind: "extension-failed", ...failure, isInit: this.#init?.kind !== "ready" });
  }

  #fail(failure: Failure): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#isFailed.resolve();
    this.#initWaiter?.(failure);
    this.#answerWaiter?.(failure);
    if (!this.#isOver) this.#options.ended();
  }

  #onSilence(main: MainProcess): void {
    const timer = this.#options.clock.after(EXIT_MS_MAX, () => this.broken("the runtime closed its control socket"));
    void main.exited.then(() => timer.cancel());
  }

  ready(): void {
    this.extensions.closeRegistration();
    if (this.extensions.count === 0) return this.#onReady();
    void this.extensions.ready().then(() => {
      if (this.#isOver || this.#failure !== undefined) return;
      this.extensions.tell();
      this.#onReady();
    });
  }

  #onReady(): void {
    this.#options.telemetry.closeRegistration();
    this.#initEnds({ kind: "ready" });
  }

  /** Behind the first invocation, not before: the handler may have a millisecond at full speed. A share that can't be set ends the environment. */
  #limitCpu(): void {
    if (this.#isLimited) return;
    this.#isLimited = true;
    void this.#sandbox.limitCpu(this.#options.cpuMillis).catch((cause: unknown) => {
      if (this.#failure === undefined && !this.#isOver) this.broken(`its CPU could not be limited: ${String(cause)}`);
    });
  }

  initFailed(errorType: string, payload: Uint8Array): void {
    this.#initEnds({ kind: "init-failed", errorType, payload });
  }

  #initEnds(ending: InitEnding): void {
    this.#init ??= ending;
    this.#initWaiter?.(ending);
  }

  answered(answer: Answer): void {
    this.#answerWaiter?.(answer);
  }

  log(timestampMs: number, text: string): void {
    this.#sandbox.log(timestampMs, text);
  }

  strange(message: string): void {
    this.#sandbox.strange(message);
  }

  broken(message: string): void {
    if (!this.#isOver) this.#sandbox.broken(message);
  }
}
