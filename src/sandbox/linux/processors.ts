// Which of the machine's processors a new sandbox runs on: those that are least used by the others.
import { readFileSync } from "node:fs";

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
