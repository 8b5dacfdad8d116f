// Sandboxes whose runtime has booted before anybody asked, frozen and without code: a cold start that finds one takes milliseconds.
import { randomBytes } from "node:crypto";
import { backoffMs } from "../base/backoff.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { lateEars, type LateBinding, type PreparedSandbox, type PreparedSandboxes, type SandboxKind } from "../runtime/late-binding.ts";
import { within } from "../base/within.ts";
import { encodeFrame, FrameReader, frameType } from "../sandbox/control-frames.ts";
import { SandboxError, type Sandbox, type SandboxHost } from "../sandbox/sandbox.ts";
import type { Spare } from "./pool.ts";

export interface PreparedOptions {
  readonly sandboxes: SandboxHost;
  readonly clock: Clock;
  readonly log: Log;
  /** Of all kinds together; 0 switches it off. */
  readonly preparedMax: number;
  /** A kind that nobody has used for so long is kept no more. */
  readonly keepMs: number;
  /** Whether the machine has memory to spare. */
  readonly hasMemory: () => boolean;
  /** Whether there is room for one more besides those that are counted here. */
  readonly hasRoom: () => boolean;
  /** Whether an environment waits for room. */
  readonly isShort: () => boolean;
  /** `count` has become less. */
  readonly freed: () => void;
  /** One is ready. */
  readonly made: () => void;
}

interface Line {
  readonly kind: SandboxKind;
  readonly ready: PreparedSandbox[];
  usedMs: number;
  /** In a row, without one that was of use. */
  failures: number;
  retry: Timer | undefined;
}

const KIND_MAX = 2;
/** The invocation that has just taken one comes first. */
const REFILL_AFTER_MS = 20;
const RETRY_MS = { first: 1000, max: 60_000 } as const;
const BOOT_MS_MAX = 30_000;
const SWEEP_MS = 30_000;

export class PreparedPool implements PreparedSandboxes, Spare {
  readonly #options: PreparedOptions;
  /** The kind that was used last comes last. */
  readonly #lines = new Map<string, Line>();
  readonly #ending = new Set<Promise<void>>();
  #making: Promise<void> | undefined;
  #refill: Timer | undefined;
  #sweep: Timer | undefined;
  #taken = 0;
  #isStopping = false;

  constructor(options: PreparedOptions) {
    this.#options = options;
  }

  /** Those included that are being made or destroyed. */
  get count(): number {
    return this.ready + this.#ending.size + (this.#making === undefined ? 0 : 1);
  }

  get ending(): number {
    return this.#ending.size;
  }

