// What an environment's extensions hear of it: passes everything that is logged to those who have subscribed.
import type { LogObserver } from "./environment-log.ts";
import type { PlatformEvent } from "./report.ts";
import type { Happening } from "./telemetry-records.ts";
import { TelemetrySubscriber, type SubscriberOptions, type Subscription } from "./telemetry-subscriber.ts";

/** Who subscribes hears what came before, from the beginning of the initialisation on, as far as it is kept. */
const EARLY_MAX = 1000;
const EARLY_BYTES_MAX = 256 * 1024;

export interface TelemetryOptions extends SubscriberOptions {
  /** The function's log is JSON. */
  readonly isJson: boolean;
}

export class Telemetry implements LogObserver {
  readonly #options: TelemetryOptions;
  #subscribers: TelemetrySubscriber[] = [];
  #early: Happening[] | undefined = [];
  #earlyBytes = 0;
  #tracing: Happening["tracing"];

  constructor(options: TelemetryOptions) {
    this.#options = options;
  }

  get hasSubscribers(): boolean {
    return this.#subscribers.length > 0;
  }

  /** A subscription is accepted until then. */
  get isOpen(): boolean {
    return this.#early !== undefined;
  }

  /** A new run of the runtime: the subscribers of the one before are gone with their processes. */
  begin(): void {
    this.close();
    this.#early = [];
    this.#earlyBytes = 0;
  }

  /** Initialisation is over: who has not subscribed hears nothing. */
  closeRegistration(): void {
    this.#early = undefined;
  }

  /** A second subscription of the same extension to the same API takes the place of the first. */
  subscribe(subscription: Subscription): void {
    const isSame = ({ subscription: { name, api } }: TelemetrySubscriber) => name === subscription.name && api === subscription.api;
    for (const one of this.#subscribers.filter(isSame)) one.close();
    const subscriber = new TelemetrySubscriber(subscription, this.#options);
    this.#subscribers = [...this.#subscribers.filter((one) => !isSame(one)), subscriber];
    for (const happening of this.#early ?? []) subscriber.take(happening);
  }

  platform(event: PlatformEvent, timestampMs: number): void {
    if (event.kind === "start" && event.traceHeader !== undefined)
      this.#tracing = { requestId: event.requestId, value: event.traceHeader, startedMs: timestampMs };
    if (this.#early === undefined && this.#subscribers.length === 0) return;
    this.#tell({ source: "platform", timestampMs, event, tracing: this.#tracing }, 200);
  }

  text(source: "function" | "extension", timestampMs: number, text: string): void {
    if (this.#early === undefined && this.#subscribers.length === 0) return;
    this.#tell({ source, timestampMs, text, isJson: this.#options.isJson }, text.length);
  }

  #tell(happening: Happening, bytes: number): void {
    for (const subscriber of this.#subscribers) subscriber.take(happening);
    const early = this.#early;
    this.#earlyBytes += bytes;
    if (early !== undefined && early.length < EARLY_MAX && this.#earlyBytes <= EARLY_BYTES_MAX) early.push(happening);
  }

  /** Before the environment is frozen. Undefined: nothing is on its way. */
  sleep(): Promise<unknown> | undefined {
    const under = this.#subscribers.map((one) => one.sleep()).filter((delivery) => delivery !== undefined);
    return under.length === 0 ? undefined : Promise.all(under);
  }

  wake(): void {
    for (const one of this.#subscribers) one.wake();
  }

  /** Delivers all there is, and what comes, at once. */
  async hurry(): Promise<void> {
    await Promise.all(this.#subscribers.map((one) => one.hurry()));
  }

  close(): void {
    for (const one of this.#subscribers) one.close();
    this.#subscribers = [];
  }
}
