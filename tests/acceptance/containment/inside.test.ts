// What code inside a sandbox may try, and what it gets (F files, P /proc, K kernel, N network of the containment cases).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:net";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import type { LinuxSandboxHost } from "../../../src/sandbox/linux/host.ts";
import { SandboxError } from "../../../src/sandbox/sandbox.ts";
import { LAUNCHER, controlGroups, launcherOf, mountCount, outsideOf, python, run, seen, skip, spec, startHost } from "./sandbox.fixture.ts";

const isX64 = process.arch === "x64";
let host: LinuxSandboxHost;
let directory = "";
let atStart: ReturnType<typeof outsideOf>;

before(async () => {
  if (skip !== false) return;
  host = await startHost();
  directory = mkdtempSync(join(tmpdir(), "lambent-sandbox-"));
  mkdirSync(join(directory, "code"));
  mkdirSync(join(directory, "layer"));
  writeFileSync(join(directory, "code", "app.py"), "");
  // Permissions that would allow everything: what refuses must be the mount.
  for (const [path, mode] of [
    ["code", 0o777],
    ["layer", 0o777],
    ["code/app.py", 0o666],
    ["", 0o755],
  ] as const)
    chmodSync(join(directory, path), mode);
  symlinkSync("/etc", join(directory, "code", "link"));
  atStart = outsideOf(launcherOf());
});

// Whatever was tried inside: the launcher is the same, and has nothing more than before.
afterEach(() => {
  if (skip === false) assert.deepEqual(outsideOf(launcherOf()), atStart);
});

after(async () => {
  if (skip !== false) return;
  await host.stop();
  rmSync(directory, { recursive: true });
});

const mounts = () => [
  { source: join(directory, "code"), target: "/var/task" },
  { source: join(directory, "layer"), target: "/opt" },
];

/** Runs `code` inside and compares what it printed, as a Python literal a line. */
function inside(name: string, code: string, expected: string | RegExp, isSkipped: string | false = false): void {
  void test(name, { skip: skip === false ? isSkipped : skip }, async () => {
    const { exit, output } = await run(host, python(code), { mounts: mounts(), workingDirectory: "/var/task" });
    if (typeof expected === "string") assert.equal(output.trim(), expected);
    else assert.match(output.trim(), expected);
    assert.deepEqual(exit, { code: 0, outOfMemory: false });
  });
}

const all = (what: string) => `print(sorted(set(${what}), key=str))`;
const open = (paths: readonly string[], flags: string) => all(`tries(os.open, p, ${flags}) for p in ${JSON.stringify(paths)}`);

