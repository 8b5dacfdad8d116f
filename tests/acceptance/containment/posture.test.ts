// A live sandbox is what posture.json says, no more and no less: made at once, or prepared and completed later; for root and for an ordinary user.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { LinuxSandboxHost } from "../../../src/sandbox/linux/host.ts";
import type { SandboxSpec } from "../../../src/sandbox/sandbox.ts";
import { filterOf, postureOf } from "./posture.fixture.ts";
import { launcherOf, marked, python, skip, spec, startHost } from "./sandbox.fixture.ts";

const isRootless = process.getuid?.() !== 0;
const FILE = join(import.meta.dirname, "posture.json");

type Tree = string | readonly unknown[] | { readonly [name: string]: Tree };

interface Expected {
  readonly root: Tree;
  /** What differs without root; a list stands for the whole list. */
  readonly rootless: Tree;
  /** By architecture: how many instructions, and their SHA-256. */
  readonly filter: Readonly<Record<string, string>>;
}

let host: LinuxSandboxHost;
before(async () => {
  if (skip === false) host = await startHost();
});
after(async () => {
  if (skip === false) await host.stop();
});

const LIMITS = { memoryBytes: 256 * 2 ** 20, cpuMillis: 500, processesMax: 77, tmpBytes: 2 ** 26, tmpInodes: 4000 };
const MOUNTS = [
  { source: "/usr/share", target: "/var/task" },
  { source: "/usr/lib", target: "/opt" },
];
const PROGRAM = `
import threading
for _ in range(3): threading.Thread(target=threading.Event().wait, daemon=True).start()
os.write(3, b"w"); os.read(3, 1); os.write(3, b"w"); os.read(3, 1)`;

function changed(tree: Tree, changes: Tree): Tree {
  if (typeof tree !== "object" || typeof changes !== "object" || Array.isArray(tree) || Array.isArray(changes)) return changes;
  const [of, by] = [tree, changes] as { readonly [name: string]: Tree }[];
  return { ...of, ...Object.fromEntries(Object.entries(by ?? {}).map(([name, value]) => [name, changed(of?.[name] ?? "", value)])) };
}

/** Starts one, completes it where that comes later, and looks at it while it waits. */
async function seenAs(name: string, changes: Partial<SandboxSpec>, isPrepared: boolean): Promise<{ posture: unknown; filter: string }> {
  const marker = `posture-${name}-${process.pid}`;
  const sandbox = await host.start(spec({ argv: [...python(PROGRAM), marker], env: { ONE: "1" }, ...changes, isPrepared }));
  await once(sandbox.control, "data");
  if (isPrepared) {
    await sandbox.freeze();
    await sandbox.specialise({ ...LIMITS, mounts: MOUNTS });
  }
  const again = once(sandbox.control, "data");
  sandbox.control.write("x");
  await again;
  const [first = 0] = marked(marker);
  const posture = postureOf(first, launcherOf(), sandbox.id);
  const filter = isRootless ? "" : filterOf(first);
  await sandbox.kill();
  return { posture, filter };
}

void test("K14 a sandbox is what the checked-in expectation says, prepared or not", { skip }, async () => {
  const direct = await seenAs("direct", { ...LIMITS, mounts: MOUNTS }, false);
  const prepared = await seenAs("prepared", { processesMax: LIMITS.processesMax }, true);
  const expected = JSON.parse(readFileSync(FILE, "utf8")) as Expected;
  if (process.env["LAMBENT_TEST_RENEW"] === "1" && !isRootless) {
    const renewed = { root: direct.posture, filter: { ...expected.filter, [process.arch]: direct.filter } };
    writeFileSync(FILE, `${JSON.stringify({ ...expected, ...renewed }, undefined, 2)}\n`);
    return;
  }
  const wanted = isRootless ? changed(expected.root, expected.rootless) : expected.root;
  assert.deepEqual(direct.posture, wanted);
  assert.deepEqual(prepared.posture, wanted, "prepared");
  if (isRootless) return;
  assert.equal(direct.filter, expected.filter[process.arch]);
  assert.equal(prepared.filter, direct.filter);
});
