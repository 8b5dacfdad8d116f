// A launcher's first request: nothing is obeyed before it, it comes once, and no sandbox is without the system call filter that it brings.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { controlGroups as ownControlGroups } from "../../../src/sandbox/linux/control-groups.ts";
import { prepareFrame, rootFields, startFrame, type LauncherEvent, type Place } from "../../../src/sandbox/linux/frames.ts";
import { Launcher } from "../../../src/sandbox/linux/launcher.ts";
import { machineTexts, ownProcessors, processorView } from "../../../src/sandbox/linux/processors.ts";
import { hostParts } from "../../../src/sandbox/linux/root-parts.ts";
import { mapIds, subordinateIds } from "../../../src/sandbox/linux/subordinate-ids.ts";
import { systemCallFilter } from "../../../src/sandbox/linux/system-call-filter.ts";
import { eventually } from "../../support/eventually.ts";
import { controlGroups, isLauncher, LAUNCHER, python, skip, spec } from "./sandbox.fixture.ts";

const FILTER = systemCallFilter(process.arch);
const { shared, root } = hostParts();
const PLACE: Place = {
  uid: process.getuid?.() === 0 ? 1_390_000 : 1,
  slot: 0,
  processors: ownProcessors().slice(0, 1),
  files: processorView(machineTexts())(ownProcessors().slice(0, 1)),
  root: rootFields(root),
};

let launcher: Launcher;
const events: LauncherEvent[] = [];
const answer = (): Promise<LauncherEvent> => eventually("the launcher answers", () => events.shift());
const refusal = async (): Promise<string> => {
  const event = await answer();
  return event.kind === "refused" || event.kind === "failed" ? `${event.kind} ${event.id}: ${event.reason}` : event.kind;
};

async function open(): Promise<void> {
  const hierarchies = await ownControlGroups(undefined, systemClock);
  launcher = new Launcher(
    { launcherPath: LAUNCHER, log: silentLog, clock: systemClock, hierarchies },
    {
      seen: (event) => void events.push(event),
      handed: ({ handle }) => (handle as { close(): void }).close(),
      missed: (id) => assert.fail(`a descriptor of ${id} is lost`),
    },
  );
  assert.equal((await answer()).kind, "waiting");
}

/** Without root somebody has to, before the first request. */
async function map(): Promise<void> {
  if (process.getuid?.() === 0) return;
  const ids = subordinateIds();
  assert.ok("count" in ids);
  await mapIds(launcher.pid ?? 0, ids, systemClock);
}

before(async () => {
  if (skip === false) await open();
});
after(async () => {
  if (skip === false) await launcher.stop();
});

test("nothing is obeyed before it", { skip }, async () => {
  launcher.send(startFrame(7, spec(), PLACE));
  assert.equal(await refusal(), "refused 7: this launcher is not prepared");
  await assert.rejects(launcher.ask("kill", "somebody"), /not prepared/);
});

test("one without a filter, with a malformed or too long one, or without the host's system is refused", { skip }, async () => {
  launcher.send(Buffer.from([5, 0, 0, 0, 8, 0, 0, 0, 0]));
  assert.match(await refusal(), /^refused 0: to prepare needs a system call filter and/);
  for (const size of [0, 7, 12, 4097 * 8]) {
    launcher.send(prepareFrame(Buffer.alloc(size), shared));
    assert.equal(await refusal(), "refused 0: malformed or too long system call filter", `${size}`);
  }
  launcher.send(prepareFrame(FILTER, { ...shared, mounts: [] }));
  assert.match(await refusal(), /^refused 0: to prepare needs .* system directories$/);
});

test("its files and links are where they may be", { skip }, async () => {
  for (const path of ["/usr/x", "/sys/x", "/proc/stat", "/etc/../usr/x", "etc/x", `/etc/${"x".repeat(96)}`]) {
    launcher.send(prepareFrame(FILTER, { ...shared, files: [{ path, text: "" }] }));
    assert.equal(await refusal(), "refused 0: no file can be written there", path);
  }
  for (const path of ["/tmp/x", "/proc/x", "/", "/dev/../x"]) {
    launcher.send(prepareFrame(FILTER, { ...shared, links: [{ path, to: "/x" }] }));
    assert.equal(await refusal(), "refused 0: no link can be made there", path);
  }
});

test("it comes once", { skip }, async () => {
  await map();
  launcher.send(prepareFrame(FILTER, shared));
  assert.equal((await answer()).kind, "ready");
  launcher.send(prepareFrame(FILTER, shared));
  assert.equal(await refusal(), "refused 0: this launcher is prepared already");
});

test("a start has its root's parts, its files and what is hidden, each where it may be", { skip }, async () => {
  launcher.send(startFrame(8, spec(), { ...PLACE, files: [] }));
  assert.match(await refusal(), /^refused 8: a start needs the parts of its root/);
  launcher.send(startFrame(8, spec(), { ...PLACE, root: rootFields({ ...root, parts: [] }) }));
  assert.match(await refusal(), /^refused 8: a start needs the parts of its root/);
  for (const path of ["/etc/passwd", "/usr/x", "/proc/../etc/x", "/"]) {
    launcher.send(startFrame(8, spec(), { ...PLACE, files: [{ path, text: "" }] }));
    assert.equal(await refusal(), "refused 8: no file can be written there", path);
  }
  launcher.send(startFrame(8, spec(), { ...PLACE, files: [{ path: "/proc/absent", text: "" }] }));
  assert.match(await refusal(), /^failed 8: file system: \/proc\/absent/);
});

test("a filter that the kernel does not take: no sandbox starts", { skip }, async () => {
  await launcher.stop();
  await open();
  await map();
  launcher.send(prepareFrame(Buffer.alloc(16, 0xff), shared));
  assert.equal((await answer()).kind, "ready");
  launcher.send(startFrame(9, spec({ argv: python("print('ran')") }), PLACE));
  assert.match(await refusal(), /^failed 9: system call filter: Invalid argument$/);
});

test("a launcher whose server dies before it ends, and leaves no control groups", { skip }, async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "unprepared.fixture.ts")], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const [, kind, pid] = /^(\w+) (\d+)\n$/.exec(line.toString()) ?? [];
  assert.equal(kind, "waiting");
  assert.ok(isLauncher(Number(pid)) && controlGroups(Number(pid)).length > 0);
  child.kill("SIGKILL");
  await once(child, "exit");
  await eventually("it ends", () => !isLauncher(Number(pid)) && controlGroups(Number(pid)).length === 0);
});