// Files.
const HOST_PATHS = [
  "/root",
  "/home",
  "/sys/fs",
  "/sys/kernel",
  "/run",
  "/boot",
  "/srv",
  "/mnt",
  "/media",
  "/var/lib",
  "/var/log",
  "/etc/shadow",
  "/etc/ssh",
  "/etc/machine-id",
];
inside("F01 the host's directories are not there", open(HOST_PATHS, "os.O_RDONLY"), "['ENOENT']");
inside(
  "F02 a file of the host is not there",
  open([import.meta.filename, process.execPath, "/proc/self/root/../root"], "os.O_RDONLY"),
  "['ENOENT']",
);
const create = (paths: readonly string[]) => open(paths, "os.O_WRONLY | os.O_CREAT, 0o666");
inside(
  "R08 nothing can be written into the root",
  create(["/x", "/var/x", "/proc/x", "/proc/sys/x"]),
  /^\['(?:ENOENT|EACCES)', 'EROFS'\]$/,
);
inside("R09 nothing can be written into /dev", create(["/dev/x", "/dev/fd/x"]), /^\['(?:ENOENT|EACCES)', 'EROFS'\]$/);
inside("F06 code and layers can't be written", create(["/var/task/x", "/var/task/app.py", "/opt/x"]), "['EROFS']");
inside(
  "F07 the system can't be written",
  create(["/usr/x", "/etc/x"]) + "; " + open(["/usr/bin/python3", "/etc/passwd", "/etc/resolv.conf"], "os.O_WRONLY"),
  "['EROFS']\n['EACCES']",
);
inside(
  "permissions, times and owners of the code can't be changed",
  `
a = "/var/task/app.py"
${all("tries(f, *x) for f, x in [(os.chmod, (a, 0o777)), (os.utime, (a,)), (os.unlink, (a,)), (os.rename, (a, '/tmp/a')), (os.chmod, ('/tmp', 0o777))]")}`,
  "['EPERM', 'EROFS', 'EXDEV']",
);
void test("F08 the interpreter, the launcher and process 1 can't be overwritten", { skip }, async () => {
  const hashes = () =>
    [LAUNCHER, realpathSync("/usr/bin/python3")].map((path) => createHash("sha256").update(readFileSync(path)).digest("hex"));
  const hashesBefore = hashes();
  const { output } = await run(
    host,
    python(open(["/proc/self/exe", "/proc/1/exe"], "os.O_WRONLY") + "; " + open(["/proc/self/exe"], "os.O_RDWR | os.O_TRUNC")),
  );
  assert.equal(output.trim(), "['EACCES']\n['EROFS']");
  assert.deepEqual(hashes(), hashesBefore);
});
inside(
  "F09 descriptors are an empty input, a pipe twice, the control socket, and nothing else",
  `
def kind(fd):
    mode = os.fstat(fd).st_mode
    return "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else os.readlink(f"/proc/self/fd/{fd}")
present = [fd for fd in range(1024) if tries(os.fstat, fd) != "EBADF"]
print([kind(fd) for fd in present], os.readlink("/proc/self/fd/1") == os.readlink("/proc/self/fd/2"), os.read(0, 1))`,
  "['/dev/null', 'pipe', 'pipe', 'socket'] True b''",
);
inside(
  "F10 standard output is a pipe, not a file: it can't be truncated, sought or found",
  "print(os.readlink('/proc/self/fd/1').split(':')[0], tries(os.ftruncate, 1, 0), tries(os.lseek, 1, 0, 0), tries(os.truncate, '/proc/self/fd/1', 0))",
  "pipe EINVAL ESPIPE EINVAL",
);
void test("F11 a link to the host leads nowhere inside, and nobody outside follows it", { skip }, async () => {
  const outside = join(directory, "outside");
  writeFileSync(outside, "untouched");
  const { output } = await run(
    host,
    python(`
for n, to in enumerate(["${outside}", "/etc/shadow", "/proc/1/root${outside}", "/proc/self/root/../..${outside}"]):
    os.symlink(to, f"/tmp/{n}"); print(tries(os.open, f"/tmp/{n}", os.O_RDWR))
print(tries(os.chmod, "/tmp/0", 0o777), tries(os.link, "/tmp/0", "/tmp/hard"))`),
    { mounts: mounts() },
  );
  assert.equal(output.trim(), "ENOENT\nENOENT\nEACCES\nENOENT\nENOENT done");
  assert.equal(readFileSync(outside, "utf8"), "untouched");
});
inside(
  "F13 no device can be made",
  all("tries(os.mknod, '/tmp/d', t | 0o666, os.makedev(1, 3)) for t in [stat.S_IFCHR, stat.S_IFBLK]"),
  "['EPERM']",
);
void test("F14 a set-user-ID program gives nothing", { skip }, async () => {
  const program = join(directory, "layer", "setuid");
  copyFileSync("/usr/bin/id", program);
  chmodSync(program, 0o6755);
  const { output } = await run(host, ["/bin/sh", "-c", "/opt/setuid -u; /opt/setuid -ru; /opt/setuid -g"], { mounts: mounts() });
  rmSync(program);
  assert.equal(output, "993\n993\n990\n");
});
inside(
  "R07 there is no shared memory directory",
  open(["/dev/shm", "/dev/shm/x", "/dev/mqueue", "/dev/hugepages"], "os.O_RDONLY"),
  "['ENOENT']",
);
inside(
  "F15 devices are these",
  "print(sorted(os.listdir('/dev')))",
  "['fd', 'full', 'null', 'random', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']",
);
inside(
  "devices work",
  "print(os.read(os.open('/dev/zero', 0), 1), len(os.urandom(8)), os.write(os.open('/dev/null', 1), b'x'), tries(os.write, os.open('/dev/full', 1), b'x'))",
  "b'\\x00' 8 1 ENOSPC",
);
inside("F18 the working directory is the code's", "print(os.getcwd(), sorted(os.listdir('.')))", "/var/task ['app.py', 'link']");
inside(
  "the root has only what it needs",
  "print(sorted(os.listdir('/')), sorted(os.listdir('/var')))",
  /^\['bin', 'dev', 'etc', 'lib'(?:, 'lib\d+')*, 'opt', 'proc', 'sbin', 'sys', 'tmp', 'usr', 'var'\] \['task'\]$/,
);
inside(
  "users, groups and names resolve",
  "import pwd, grp; print(pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name, os.uname().nodename, socket.gethostbyname('localhost'))",
  "sbx_user1051 sbx_user1051 sandbox 127.0.0.1",
);
inside(
  "every mount is nosuid; only /tmp, /proc and /dev's devices are not read-only",
  `
for line in open("/proc/self/mountinfo"):
    target, options = line.split()[4:6]
    if "nosuid" not in options: print("suid", line)
    if "nodev" not in options and not target.startswith("/dev"): print("dev", line)
    if not options.startswith("ro") and target not in ("/tmp", "/proc"): print("rw", line)`,
  "",
);

