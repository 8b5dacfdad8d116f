// The cases of internet.test.ts, which starts this in namespaces of its own: run it by itself with `unshare --net --mount node FILE`.
import assert from "node:assert/strict";
import { readlinkSync, realpathSync } from "node:fs";
import { after, before, test } from "node:test";
import { silentLog } from "../../src/base/log.ts";
import { linuxSandboxHost, type LinuxSandboxHost } from "../../src/sandbox/linux/host.ts";
import { findTool } from "../../src/sandbox/linux/tools.ts";
import { SandboxError } from "../../src/sandbox/sandbox.ts";
import { eventually } from "../support/eventually.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent } from "../support/lambent-process.ts";
import { FORBIDDEN, MACHINE, SITE, connectMachine, shell, type Internet } from "./internet.fixture.ts";
import {
  LAUNCHER,
  below,
  isLauncher,
  launcherOf,
  marked,
  processes,
  python,
  run,
  seen,
  spec,
  startAnother,
} from "../acceptance/containment/sandbox.fixture.ts";

const PRELUDE = `
def reach(address, port, timeout=30):
    with socket.socket() as s:
        s.settimeout(timeout)
        try: s.connect((address, port)); return s.recv(20).decode() if port != 80 else "connected"
        except TimeoutError: return "silence"
        except OSError as e: return name(e.errno)
`;
const reach = (targets: readonly (readonly [string, number])[]) =>
  python(`${PRELUDE}\nfor a, p in ${JSON.stringify(targets)}: print(reach(a, p))`);

const openHost = (allowed: readonly string[] = []) => linuxSandboxHost({ launcherPath: LAUNCHER, log: silentLog, internet: { allowed } });
const internet = { network: "internet" } as const;

let machine: Internet | undefined;
let host: LinuxSandboxHost;
let launcher: number;
before(async () => {
  machine = await connectMachine();
  host = await openHost();
  launcher = launcherOf();
});
after(async () => {
  await (host as LinuxSandboxHost | undefined)?.stop(); // there is none when the beginning failed
  await machine?.close();
});

const answers = async (targets: readonly (readonly [string, number])[], at = host) =>
  (await run(at, reach(targets), internet)).output.trim().split("\n");
const carriers = (pid: number) => marked(`slirp4netns --configure`).filter((one) => commandOf(one).includes(`/proc/${pid}/fd/`));
const commandOf = (pid: number) => processes().find((one) => one.pid === pid)?.command ?? "";
const cables = () => shell(`nsenter --net=/proc/${launcher}/fd/9 ip -o link`).trim().split("\n").length;

void test("a public address is reached over TCP and UDP, also by name", async () => {
  assert.deepEqual(
    await answers([
      [SITE, 8443],
      [SITE, 80],
      ["site.example", 8443],
    ]),
    ["220 hello", "connected", "220 hello"],
  );
  const { output } = await run(
    host,
    python(`s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(30)
s.sendto(b"over UDP", ("${SITE}", 7)); print(s.recv(100).decode())
try: socket.getaddrinfo("nowhere.example", 80)
except socket.gaierror as e: print(e.errno == socket.EAI_NONAME)`),
    internet,
  );
  assert.equal(output.trim(), "over UDP\nTrue");
});

void test("what nobody listens on is refused as it is outside", async () => {
  assert.deepEqual(await answers([[SITE, 81]]), ["ECONNREFUSED"]);
});

void test("N11 private networks, link-local addresses and the metadata service are refused at once, by address and by name", async () => {
  const targets = [...FORBIDDEN, "inside.example", "metadata.example"].map((address) => [address, 8443] as const);
  for (const address of FORBIDDEN)
    assert.equal(
      shell(`exec 3<>/dev/null; /usr/bin/python3 -ISc 'import socket; print(socket.create_connection(("${address}", 8443), 15).recv(9))'`),
      "b'220 hello'\n",
    );
  assert.deepEqual(
    await answers(targets),
    targets.map(() => "EHOSTUNREACH"),
  );
});

