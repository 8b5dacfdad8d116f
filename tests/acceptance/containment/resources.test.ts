// What a sandbox may use, and what happens at the limit (R of the containment cases).
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { LinuxSandboxHost } from "../../../src/sandbox/linux/host.ts";
import type { Sandbox } from "../../../src/sandbox/sandbox.ts";
import { processCpuMs } from "../../support/cpu-time.ts";
import { eventually } from "../../support/eventually.ts";
import { controlGroups, launcherOf, marked, python, run, seen, sh, skip, spec, startHost } from "./sandbox.fixture.ts";

let host: LinuxSandboxHost;

before(async () => {
  if (skip === false) host = await startHost();
});

after(async () => {
  if (skip === false) await host.stop();
});

const MIB = 2 ** 20;

void test("R01 a fork bomb ends at the limit of processes, and nothing of it is left", { skip }, async () => {
  const marker = `bomb-${process.pid}`;
  const { output, exit } = await run(
    host,
    python(`
made = 0
try:
    while True:
        if os.fork() == 0: os.execv("/usr/bin/python3", ["${marker}", "-ISc", "import time; time.sleep(600)"])
        made += 1
except OSError as e: print(made, name(e.errno))`),
    { memoryBytes: 1024 * MIB },
  );
  const [made, why] = output.trim().split(" ");
  assert.ok(Number(made) > 40 && Number(made) < 64, `${made} processes`);
  assert.equal(why, "EAGAIN");
  assert.deepEqual(exit, { code: 0, outOfMemory: false });
  await eventually("nothing is left", () => marked(marker).length === 0);
});

void test("R02 threads count as processes", { skip }, async () => {
  const { output } = await run(
    host,
    python(`
import threading
n = 0
try:
    while True: threading.Thread(target=threading.Event().wait, daemon=True).start(); n += 1
except RuntimeError as e: print(40 < n < 64, e)
sys.stdout.flush(); os._exit(0)`),
  );
  assert.equal(output.trim(), "True can't start new thread");
});

const HOGS = {
  "R03 memory of the heap": "x = []\nwhile True: x.append(bytearray(4 << 20))",
  "R04 memory shared by mmap": "import mmap\nx = []\nwhile True: m = mmap.mmap(-1, 4 << 20); m.write(b'1' * (4 << 20)); x.append(m)",
  "memory of files in /tmp": "f = open('/tmp/x', 'wb')\nwhile True: f.write(b'1' * (1 << 20))",
};
for (const [name, code] of Object.entries(HOGS))
  void test(`${name} beyond the limit ends the sandbox, and that is told`, { skip }, async () => {
    const sandbox = await host.start(spec({ argv: python(code), memoryBytes: 96 * MIB, tmpBytes: 512 * MIB }));
    assert.deepEqual(await sandbox.exited, { signal: "SIGKILL", outOfMemory: true });
    const { memoryPeakBytes } = await sandbox.usage();
    assert.ok(memoryPeakBytes > 90 * MIB && memoryPeakBytes <= 96 * MIB, `${memoryPeakBytes} bytes`);
    await sandbox.kill();
  });

void test("R05 a full /tmp has its size, to the page", { skip }, async () => {
  const { output } = await run(
    host,
    python(`
f = os.open("/tmp/x", os.O_CREAT | os.O_WRONLY); n = 0
try:
    while True: n += os.write(f, b"1" * 4096)
except OSError as e: print(n, name(e.errno), oct(os.stat("/tmp").st_mode))`),
    { tmpBytes: 8 * MIB },
  );
  assert.equal(output.trim(), `${8 * MIB} ENOSPC 0o41777`);
});

void test("R06 /tmp has its number of inodes", { skip }, async () => {
  const { output } = await run(
    host,
    python(`
n = 0
try:
    while True: os.close(os.open(f"/tmp/{n}", os.O_CREAT)); n += 1
except OSError as e: print(n, name(e.errno))`),
    { tmpInodes: 500 },
  );
  assert.equal(output.trim(), "499 ENOSPC");
});

void test("R10 open files end at the limit", { skip }, async () => {
  const { output } = await run(
    host,
    python(`
import resource
n = 0
try:
    while True: os.dup(0); n += 1
except OSError as e: print(n, name(e.errno))
try: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
except ValueError as e: print(e)`),
    { openFilesMax: 256 },
  );
  assert.equal(output.trim(), "252 EMFILE\nnot allowed to raise maximum limit");
});

void test("R11 buffers of the kernel count as the sandbox's memory", { skip }, async () => {
  const { exit } = await run(
    host,
    python(`
held = []
while True:
    a, b = socket.socketpair(); a.setblocking(False); held.append((a, b))
    try:
        while True: a.send(b"1" * 65536)
    except BlockingIOError: pass`),
    { memoryBytes: 48 * MIB, openFilesMax: 60_000 },
  );
  assert.ok(exit.outOfMemory || exit.code === 1, `ended by memory or by files: ${JSON.stringify(exit)}`);
});