// /proc.
inside(
  "P01 the environment of process 1 can't be read",
  open(["/proc/1/environ", "/proc/1/maps", "/proc/1/fd", "/proc/1/exe", "/proc/1/cwd/x", "/proc/1/root/x"], "os.O_RDONLY"),
  "['EACCES']",
);
inside("P14 the memory of process 1 can't be written", open(["/proc/1/mem", "/proc/1/task/1/mem"], "os.O_RDWR"), "['EACCES']");
inside(
  "P02 the command line of process 1 tells nothing",
  "print(open('/proc/1/cmdline').read().strip('\\0'), open('/proc/1/comm').read())",
  "init",
);
inside("P04 there are no other processes", "print([p for p in os.listdir('/proc') if p.isdigit()])", "['1', '2']");
inside(
  "P05 what tells of the host's kernel is empty",
  "print([p for p in ['kcore', 'kallsyms', 'modules', 'keys', 'timer_list', 'cmdline', 'config.gz', 'diskstats', 'sched_debug'] if os.path.exists('/proc/' + p) and open('/proc/' + p).read()], os.listdir('/proc/fs'), os.listdir('/proc/irq'))",
  "[] [] []",
);
inside(
  "P06 nothing of the kernel can be set",
  open(
    [
      "/proc/sys/kernel/core_pattern",
      "/proc/sys/vm/drop_caches",
      "/proc/sys/kernel/hostname",
      "/proc/sys/net/ipv4/ip_forward",
      "/proc/sysrq-trigger", // not in every kernel …
      "/proc/sysrq-absent", // … so that both answers are there with each
    ],
    "os.O_WRONLY",
  ),
  "['EACCES', 'ENOENT']",
);
inside(
  "P07 the kernel's log can't be read",
  "print(call(103, 3, 0, 0), open('/proc/kmsg').read())",
  "EPERM",
  isX64 ? false : "numbers of x86-64",
);
inside(
  "P08 the control groups are the sandbox's own root",
  "print({line.split(':', 2)[2].strip() for line in open('/proc/self/cgroup')})",
  "{'/'}",
);
inside(
  "a machine that is out of memory ends what runs in sandboxes before the server",
  "print(open('/proc/self/oom_score_adj').read().strip(), open('/proc/1/oom_score_adj').read().strip())",
  "500 500",
);
inside(
  "P12 the oom score can't be lowered",
  "print(tries(open('/proc/self/oom_score_adj', 'w', buffering=1).write, '-1000\\n'))",
  "EACCES",
);