void test("the host's ports are refused on every address that it has, also one that it has got since", async () => {
  const added = "198.51.100.77";
  shell(`ip address add ${added}/32 dev up0`);
  const targets = [MACHINE, added, "machine.example", "198.19.1.2"].map((address) => [address, 8080] as const);
  assert.deepEqual(
    await answers(targets),
    targets.map(() => "EHOSTUNREACH"),
  );
  assert.deepEqual(
    await answers([
      ["127.0.0.1", 8080],
      ["0.0.0.0", 8080],
    ]),
    ["ECONNREFUSED", "ECONNREFUSED"],
  );
  const gateway = await run(host, python(`${PRELUDE}\nprint([reach(a, 8080, 0.3) for a in ("198.19.0.1", "198.19.1.100")])`), internet);
  assert.equal(gateway.output.trim(), "['silence', 'silence']");
  shell(`ip address delete ${added}/32 dev up0`);
});

void test("an address that the host gets while a function runs is closed to it soon", async () => {
  machine?.there("ip address add 198.51.100.78/32 dev lo");
  const look = `${PRELUDE}\nimport time\nprint(reach("198.51.100.78", 8443))
while reach("198.51.100.78", 8443, 1) != "EHOSTUNREACH": time.sleep(0.05)
print("closed")`;
  const sandbox = await host.start(spec({ ...internet, argv: python(look) }));
  const closed = seen(sandbox, "220 hello\nclosed");
  await seen(sandbox, "220 hello");
  shell("ip address add 198.51.100.78/32 dev up0");
  await closed;
  await sandbox.kill();
  shell("ip address delete 198.51.100.78/32 dev up0");
});

void test("N05 neighbours don't reach each other, nor does the host reach inside", async () => {
  const listens = await host.start(
    spec({
      ...internet,
      argv: python(`
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(("${SITE}", 7)); print("at", u.getsockname()[0], flush=True)
s = socket.create_server(("0.0.0.0", 8443)); print("listening"); s.accept(); print("SOMEBODY CAME")`),
    }),
  );
  let output = "";
  listens.output.on("data", (piece: Buffer) => (output += piece.toString()));
  await eventually("it listens", () => output.includes("listening"));
  const address = /at (198\.18\.\S+)/.exec(output)?.[1] ?? "";
  assert.notEqual(address, "");
  const { output: tried } = await run(host, python(`${PRELUDE}\nprint(reach("${address}", 8443, 0.5))`), internet);
  assert.equal(tried.trim(), "silence");
  const fromHost = shell(
    `/usr/bin/python3 -ISc 'import socket; s = socket.socket(); s.settimeout(0.5); print(s.connect_ex(("${address}", 8443)) != 0)'`,
  );
  assert.equal(fromHost.trim(), "True");
  assert.doesNotMatch(output, /SOMEBODY/);
  await listens.kill();
});

void test("N09 nobody speaks with another's address, and nobody's interface, addresses, routes or neighbours can be changed", async () => {
  const { output } = await run(
    host,
    python(`
import fcntl, struct
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(tries(u.setsockopt, 0, 15, 1), tries(u.bind, ("198.18.0.99", 4000)), tries(u.sendto, b"spoofed", ("${SITE}", 7)))
v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(tries(v.sendmsg, [b"spoofed"], [(0, 8, struct.pack("i4s4s", 0, socket.inet_aton("198.18.0.99"), b""))], 0, ("${SITE}", 7)))
print(tries(v.setsockopt, 0, 19, 1), tries(socket.socket, 17, 3, 0), tries(socket.socket, 2, 3, 255), tries(socket.socket, 10, 3, 58))
print({tries(fcntl.ioctl, v, n, struct.pack("16s24x", b"eth0")) for n in (0x8914, 0x8916, 0x891c, 0x8922, 0x8924, 0x8943, 0x8955)})
def ask(kind, body):
    n = socket.socket(16, 3, 0); n.send(struct.pack("IHHII", 16 + len(body), kind, 0x405, 1, 0) + body)
    return name(-struct.unpack("i", n.recv(4096)[16:20])[0])
address = struct.pack("BBBBI", 2, 32, 0, 0, 2) + struct.pack("HH4s", 8, 2, socket.inet_aton("198.18.0.99"))
route = struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + struct.pack("HHI", 8, 4, 2)
neighbour = struct.pack("BBHiHBB", 2, 0, 0, 2, 0x80, 0, 0) + struct.pack("HH4s", 8, 1, socket.inet_aton("198.19.0.1")) + struct.pack("HH6s2x", 10, 2, b"\\2\\0\\0\\0\\0\\1")
link = struct.pack("BBHiII", 0, 0, 0, 2, 0, 1)
print([ask(k, b) for k, b in ((20, address), (24, route), (28, neighbour), (16, link))])`),
    internet,
  );
  assert.match(
    output,
    /^done done E(?:INVAL|NETUNREACH)\nE(?:INVAL|NETUNREACH)\nEPERM EAFNOSUPPORT EPROTONOSUPPORT EPERM\n\{'EPERM'\}\n\['EPERM', 'EPERM', 'EPERM', 'EPERM'\]\n$/,
  );
});

