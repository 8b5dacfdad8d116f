// What nobody will receive any more: messages older than their queue keeps them, and those of queues that are no more.
import type { Clock, Timer } from "../../base/clock.ts";
import type { Mailboxes } from "../../store/mailboxes.ts";
import { numberOf } from "./attributes.ts";
import type { Queue, SqsParts } from "./model.ts";

/** Messages that one call of the store removes: so that it can do something else in between. */
const STEP = 1000;
const CHECK_MS = 60_000;

/** Removes what was sent until then. */
export async function emptyMailbox(mailboxes: Mailboxes, mailbox: string, untilMs: number): Promise<void> {
  while ((await mailboxes.expire(mailbox, untilMs, STEP)) === STEP);
}

export class Leftovers {
  readonly #parts: SqsParts;
  readonly #clock: Clock;
  /** Of queues that were deleted. */
  readonly #mailboxes = new Set<string>();
  #timer: Timer | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;

  constructor(parts: SqsParts) {
    this.#parts = parts;
    this.#clock = parts.clock;
    this.#run();
  }

  /** Removes the messages that the queue no longer keeps, so that they are not counted. */
  expire({ record }: Pick<Queue, "record">): Promise<void> {
    return emptyMailbox(this.#parts.mailboxes, record.mailbox, this.#clock.now() - numberOf({ record }, "MessageRetentionPeriod") * 1000);
  }

  /** Soon; the queue it belonged to is gone already. */
  remove(mailbox: string): void {
    this.#mailboxes.add(mailbox);
    this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #run(): void {
    if (this.#isStopped || this.#running !== undefined) return;
    this.#timer?.cancel();
    this.#running = this.#work().then(
      () => this.#ended(true),
      (cause: unknown) => {
        this.#parts.log.error("removing old messages failed; it is tried again in a minute", { cause });
        this.#ended(false);
      },
    );
  }

  /** What came meanwhile is removed at once, but not by a store that has just failed. */
  #ended(hasWorked: boolean): void {
    this.#running = undefined;
    if (this.#isStopped) return;
    if (hasWorked && this.#mailboxes.size > 0) this.#run();
    else this.#timer = this.#clock.after(CHECK_MS, () => this.#run());
  }

  async #work(): Promise<void> {
    const { mailboxes, queues } = this.#parts;
    // Those of other services have a slash in their names.
    const filled = (await mailboxes.names()).filter((name) => !name.includes("/"));
    const owned = new Map([...queues.all()].map(({ value }) => [value.mailbox, value]));
    for (const mailbox of new Set([...filled, ...this.#mailboxes])) {
      if (this.#isStopped) return;
      const record = owned.get(mailbox);
      if (record !== undefined) await this.expire({ record });
      else {
        await emptyMailbox(mailboxes, mailbox, Number.MAX_SAFE_INTEGER);
        await mailboxes.forget(mailbox);
      }
      this.#mailboxes.delete(mailbox);
    }
  }
}