void test(
  "P03 the table of mounts names no function, no account and nothing of the host's that is not mounted here",
  { skip },
  async () => {
    const { output } = await run(host, python("print(open('/proc/self/mountinfo').read(), open('/proc/self/mountstats').read())"), {
      mounts: mounts(),
    });
    const roots = [...output.matchAll(/^\d+ \d+ \S+ (\S+) (\S+) /gm)].map(([, root = "", at = ""]) => [at, root] as const);
    // The kernel shows where in its file system a directory stands: a path of the server's own choice, which has a hash for a name.
    const own = roots.filter(([, root]) => root.includes("lambent-sandbox-")).map(([at]) => at);
    assert.deepEqual(own.toSorted(), ["/opt", "/var/task"]);
    for (const [at, root] of roots)
      assert.ok(
        own.includes(at) ||
          /^\/(?:usr|lib|bin|sbin|etc|dev|proc)?(?:\/|$)|^\/(?:null|zero|full|random|urandom|sys|environment|opt)$|^\/sys\/(?:cpuinfo|stat)\/\/deleted$/.test(
            root,
          ),
        `${at} is ${root}`,
      );
    assert.doesNotMatch(output.replaceAll(directory, ""), /\b\d{12}\b|canary|\/root\/|\/home\//);
  },
);
inside(
  "P13 the load of the machine can be seen: a process shares the kernel with its neighbours",
  "print([len(open('/proc/' + p).read()) > 10 for p in ('stat', 'loadavg', 'meminfo')], [os.path.exists('/proc/interrupts') and open('/proc/interrupts').read()])",
  /^\[True, True, True\] \[(?:False|'')\]$/,
);

// Kernel.
inside(
  "K13 no capability, no new privileges, a filter, in every thread",
  `
import threading
def look():
    for line in open("/proc/thread-self/status"):
        if line.startswith(("Cap", "NoNewPrivs", "Seccomp:", "Groups")): print(*line.split())
thread = threading.Thread(target=look); thread.start(); thread.join()`,
  [
    "Groups:",
    "CapInh: 0000000000000000",
    "CapPrm: 0000000000000000",
    "CapEff: 0000000000000000",
    "CapBnd: 0000000000000000",
    "CapAmb: 0000000000000000",
    "NoNewPrivs: 1",
    "Seccomp: 2",
  ]
    .join("\n")
    .replace("Groups:", "Groups: 990")
    .replace("Groups: 990", "Groups:"),
);
inside(
  "no other user can be had",
  all("tries(f, 0) for f in [os.setuid, os.setgid, os.seteuid]") + "; print(tries(os.setgroups, [0]))",
  /^\['EINVAL'\]\nE(?:PERM|INVAL)$/,
);
inside(
  "the limits are those of AWS",
  "import resource as r; print([r.getrlimit(x) for x in (r.RLIMIT_NOFILE, r.RLIMIT_NPROC, r.RLIMIT_CORE, r.RLIMIT_MEMLOCK, r.RLIMIT_STACK)])",
  "[(1024, 1024), (64, 64), (1, 1), (65536, 65536), (8388608, 8388608)]",
);

const REFUSED: Readonly<Record<string, readonly number[]>> = {
  "K01 ptrace": [101],
  "K02 other processes' memory and descriptors": [310, 311, 312, 438, 440, 448],
  "F16 chroot, pivot_root, umount": [161, 155, 166],
  "K03 mounts": [165, 428, 429, 430, 431, 432, 433, 442, 457, 458, 467],
  "K05 modules and kexec": [175, 176, 246, 313, 320],
  "K06 bpf, perf, userfaultfd, io_uring": [298, 321, 323, 425, 426, 427],
  "K07 keys": [248, 249, 250],
  "K08 clocks, names, swap, reboot, accounting": [163, 164, 167, 168, 169, 170, 171, 227, 305, 159],
  "F17 file handles": [303, 304],
  "quotas, fanotify": [179, 443, 300],
  "privileged x86 calls": [172, 173, 154],
};
for (const [name, numbers] of Object.entries(REFUSED))
  inside(
    name,
    all(`call(n, 0, 0, 0, 0, 0, 0) for n in [${numbers.join(", ")}]`),
    /^\[(?:'ENOSYS', )?'EPERM'\]$|^\['EPERM', 'ENOSYS'\]$/,
    isX64 ? false : "numbers of x86-64",
  );

inside(
  "K04 no namespace can be made or entered, and no process be cloned into one; clone3 does not exist",
  "print([call(272, 0x10000000), call(308, 0, 0)], [call(56, f | 17, 0, 0, 0, 0) for f in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)], call(435, 0, 0))",
  "['EPERM', 'EPERM'] ['EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM'] ENOSYS",
  isX64 ? false : "numbers of x86-64",
);
inside(
  "K09 address randomisation can't be switched off",
  "print(libc.personality(0xffffffff), call(135, 0x40000))",
  "0 EPERM",
  isX64 ? false : "numbers of x86-64",
);
inside(
  "K11 a system call that is newer than the list does not exist",
  all("call(n, 0, 0, 0, 0, 0, 0) for n in list(range(463, 700)) + [1023, 0x3fffffff]"),
  "['ENOSYS']",
);
inside(
  "K12 nothing can be typed into a terminal",
  "import fcntl; print(tries(fcntl.ioctl, 0, 0x5412, b'x'), tries(fcntl.ioctl, 0, 0x541c, b'x'), call(16, 0, 0x7fff00005412, 0))",
  "EPERM EPERM EPERM",
  isX64 ? false : "numbers of x86-64",
);

void test(
  "K10 the calls of other architectures end the process",
  { skip: skip === false && !isX64 ? "numbers of x86-64" : skip },
  async () => {
    const x32 = await run(host, python("call(0x40000000 | 39)"));
    assert.deepEqual(x32.exit, { signal: "SIGSYS", outOfMemory: false });
    // mov $20, %eax; int $0x80; ret
    const i386 = await run(
      host,
      python(`
import mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3")
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())`),
    );
    assert.match(i386.exit.signal ?? "", /^SIG(?:SYS|SEGV)$/, "SIGSEGV where the kernel has no 32-bit calls at all");
  },
);

// Network.
void test("N01 the host's ports can't be reached", { skip }, async () => {
  const server = createServer((socket) => void socket.destroy());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const { output } = await run(
    host,
    python(`
def reach(host, port, family=socket.AF_INET):
    with socket.socket(family) as s:
        s.settimeout(2)
        return tries(s.connect, (host, port))
print(reach("127.0.0.1", ${address.port}), reach("0.0.0.0", ${address.port}), reach("169.254.100.1", ${address.port}), reach("::1", ${address.port}, socket.AF_INET6))
print(sorted(os.listdir("/proc/sys/net/ipv4/conf")), [name for _, name in socket.if_nameindex()])`),
  );
  server.close();
  const [reached, interfaces] = output.trim().split("\n");
  assert.match(reached ?? "", /^ECONNREFUSED ECONNREFUSED ECONNREFUSED E\w+$/);
  assert.equal(interfaces, "['all', 'default', 'lo'] ['lo']");
});

inside(
  "N02 no address outside can be reached, nor the metadata service",
  `
def reach(family, *address):
    with socket.socket(family) as s: return tries(s.connect, address)
print({reach(socket.AF_INET, a, 80) for a in ("169.254.169.254", "169.254.170.2", "10.0.0.1", "192.168.1.1", "1.1.1.1", "255.255.255.255")})
print({reach(socket.AF_INET6, a, 80) for a in ("fe80::1", "fd00:ec2::254", "2606:4700::1111")} <= {"ENETUNREACH", "EADDRNOTAVAIL", "EINVAL", "EAFNOSUPPORT"})`,
  /^\{'ENETUNREACH'(?:, 'EACCES')?\}\nTrue$|^\{'EACCES', 'ENETUNREACH'\}\nTrue$/,
);

void test("N03 the host's abstract sockets are not there", { skip }, async () => {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen("\0lambent-test-abstract", resolve));
  const { output } = await run(host, python("s = socket.socket(socket.AF_UNIX); print(tries(s.connect, '\\0lambent-test-abstract'))"));
  server.close();
  assert.equal(output.trim(), "ECONNREFUSED");
});

