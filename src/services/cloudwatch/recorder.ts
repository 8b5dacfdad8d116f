// What this server counts itself: gathered in memory by the minute, written in the background, and totals for whoever scrapes them.
import type { Clock, Timer } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Recorder, Series } from "../../base/metrics.ts";
import { Gathered } from "../../store/distribution.ts";
import { inOrder, type MetricPoint, type MetricStore } from "../../store/metric-store.ts";

/** What a killed server loses of its own numbers at most. */
const FLUSH_MS = 15_000;
const MINUTE_MS = 60_000;
/** Series in memory at most; those beyond are not counted until the next write. */
const SERIES_MAX = 50_000;

interface Open {
  readonly minuteMs: number;
  readonly gathered: Gathered;
}

/** Since the server has started. */
interface Total {
  readonly series: Series;
  count: number;
  sum: number;
}

export class MetricRecorder implements Recorder {
  readonly #metrics: MetricStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #open = new Map<Series, Open>();
  readonly #closed: (readonly [Series, Open])[] = [];
  readonly #totals = new Map<Series, Total>();
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor({ metrics, clock, log }: { readonly metrics: MetricStore; readonly clock: Clock; readonly log: Log }) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#log = log;
  }

  record(series: Series, value: number): void {
    const nowMs = this.#clock.now();
    let open = this.#open.get(series);
    if (open === undefined || nowMs - open.minuteMs >= MINUTE_MS) open = this.#begin(series, open, nowMs - (nowMs % MINUTE_MS));
    open?.gathered.add(value);
    const total = this.#totals.get(series);
    if (total === undefined) this.#count(series, value);
    else {
      total.count++;
      total.sum += value;
    }
  }

  totals(): readonly Total[] {
    return [...this.#totals.values()];
  }

  /** Resolves when what was recorded before can be read from the store; what can't be written is lost, and the log says so. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const taken = [...this.#closed.splice(0), ...this.#open];
    this.#open.clear();
    if (taken.length === 0) return this.#writing;
    return (this.#writing = this.#writing.then(() => this.#write(taken)));
  }

  #begin(series: Series, before: Open | undefined, minuteMs: number): Open | undefined {
    if (this.#open.size + this.#closed.length >= SERIES_MAX) return undefined;
    if (before !== undefined) this.#closed.push([series, before]);
    const open = { minuteMs, gathered: new Gathered() };
    this.#open.set(series, open);
    this.#timer ??= this.#clock.after(FLUSH_MS, () => void this.flush());
    return open;
  }

  #count(series: Series, value: number): void {
    const [oldest] = this.#totals.keys();
    if (this.#totals.size >= SERIES_MAX && oldest !== undefined) this.#totals.delete(oldest);
    this.#totals.set(series, { series, count: 1, sum: value });
  }

  async #write(taken: readonly (readonly [Series, Open])[]): Promise<void> {
    try {
      const points = taken.flatMap(([series, open]) => pointsOf(series, open));
      if ((await this.#metrics.put(points)) === "full") this.#log.warn("there is no room for new metrics", { points: points.length });
    } catch (cause) {
      this.#log.error("metrics could not be written", { series: taken.length, cause });
    }
  }
}

function pointsOf({ account, region, namespace, name, unit, dimensions }: Series, { minuteMs, gathered }: Open): MetricPoint[] {
  const values = gathered.distribution();
  return dimensions.map((one) => ({
    metric: { account, region, namespace, name, dimensions: inOrder(Object.entries(one).map(([Name, Value]) => ({ Name, Value }))) },
    timestampMs: minuteMs,
    resolution: 60,
    unit,
    values,
  }));
}
