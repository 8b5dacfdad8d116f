// Which of the machine's processors a new sandbox runs on (those that are least used by the others), and how they are shown to it.
import { existsSync, readFileSync } from "node:fs";
import type { TextFile } from "./root-parts.ts";

/** `0-2,5` → 0, 1, 2, 5 */
export function numbersOf(list: string): readonly number[] {
  return list.split(",").flatMap((part) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    return first === undefined ? [] : Array.from({ length: Number(last) - Number(first) + 1 }, (_, at) => Number(first) + at);
  });
}

/** Those that this process itself may run on, and so its children. */
export function ownProcessors(): readonly number[] {
  const list = /^Cpus_allowed_list:\t(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return numbersOf(list);
}

export interface ProcessorUse {
  readonly processors: readonly number[];
  readonly isFrozen: boolean;
}

/** At most `count` of them, in their order. Who is frozen counts only among processors that are equal otherwise. */
export function leastUsed(own: readonly number[], count: number, others: Iterable<ProcessorUse>): readonly number[] {
  if (own.length <= count) return own;
  const use = new Map(own.map((number) => [number, { awake: 0, all: 0 }]));
  for (const { processors, isFrozen } of others)
    for (const number of processors) {
      const one = use.get(number);
      if (one === undefined) continue;
      one.all++;
      if (!isFrozen) one.awake++;
    }
  const byUse = [...use].toSorted(([, a], [, b]) => a.awake - b.awake || a.all - b.all);
  return byUse
    .slice(0, count)
    .map(([number]) => number)
    .toSorted((a, b) => a - b);
}

const DIRECTORY = "/sys/devices/system/cpu";

/** What the kernel tells of all the machine's processors. */
export interface MachineTexts {
  /** /proc/cpuinfo: a paragraph for each, and on some machines others. */
  readonly cpuinfo: string;
  /** /proc/stat. */
  readonly stat: string;
  /** Which are possible and present. That stays true for a sandbox, for programs that keep a place for each number. */
  readonly lists: readonly TextFile[];
}

export const machineTexts = (): MachineTexts => ({
  cpuinfo: readFileSync("/proc/cpuinfo", "utf8"),
  stat: readFileSync("/proc/stat", "utf8"),
  lists: ["possible", "present"]
    .map((name) => `${DIRECTORY}/${name}`)
    .filter((path) => existsSync(path))
    .map((path) => ({ path, text: readFileSync(path, "utf8") })),
});

/**
 * How many processors there are, wherever programs look: they make as many threads. /proc/stat is as after a start of the machine that cost
 * nothing: what the others do is nobody's business.
 */
export function processorView({ cpuinfo, stat, lists }: MachineTexts): (shown: readonly number[]) => readonly TextFile[] {
  const paragraphs = new Map(
    cpuinfo.split(/(?<=\n\n)/).map((paragraph) => [Number(/^processor\s*:\s*(\d+)/.exec(paragraph)?.[1] ?? Number.NaN), paragraph]),
  );
  const bootSeconds = /^btime (\d+)$/m.exec(stat)?.[1] ?? "0";
  const nothing = "0 0 0 0 0 0 0 0 0 0";
  const rest = `intr 0\nctxt 0\nbtime ${bootSeconds}\nprocesses 0\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 ${nothing}\n`;
  return (shown) => [
    ...lists,
    { path: `${DIRECTORY}/online`, text: `${shown.join(",")}\n` },
    { path: "/proc/cpuinfo", text: shown.map((number) => paragraphs.get(number) ?? "").join("") },
    { path: "/proc/stat", text: `cpu  ${nothing}\n${shown.map((number) => `cpu${number} ${nothing}\n`).join("")}${rest}` },
  ];
}
