// The leak ledger: after many sandboxes, and after kills of servers and launchers, exactly nothing is left.
//
// LAMBENT_TEST_ENVIRONMENTS and LAMBENT_TEST_KILLS say how many; the long run has 3000 and 100.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findTool } from "../../../src/sandbox/linux/tools.ts";
import { eventually } from "../../support/eventually.ts";
import { call, makeFunction, makeRole } from "../../support/functions.ts";
import { startLambent } from "../../support/lambent-process.ts";
import {
  below,
  controlGroups,
  isLauncher,
  launcherOf,
  marked,
  mountCount,
  networkOf,
  processes,
  python,
  skip,
  spec,
  startHost,
} from "./sandbox.fixture.ts";

const ENVIRONMENTS = Number(process.env["LAMBENT_TEST_ENVIRONMENTS"] ?? 150);
const KILLS = Number(process.env["LAMBENT_TEST_KILLS"] ?? 4);
const BATCH = 10;

const count = (text: string): number => text.trim().split("\n").filter(Boolean).length;

/** Network namespaces that any process is in. */
const networks = (): number => new Set(processes().flatMap(({ pid }) => networkOf(pid) ?? [])).size;

/** All of this machine that is counted; what others had, and have given up in between, is no concern. */
function ofTheMachine() {
  const nft = findTool("nft");
  return {
    mounts: mountCount(),
    networks: networks(),
    filters: nft === undefined || process.getuid?.() !== 0 ? 0 : count(spawnSync(nft, ["list", "ruleset"], { encoding: "utf8" }).stdout),
    abstractSockets: (readFileSync("/proc/net/unix", "utf8").match(/@lambent/g) ?? []).length,
    interfaces: count(readFileSync("/proc/net/dev", "utf8")),
  };
}

type Counts = Readonly<Record<string, number>>;

/** Fails unless soon nothing is more than it was. */
async function nothingMore(before: Counts, look: () => Counts): Promise<void> {
  const added = () => Object.fromEntries(Object.entries(look()).filter(([name, amount]) => amount > (before[name] ?? 0)));
  await eventually("nothing more than before", () => Object.keys(added()).length === 0).catch(() => assert.deepEqual(added(), {}));
}

const ofALauncher = (launcher: number) => ({
  controlGroups: controlGroups(launcher).length,
  children: processes().filter(({ parent }) => parent === launcher).length,
  launcherDescriptors: readdirSync(`/proc/${launcher}/fd`).length,
});

/** What this process holds on behalf of its sandboxes: sockets, pipes, timers. */
const ofThisProcess = () => ({
  descriptors: readdirSync("/proc/self/fd").length,
  resources: process.getActiveResourcesInfo().filter((name) => name !== "Immediate" && name !== "TickObject").length,
});

const residentOf = (pid: number): number => Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

void test(`${ENVIRONMENTS} sandboxes, made in every way and ended in every way, leave nothing`, { skip, timeout: 3_600_000 }, async (t) => {
  const host = await startHost();
  t.after(() => host.stop());
  const launcher = launcherOf();
  const marker = `ledger-${process.pid}`;
  const argv = [...python("os.fork(); os.read(3, 1)"), marker];
  const one = async (at: number): Promise<void> => {
    const isPrepared = at % 4 === 1;
    const sandbox = await host.start(
      spec({ argv: at % 3 === 0 ? ["/usr/bin/true"] : argv, isPrepared, listeners: [{ port: 9001, onConnection: (s) => s.destroy() }] }),
    );
    sandbox.output.resume();
    if (at % 4 === 2) await sandbox.freeze().catch(() => undefined); // it may have ended
    await sandbox.kill();
  };
  await Promise.all(Array.from({ length: BATCH }, (_, at) => one(at)));
  const look = () => ({ ...ofTheMachine(), ...ofALauncher(launcher), ...ofThisProcess() });
  await eventually("the first ones are gone", () => marked(marker).length === 0);
  const before = look();
  const resident = residentOf(launcher);
  for (let made = 0; made < ENVIRONMENTS; made += BATCH) await Promise.all(Array.from({ length: BATCH }, (_, at) => one(made + at)));
  await nothingMore(before, look);
  assert.deepEqual(marked(marker), []);
  assert.deepEqual(await host.inventory(), []);
  const grown = residentOf(launcher) - resident;
  t.diagnostic(`${ENVIRONMENTS} sandboxes; the launcher's memory changed by ${grown} KiB`);
  assert.ok(grown < 512, `${grown} KiB`);
  await host.stop();
  assert.deepEqual(controlGroups(launcher), []);
});

void test(`${KILLS} kills of a server or its launcher leave nothing`, { skip, timeout: 3_600_000 }, async (t) => {
  const before = ofTheMachine();
  const marker = `killed-${process.pid}`;
  const launchers: number[] = [];
  for (let at = 0; at < KILLS; at++) {
    const words = [join(import.meta.dirname, "owner.fixture.ts"), marker, "3"];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const launcher = Number(line.toString());
    launchers.push(launcher);
    process.kill(at % 2 === 0 ? (child.pid ?? 0) : launcher, "SIGKILL");
    await eventually("no process of its sandboxes is left", () => marked(marker).every((pid) => pid === child.pid));
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  await eventually("no launcher is left", () => !launchers.some(isLauncher));
  const next = await startHost(); // sweeps up after those that were killed themselves
  await next.stop();
  assert.deepEqual(
    launchers.flatMap((launcher) => controlGroups(launcher)),
    [],
  );
  assert.deepEqual(marked(marker), []);
  await nothingMore(before, ofTheMachine);
  t.diagnostic(`${KILLS} kills, ${KILLS * 3} sandboxes`);
});

void test("servers that are killed in the middle of invokes leave nothing but their data", { skip, timeout: 600_000 }, async () => {
  const before = ofTheMachine();
  const kills = Math.max(2, Math.floor(KILLS / 10));
  const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith("lambent-e2e-"));
  let server = await startLambent();
  const { dataDirectory } = server;
  const { lambda, iam } = server.clients();
  const code = "import os, time\ndef handler(event, context):\n    os.fork()\n    time.sleep(30)\n";
  await makeFunction(lambda, { name: "sleeper", role: await makeRole(iam), code, settings: { Timeout: 60 } });
  for (let at = 0; at < kills; at++) {
    const launcher = launcherOf(server.child.pid);
    const ends = [1, 2].map(() => call(server.clients().lambda, "sleeper").catch(() => undefined));
    const runningBelow = () => {
      const own = below(launcher);
      return processes().filter(({ pid, command }) => own.has(pid) && command.includes("/var/rapid/"));
    };
    await eventually("both run, each with its child", () => runningBelow().length >= 4);
    const own = runningBelow();
    await server.end("SIGKILL");
    await Promise.all(ends);
    await eventually(
      "nothing outlives it",
      () =>
        controlGroups(launcher).length === 0 &&
        !isLauncher(launcher) &&
        !processes().some(({ pid, command }) => own.some((one) => one.pid === pid && one.command === command)),
    );
    server = await startLambent({ dataDirectory });
  }
  await server.dispose();
  assert.ok(!folders().some((name) => dataDirectory.endsWith(name)));
  await nothingMore(before, ofTheMachine);
});
