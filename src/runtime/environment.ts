// The life of one execution environment: a table of legal transitions, and what happens in each state.
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock, Timer } from "../base/clock.ts";
import { randomHex } from "../base/id.ts";
import type { Log } from "../base/log.ts";
import { ProgramError, SandboxError, type SandboxHost } from "../sandbox/sandbox.ts";
import { compiledMounts } from "./compiled-code.ts";
import { entrypointOf } from "./entrypoint.ts";
import { EnvironmentLog, LogTail, type LogRecord } from "./environment-log.ts";
import { EnvironmentReports } from "./environment-reports.ts";
import { EnvironmentSandbox } from "./environment-sandbox.ts";
import { externalExtensions, type ShutdownReason } from "./extensions.ts";
import { verdictOf, type Ending, type Verdict } from "./failures.ts";
import { imageEntrypoint } from "./image-entrypoint.ts";
import { lateBinding, type PreparedSandboxes } from "./late-binding.ts";
import type { LinkInvocation } from "./link.ts";
import type { InitializationType } from "./report.ts";
import { RuntimeProcess, type InitEnding } from "./runtime-process.ts";
import { cpuMillisOf, logStreamName, sandboxSpec } from "./sandbox-spec.ts";
import { usesSdk } from "./sdk-use.ts";
import type { FunctionSettings, RuntimeLayout, SessionCredentials } from "./settings.ts";
import {
  figuresOf,
  resultOf,
  timedResponse,
  type EnvironmentInvocation,
  type EnvironmentResult,
  type Figures,
  type Flight,
} from "./flight.ts";
import { Telemetry } from "./telemetry.ts";
import { lineageId, traceHeader } from "../base/trace-header.ts";
import { within } from "../base/within.ts";
import { XrayDaemon } from "./xray-daemon.ts";

/**
 * `resetting`: its processes are being ended after a timeout, an exit or a lack of memory; the sandbox stays, and /tmp with it.
 * `reset`: there is no runtime, for that reason, or since initialisation failed or is known to fail; it is made again within the invocation
 * that comes.
 */
export type EnvironmentState = "starting" | "initialising" | "idle" | "busy" | "resetting" | "reset" | "stopping" | "dead";

/** Every transition that is not here is a bug. */
export const LEGAL: Readonly<Record<EnvironmentState, readonly EnvironmentState[]>> = {
  starting: ["initialising", "reset", "stopping"],
  initialising: ["idle", "reset", "stopping"],
  idle: ["busy", "stopping"],
  reset: ["busy", "stopping"],
  busy: ["idle", "resetting", "stopping"],
  resetting: ["reset", "stopping"],
  stopping: ["dead"],
  dead: [],
};

/** AWS's limits of the init phase; where nobody waits for it, a function with a longer timeout has that. */
const INIT_MS_MAX = 10_000;
const PROVISIONED_INIT_MS_MAX = 130_000;
/** Credentials have to be good for longer than an invocation that begins now may last. */
const CREDENTIALS_MARGIN_MS = 60_000;
/** It takes a millisecond; an answer does not wait for a sandbox that is in trouble. */
const CLEAR_MS_MAX = 250;
/** So long before that another environment should be made ready in its place. */
const RENEWAL_MS = 300_000;

export interface EnvironmentOptions {
  /** Which deployment it belongs to, for whoever keeps environments. */
  readonly key: string;
  readonly settings: FunctionSettings;
  readonly layout: RuntimeLayout;
  readonly sandboxes: SandboxHost;
  /** Where its sandbox comes from when one that fits is ready. Absent: each is made anew. */
  readonly prepared?: PreparedSandboxes;
  readonly clock: Clock;
  readonly log: Log;
  credentials(): Promise<SessionCredentials>;
  readonly endpoint: { readonly port: number; onConnection(socket: Socket, sandboxId: string): void };
  readonly network: "endpoint" | "internet";
  /** Idle time after which the processes inside are frozen. */
  readonly freezeAfterMs: number;
  /** The last environment of this deployment failed to initialise: do not try ahead of the invocation. */
  readonly skipsInit: boolean;
  readonly initializationType: InitializationType;
  append(stream: string, records: readonly LogRecord[]): void;
  /** Takes the document of a segment that its function has sent; does not throw. */
  segment(document: string): void;
  readonly events: EnvironmentEvents;
}

