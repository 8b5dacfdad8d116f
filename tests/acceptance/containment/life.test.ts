// From start to end: what a program gets, how its end is told, and that nothing is left of it, whoever dies first.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { kill } from "node:process";
import { basename, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import type { Socket } from "node:net";
import { makeRootPlaces } from "../../../src/images/root-places.ts";
import type { LinuxSandboxHost } from "../../../src/sandbox/linux/host.ts";
import { SandboxError } from "../../../src/sandbox/sandbox.ts";
import { eventually } from "../../support/eventually.ts";
import {
  controlGroups,
  isLauncher,
  isNamespaceUsed,
  networkOf,
  launcherOf,
  marked,
  mountCount,
  outputOf,
  processes,
  python,
  run,
  seen,
  sh,
  skip,
  spec,
  startAnother,
  startHost,
} from "./sandbox.fixture.ts";

let host: LinuxSandboxHost;

before(async () => {
  if (skip === false) host = await startHost();
});

after(async () => {
  if (skip === false) await host.stop();
});

void test("a program gets exactly the arguments, the environment and the directory that were asked for", { skip }, async () => {
  const env = { A: "1", "WITH SPACE": "ä=b\nc", EMPTY: "", TZ: ":/etc/localtime" };
  const argv = [
    ...python("print(sys.argv[1:], open('/proc/self/environ', encoding='utf8').read().split('\\0')[:-1], os.getcwd())"),
    "one two",
    "",
    "ü",
  ];
  const { output } = await run(host, argv, { env, workingDirectory: "/tmp" });
  assert.equal(output.trim(), "['one two', '', 'ü'] ['A=1', 'WITH SPACE=ä=b\\nc', 'EMPTY=', 'TZ=:/etc/localtime'] /tmp");
});

const ENDS: readonly (readonly [string, object])[] = [
  ["exit 0", { code: 0 }],
  ["exit 255", { code: 255 }],
  ["kill -TERM $$", { signal: "SIGTERM" }],
  ["kill -KILL $$", { signal: "SIGKILL" }],
  ["kill -SEGV $$", { signal: "SIGSEGV" }],
  ["kill -PIPE $$", { signal: "SIGPIPE" }],
];
void test("how a program ended is told as it was", { skip }, async () => {
  for (const [script, expected] of ENDS) assert.deepEqual((await run(host, sh(script))).exit, { ...expected, outOfMemory: false }, script);
});

void test("signals have their usual effects: nothing of the launcher's own dispositions is inherited", { skip }, async () => {
  const { output } = await run(
    host,
    sh("while read name value; do case $name in Sig[BI]*) echo $name $value;; esac; done </proc/self/status; echo $$"),
  );
  assert.equal(output.trim(), "SigBlk: 0000000000000000\nSigIgn: 0000000000000000\n2");
});

void test("orphans are reaped, and the sandbox lives as long as its first process", { skip }, async () => {
  const { output, exit } = await run(
    host,
    python(`
import time
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0: os._exit(0)
        os._exit(0)
    os.wait()
end = time.monotonic() + 40
while [p for p in os.listdir("/proc") if p.isdigit()] != ["1", "2"] and time.monotonic() < end: pass
print([p for p in os.listdir("/proc") if p.isdigit()])`),
  );
  assert.equal(output.trim(), "['1', '2']");
  assert.deepEqual(exit, { code: 0, outOfMemory: false });
});

void test("a closed control socket is seen inside, and the program's end is seen outside", { skip }, async () => {
  const sandbox = await host.start(spec({ argv: python("print(os.read(3, 10)); print(os.read(3, 10))") }));
  sandbox.control.write("hello");
  await seen(sandbox, "hello");
  const closed = once(sandbox.control.resume(), "close");
  sandbox.control.end();
  assert.deepEqual(await sandbox.exited, { code: 0, outOfMemory: false });
  await closed;
});

void test("megabytes go both ways over the control socket", { skip }, async () => {
  const sandbox = await host.start(
    spec({
      argv: python(`
left = 8 << 20
while left:
    piece = os.read(3, 1 << 16); left -= len(piece)
    while piece: piece = piece[os.write(3, piece):]`),
    }),
  );
  let received = 0;
  sandbox.control.on("data", (chunk: Buffer) => (received += chunk.length));
  for (let i = 0; i < 8; i++) sandbox.control.write(Buffer.alloc(2 ** 20, i));
  assert.deepEqual(await sandbox.exited, { code: 0, outOfMemory: false });
  await eventually("all is back", () => received === 8 * 2 ** 20);
});

void test("several listeners, on every address of the sandbox, and the server knows which is which", { skip }, async () => {
  const ports: number[] = [];
  const answer = (port: number) => (socket: Socket) => {
    ports.push(port);
    socket.end(`port ${port}`);
  };
  const { output } = await run(
    host,
    python(`
for address in (("127.0.0.1", 9001), ("169.254.100.1", 9001), ("localhost", 4566), ("sandbox.localdomain", 4566)):
    print(socket.create_connection(address).makefile().read())`),
    { listeners: [9001, 4566].map((port) => ({ port, onConnection: answer(port) })) },
  );
  assert.equal(output.trim(), "port 9001\nport 9001\nport 4566\nport 4566");
  assert.deepEqual(ports, [9001, 9001, 4566, 4566]);
});

void test("who asks for a sandbox has it before anybody inside is heard, however quick that is", { skip }, async () => {
  const connects = ["/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9001; read -ru 3"];
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      let isMade = false;
      const heard = Promise.withResolvers<boolean>();
      const onConnection = (socket: Socket) => {
        socket.on("error", () => undefined); // it ends with its sandbox
        heard.resolve(isMade);
      };
      const sandbox = await host.start(spec({ argv: connects, listeners: [{ port: 9001, onConnection }] }));
      isMade = true;
      assert.equal(await heard.promise, true);
      await sandbox.kill();
    }),
  );
});

