// Compiles functions' own code in the background, one directory at a time: when it was deployed, and when a cold start finds it not done.
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { codeTrees, compileTree, isCompiled, isWorthCompiling, type CodeTree } from "../runtime/compiled-code.ts";
import type { RuntimeLayout } from "../runtime/settings.ts";
import type { SandboxHost } from "../sandbox/sandbox.ts";
import type { Deployment } from "./invocation.ts";

export interface CompilationOptions {
  readonly sandboxes: SandboxHost;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the machine has memory to spare. */
  readonly hasMemory: () => boolean;
}

interface Wanted {
  readonly tree: CodeTree;
  readonly layout: RuntimeLayout;
}

/** The invocation that asks, and the sandbox that is prepared behind it, come first. */
const AFTER_MS = 100;
/** What comes beyond it is asked for again by the next cold start. */
const QUEUE_MAX = 1000;
const LEFT_ALONE_MAX = 10_000;

export class Compilation {
  readonly #options: CompilationOptions;
  /** By the file that is to be made. */
  readonly #wanted = new Map<string, Wanted>();
  /** Too small to gain by it, or it has failed: what is in a directory does not change. */
  readonly #leftAlone = new Set<string>();
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #working: Promise<void> | undefined;

  constructor(options: CompilationOptions) {
    this.#options = options;
  }

  /** Returns at once: nobody waits for it. */
  want(deployment: Deployment, layout: RuntimeLayout): void {
    if (this.#stopping.signal.aborted) return;
    for (const tree of codeTrees(deployment, layout))
      if (!this.#leftAlone.has(tree.compiled) && this.#wanted.size < QUEUE_MAX) this.#wanted.set(tree.compiled, { tree, layout });
    if (this.#wanted.size > 0 && this.#working === undefined) this.#workLater();
  }

  /** Resolves when nothing is being compiled any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timer?.cancel();
    this.#wanted.clear();
    await this.#working;
  }

  #workLater(): void {
    this.#timer ??= this.#options.clock.after(AFTER_MS, () => {
      this.#timer = undefined;
      this.#working = this.#work().finally(() => {
        this.#working = undefined;
        if (this.#wanted.size > 0) this.#workLater();
      });
    });
  }

  async #work(): Promise<void> {
    for (const [key, wanted] of this.#wanted) {
      await this.#compile(wanted);
      this.#wanted.delete(key);
    }
  }

  async #compile({ tree, layout }: Wanted): Promise<void> {
    const { sandboxes, clock, log, hasMemory } = this.#options;
    const { signal } = this.#stopping;
    try {
      if (await isCompiled(tree)) return;
      if (!(await isWorthCompiling(tree))) return this.#leaveAlone(tree);
      if (signal.aborted || !hasMemory()) return;
      await compileTree(tree, layout, { sandboxes, clock, signal });
    } catch (cause) {
      if (signal.aborted) return;
      log.warn("a function's code could not be compiled ahead", { directory: tree.directory, cause });
      this.#leaveAlone(tree);
    }
  }

  #leaveAlone({ compiled }: CodeTree): void {
    if (this.#leftAlone.size >= LEFT_ALONE_MAX) this.#leftAlone.clear();
    this.#leftAlone.add(compiled);
  }
}
