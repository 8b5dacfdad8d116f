// The extensions of one run of a runtime: who they are, what each is doing, and when all of them are done with something.
import { randomUUID } from "node:crypto";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { ProcessSpec, SandboxExit, SandboxProcess } from "../sandbox/sandbox.ts";
import type { Refusal } from "./api-replies.ts";
import { signalText } from "./failures.ts";
import type { FunctionSettings } from "./settings.ts";
import { within } from "../base/within.ts";

export type ExtensionEventType = "INVOKE" | "SHUTDOWN";
export type ShutdownReason = "SPINDOWN" | "TIMEOUT" | "FAILURE";
/** RAPID's names. */
type ExtensionState = "Started" | "Registered" | "Ready" | "Running" | "InitError" | "ExitError" | "LaunchError" | "Exited";

export const EXTENSIONS_MAX = 10;
const NAME_LENGTH_MAX = 128;
const DIRECTORY = "/opt/extensions";
/** https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html: the shutdown phase. */
const SHUTDOWN_MS = { external: 2000, internal: 500 } as const;
/** Of that time, the runtime's share where extensions come after it; as RAPID has it. */
const RUNTIME_SHARE = 0.3;

/** What becomes of the environment when an extension fails. */
export interface ExtensionFailure {
  readonly errorType: "Extension.LaunchError" | "Extension.InitError" | "Extension.ExitError" | "Extension.Crash";
  readonly text: string;
}

/** As the log and the Telemetry API tell it. */
export interface ExtensionNotice {
  readonly name: string;
  readonly state: ExtensionState;
  readonly events: readonly ExtensionEventType[];
  readonly errorType?: string;
}

export interface InvokeEvent {
  readonly deadlineMs: number;
  readonly requestId: string;
  readonly invokedFunctionArn: string;
  readonly traceHeader: string;
}

export interface Extension {
  readonly name: string;
  readonly id: string;
  readonly isExternal: boolean;
  events: readonly ExtensionEventType[];
  state: ExtensionState;
  /** Takes its next event: it has asked for one. */
  deliver: ((event: object) => void) | undefined;
  /** It gets this when it asks. */
  pending: object | undefined;
  process: SandboxProcess | undefined;
}

export interface ExtensionsOptions {
  readonly clock: Clock;
  readonly spawn: (process: ProcessSpec) => Promise<SandboxProcess>;
  /** Of the function; extensions see fewer. */
  readonly variables: Readonly<Record<string, string>>;
  /** What a process writes. */
  readonly output: (process: SandboxProcess) => void;
  readonly notice: (notice: ExtensionNotice) => void;
  /** Called once, with the first failure; not while they are being shut down. */
  readonly failed: (failure: ExtensionFailure) => void;
}

/**
 * Names of the function's external extensions, as its layers or its image have them. Links are not followed: on this host they would lead to its
 * own directories.
 */
export async function externalExtensions(
  settings: Pick<FunctionSettings, "codeDirectory" | "layersDirectory" | "image">,
): Promise<readonly string[]> {
  const opt = settings.image === undefined ? settings.layersDirectory : join(settings.codeDirectory, "opt");
  if (opt === undefined || !(await isDirectory(opt)) || !(await isDirectory(join(opt, "extensions")))) return [];
  const entries = await readdir(join(opt, "extensions"), { withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true;
}

const WITHHELD = /^(?:_.*|AWS_XRAY_.*|AWS_EXECUTION_ENV|AWS_LAMBDA_LOG_(?:GROUP|STREAM)_NAME|LAMBDA_(?:TASK_ROOT|RUNTIME_DIR))$/;

export function extensionVariables(variables: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !WITHHELD.test(name)));
}

const forbidden = (errorType: string, errorMessage: string): Refusal => ({ status: 403, errorType, errorMessage });

/** `called`: its name when it registers, its identifier afterwards. */
function outOfTurn({ state }: Extension, to: string, called: string): Refusal {
  const errorMessage = `State transition from ${state} to ${to} failed for extension ${called}. Error: State transition is not allowed`;
  return forbidden("Extension.InvalidExtensionState", errorMessage);
}