const BUSYBOX = "/bin/busybox";

void test("a root of its own: nothing of the host's system, and no link in it leads a mount elsewhere", { skip }, async (t) => {
  if (!existsSync(BUSYBOX)) return t.skip(`needs ${BUSYBOX}`);
  const root = await mkdtemp(join(tmpdir(), "lambent-root-"));
  t.after(() => rm(root, { recursive: true }));
  await chmod(root, 0o755);
  await copyFile(BUSYBOX, join(root, "busybox"));
  await chmod(join(root, "busybox"), 0o4755);
  for (const name of ["proc", "sys", "tmp", "dev", "etc"]) await symlink("/", join(root, name));
  const mounts = [{ source: root, target: "/" }];
  await assert.rejects(host.start(spec({ mounts, argv: ["/busybox", "true"] })), /file system: \/dev/);
  await makeRootPlaces(root);
  const script =
    "busybox ls /; busybox cat /etc/hosts; busybox touch /x /etc/x; busybox touch /tmp/x && busybox ls /tmp; busybox cat /proc/cmdline; busybox ls /proc/fs; busybox id -u";
  const { output } = await run(host, ["/busybox", "sh", "-c", script], { mounts, env: { PATH: "/" } });
  const hosts = ["127.0.0.1 localhost", "169.254.100.1 sandbox sandbox.localdomain"];
  const readOnly = ["/x", "/etc/x"].map((path) => `touch: ${path}: Read-only file system`);
  assert.deepEqual(output.trim().split("\n"), ["busybox", "dev", "etc", "proc", "sys", "tmp", "var", ...hosts, ...readOnly, "x", "993"]);
});

const WRONG: readonly (readonly [string, Parameters<typeof spec>[0], RegExp])[] = [
  ["a mount source that is not there", { mounts: [{ source: "/nowhere/at/all", target: "/opt" }] }, /\/nowhere\/at\/all: No such file/],
  ["a mount with a way up", { mounts: [{ source: "/usr/share", target: "/opt/../etc" }] }, /without \.\./],
  ["a root without places to mount over", { mounts: [{ source: "/usr/share", target: "/" }] }, /\/dev/],
  ["two roots", { mounts: ["/usr/share", "/usr/lib"].map((source) => ({ source, target: "/" })) }, /one root/],
  ["a mount that /tmp would cover", { mounts: [{ source: "/usr/share", target: "/tmp/x" }] }, /mount/],
  ["a mount below /proc", { mounts: [{ source: "/usr/share", target: "/proc" }] }, /mount/],
  ["a mount into the system", { mounts: [{ source: "/usr/share", target: "/usr/nothing" }] }, /\/usr\/nothing/],
  ["a directory on a file", { mounts: [{ source: "/usr/share", target: "/etc/passwd" }] }, /\/etc\/passwd/],
  ["a program that is not there", { argv: ["/usr/bin/no-such-program"] }, /no-such-program: No such file/],
  ["a program that can't be executed", { argv: ["/etc/passwd"] }, /\/etc\/passwd: Permission denied/],
  ["no program", { argv: [] }, /arguments/],
  ["a directory that is not there", { workingDirectory: "/nowhere" }, /working directory: \/nowhere/],
  ["NUL in an argument", { argv: ["/bin/sh", "-c", "true\0false"] }, /malformed/],
  ["NUL in a variable", { env: { A: "1\0B=2" } }, /malformed/],
  ["= in a name only", { env: { "": "" } }, /variable/],
  ["an id with a slash", { id: "../escape" }, /name/],
  ["an id that is empty", { id: "" }, /name/],
  ["no memory", { memoryBytes: 0 }, /limit/],
  ["a port twice", { listeners: [80, 80].map((port) => ({ port, onConnection: () => undefined })) }, /listener/],
  [
    "too many mounts",
    { mounts: Array.from({ length: 100 }, (_, i) => ({ source: "/usr/share", target: `/opt/${i}` })) },
    /too many mounts/,
  ],
  ["more than a frame holds", { env: { A: "x".repeat(1 << 20) } }, /too (?:long|large)/],
  ["a way to the internet on a host that was not given one", { network: "internet" }, /network setting internet/],
];
void test("what can't be made is refused with its reason, and nothing of it is left", { skip }, async () => {
  const groups = controlGroups(launcherOf());
  for (const [what, changes, reason] of WRONG)
    await assert.rejects(host.start(spec(changes)), (error) => {
      assert.ok(error instanceof SandboxError, `${what}: ${String(error)}`);
      assert.match(error.message, reason, what);
      return true;
    });
  assert.deepEqual(await host.inventory(), []);
  assert.deepEqual(controlGroups(launcherOf()), groups);
  assert.deepEqual(
    processes().filter(({ parent }) => parent === launcherOf()),
    [],
  );
  assert.equal((await run(host, sh("exit 5"))).exit.code, 5, "and the next one starts");
});