void test("N10 DNS goes to the host's resolver only, and mail is not sent: port 25 is closed as on AWS", async () => {
  assert.deepEqual(
    await answers([
      [SITE, 25],
      [SITE, 53],
      [SITE, 853],
    ]),
    ["EHOSTUNREACH", "EHOSTUNREACH", "EHOSTUNREACH"],
  );
  const { output } = await run(
    host,
    python(`
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(30); s.connect(("${SITE}", 53))
s.send(b"x" * 30); print(tries(s.recv, 100)); print(open("/etc/resolv.conf").read())`),
    internet,
  );
  assert.match(output, /^EHOSTUNREACH\nnameserver 198\.19\.1\.3\n/);
});

void test("an allowed network is reached on every port, and the host not even by its address there", async () => {
  const allowing = await openHost(["10.20.0.0/16"]);
  shell("ip address add 10.20.0.9/32 dev up0");
  const targets = [
    ["10.20.0.1", 8443],
    ["10.20.0.1", 25],
    ["10.20.0.9", 8080],
    ["192.168.7.7", 8443],
    ["169.254.169.254", 8443],
  ] as const;
  const got = await answers(targets, allowing);
  await allowing.stop();
  shell("ip address delete 10.20.0.9/32 dev up0");
  assert.deepEqual(got, ["220 hello", "220 hello", "EHOSTUNREACH", "EHOSTUNREACH", "EHOSTUNREACH"]);
});

void test("a sandbox without a way out has none beside those that have; IPv6 leads nowhere; the route can't be changed", async () => {
  const closed = await run(host, python(`${PRELUDE}\nprint(reach("${SITE}", 8443), [n for _, n in socket.if_nameindex()])`));
  assert.equal(closed.output.trim(), "ENETUNREACH ['lo']");
  const open = await run(
    host,
    python(`
s = socket.socket(socket.AF_INET6); print(tries(s.connect, ("2001:db8::1", 80)), tries(socket.socket, 17, 3, 0), tries(socket.socket, 2, 3, 1))
print([line.split()[-1] for line in open("/proc/net/if_inet6")])
import fcntl, struct
print(tries(fcntl.ioctl, socket.socket(), 0x8914, struct.pack("16sh14x", b"eth0", 0)))`),
    internet,
  );
  assert.equal(open.output.trim(), "ENETUNREACH EAFNOSUPPORT EPERM\n['lo']\nEPERM");
});

void test("one function's connections are bounded, and its neighbours have theirs", async () => {
  const { output } = await run(
    host,
    python(`
kept, ends = [], set()
for port in range(30000, 31100):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", port)); s.connect(("${SITE}", 7)); s.send(b"x"); s.settimeout(0.01)
    try: s.recv(1)
    except TimeoutError: pass
    except OSError as e: ends.add(name(e.errno)); break
    s.close()
print(port - 30000, ends)`),
    internet,
  );
  assert.match(output, /^(?:9\d\d|1000) \{'EHOSTUNREACH'\}\n$/);
  assert.deepEqual(await answers([[SITE, 8443]]), ["220 hello"]);
});