inside(
  "N04 only sockets of the internet and of Unix; of netlink, only routes",
  `
kinds = [(17, 3, 0), (40, 1, 0), (38, 5, 0), (15, 3, 2), (30, 2, 0), (21, 5, 0), (31, 1, 0), (29, 3, 1)]
${all("tries(socket.socket, *k) for k in kinds")}
${all("tries(socket.socket, 16, 3, p) for p in (4, 9, 12, 15, 16)")}
${all("tries(socket.socket, f, t, p) for f in (2, 10) for t, p in ((1, 132), (6, 33), (1, 262))")}
print(tries(socket.socket, 2, 3, 6), tries(socket.socketpair, 30, 2, 0), len(socket.if_nameindex()))`,
  "['EAFNOSUPPORT']\n['EPROTONOSUPPORT']\n['EPROTONOSUPPORT']\nEPERM EAFNOSUPPORT 1",
);

void test("N07 what listens inside can't be reached from the host, nor from another sandbox", { skip }, async () => {
  const listens = await host.start(spec({ argv: python("s = socket.create_server(('0.0.0.0', 38217)); print('listening'); s.accept()") }));
  await seen(listens, "listening");
  const { output } = await run(
    host,
    python("s = socket.socket(); print([tries(s.connect, (a, 38217)) for a in ('127.0.0.1', '169.254.100.1')])"),
  );
  assert.equal(output.trim(), "['ECONNREFUSED', 'ECONNREFUSED']");
  const { Socket } = await import("node:net");
  const failure = await new Promise(
    (resolve) =>
      void new Socket()
        .on("error", resolve)
        .on("connect", () => resolve("connected"))
        .connect(38217, "127.0.0.1"),
  );
  assert.equal((failure as { code?: string }).code, "ECONNREFUSED");
  await listens.kill();
});

