// FIFO topics: each has a mailbox, which keeps order in groups, drops duplicates and numbers; from there its messages go to queues, in order.
import { backoffMs } from "../../base/backoff.ts";
import type { Timer } from "../../base/clock.ts";
import type { Delivery } from "../../deliveries.ts";
import type { ReceivedMail } from "../../store/mailboxes.ts";
import { MANAGED_RETRY } from "./delivery-policy.ts";
import { deliveriesOf, type Publication } from "./fan-out.ts";
import { findTopic, type SnsParts, type Topic, type TopicName } from "./model.ts";
import type { Throttle } from "./throttle.ts";

const PREFIX = "sns/";
/** SNS drops what has been published before for five minutes. */
const DEDUPLICATION_MS = 300_000;
const VISIBILITY_MS = 60_000;
const CLAIMED_MAX = 1000;
const RECEIVED_AT_ONCE = 10;
const EMPTIED_AT_ONCE = 1000;
const BACKOFF_MS = { first: 1000, max: 20_000 };

export interface Sent {
  readonly id: string;
  readonly sequenceNumber: string;
}

const mailboxOf = ({ record }: Topic) => PREFIX + record.incarnation;

/** AWS's sequence numbers have twenty digits. */
const sequenceNumber = (sequence: number) => String(10n ** 19n + BigInt(sequence));

export class FifoTopics {
  readonly #parts: SnsParts;
  readonly #throttle: Throttle;
  /** Topics whose messages are on their way, with whether there may be more. */
  readonly #running = new Map<string, { mayHaveMore: boolean; readonly done: Promise<void> }>();
  readonly #timers = new Map<string, Timer>();
  #isOpen = false;

  constructor(parts: SnsParts, throttle: Throttle) {
    this.#parts = parts;
    this.#throttle = throttle;
  }

  /** Durable when it resolves; one answer per publication, in order: that of the first where it is a duplicate. */
  async send(topic: Topic, publications: readonly Publication[]): Promise<readonly Sent[]> {
    const isPerGroup = topic.record.attributes["FifoThroughputScope"] === "MessageGroup";
    const mail = publications.map((one) => {
      const { id, groupId: group = "", deduplicationId = "" } = one;
      const key = isPerGroup ? `${group}\n${deduplicationId}` : deduplicationId;
      return { mailbox: mailboxOf(topic), id, group, body: Buffer.from(JSON.stringify(one)), once: { key, forMs: DEDUPLICATION_MS } };
    });
    const sent = await this.#parts.mailboxes.send(mail);
    this.#wake(topic);
    return sent.map(({ id, sequence }) => ({ id, sequenceNumber: sequenceNumber(sequence) }));
  }

  /** Begins with what is there, and removes what no topic has. */
  async begin(): Promise<void> {
    this.#isOpen = true;
    const { mailboxes, topics } = this.#parts;
    const owned = new Map([...topics.all()].map(({ key, value }) => [PREFIX + value.incarnation, key]));
    for (const mailbox of await mailboxes.names()) {
      const key = owned.get(mailbox);
      if (key !== undefined) this.#wake({ account: key.account, region: key.region, name: key.id });
      else if (mailbox.startsWith(PREFIX)) await this.#empty(mailbox);
    }
  }

  async remove(topic: Topic): Promise<void> {
    await this.#empty(mailboxOf(topic));
  }