/** As RAPID words it. */
function crashText({ code, signal, outOfMemory }: SandboxExit): string {
  if (outOfMemory) return "signal: killed";
  if (signal !== undefined) return `signal: ${signalText(signal)}`;
  return code === 0 || code === undefined ? "exit code 0" : `exit status ${code}`;
}

export class Extensions {
  readonly #options: ExtensionsOptions;
  readonly #all: Extension[] = [];
  #waiters: { readonly isSo: () => boolean; readonly resolve: () => void }[] = [];
  #isOpen = true;
  #isOver = false;

  constructor(options: ExtensionsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#all.length;
  }

  find(id: string): Extension | undefined {
    return this.#all.find((one) => one.id === id && one.state !== "Started");
  }

  /** Starts the external ones. Throws SandboxError. */
  async launch(names: readonly string[]): Promise<void> {
    if (names.length > EXTENSIONS_MAX) return this.#fail({ errorType: "Extension.LaunchError", text: "TooManyExtensions" });
    for (const name of names) this.#all.push(extension(name, true));
    await Promise.all(this.#all.map((one) => this.#launch(one)));
  }

  async #launch(one: Extension): Promise<void> {
    const { spawn, variables, output } = this.#options;
    const argv = [`${DIRECTORY}/${one.name}`];
    const process = await spawn({ role: "beside", argv, env: extensionVariables(variables), workingDirectory: "/" });
    one.process = process;
    output(process);
    void process.exited.then((exit) => this.#onExit(one, exit));
  }

  #onExit(one: Extension, exit: SandboxExit): void {
    const hasTold = one.state === "InitError" || one.state === "ExitError";
    if (exit.problem !== undefined) {
      one.state = "LaunchError";
      this.#notice(one, exit.problem === "permission denied" ? "PermissionDenied" : "UnknownError");
      this.#fail({ errorType: "Extension.LaunchError", text: `fork/exec ${DIRECTORY}/${one.name}: ${exit.problem}` });
    } else if (!hasTold) {
      one.state = "Exited";
      this.#fail({ errorType: "Extension.Crash", text: crashText(exit) });
    }
    this.#changed();
  }

