// One subscription to telemetry: a bounded buffer, and its delivery to a listener inside the sandbox over HTTP or TCP.
import { request } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, Timer } from "../base/clock.ts";
import { telemetryEvent, timeOf, type Happening, type LogsSchema, type TelemetrySchema } from "./telemetry-records.ts";
import { within } from "../base/within.ts";

export interface Subscription {
  /** Of the extension. */
  readonly name: string;
  readonly api: "telemetry" | "logs";
  readonly schema: TelemetrySchema | LogsSchema;
  readonly types: readonly Happening["source"][];
  readonly destination: {
    readonly protocol: "HTTP" | "TCP";
    readonly port: number;
    readonly path: string;
    readonly method: "POST" | "PUT";
  };
  readonly maxItems: number;
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

export interface SubscriberOptions {
  readonly clock: Clock;
  readonly dial: (port: number) => Promise<Duplex>;
}

/** A listener that takes longer for a batch has not taken it. */
const DELIVERY_MS_MAX = 2000;
/** A batch that was refused so often is dropped. */
const TRIES_MAX = 3;
const REASON = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.";

export class TelemetrySubscriber {
  readonly subscription: Subscription;
  readonly #options: SubscriberOptions;
  #queue: string[] = [];
  #bytes = 0;
  #dropped = { records: 0, bytes: 0 };
  #failures = 0;
  #timer: Timer | undefined;
  /** So long has the oldest one waited. */
  #isDue = false;
  #delivery: Promise<void> | undefined;
  #stream: Duplex | undefined;
  #isAwake = true;
  /** The end is near: nothing waits for company. */
  #isHurried = false;

  constructor(subscription: Subscription, options: SubscriberOptions) {
    this.subscription = subscription;
    this.#options = options;
  }

  take(happening: Happening): void {
    const { types, schema } = this.subscription;
    if (types.includes(happening.source)) for (const event of telemetryEvent(happening, schema)) this.#push(JSON.stringify(event));
  }

  /** Starts no more deliveries. Resolves when none is under way. */
  sleep(): Promise<void> | undefined {
    this.#isAwake = false;
    return this.#delivery;
  }

  wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#deliverIfDue();
  }

  /** Delivers what there is at once, and from now on whatever comes. Resolves when all of it was taken or refused. */
  async hurry(): Promise<void> {
    this.#isHurried = true;
    this.#isAwake = true;
    this.#deliverIfDue();
    while (this.#delivery !== undefined) await this.#delivery;
  }

  close(): void {
    this.#isAwake = false;
    this.#timer?.cancel();
    this.#stream?.destroy();
  }

  #push(event: string): void {
    const bytes = Buffer.byteLength(event) + 1;
    const { maxBytes, maxItems, timeoutMs } = this.subscription;
    // Another batch may gather while one is under way, or while the environment is frozen; more is dropped.
    if (this.#bytes + bytes > 2 * maxBytes || this.#queue.length >= 2 * maxItems) {
      this.#dropped.records++;
      this.#dropped.bytes += bytes;
      return;
    }
    this.#queue.push(event);
    this.#bytes += bytes;
    this.#timer ??= this.#options.clock.after(timeoutMs, () => {
      this.#timer = undefined;
      this.#isDue = true;
      this.#deliverIfDue();
    });
    this.#deliverIfDue();
  }

  #deliverIfDue(): void {
    const { maxBytes, maxItems } = this.subscription;
    const isFull = this.#queue.length >= maxItems || this.#bytes >= maxBytes;
    if (!this.#isAwake || this.#delivery !== undefined || this.#queue.length === 0) return;
    if (!isFull && !this.#isDue && !this.#isHurried) return;
    this.#delivery = this.#deliver().then(() => {
      this.#delivery = undefined;
      this.#deliverIfDue();
    });
  }

  async #deliver(): Promise<void> {
    const batch = this.#takeBatch();
    this.#isDue = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    try {
      await within(this.#options.clock, DELIVERY_MS_MAX, this.#send(batch), () => new Error("the listener takes too long"));
      this.#failures = 0;
      this.#tellDropped();
    } catch {
      // The extension's own affair: what it does not take is counted, and told when it listens again.
      this.#refused(batch);
    }
  }

  #takeBatch(): string[] {
    const { maxBytes, maxItems } = this.subscription;
    let [count, bytes] = [0, 0];
    for (const event of this.#queue.slice(0, maxItems)) {
      const size = Buffer.byteLength(event) + 1;
      if (count > 0 && bytes + size > maxBytes) break;
      bytes += size;
      count++;
    }
    this.#bytes -= bytes;
    return this.#queue.splice(0, count);
  }

  #refused(batch: readonly string[]): void {
    this.#stream?.destroy();
    this.#stream = undefined;
    const bytes = batch.reduce((sum, event) => sum + Buffer.byteLength(event) + 1, 0);
    if (++this.#failures < TRIES_MAX && !this.#isHurried) {
      this.#queue.unshift(...batch);
      this.#bytes += bytes;
      this.#timer ??= this.#options.clock.after(this.subscription.timeoutMs, () => {
        this.#timer = undefined;
        this.#isDue = true;
        this.#deliverIfDue();
      });
      return;
    }
    this.#failures = 0;
    this.#dropped.records += batch.length;
    this.#dropped.bytes += bytes;
  }

  #tellDropped(): void {
    const { records: droppedRecords, bytes: droppedBytes } = this.#dropped;
    if (droppedRecords === 0) return;
    this.#dropped = { records: 0, bytes: 0 };
    const record = { droppedBytes, droppedRecords, reason: REASON };
    this.#push(JSON.stringify({ time: timeOf(this.#options.clock.now()), type: "platform.logsDropped", record }));
  }

  #send(batch: readonly string[]): Promise<void> {
    return this.subscription.destination.protocol === "HTTP" ? this.#post(`[${batch.join(",")}]`) : this.#write(`${batch.join("\n")}\n`);
  }

  async #post(body: string): Promise<void> {
    const { port, path, method } = this.subscription.destination;
    const stream = await this.#options.dial(port);
    this.#stream = stream;
    const headers = {
      Host: `sandbox.localdomain:${port}`,
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
      Connection: "close",
    };
    try {
      await new Promise<void>((resolve, reject) => {
        const outgoing = request({ createConnection: () => stream, method, path, headers }, (answer) => {
          answer.resume();
          answer.on("error", () => undefined); // its status is all that counts
          const status = answer.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve();
          else reject(new Error(`the listener answers ${status}`));
        });
        outgoing.on("error", reject);
        outgoing.on("close", () => reject(new Error("the listener hangs up")));
        outgoing.end(body);
      });
    } finally {
      stream.destroy();
    }
  }

  /** One connection for all; lines of JSON. */
  async #write(lines: string): Promise<void> {
    let stream = this.#stream;
    if (stream === undefined || stream.destroyed) {
      stream = await this.#options.dial(this.subscription.destination.port);
      stream.on("error", () => undefined); // the write that fails tells
      stream.resume(); // nothing is expected back
      this.#stream = stream;
    }
    const open = stream;
    await new Promise<void>((resolve, reject) => {
      open.write(lines, (cause) => (cause === undefined || cause === null ? resolve() : reject(cause)));
    });
  }
}