void test("60 sandboxes, ten at a time, leave nothing: no process, control group, mount or namespace", { skip }, async () => {
  const launcher = launcherOf();
  const atStart = { groups: controlGroups(launcher), mounts: mountCount() };
  const marker = `ledger-${process.pid}`;
  const namespaces = new Set<string>();
  for (let round = 0; round < 6; round++) {
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, i) => host.start(spec({ argv: [...python(i % 3 === 0 ? "pass" : "os.read(3, 1)"), marker] }))),
    );
    for (const pid of marked(marker)) {
      const namespace = networkOf(pid);
      if (namespace !== undefined) namespaces.add(namespace);
    }
    await Promise.all(made.map((sandbox) => sandbox.kill()));
  }
  assert.ok(namespaces.size >= 30, `${namespaces.size} namespaces were seen`);
  assert.deepEqual(marked(marker), []);
  assert.deepEqual({ groups: controlGroups(launcher), mounts: mountCount() }, atStart);
  for (const name of namespaces) assert.ok(!isNamespaceUsed(name));
  assert.deepEqual(
    processes().filter(({ parent }) => parent === launcher),
    [],
  );
});

void test("when the launcher is killed, every sandbox ends, that is told, and the next one sweeps up", { skip }, async () => {
  const { host: doomed, launcher } = await startAnother();
  const marker = `doomed-${process.pid}`;
  const argv = [...python("os.fork(); os.read(3, 1)"), marker];
  const [one, two] = await Promise.all([doomed.start(spec({ argv })), doomed.start(spec({ argv }))]);
  await two.freeze();
  await eventually("both run", () => marked(marker).length >= 3);
  kill(launcher, "SIGKILL");
  assert.match((await doomed.died).message, /SIGKILL/);
  assert.deepEqual(await Promise.all([one.exited, two.exited]), [
    { signal: "SIGKILL", outOfMemory: false, isLost: true },
    { signal: "SIGKILL", outOfMemory: false, isLost: true },
  ]);
  await assert.rejects(doomed.start(spec()), SandboxError);
  await Promise.all([one.kill(), two.kill()]);
  await eventually("no process is left", () => marked(marker).length === 0);
  assert.ok(controlGroups(launcher).length > 0, "nobody was there to remove them");
  const next = await startHost();
  assert.deepEqual(controlGroups(launcher), []);
  await next.stop();
  await doomed.stop();
});

async function owner(marker: string): Promise<{ child: ChildProcess; launcher: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "owner.fixture.ts"), marker, "3"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  assert.ok(child.stdout !== null);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, launcher: Number(line.toString()) };
}

void test("L13 when the server is killed, nothing outlives it", { skip }, async (t) => {
  const marker = `orphan-${process.pid}`;
  const { child, launcher } = await owner(marker);
  await eventually("its sandboxes run", () => marked(marker).length >= 6);
  child.kill("SIGKILL");
  await once(child, "exit");
  const beganMs = performance.now();
  await eventually("nothing is left", () => marked(marker).length === 0 && controlGroups(launcher).length === 0 && !isLauncher(launcher));
  t.diagnostic(`${Math.round(performance.now() - beganMs)} ms after the server`);
});

void test("a launcher that has died is swept up after although nobody has taken note of its end", { skip }, async () => {
  const marker = `unreaped-${process.pid}`;
  const { child, launcher } = await owner(marker);
  child.kill("SIGSTOP"); // as a process 1 that takes no note of anybody's end
  kill(launcher, "SIGKILL");
  await eventually("no process is left", () => marked(marker).every((pid) => pid === child.pid) && !isLauncher(launcher));
  assert.ok(controlGroups(launcher).length > 0, "nobody was there to remove them");
  const next = await startHost();
  const left = controlGroups(launcher);
  await next.stop();
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.deepEqual(left, []);
});