export interface EnvironmentEvents {
  /** `mayWork`: the next environment of this deployment should be initialised ahead of its invocation. */
  initialised(environment: Environment, mayWork: boolean): void;
  /** An invocation has been answered, and the environment can take another. */
  released(environment: Environment): void;
  /** It will take no more invocations. */
  stopping(environment: Environment): void;
  /** Nothing of it is left. */
  dead(environment: Environment): void;
}

/** A program of the user's own that can't be run is the function's error, in AWS's words; everything else is trouble of this machine. */
function refusedProgram(cause: unknown): InitEnding {
  if (!(cause instanceof ProgramError) || !/^\/(?:var\/task|opt)\//.test(cause.program)) throw cause;
  return { kind: "no-entrypoint", problem: `fork/exec ${cause.program}: ${cause.reason.toLowerCase()}` };
}

export class Environment {
  readonly key: string;
  readonly logStream: string;
  readonly #options: EnvironmentOptions;
  readonly #id = randomHex(16);
  readonly #lineage: string;
  readonly #metadataToken = randomUUID();
  readonly #log: EnvironmentLog;
  readonly #telemetry: Telemetry;
  readonly #reports: EnvironmentReports;
  readonly #xrayDaemon: XrayDaemon;
  #state: EnvironmentState = "starting";
  #isRetired = false;
  #credentials: SessionCredentials | undefined;
  #sandbox: EnvironmentSandbox | undefined;
  /** The present run of its runtime. */
  #process: RuntimeProcess | undefined;
  #sandboxesMade = 0;
  #initMs: number | undefined;
  /** The end of the last invocation is being logged: the next one's output must come after it. */
  #ending: Promise<unknown> | undefined;
  /** After the last failure: its runtime is gone, and it can be used again, or not. */
  #cleared: Promise<void> | undefined;
  #freezeTimer: Timer | undefined;
  #frozen: Promise<void> | undefined;
  #isThawing = false;
  #booting: Promise<unknown> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: EnvironmentOptions) {
    this.#options = options;
    this.key = options.key;
    this.#lineage = lineageId(options.settings.functionArn);
    this.logStream = logStreamName(options.settings, options.clock.now(), this.#id);
    const append = (records: readonly LogRecord[]) => options.append(this.logStream, records);
    const { logging, tenantId } = options.settings;
    this.#log = new EnvironmentLog({ logging, clock: options.clock, append, ...(tenantId === undefined ? {} : { tenantId }) });
    this.#telemetry = new Telemetry({ clock: options.clock, isJson: logging.format === "JSON", dial: (port) => this.#dial(port) });
    this.#log.observer = this.#telemetry;
    const { layout, initializationType, clock, log } = options;
    const present = { functionLog: this.#log, stream: this.logStream, sandbox: () => this.#sandbox };
    this.#reports = new EnvironmentReports({ settings: options.settings, layout, initializationType, clock, log, ...present });
    const strange = (message: string) => this.#sandbox?.strange(message);
    this.#xrayDaemon = new XrayDaemon({ clock: options.clock, segment: (document) => options.segment(document), strange });
  }

  get state(): EnvironmentState {
    return this.#state;
  }

  /** May begin an invocation: not retired, and its credentials outlast one. */
  get isUsable(): boolean {
    return !this.#isRetired && (this.#state === "idle" || this.#state === "reset") && this.#usableMs() > 0;
  }

  /** It will not be usable for much longer: its credentials are old. */
  get isAgeing(): boolean {
    return this.#usableMs() <= RENEWAL_MS;
  }

  /** For how much longer an invocation may begin. */
  #usableMs(): number {
    const { clock, settings } = this.#options;
    return (this.#credentials?.expiresMs ?? Infinity) - CREDENTIALS_MARGIN_MS - settings.timeoutMs - clock.now();
  }

  /** The init phase. Resolves when an invocation can be given to it, also when that has to initialise again. Throws SandboxError. */
  async start(): Promise<void> {
    const { clock, settings, initializationType } = this.#options;
    this.#credentials = await this.#options.credentials();
    if (!this.#is("starting")) return;
    if (this.#options.skipsInit) return this.#enter("reset");
    this.#enter("initialising");
    this.#reports.initBegins("init");
    const startedMs = clock.monotonic();
    const isOnDemand = initializationType === "on-demand";
    const ending = await this.#boot(isOnDemand ? INIT_MS_MAX : Math.max(PROVISIONED_INIT_MS_MAX, settings.timeoutMs));
    const durationMs = clock.monotonic() - startedMs;
    await this.#sandbox?.drained();
    // It may have been stopped meanwhile: then this is no init that failed, and there is nothing to go on with.
    if (!this.#is("initialising")) return;
    this.#reportInit("init", ending, durationMs);
    if (ending.kind === "ready") {
      // What was initialised ahead is no part of the first invocation.
      if (isOnDemand) this.#initMs = durationMs;
      return this.#enter("idle");
    }
    this.#enter("reset");
    await this.#endRun("FAILURE");
  }

  async #dial(port: number): Promise<Duplex> {
    if (this.#sandbox === undefined) throw new SandboxError("there is no sandbox");
    return await this.#sandbox.dial(port);
  }

  /** Whether its runtime waits for an invocation; a promise when it is not known yet. One that is not is of no more use. */
  rested(): true | Promise<boolean> {
    return this.#process?.rested(this.#options.settings.timeoutMs) ?? true;
  }

  /** Runs one invocation; the caller has made sure that the environment is idle, or has just started it. Never rejects but for bugs. */
  async invoke(invocation: EnvironmentInvocation): Promise<EnvironmentResult> {
    if (this.#is("stopping") || this.#is("dead")) return this.#unavailable("the execution environment has been stopped");
    const repeatsInit = this.#is("reset");
    this.#enter("busy");
    this.#freezeTimer?.cancel();
    try {
      if (this.#ending !== undefined) await this.#ending;
      const stuck = this.#thaw();
      this.#telemetry.wake();
      const flight = this.#begin(invocation);
      const answered = repeatsInit ? this.#initAgain(flight) : this.#answer(flight);
      return await this.#finish(flight, await (stuck === undefined ? answered : Promise.race([answered, stuck])));
    } catch (cause) {
      if (!this.#is("busy")) return this.#unavailable("the execution environment was stopped");
      void this.stop();
      if (!(cause instanceof SandboxError)) throw cause;
      return { kind: "unavailable", code: "sandbox-failed", message: cause.message };
    }
  }

  /** Waits for its first invocation without one in sight: it is free, and frozen like any idle one. */
  standBy(): void {
    if (this.#isRetired) return void this.stop();
    this.#freezeLater();
    this.#options.events.released(this);
  }

  /** It is destroyed after the invocation that it has or is meant for; an idle one has none, and is its keeper's to stop. */
  retire(): void {
    this.#isRetired = true;
  }

  /** Destroys it now, whatever it does. Idempotent; resolves when nothing is left. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    this.#enter("stopping");
    this.#freezeTimer?.cancel();
    this.#options.events.stopping(this);
    try {
      await this.#spinDown();
      await this.#sandbox?.kill();
      // A sandbox that was being made is killed by who made it.
      await this.#booting?.catch(() => undefined);
      await this.#sandbox?.kill();
    } catch (cause) {
      this.#notDestroyed(cause);
    }
    this.#process?.close();
    this.#telemetry.close();
    this.#enter("dead");
    this.#options.events.dead(this);
  }

  #notDestroyed(cause: unknown): void {
    this.#options.log.error("an execution environment could not be destroyed", { stream: this.logStream, cause });
  }

  /** Extensions have a last word, and need to be awake for it. */
  async #spinDown(): Promise<void> {
    const process = this.#process;
    if (process === undefined || process.extensions.count === 0) return;
    await this.#ending;
    this.#thaw()?.catch(() => undefined); // one that can't be thawed is killed all the same
    await process.shutDown("SPINDOWN");
  }

  #enter(next: EnvironmentState): void {
    if (!LEGAL[this.#state].includes(next)) throw new Error(`an execution environment cannot go from ${this.#state} to ${next}`);
    this.#state = next;
  }

  #is(state: EnvironmentState): boolean {
    return this.#state === state;
  }

  #unavailable(message: string): EnvironmentResult {
    return { kind: "unavailable", code: "stopping", message };
  }

  #boot(limitMs: number): Promise<InitEnding> {
    const booting = this.#bootNow(limitMs).catch(refusedProgram);
    this.#booting = booting;
    return booting;
  }

  async #bootNow(limitMs: number): Promise<InitEnding> {
    const { settings, layout, sandboxes, prepared, clock, log, endpoint, network, initializationType } = this.#options;
    const found = settings.image === undefined ? await entrypointOf(layout, settings) : await imageEntrypoint(settings.image, settings);
    if ("problem" in found) return { kind: "no-entrypoint", ...found };
    const [external, compiled] = await Promise.all([externalExtensions(settings), compiledMounts(settings, layout)]);
    if (this.#credentials === undefined) throw new Error("an execution environment has credentials before it has a sandbox");
    const onDatagram = (bytes: Buffer) => this.#xrayDaemon.take(bytes);
    const own = { credentials: this.#credentials, logStream: this.logStream, metadataToken: this.#metadataToken };
    const given = { ...own, initializationType, compiled, onDatagram };
    const id = `${this.#id}-${this.#sandboxesMade}`;
    const spec = sandboxSpec({ id, settings, layout, argv: found.argv, endpoint, network, ...given });
    if (this.#sandbox === undefined) {
      const loads = prepared !== undefined && (await usesSdk(settings, layout)) ? layout.sdk : undefined;
      const late = prepared === undefined || external.length > 0 ? undefined : lateBinding(spec, settings, layout, loads);
      this.#sandbox = new EnvironmentSandbox({ sandboxes, clock, log, spec, late, prepared, output: this.#log });
      this.#sandboxesMade++;
    }
    const sandbox = this.#sandbox;
    const process = await RuntimeProcess.start({
      sandbox,
      clock,
      protocol: layout.protocol,
      settings,
      command: spec,
      externalExtensions: external,
      extensionNotice: (notice) => this.#log.platform({ kind: "extension", ...notice }),
      telemetry: this.#telemetry,
      subscribed: ({ api, name, types }) => this.#log.platform({ kind: "subscription", api, name, types }),
      cpuMillis: cpuMillisOf(settings.memoryMiB),
      ended: () => this.#onExit(),
    });
    this.#process = process;
    if (this.#is("stopping")) await sandbox.kill();
    return process.initialised(limitMs);
  }

  /** Ends the present run, and keeps the sandbox when that can be done. */
  async #endRun(reason: ShutdownReason): Promise<void> {
    const [process, sandbox] = [this.#process, this.#sandbox];
    this.#process = undefined;
    await process?.shutDown(reason);
    try {
      await sandbox?.clear();
    } catch (cause) {
      this.#options.log.debug("a sandbox could not be kept", { stream: this.logStream, cause });
      this.#sandbox = undefined;
      await sandbox?.kill().catch((remains: unknown) => this.#notDestroyed(remains));
    }
    process?.close();
    this.#telemetry.close();
  }

  /** A runtime that ends while nobody waits for it takes its environment along. */
  #onExit(): void {
    if (this.#is("idle")) void this.stop();
  }

  #reportInit(phase: "init" | "invoke", ending: InitEnding, durationMs: number): void {
    // A function's timeout is no proof that its init fails: with the init phase's own limit it may well work.
    this.#options.events.initialised(this, ending.kind === "ready" || (ending.kind === "timed-out" && phase === "invoke"));
    this.#reports.initEnds(phase, ending, durationMs);
  }

  /** Waits for nothing: what is sent meanwhile waits inside. Rejects when it can't be thawed, and settles in no other way; undefined: it is not frozen. */
  #thaw(): Promise<never> | undefined {
    if (this.#frozen === undefined) return undefined;
    this.#frozen = undefined;
    const stuck = Promise.withResolvers<never>();
    this.#isThawing = true;
    this.#sandbox?.thaw().then(
      () => (this.#isThawing = false),
      (cause: unknown) => stuck.reject(new SandboxError("the execution environment could not be thawed", { cause })),
    );
    return stuck.promise;
  }

  #begin(invocation: EnvironmentInvocation): Flight {
    const { clock, settings } = this.#options;
    const tail = invocation.wantsLogTail ? new LogTail() : undefined;
    const trace = traceHeader(invocation.traceHeader, this.#lineage, clock.now());
    this.#reports.begins(invocation.requestId, trace, tail);
    return { invocation, startedMs: clock.monotonic(), deadlineMs: clock.now() + settings.timeoutMs, traceHeader: trace, tail };
  }

  #leftMs(flight: Flight): number {
    const { clock, settings } = this.#options;
    return Math.max(0, settings.timeoutMs - (clock.monotonic() - flight.startedMs));
  }

  #answer(flight: Flight, limitMs: number = this.#options.settings.timeoutMs): Promise<Ending> {
    const { invocation, deadlineMs, traceHeader: trace } = flight;
    const { requestId, payload, invokedArn, clientContext, cognitoIdentity, response } = invocation;
    const { tenantId } = this.#options.settings;
    const sent: LinkInvocation = {
      requestId,
      deadlineMs,
      invokedArn,
      traceHeader: trace,
      ...(clientContext === undefined ? {} : { clientContext }),
      ...(cognitoIdentity === undefined ? {} : { cognitoIdentity }),
      ...(tenantId === undefined ? {} : { tenantId }),
      payload,
      ...(response === undefined ? {} : { response: timedResponse(flight, response, this.#options.clock) }),
    };
    const exited: Ending = { kind: "exited", exit: { outOfMemory: false } };
    return this.#process?.answer(sent, limitMs) ?? Promise.resolve(exited);
  }

  /** The init phase once more, within the invocation: its time counts as the function's, and the function's timeout is its limit. */
  async #initAgain(flight: Flight): Promise<Ending> {
    const { clock } = this.#options;
    const startedMs = clock.monotonic();
    this.#telemetry.begin();
    this.#reports.initBegins("invoke");
    const ending = await this.#boot(this.#leftMs(flight));
    if (!this.#is("busy")) return { kind: "timed-out" };
    if (ending.kind !== "ready") await this.#sandbox?.drained();
    this.#reportInit("invoke", ending, clock.monotonic() - startedMs);
    return ending.kind === "ready" ? this.#answer(flight, this.#leftMs(flight)) : ending;
  }

  async #finish(flight: Flight, ending: Ending): Promise<EnvironmentResult> {
    if (!this.#is("busy")) return this.#unavailable("the server stopped before the function had answered");
    if (ending.kind === "exited" && ending.exit.isLost === true) throw new SandboxError("the sandbox was lost with its launcher");
    if (ending.kind === "timed-out" && this.#isThawing) throw new SandboxError("the execution environment was not thawed in time");
    const { clock, settings } = this.#options;
    const { requestId } = flight.invocation;
    const verdict = verdictOf(ending, requestId, settings.timeoutMs);
    const figures = figuresOf(flight, verdict, clock.monotonic(), settings.timeoutMs, this.#initMs);
    const isDone = !verdict.survives || this.#isRested;
    const hasNoExtensions = (this.#process?.extensions.count ?? 0) === 0;
    const reported = isDone ? this.#complete(flight, verdict, figures) : this.#finishExtensions(flight, verdict, figures);
    if (flight.tail !== undefined) await reported;
    // Who invokes again at once finds /tmp as it was. Extensions may take their time for the end; nobody waits for them.
    if (!verdict.survives && hasNoExtensions && this.#cleared !== undefined)
      await within(clock, CLEAR_MS_MAX, this.#cleared, () => new Error("late")).catch(() => undefined);
    return resultOf(flight, verdict, figures, this.#reports.memoryPeakMiB);
  }

  /** Whether its extensions are done with the invocation, and the runtime as well if anybody wants to hear how long that took. */
  get #isRested(): boolean {
    const process = this.#process;
    if (process === undefined || process.extensions.count === 0) return true;
    return process.extensions.areReady && (!this.#telemetry.hasSubscribers || process.isReady);
  }

  /** The caller has its answer; the invocation is over when the extensions are done with it, within the function's timeout. */
  async #finishExtensions(flight: Flight, verdict: Verdict, answered: Figures): Promise<void> {
    const process = this.#process;
    const { clock, settings } = this.#options;
    const { requestId } = flight.invocation;
    const asking = process?.overheadMs(this.#leftMs(flight));
    await this.#sandbox?.drained();
    const overheadMs = await asking;
    const isTold = overheadMs !== undefined;
    if (isTold) this.#reports.runtimeDone(verdict, answered, overheadMs);
    const isRested = await process?.rested(this.#leftMs(flight));
    if (!this.#is("busy")) return;
    const late = isRested === true ? undefined : verdictOf(process?.failure ?? { kind: "timed-out" }, requestId, settings.timeoutMs);
    const last = late ?? verdict;
    await this.#complete(flight, last, figuresOf(flight, last, clock.monotonic(), settings.timeoutMs, this.#initMs), isTold);
  }

  /** Resolves when the last line is in the log; the environment goes on by itself. */
  #complete(flight: Flight, verdict: Verdict, figures: Figures, isRuntimeTold = false): Promise<void> {
    this.#initMs = undefined;
    const { ended, reported } = this.#reports.ends(flight, verdict, figures, isRuntimeTold);
    this.#ending = ended;
    this.#moveOn(verdict, reported);
    return reported;
  }

  /** Back to work, or to the end. Environments that go on are free at once: their next invocation waits for this one's log by itself. */
  #moveOn(verdict: Verdict, reported: Promise<void>): void {
    if (!verdict.survives) {
      this.#cleared = reported.then(() => this.#reset(verdict.cause === "timeout" ? "TIMEOUT" : "FAILURE"));
      return;
    }
    this.#enter("idle");
    const ending = this.#ending;
    void ending?.then(() => {
      if (this.#ending !== ending) return;
      this.#ending = undefined;
      if (this.#is("idle")) this.#freezeLater();
    });
    if (this.#isRetired) return void reported.then(() => this.stop());
    this.#options.events.released(this);
  }

  /**
   * The runtime has ended or has to; the next invocation makes it anew in the same sandbox. What was kept ready is made anew as a whole, so that
   * it is initialised again ahead of its next invocation.
   */
  async #reset(reason: ShutdownReason): Promise<void> {
    if (!this.#is("busy")) return;
    const isKept = this.#options.initializationType !== "on-demand";
    if (this.#isRetired || isKept || this.#sandbox === undefined) return this.stop();
    this.#ending = undefined;
    this.#enter("resetting");
    await this.#endRun(reason);
    if (!this.#is("resetting")) return;
    if (this.#sandbox === undefined || this.#isRetired) return this.stop();
    this.#enter("reset");
    this.#options.events.released(this);
  }

  #onRest(isRested: boolean): void {
    if (!this.#is("idle")) return;
    if (isRested) this.#freezeLater();
    else void this.stop();
  }

  #freezeLater(): void {
    this.#freezeTimer = this.#options.clock.after(this.#options.freezeAfterMs, () => {
      const [process, sandbox] = [this.#process, this.#sandbox];
      if (!this.#is("idle") || this.#frozen !== undefined || process === undefined || sandbox === undefined) return;
      // What a runtime does between its answer and its next request is work that it is to finish.
      const rested = process.rested(this.#options.settings.timeoutMs);
      if (rested !== true) return void rested.then((isRested) => this.#onRest(isRested));
      // What is on its way to an extension is taken by it first; nothing new sets out.
      const delivery = this.#telemetry.sleep();
      if (delivery !== undefined) return void delivery.then(() => this.#freezeLater());
      this.#frozen = sandbox.freeze().catch((cause: unknown) => {
        // What cannot be frozen would go on spending CPU time that nobody asked for.
        this.#options.log.error("an execution environment could not be frozen", { stream: this.logStream, cause });
        if (this.#is("idle")) void this.stop();
      });
    });
  }
}