  register(name: string, events: readonly ExtensionEventType[]): Extension | Refusal {
    const known = this.#all.find((one) => one.name === name);
    if (known?.isExternal === false) return forbidden("Extension.InvalidExtensionState", "Extension with this name already registered");
    if (known !== undefined && known.state !== "Started") return outOfTurn(known, "Registered", name);
    if (known === undefined && !this.#isOpen) return forbidden("Extension.RegistrationClosed", "Extension registration closed already");
    if (name.length > NAME_LENGTH_MAX) return forbidden("Extension.InvalidExtensionName", "Extension name is too long");
    if (known === undefined && events.includes("SHUTDOWN"))
      return forbidden("Extension.InvalidEventType", "SHUTDOWN: event is not supported for internal extensions");
    if (known === undefined && this.#all.length >= EXTENSIONS_MAX)
      return forbidden("Extension.TooManyExtensions", `Extension limit (${EXTENSIONS_MAX}) reached`);
    const one = known ?? extension(name, false);
    if (known === undefined) this.#all.push(one);
    one.events = events;
    one.state = "Registered";
    this.#changed();
    return one;
  }

  /** The runtime waits for its first invocation: who is not here by now comes too late. */
  closeRegistration(): void {
    this.#isOpen = false;
  }

  /** It asks for its next event, which `deliver` takes when it comes; `cancel` when nobody listens any more. */
  next(one: Extension, deliver: (event: object) => void): Refusal | { readonly cancel: () => void } {
    if (one.state !== "Registered" && one.state !== "Running" && one.state !== "Ready") return outOfTurn(one, "Ready", one.id);
    one.state = "Ready";
    one.deliver = deliver;
    const { pending } = one;
    one.pending = undefined;
    if (pending !== undefined) this.#give(one, pending);
    this.#changed();
    return {
      cancel: () => {
        if (one.deliver === deliver) one.deliver = undefined;
      },
    };
  }

  /** It says that it can't go on. */
  fails(one: Extension, phase: "init" | "exit", errorType: string): Refusal | undefined {
    const state = phase === "init" ? "InitError" : "ExitError";
    if (one.state === "InitError" || one.state === "ExitError" || (phase === "init" && one.state !== "Registered"))
      return outOfTurn(one, state, one.id);
    one.state = state;
    this.#notice(one, errorType);
    this.#fail({ errorType: `Extension.${state}`, text: errorType });
    return undefined;
  }

  /** Resolves when all external ones have registered. */
  registered(): Promise<void> {
    return this.#until(() => this.#all.every(({ state }) => state !== "Started"));
  }

  /** Whether all have asked for their next event. */
  get areReady(): boolean {
    return this.#all.every(({ state }) => state === "Ready");
  }

  ready(): Promise<void> {
    return this.#until(() => this.areReady);
  }

  /** What each has come to, at the end of the initialisation. */
  tell(): void {
    for (const one of this.#all) this.#notice(one);
  }

  invoke({ deadlineMs, requestId, invokedFunctionArn, traceHeader }: InvokeEvent): void {
    const tracing = { type: "X-Amzn-Trace-Id", value: traceHeader };
    const event = { eventType: "INVOKE", deadlineMs: Math.floor(deadlineMs), requestId, invokedFunctionArn, tracing };
    for (const one of this.#all) if (one.events.includes("INVOKE")) this.#give(one, event);
  }

  /**
   * The end of all processes, as gently as AWS has it: the runtime first, while the last telemetry is delivered, then whoever has registered
   * for SHUTDOWN. Resolves when they have ended or their time is over; what is left is the caller's to kill.
   */
  async shutDown(
    reason: ShutdownReason,
    runtime: Pick<SandboxProcess, "exited" | "signal"> | undefined,
    telemetry: () => Promise<void>,
  ): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const { clock } = this.#options;
    const external = this.#all.filter(({ process }) => process !== undefined);
    if (this.#all.length === 0) return;
    const limitMs = external.length > 0 ? SHUTDOWN_MS.external : SHUTDOWN_MS.internal;
    const startedMs = clock.monotonic();
    const deadlineMs = Math.floor(clock.now() + limitMs);
    const delivered = telemetry();
    runtime?.signal(reason === "SPINDOWN" ? "SIGTERM" : "SIGKILL");
    await this.#atMost(external.length > 0 ? limitMs * RUNTIME_SHARE : limitMs, Promise.all([runtime?.exited, delivered]));
    runtime?.signal("SIGKILL");
    for (const one of external)
      if (one.events.includes("SHUTDOWN")) this.#give(one, { eventType: "SHUTDOWN", shutdownReason: reason, deadlineMs });
      else one.process?.signal("SIGKILL");
    const ended = Promise.all(external.flatMap(({ process }) => (process === undefined ? [] : [process.exited])));
    await this.#atMost(limitMs - (clock.monotonic() - startedMs), ended);
  }

  async #atMost(limitMs: number, work: Promise<unknown>): Promise<void> {
    await within(this.#options.clock, Math.max(0, limitMs), work, () => new Error("late")).catch(() => undefined);
  }

  #give(one: Extension, event: object): void {
    const { deliver } = one;
    one.deliver = undefined;
    if (one.state === "Ready") one.state = "Running";
    if (deliver === undefined) one.pending = event;
    else deliver(event);
  }

  #notice({ name, state, events }: Extension, errorType?: string): void {
    this.#options.notice({ name, state, events, ...(errorType === undefined ? {} : { errorType }) });
  }

  #fail(failure: ExtensionFailure): void {
    if (this.#isOver) return;
    this.#options.failed(failure);
  }

  #until(isSo: () => boolean): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve) => void this.#waiters.push({ isSo, resolve }));
  }

  #changed(): void {
    this.#waiters = this.#waiters.filter(({ isSo, resolve }) => {
      const isWaiting = !isSo();
      if (!isWaiting) resolve();
      return isWaiting;
    });
  }
}

function extension(name: string, isExternal: boolean): Extension {
  return { name, id: randomUUID(), isExternal, events: [], state: "Started", deliver: undefined, pending: undefined, process: undefined };
}