void test("R12 buffers of pipes are capped, and count as the sandbox's memory", { skip }, async () => {
  const { exit, output } = await run(
    host,
    python(`
import fcntl
held, sizes = [], []
for _ in range(480):
    r, w = os.pipe(); os.set_blocking(w, False); held.append((r, w))
    sizes.append(tries(fcntl.fcntl, w, 1031, 1 << 20))
print(set(sizes), flush=True)
for r, w in held:
    try:
        while True: os.write(w, b"1" * 65536)
    except BlockingIOError: pass
print("all full")`),
    { memoryBytes: 48 * MIB },
  );
  assert.match(output, /^\{[^}]*(?:EPERM|1048576)/);
  assert.ok(exit.outOfMemory || (output.includes("EPERM") && exit.code === 0), `${JSON.stringify(exit)} ${output}`);
});

void test("R19 a file can't be larger than /tmp, however sparse", { skip }, async () => {
  const { output } = await run(
    host,
    python("f = os.open('/tmp/x', os.O_CREAT | os.O_RDWR); print(tries(os.posix_fallocate, f, 0, 1 << 40))"),
  );
  assert.equal(output.trim(), "ENOSPC");
});

void test("R20 deep directories in /tmp are no work for anybody", { skip }, async () => {
  const sandbox = await host.start(
    spec({
      argv: python(`
os.chdir("/tmp")
try:
    while True: os.mkdir("d"); os.chdir("d")
except OSError: print("deep")
os.read(3, 1)`),
      tmpInodes: 20_000,
    }),
  );
  await seen(sandbox, "deep");
  // In CPU time, which is the same on a busy machine: nobody walks through them.
  const worked = () => processCpuMs() + cpuMsOf(launcherOf());
  const atStart = worked();
  await sandbox.kill();
  const cost = worked() - atStart;
  assert.ok(cost < 1000, `${cost.toFixed(0)} ms of CPU time`);
});

void test("R21 odd names in /tmp go with it", { skip }, async () => {
  const { exit, output } = await run(
    host,
    python(
      'os.chdir("/tmp")\nfor n in (b"a\\nb", b"\\xff\\xfe", b"x" * 255, b"-rf", b"\\x1b[2J"): open(n, "w"); os.mkdir(n[:200] + b".d")\nprint(len(os.listdir("/tmp")))',
    ),
  );
  assert.deepEqual([output.trim(), exit], ["10", { code: 0, outOfMemory: false }]);
});

void test("R22 a daemon does not outlive its sandbox", { skip }, async () => {
  const marker = `daemon-${process.pid}`;
  const { exit } = await run(
    host,
    sh(`(setsid /usr/bin/python3 -ISc 'import time; time.sleep(600)' ${marker} </dev/null >/dev/null 2>&1 3<&- &) ; sleep 0.1; exit 4`),
  );
  assert.deepEqual(exit, { code: 4, outOfMemory: false });
  await eventually("the daemon is gone", () => marked(marker).length === 0);
});

void test("R23 a crash leaves no core, and starts no program of the host's that takes cores", { skip }, async () => {
  const { exit, output } = await run(
    host,
    sh("cd /tmp; /usr/bin/python3 -ISc 'import ctypes; ctypes.string_at(0)'; ls -A /tmp; kill -ABRT $$"),
  );
  assert.deepEqual(exit, { signal: "SIGABRT", outOfMemory: false });
  assert.doesNotMatch(output, /core/);
  // At exactly 1 the kernel neither writes a file nor runs what core_pattern pipes to; at 0 it would run that. Nobody gets back to 0.
  const limit = await run(
    host,
    python("import resource as r; print([(tries(r.setrlimit, r.RLIMIT_CORE, (n, n)), r.getrlimit(r.RLIMIT_CORE)) for n in (0, 1)])"),
  );
  assert.equal(limit.output.trim(), "[('done', (1, 1)), ('done', (1, 1))]");
});

void test("R24 what is counted by user is counted by sandbox", { skip }, async () => {
  const hold = `
fds = []
while True:
    fd = libc.inotify_init1(0)
    if fd < 0: break
    fds.append(fd)
print("took", len(fds)); os.read(3, 1)`;
  const greedy = await host.start(spec({ argv: python(hold) }));
  await seen(greedy, "took");
  const other = await run(host, python("print(libc.inotify_init1(0) >= 0)"));
  assert.equal(other.output.trim(), "True");
  await greedy.kill();
});

void test(
  "what the kernel counts for the whole machine is not to be had: asynchronous I/O, huge pages, flushing of every disk",
  { skip },
  async () => {
    const { output } = await run(
      host,
      python(`
import mmap
context = ctypes.c_ulong(0)
print(call(${process.arch === "x64" ? 206 : 0}, 4096, ctypes.byref(context)), context.value)
libc.mmap.restype = ctypes.c_void_p
def mapped(flags):
    ctypes.set_errno(0)
    r = libc.mmap(None, 2 << 20, 3, flags, -1, 0)
    return "done" if r != 2 ** 64 - 1 else name(ctypes.get_errno())
print(mapped(0x22), mapped(0x22 | 0x40000), mapped(0x22 | 0x40000 | 21 << 26))
print(tries(os.memfd_create, "x", 4), tries(os.close, os.memfd_create("x", 1)), name(ctypes.get_errno()) if libc.shmget(0, 2 << 20, 0x800 | 0x200 | 0o600) < 0 else "done")
print(libc.sync() is not None, libc.syncfs(-1))`),
    );
    assert.equal(output.trim(), "ENOSYS 0\ndone EPERM EPERM\nEPERM done EPERM\nTrue 0");
  },
);