void test("a way that was lost is opened again, for sandboxes that run as well", async () => {
  const sandbox = await host.start(
    spec({
      ...internet,
      argv: python(
        `${PRELUDE}\nimport time\nwhile os.read(3, 1):\n    while reach("${SITE}", 8443, 0.5) != "220 hello": time.sleep(0.05)\n    print("through")`,
      ),
    }),
  );
  let output = "";
  sandbox.output.on("data", (piece: Buffer) => (output += piece.toString()));
  sandbox.control.write("1");
  await eventually("it is through", () => output === "through\n");
  const [carrier = 0] = carriers(launcher);
  process.kill(carrier, "SIGKILL");
  await eventually("the carrier is gone", () => !carriers(launcher).includes(carrier));
  sandbox.control.write("2");
  await eventually("it is through again", () => output === "through\nthrough\n");
  await sandbox.kill();
});

void test("twenty sandboxes, ten at a time, leave no interface; a stopped host no process", async () => {
  for (let round = 0; round < 2; round++)
    assert.deepEqual(
      await Promise.all(Array.from({ length: 10 }, async () => (await answers([[SITE, 8443]]))[0])),
      Array(10).fill("220 hello"),
    );
  // The kernel takes namespaces down one after the other, in the background, and others' on a busy machine before these.
  await eventually("only loopback and the carrier's interface are left", () => cables() === 2);
  const { host: other, launcher: pid } = await startAnother(openHost);
  assert.equal(carriers(pid).length, 1);
  await other.stop();
  assert.deepEqual(carriers(pid), []);
});

void test("without its programs, or when one fails, nothing starts, and the reason is told", async () => {
  // Of this test's own: the machine has others, which come and go.
  const atStart = below(process.pid);
  for (const [tool, instead, reason] of [
    ["slirp4netns", "/dev/null", /needs slirp4netns: apt install slirp4netns/],
    ["nft", "/dev/null", /needs nftables: apt install nftables/],
    ["slirp4netns", "/usr/bin/false", /slirp4netns ended with code 1/],
    ["nft", "/usr/bin/false", /packet filter can't be loaded/],
  ] as const) {
    const path = realpathSync(findTool(tool) ?? "");
    shell(`mount --bind ${instead} ${path}`);
    try {
      await assert.rejects(openHost(), (error) => error instanceof SandboxError && reason.test(error.message));
    } finally {
      shell(`umount ${path}`);
    }
  }
  await eventually("nothing is left of them", () => [...below(process.pid)].every((pid) => atStart.has(pid)));
});

void test("functions in Node and Python get pages by address and by name, through a server as a user starts it", async () => {
  const server = await startLambent({ flags: ["--network", "internet"] });
  const pid = launcherOf(server.child.pid);
  const { lambda, iam, s3 } = server.clients();
  const role = await makeRole(iam, "test-role", ["AmazonS3FullAccess"]);
  const settings = { Timeout: 60, MemorySize: 256 };
  const node = `export const handler = async ({ url }) => { try { return await (await fetch(url)).text() } catch (e) { return e.cause?.code ?? String(e) } }`;
  const py = `import urllib.request, boto3
def handler(event, context):
    try: return urllib.request.urlopen(event["url"], timeout=30).read().decode() if "url" in event else boto3.client("s3").list_buckets()["Buckets"]
    except OSError as e: return str(e)`;
  await makeFunction(lambda, { name: "node", role, runtime: "nodejs24.x", code: node, settings });
  await makeFunction(lambda, { name: "python", role, code: py, settings });
  for (const name of ["node", "python"]) {
    assert.equal((await call(lambda, name, { url: `http://${SITE}/` })).value, `hello ${MACHINE} at ${SITE}`);
    assert.equal((await call(lambda, name, { url: "http://site.example/" })).value, `hello ${MACHINE} at site.example`);
    assert.match(String((await call(lambda, name, { url: `http://${MACHINE}:8080/` })).value), /EHOSTUNREACH|No route to host/);
    assert.match(String((await call(lambda, name, { url: "http://169.254.169.254/" })).value), /EHOSTUNREACH|No route to host/);
  }
  assert.deepEqual((await call(lambda, "python")).value, [], "Lambent's endpoint is reached as ever");
  s3.destroy();
  assert.equal(carriers(pid).length, 1);
  const namespace = readlinkSync(`/proc/${carriers(pid)[0]}/ns/net`);
  assert.equal(namespace, readlinkSync("/proc/self/ns/net"));
  await server.end("SIGKILL");
  await eventually("a killed server leaves no process", () => carriers(pid).length === 0 && !isLauncher(pid));
  await server.dispose();
});
