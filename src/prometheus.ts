// GET /_lambent/metrics: Lambda's numbers and the process's own, in the text format that Prometheus scrapes.
// https://prometheus.io/docs/instrumenting/exposition_formats/
import type { OwnRoute } from "./aws/own-api.ts";
import type { Clock } from "./base/clock.ts";
import type { Series } from "./base/metrics.ts";

interface Total {
  readonly series: Series;
  readonly count: number;
  readonly sum: number;
}

interface Sources {
  readonly clock: Clock;
  /** Since the start. */
  readonly totals: () => readonly Total[];
  readonly running: () => { readonly invocations: number; readonly environments: number; readonly evicted: number };
}

/** `DeadLetterErrors` → `dead_letter_errors` */
const snake = (name: string) => name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
const escaped = (text: string) => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

const labelsOf = ({ account, region, dimensions }: Series) => {
  // The last one says most: the others are sums of it.
  const labels = { account, region, ...dimensions.at(-1) };
  return `{${Object.entries(labels)
    .map(([name, value]) => `${snake(name)}="${escaped(value)}"`)
    .join(",")}}`;
};

interface Family {
  readonly type: "counter" | "gauge" | "summary";
  readonly lines: string[];
}

class Exposition {
  readonly #families = new Map<string, Family>();

  add(name: string, type: Family["type"], line: string): void {
    const family = this.#families.get(name) ?? { type, lines: [] };
    this.#families.set(name, family);
    family.lines.push(line);
  }

  text(): string {
    return [...this.#families].map(([name, { type, lines }]) => `# TYPE ${name} ${type}\n${lines.join("\n")}\n`).join("");
  }
}

/** Of the same name and labels there may be several, made anew for a new version of the code. */
function summed(totals: readonly Total[]): Map<string, Total> {
  const all = new Map<string, Total>();
  for (const { series, count, sum } of totals) {
    const key = `${series.name}${labelsOf(series)}`;
    const before = all.get(key);
    all.set(key, { series, count: count + (before?.count ?? 0), sum: sum + (before?.sum ?? 0) });
  }
  return all;
}

export function prometheus({ clock, totals, running }: Sources): OwnRoute {
  const startedMs = clock.now();
  return {
    method: "GET",
    path: "/_lambent/metrics",
    action: "lambent:GetMetrics",
    resource: () => "*",
    takesPassword: true,
    run() {
      const exposition = new Exposition();
      for (const { series, count, sum } of summed(totals()).values()) addTotal(exposition, series, count, sum);
      const now = running();
      exposition.add("lambent_invocations_running", "gauge", `lambent_invocations_running ${now.invocations}`);
      exposition.add("lambent_environments", "gauge", `lambent_environments ${now.environments}`);
      exposition.add("lambent_sandboxes_evicted_total", "counter", `lambent_sandboxes_evicted_total ${now.evicted}`);
      addProcess(exposition, startedMs);
      return exposition.text();
    },
  };
}

function addTotal(exposition: Exposition, series: Series, count: number, sum: number): void {
  // Their samples are no events: what runs now is a gauge of its own.
  if (/(?:ConcurrentExecutions|Utilization)$/.test(series.name)) return;
  const name = `lambent_lambda_${snake(series.name)}`;
  const labels = labelsOf(series);
  if (series.unit !== "Milliseconds") return exposition.add(`${name}_total`, "counter", `${name}_total${labels} ${sum}`);
  const seconds = `${name}_seconds`;
  exposition.add(seconds, "summary", `${seconds}_sum${labels} ${sum / 1000}\n${seconds}_count${labels} ${count}`);
}

function addProcess(exposition: Exposition, startedMs: number): void {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const gauge = (name: string, value: number) => exposition.add(name, "gauge", `${name} ${value}`);
  exposition.add("process_cpu_seconds_total", "counter", `process_cpu_seconds_total ${(user + system) / 1e6}`);
  gauge("process_resident_memory_bytes", rss);
  gauge("process_start_time_seconds", startedMs / 1000);
  gauge("nodejs_heap_used_bytes", heapUsed);
}