const SPIN = python(`
import time
print("spins")
while True: pass`);

/** CPU time of a process so far, in milliseconds; 0 when it has ended. */
function cpuMsOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return 0;
  }
}

/** The same of a sandbox's processes: all that a marked program and its children used. */
const cpuMs = (marker: string): number => marked(marker).reduce((sum, pid) => sum + cpuMsOf(pid), 0);

/** What a sandbox uses, in thousandths of a CPU. */
async function usedIn(windowMs: number, marker: string): Promise<number> {
  const atStart = cpuMs(marker);
  const beganMs = performance.now();
  await new Promise((resolve) => void setTimeout(resolve, windowMs));
  return ((cpuMs(marker) - atStart) / (performance.now() - beganMs)) * 1000;
}

async function spinning(marker: string, cpuMillis: number): Promise<Sandbox> {
  const sandbox = await host.start(spec({ argv: [...SPIN, marker], cpuMillis }));
  await seen(sandbox, "spins");
  return sandbox;
}

void test("R13 CPU is held to the share, and the share can be changed", { skip }, async () => {
  const small = `spin-small-${process.pid}`;
  const sandbox = await spinning(small, 145);
  const share = await usedIn(1500, small);
  assert.ok(share > 0 && share < 200, `145 thousandths asked for, ${share.toFixed(0)} used`);
  await sandbox.limitCpu(580);
  // Others may want both cores, all the time: what is certain is that never more is used, and that some time it is more than before.
  let larger = 0;
  await eventually("more is used than the smaller limit would allow", async () => {
    larger = Math.max(larger, await usedIn(1000, small));
    return larger > 145 * 1.2;
  });
  assert.ok(larger < 700, `580 thousandths asked for, ${larger.toFixed(0)} used`);
  await sandbox.limitCpu(145);
  const again = await usedIn(1500, small);
  assert.ok(again < 200, `145 thousandths asked for again, ${again.toFixed(0)} used`);
  await sandbox.kill();
});

void test("L01 a frozen sandbox takes no CPU, a thawed one goes on", { skip }, async () => {
  const marker = `spin-frozen-${process.pid}`;
  const sandbox = await spinning(marker, 1000);
  await sandbox.freeze();
  await eventually("it stands still", () => {
    const atStart = cpuMs(marker);
    for (const endMs = performance.now() + 60; performance.now() < endMs;);
    return cpuMs(marker) === atStart;
  });
  assert.equal(await usedIn(500, marker), 0);
  await sandbox.thaw();
  await eventually("it goes on", async () => (await usedIn(100, marker)) > 0);
  await sandbox.kill();
});

void test("output that nobody reads stops the writer, and is all there for who reads", { skip }, async () => {
  const sandbox = await host.start(
    spec({
      argv: python(`
written = 0
os.set_blocking(1, False)
block = b"x" * 4096
import time
quiet = 0
while quiet < 20:
    try: written += os.write(1, block); quiet = 0
    except BlockingIOError: quiet += 1; time.sleep(0.01)
os.write(3, str(written).encode())
os.set_blocking(1, True)
os.read(3, 1)`),
    }),
  );
  const [reported] = (await new Promise((resolve) => void sandbox.control.once("data", (chunk: Buffer) => resolve([chunk])))) as [Buffer];
  const written = Number(reported.toString());
  assert.ok(written > 0 && written < MIB, `${written} bytes were taken without a reader`);
  sandbox.control.write("x");
  let read = 0;
  for await (const piece of sandbox.output) read += (piece as Buffer).length;
  assert.equal(read, written);
  await sandbox.kill();
});

void test("the limits stand in the control groups", { skip }, async () => {
  const sandbox = await host.start(spec({ argv: sh("read x <&3"), memoryBytes: 128 * MIB, cpuMillis: 72, processesMax: 17 }));
  const directories = controlGroups(launcherOf()).filter((path) => path.endsWith(sandbox.id));
  const read = (file: string) =>
    directories
      .map((path) => `${path}/${file}`)
      .filter((path) => existsSync(path))
      .map((path) => readFileSync(path, "utf8").trim());
  assert.deepEqual([...read("memory.limit_in_bytes"), ...read("memory.max")], [String(128 * MIB)]);
  assert.deepEqual(read("pids.max"), ["17"]);
  assert.deepEqual(
    [...read("cpu.cfs_quota_us"), ...read("cpu.max")].map((text) => Number.parseInt(text, 10)),
    [1440],
  );
  assert.ok(directories.length > 0 && readdirSync(directories[0] ?? "").length > 0);
  await sandbox.kill();
});