void test("servers that are started from one place have their control groups beside each other", { skip }, async () => {
  const { child, launcher } = await owner(`neighbour-${process.pid}`);
  const placesOf = (pid: number) =>
    controlGroups(pid).flatMap((path) => (basename(path).startsWith(`lambent-${pid}-`) ? [dirname(path)] : []));
  const places = [placesOf(launcher), placesOf(launcherOf())];
  child.kill("SIGKILL");
  await eventually("it is gone", () => controlGroups(launcher).length === 0);
  assert.deepEqual(places[0], places[1]);
  assert.ok((places[0] ?? []).length > 0);
});

void test("L14 a sandbox whose launcher dies while it is being made does not stay", { skip }, async () => {
  const marker = `half-made-${process.pid}`;
  for (let i = 0; i < 8; i++) {
    const { host: doomed, launcher } = await startAnother();
    const starts = Array.from({ length: 4 }, () =>
      doomed.start(spec({ argv: [...python("os.read(3, 1)"), marker] })).catch(() => undefined),
    );
    await new Promise((resolve) => void setTimeout(resolve, i));
    kill(launcher, "SIGKILL");
    await doomed.died;
    await Promise.all(starts);
  }
  await eventually("no process is left", () => marked(marker).length === 0);
  const next = await startHost();
  await next.stop();
});

void test("output that was written before the end can be read after a kill of the rest", { skip }, async () => {
  const sandbox = await host.start(spec({ argv: sh("(sleep 60) & echo said; exit 0") }));
  const output = outputOf(sandbox);
  assert.deepEqual(await sandbox.exited, { code: 0, outOfMemory: false });
  assert.equal(await output, "said\n");
});

const PREPARED = `
print("empty", os.listdir("/var/task"), os.listdir("/opt"), os.statvfs("/tmp").f_files, flush=True)
os.write(3, b"w")
os.read(3, 1)
os.chdir("/var/task")
flags = next(line.split()[3] for line in open("/proc/self/mounts") if line.split()[1] == "/var/task")
shared = [line for line in open("/proc/self/mountinfo") if " master:" in line or " shared:" in line]
tmp = os.statvfs("/tmp")
print(os.path.exists("doc"), os.listdir("/opt") == os.listdir("/usr/lib"), flags.split(",")[:3], len(shared), tmp.f_blocks * tmp.f_bsize, tmp.f_files, tries(open, "/var/task/x", "w"))
`;

const GIVEN = {
  ...spec({ memoryBytes: 256 * 2 ** 20, cpuMillis: 500, tmpBytes: 2 ** 26, tmpInodes: 4000 }),
  mounts: [
    { source: "/usr/share", target: "/var/task" },
    { source: "/usr/lib", target: "/opt" },
  ],
};

void test("a prepared sandbox gets its directories, read-only and private, and its /tmp when it is given them", { skip }, async () => {
  const sandbox = await host.start(spec({ argv: python(PREPARED), isPrepared: true, tmpBytes: 2 ** 20, tmpInodes: 16 }));
  const output = outputOf(sandbox);
  await once(sandbox.control, "data");
  await sandbox.freeze();
  await sandbox.specialise(GIVEN);
  sandbox.control.write("x");
  assert.deepEqual(await sandbox.exited, { code: 0, outOfMemory: false });
  assert.equal(await output, "empty ['lib'] ['lib'] 16\nTrue True ['ro', 'nosuid', 'nodev'] 0 67108864 4000 EROFS\n");
  await sandbox.kill();
});

void test("a prepared sandbox that can't get all that it is to get is ended, and the launcher goes on", { skip }, async () => {
  const mounts = mountCount();
  const absent = { ...GIVEN, mounts: [...GIVEN.mounts, { source: "/absent", target: "/opt" }] };
  const elsewhere = { ...GIVEN, mounts: [{ source: "/usr/share", target: "/var/elsewhere" }] };
  for (const [given, message] of [
    [absent, /\/absent: No such file/],
    [elsewhere, /\/var\/elsewhere: No such file/],
  ] as const) {
    const sandbox = await host.start(spec({ argv: python("os.read(3, 1)"), isPrepared: true }));
    await sandbox.freeze();
    await assert.rejects(sandbox.specialise(given), message);
    assert.deepEqual(await sandbox.exited, { signal: "SIGKILL", outOfMemory: false });
    await sandbox.kill();
  }
  assert.equal((await run(host, sh("ls /var/task; pwd"))).output, "lib\n/\n");
  assert.equal(mountCount(), mounts);
});
