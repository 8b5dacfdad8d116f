// Segments that this server makes or takes itself: held in memory for a moment, and written together in the background.
import type { Clock, Timer } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { SegmentRecorder } from "../../base/traces.ts";
import type { TraceSegment, TraceStore } from "../../store/trace-store.ts";
import { readSegment } from "./segment-document.ts";

/** What a killed server loses of them at most. */
const FLUSH_MS = 200;
/** In memory at most, until they are written; what comes beyond is dropped. */
const HELD_BYTES_MAX = 4 * 1024 ** 2;
/** What one takes beside its document, about. */
const ENTRY_BYTES = 100;

interface Held {
  readonly place: { readonly account: string; readonly region: string };
  readonly document: string;
  readonly bytes: number;
}

export class TraceRecorder implements SegmentRecorder {
  readonly #traces: TraceStore;
  readonly #clock: Clock;
  readonly #log: Log;
  #held: Held[] = [];
  /** Of what is held and of what is being written. */
  #bytes = 0;
  #dropped = 0;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor({ traces, clock, log }: { readonly traces: TraceStore; readonly clock: Clock; readonly log: Log }) {
    this.#traces = traces;
    this.#clock = clock;
    this.#log = log;
  }

  record(place: Held["place"], document: string): void {
    const bytes = Buffer.byteLength(document) + ENTRY_BYTES;
    if (this.#bytes + bytes > HELD_BYTES_MAX) {
      this.#dropped++;
      return;
    }
    this.#bytes += bytes;
    this.#held.push({ place, document, bytes });
    this.#timer ??= this.#clock.after(FLUSH_MS, () => void this.flush());
  }

  /** Resolves when what was recorded before can be read from the store; what can't be written is lost, and the log says so. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const taken = this.#held;
    this.#held = [];
    if (taken.length === 0) return this.#writing;
    return (this.#writing = this.#writing.then(() => this.#write(taken)));
  }

  async #write(taken: readonly Held[]): Promise<void> {
    const segments: TraceSegment[] = [];
    const refused = new Map<string, number>();
    const refuse = (code: string) => void refused.set(code, (refused.get(code) ?? 0) + 1);
    for (const { place, document } of taken) {
      const read = readSegment(place, document);
      if ("document" in read) segments.push(read);
      else refuse(read.code);
    }
    try {
      const full = segments.length === 0 ? [] : await this.#traces.put(segments, this.#clock.now());
      for (const _ of full) refuse("TraceTooLarge");
    } catch (cause) {
      this.#log.error("segments of traces could not be written", { segments: segments.length, cause });
    }
    this.#bytes -= taken.reduce((sum, { bytes }) => sum + bytes, 0);
    if (refused.size > 0) this.#log.warn("segments of traces were refused", Object.fromEntries(refused));
    if (this.#dropped > 0)
      this.#log.warn("segments of traces were dropped: they came faster than they are written", { segments: this.#dropped });
    this.#dropped = 0;
  }
}