// Mount targets.
void test("F12 a link inside content never leads a mount elsewhere", { skip }, async () => {
  const groups = controlGroups(launcherOf());
  const mountsBefore = mountCount();
  const wrong = [...mounts(), { source: join(directory, "layer"), target: "/var/task/link/ssl" }];
  await assert.rejects(
    host.start(spec({ mounts: wrong })),
    (error) => error instanceof SandboxError && error.message.includes("/var/task/link/ssl"),
  );
  assert.deepEqual(controlGroups(launcherOf()), groups, "nothing of it is left");
  assert.equal(mountCount(), mountsBefore);
});

void test("a mount may stand below another one's content, where that has the place", { skip }, async () => {
  mkdirSync(join(directory, "code", "deep", "place"), { recursive: true });
  writeFileSync(join(directory, "layer", "of-the-layer"), "");
  const deep = [...mounts(), { source: join(directory, "layer"), target: "/var/task/deep/place" }];
  const { output } = await run(host, python("print(os.listdir('/var/task/deep/place'), tries(os.mkdir, '/var/task/deep/place/x'))"), {
    mounts: deep,
  });
  assert.equal(output.trim(), "['of-the-layer'] EROFS");
});

void test("one file can be a mount", { skip }, async () => {
  const one = [{ source: join(directory, "code", "app.py"), target: "/var/rapid/app.py" }];
  const { output } = await run(host, python("print(os.listdir('/var/rapid'), tries(os.open, '/var/rapid/app.py', os.O_WRONLY))"), {
    mounts: one,
  });
  assert.equal(output.trim(), "['app.py'] EROFS");
});