  async stop(): Promise<void> {
    this.#isOpen = false;
    for (const timer of this.#timers.values()) timer.cancel();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  async #empty(mailbox: string): Promise<void> {
    const { mailboxes } = this.#parts;
    while ((await mailboxes.expire(mailbox, Number.MAX_SAFE_INTEGER, EMPTIED_AT_ONCE)) === EMPTIED_AT_ONCE);
    await mailboxes.forget(mailbox);
  }

  #wake(name: TopicName): void {
    const id = `${name.account}/${name.region}/${name.name}`;
    const running = this.#running.get(id);
    if (running !== undefined) running.mayHaveMore = true;
    if (running !== undefined || !this.#isOpen) return;
    this.#timers.get(id)?.cancel();
    this.#timers.delete(id);
    this.#running.set(id, { mayHaveMore: true, done: this.#run(id, name) });
  }

  /** Until there is nothing more to do now. */
  async #run(id: string, name: TopicName): Promise<void> {
    // So that it is among the running ones when it looks.
    await Promise.resolve();
    let nextAtMs: number | undefined;
    try {
      for (let state = this.#running.get(id); this.#isOpen && state?.mayHaveMore === true; state = this.#running.get(id)) {
        state.mayHaveMore = false;
        const received = await this.#receive(name);
        nextAtMs = received.nextAtMs;
        if (received.hasMore) state.mayHaveMore = true;
      }
    } catch (cause) {
      this.#parts.log.warn("messages of a FIFO topic could not be delivered; it is tried again", { topic: name.name, cause });
      nextAtMs = this.#parts.clock.now() + BACKOFF_MS.first;
    }
    this.#running.delete(id);
    if (nextAtMs === undefined || !this.#isOpen) return;
    const waitMs = Math.max(0, nextAtMs - this.#parts.clock.now());
    this.#timers.set(
      id,
      this.#parts.clock.after(waitMs, () => this.#wake(name)),
    );
  }

  async #receive(name: TopicName): Promise<{ hasMore: boolean; nextAtMs?: number }> {
    const topic = findTopic(this.#parts, name);
    if (topic === undefined) return { hasMore: false };
    const { mail, nextAtMs, isCut } = await this.#parts.mailboxes.receive(mailboxOf(topic), {
      limit: RECEIVED_AT_ONCE,
      visibilityMs: VISIBILITY_MS,
      keptMs: Number.MAX_SAFE_INTEGER,
      claimedMax: CLAIMED_MAX,
    });
    const groups = Map.groupBy(mail, ({ group = "" }) => group);
    await Promise.all([...groups.values()].map((messages) => this.#deliverGroup(topic, messages)));
    return { hasMore: mail.length > 0 || isCut, ...(nextAtMs === undefined ? {} : { nextAtMs }) };
  }

  /** One after the other; what can't be delivered now keeps those behind it waiting. */
  async #deliverGroup(topic: Topic, messages: readonly ReceivedMail[]): Promise<void> {
    const { mailboxes } = this.#parts;
    for (const [index, one] of messages.entries()) {
      if (await this.#deliver(topic, one)) await mailboxes.remove(mailboxOf(topic), [one.token]);
      else {
        const visibilityMs = backoffMs(one.receives, BACKOFF_MS.first, BACKOFF_MS.max);
        const claims = messages.slice(index).map(({ token }) => ({ token, visibilityMs }));
        await mailboxes.hide(mailboxOf(topic), claims, Number.MAX_SAFE_INTEGER);
        return;
      }
    }
  }

  /** Whether nothing of it is left to be tried again. Queues that have it already drop it as a duplicate. */
  async #deliver(topic: Topic, { id, body, sequence, receives, sentAtMs }: ReceivedMail): Promise<boolean> {
    const publication = JSON.parse(Buffer.from(body).toString()) as Publication;
    const numbered = { ...publication, id, sequenceNumber: sequenceNumber(sequence) };
    const isLast = receives > MANAGED_RETRY.retriesMax || this.#parts.clock.now() - sentAtMs > MANAGED_RETRY.ageMaxMs;
    let isDone = true;
    for await (const delivery of deliveriesOf(this.#parts, this.#throttle, topic, numbered))
      if (!(await this.#attempt({ ...delivery, dueAtMs: sentAtMs }, receives, isLast))) isDone = false;
    return isDone;
  }

  async #attempt(delivery: Delivery, attempts: number, isLast: boolean): Promise<boolean> {
    const { target, event, context } = delivery;
    const outcome = await this.#parts.deliver(target, event, context);
    if (outcome.kind === "delivered") return true;
    if (outcome.kind === "unavailable" && !isLast) {
      const facts = { target, source: context.sourceArn, reason: outcome.message };
      this.#parts.log.warn("a delivery has failed; it is tried again", facts);
      return false;
    }
    await this.#parts.deliveries.giveUp(delivery, outcome, attempts);
    return true;
  }
}