  get ready(): number {
    let ready = 0;
    for (const line of this.#lines.values()) ready += line.ready.length;
    return ready;
  }

  /** How many were of use so far. */
  get taken(): number {
    return this.#taken;
  }

  /** Somebody is going to ask for one. */
  expect(kind: SandboxKind): void {
    this.#use(kind);
  }

  take([best, ...others]: LateBinding["kinds"]): PreparedSandbox | undefined {
    for (const line of [this.#use(best), ...others.map(({ key }) => this.#lines.get(key))]) {
      const prepared = line?.ready.shift();
      if (line === undefined || prepared === undefined) continue;
      this.#taken++;
      line.failures = 0;
      this.#options.freed();
      return prepared;
    }
    return undefined;
  }

  /** Undefined: none are kept. */
  #use(kind: SandboxKind): Line | undefined {
    const { clock, preparedMax, keepMs } = this.#options;
    if (preparedMax === 0 || this.#isStopping) return undefined;
    const line = this.#lines.get(kind.key) ?? { kind, ready: [], usedMs: 0, failures: 0, retry: undefined };
    line.usedMs = clock.monotonic();
    this.#lines.delete(kind.key);
    this.#lines.set(kind.key, line);
    this.#refillLater();
    this.#sweep ??= clock.after(Math.min(keepMs, SWEEP_MS), () => this.#expire());
    return line;
  }

  /** Gives up the one that is likely to be of the least use; `freed` tells when it is gone. False: there is none. */
  drop(): boolean {
    for (const { ready } of this.#lines.values()) {
      const last = ready.pop();
      if (last === undefined) continue;
      this.#end(last.sandbox);
      return true;
    }
    return false;
  }

  /** Resolves when nothing is left. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#refill?.cancel();
    this.#sweep?.cancel();
    for (const line of this.#lines.values()) line.retry?.cancel();
    while (this.drop()) continue;
    this.#lines.clear();
    await this.#making;
    await Promise.all(this.#ending);
  }

  #refillLater(): void {
    this.#refill ??= this.#options.clock.after(REFILL_AFTER_MS, () => {
      this.#refill = undefined;
      this.#makeNext();
    });
  }

  /** One at a time, for the kind that was used last. */
  #makeNext(): void {
    const { preparedMax, hasRoom, hasMemory } = this.#options;
    if (this.#isStopping || this.#making !== undefined) return;
    const line = [...this.#lines.values()].findLast(({ ready, retry }) => ready.length < KIND_MAX && retry === undefined);
    if (line === undefined || !hasMemory()) return;
    // Full of other kinds: the one that nobody has used for longest makes way, unless that is this one.
    if (this.count >= preparedMax) return void (this.#hasOlder(line) && this.drop());
    if (!hasRoom()) return;
    this.#making = this.#make(line).then(
      (prepared) => this.#made(line, prepared),
      (cause: unknown) => {
        this.#making = undefined;
        this.#failed(line, cause);
      },
    );
  }

  #hasOlder(line: Line): boolean {
    const used = [...this.#lines.values()];
    return used.slice(0, used.indexOf(line)).some(({ ready }) => ready.length > 0);
  }

  async #make({ kind }: Line): Promise<PreparedSandbox> {
    const { sandboxes, clock } = this.#options;
    const { connect, ...ears } = lateEars(kind.ports);
    const sandbox = await sandboxes.start({ ...kind.spec, ...ears, id: `prepared-${randomBytes(8).toString("hex")}` });
    try {
      await within(clock, BOOT_MS_MAX, booted(sandbox, kind), () => new SandboxError("a prepared runtime did not boot in time"));
      await sandbox.freeze();
      return { sandbox, connect };
    } catch (cause) {
      await sandbox.kill();
      throw cause;
    }
  }

  #made(line: Line, prepared: PreparedSandbox): void {
    this.#making = undefined;
    void prepared.sandbox.exited.then(() => this.#lost(line, prepared));
    line.ready.push(prepared);
    if (this.#isStopping || this.#lines.get(line.kind.key) !== line) {
      line.ready.pop();
      this.#end(prepared.sandbox);
    } else if (this.#options.isShort()) this.drop();
    else this.#options.made();
    this.#makeNext();
  }

  #lost(line: Line, prepared: PreparedSandbox): void {
    const index = line.ready.indexOf(prepared);
    if (index < 0) return;
    line.ready.splice(index, 1);
    this.#end(prepared.sandbox);
    this.#failed(line, new SandboxError(`prepared sandbox ${prepared.sandbox.id} has ended`));
  }

  #failed(line: Line, cause: unknown): void {
    line.failures++;
    this.#options.log.warn("a sandbox could not be kept ready", { cause });
    this.#options.freed();
    if (this.#isStopping) return;
    line.retry ??= this.#options.clock.after(backoffMs(line.failures, RETRY_MS.first, RETRY_MS.max), () => {
      line.retry = undefined;
      this.#makeNext();
    });
    this.#makeNext();
  }

  #end(sandbox: Sandbox): void {
    const { log, freed } = this.#options;
    const ending = sandbox
      .kill()
      .catch((cause: unknown) => log.error("a prepared sandbox could not be destroyed", { cause }))
      .then(() => {
        this.#ending.delete(ending);
        freed();
        this.#makeNext();
      });
    this.#ending.add(ending);
  }

  #expire(): void {
    const { clock, keepMs, hasMemory } = this.#options;
    const now = clock.monotonic();
    const isShort = !hasMemory();
    for (const [key, { ready, usedMs, retry }] of this.#lines) {
      if (!isShort && now - usedMs < keepMs) continue;
      for (const { sandbox } of ready.splice(0)) this.#end(sandbox);
      if (now - usedMs < keepMs) continue;
      retry?.cancel();
      this.#lines.delete(key);
    }
    this.#makeNext();
    this.#sweep = this.#lines.size === 0 ? undefined : clock.after(Math.min(keepMs, SWEEP_MS), () => this.#expire());
  }
}

/** Asks the bootstrap whether it waits; what it answers shows that it reads, runs and writes. */
async function booted(sandbox: Sandbox, { loads }: SandboxKind): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const strange = () => reject(new SandboxError("a runtime that is to wait does something else"));
  const reader = new FrameReader(
    { frame: (type) => (type === frameType("W") ? resolve() : strange()), oversize: strange, broken: strange },
    () => ({ bytesMax: 64, beyond: "skip" }),
  );
  const take = (chunk: Buffer) => reader.push(chunk);
  void sandbox.exited.then(strange);
  sandbox.control.on("data", take);
  for (const piece of encodeFrame("P", loads === undefined ? {} : { loads })) sandbox.control.write(piece);
  try {
    await promise;
  } finally {
    sandbox.control.off("data", take);
    sandbox.control.pause();
  }
}
