// What an idle warm environment holds: the proportional set size of all its processes, and what its control group is charged with.
import { readFileSync, readdirSync } from "node:fs";
import type { Runtime } from "@aws-sdk/client-lambda";
import { sleep, systemClock } from "../src/base/clock.ts";
import { summarise, type Result } from "./support/measure.ts";
import { measureKinds, type BenchServer } from "./support/server.ts";
import { connections, send, signedInvoke } from "./support/signed-requests.ts";

const ENVIRONMENTS = 20;
/** Until it is frozen, and the last invocation's log is written. */
const REST_MS = 500;
const MIB = 2 ** 20;

interface Kind {
  readonly name: string;
  readonly runtime: Runtime;
  readonly handler: string;
  readonly files: Readonly<Record<string, string>>;
  /** It is read at the start, so that no prepared sandbox is made besides. */
  readonly variables: Readonly<Record<string, string>>;
}

const KINDS: readonly Kind[] = [
  {
    name: "node",
    runtime: "nodejs24.x",
    handler: "index.handler",
    files: { "index.mjs": "export const handler = async (event) => event;" },
    variables: { NODE_NO_WARNINGS: "1" },
  },
  {
    name: "python",
    runtime: "python3.11",
    handler: "app.handler",
    files: { "app.py": "def handler(event, context):\n    return event\n" },
    variables: { PYTHONNOUSERSITE: "1" },
  },
];

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // it has just ended
  }
};

/** Parent → children, of all processes. */
function children(): ReadonlyMap<number, readonly number[]> {
  const known = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const parent = Number(/^PPid:\s+(\d+)$/m.exec(read(`/proc/${name}/status`))?.[1]);
    if (!/^\d+$/.test(name) || Number.isNaN(parent)) continue;
    known.set(parent, [...(known.get(parent) ?? []), Number(name)]);
  }
  return known;
}

/** The processes of each sandbox: the launcher is the server's child, and each child of its own is the first process of one. */
function sandboxes(): readonly (readonly number[])[] {
  const known = children();
  const below = (pid: number): number[] => [pid, ...(known.get(pid) ?? []).flatMap(below)];
  const launchers = (known.get(process.pid) ?? []).filter((pid) => read(`/proc/${pid}/comm`).trim() === "launcher");
  return launchers.flatMap((pid) => known.get(pid) ?? []).map(below);
}

const pssMiB = (pid: number): number => (Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024) / MIB;

/** With the page cache that it was the first to touch, and the kernel's memory for it. */
function chargedMiB(pid: number): number {
  const [, v1] = /^\d+:[^:]*\bmemory\b[^:]*:(.+)$/m.exec(read(`/proc/${pid}/cgroup`)) ?? [];
  const [, v2] = /^0::(.+)$/m.exec(read(`/proc/${pid}/cgroup`)) ?? [];
  const places = [`/sys/fs/cgroup/memory${v1}/memory.usage_in_bytes`, `/sys/fs/cgroup${v2}/memory.current`];
  return Number(places.map(read).find((text) => text !== "") ?? Number.NaN) / MIB;
}

async function measure(server: BenchServer, { name: kind, runtime, handler, files, variables }: Kind): Promise<Result[]> {
  const before = new Set(sandboxes().map(([first]) => first));
  const agent = connections(1);
  for (let index = 0; index < ENVIRONMENTS; index++) {
    const name = `${kind}-${index}`;
    await server.make(name, runtime, handler, files, { memoryMiB: 128, variables });
    for (let twice = 0; twice < 2; twice++) await send(await signedInvoke(server.endpoint, server.keys, name, "{}"), agent);
  }
  agent.destroy();
  await sleep(systemClock, REST_MS);
  const made = sandboxes().filter(([first]) => !before.has(first));
  if (made.length !== ENVIRONMENTS) throw new Error(`${made.length} sandboxes instead of ${ENVIRONMENTS}`);
  const sum = (pids: readonly number[]) => pids.reduce((total, pid) => total + pssMiB(pid), 0);
  return [
    summarise(`idle environment: ${kind}, PSS of its processes`, "MiB", made.map(sum)),
    summarise(
      `idle environment: ${kind}, charged to its group`,
      "MiB",
      made.map((pids) => chargedMiB(pids.at(-1) ?? 0)),
    ),
  ];
}

export const run = (): Promise<Result[]> => measureKinds(KINDS, measure);
