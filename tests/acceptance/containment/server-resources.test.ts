// What functions may use of a real server: time, output, answers, connections (R of the containment cases).
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { InvokeWithResponseStreamCommand } from "@aws-sdk/client-lambda";
import { eventually } from "../../support/eventually.ts";
import { marked, skip } from "./sandbox.fixture.ts";
import { Target } from "./server.fixture.ts";

let target: Target;
before(async () => {
  if (skip !== false) return;
  target = await Target.start();
  await target.python("attacker", { MemorySize: 1769, Timeout: 300 });
  await target.python("brief", { Timeout: 1 });
  await target.ownRuntime("own");
  await target.ownRuntime("own-brief", { Timeout: 3 });
});
afterEach(async () => {
  if (skip === false) await target.isWell();
});
after(async () => {
  if (skip === false) await target.dispose();
});

const MIB = 2 ** 20;

void test("R14 a loop that ignores SIGTERM is ended at its timeout, with its children", { skip }, async () => {
  await target.value("brief", "out = 1");
  const marker = `endless-${process.pid}`;
  const ended = await target.run(
    "brief",
    `
for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid(); os.execv("/usr/bin/python3", ["${marker}", "-ISc", "while True: pass"])
while True: pass`,
  );
  assert.match((ended.value as { errorMessage: string }).errorMessage, /Task timed out after 1\.00 seconds$/);
  await eventually("nothing of it is left", () => marked(marker).length === 0);
});

const statusOf = (pid: number | undefined, field: string): number =>
  Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;

const flood = (mib: number) => `line = b'x' * 1023 + b'\\n'\nfor _ in range(${mib}): os.write(1, line * 1024)\nout = 'through'`;

void test("R15 output without an end costs the server no more memory than some output; what is cut is said", { skip }, async (t) => {
  const { pid } = target.server.child;
  assert.equal(await target.value("attacker", flood(64)), "through"); // more than is kept of one invocation
  writeFileSync(`/proc/${pid}/clear_refs`, "5"); // its peak begins anew
  const atStart = statusOf(pid, "VmRSS");
  const { value, log } = await target.run("attacker", flood(512));
  assert.equal(value, "through");
  assert.match(log, /bytes of output dropped/);
  const grown = (statusOf(pid, "VmHWM") - atStart) / MIB;
  t.diagnostic(`512 MiB of output: the server grew by ${grown.toFixed(0)} MiB`);
  assert.ok(grown < 256, `${grown} MiB`);
});

void test("R16 one line without an end becomes events of at most 256 KiB", { skip }, async () => {
  assert.equal(await target.value("own", "os.write(1, b'y' * (4 << 20)); out = 1"), 1);
  const lines = (await target.messages("own")).filter((message) => message.startsWith("yyyy"));
  assert.equal(
    lines.reduce((sum, line) => sum + line.trim().length, 0),
    4 * MIB,
  );
  assert.ok(Math.max(...lines.map((line) => line.length)) <= 256 * 1024 + 1);
});

void test("R17 a response of one byte too many is refused", { skip }, async () => {
  const { functionError, value } = await target.run("own", "respond(b'x' * (6291556 + 1))");
  assert.equal(functionError, "Unhandled");
  assert.equal((value as { errorType: string }).errorType, "Function.ResponseSizeTooLarge");
});

void test("R18 a streamed response without an end is cut at the timeout", { skip }, async () => {
  const code = `
s = raw(f"POST {INVOCATION}{id}/response HTTP/1.1\\r\\nHost: x\\r\\nLambda-Runtime-Function-Response-Mode: streaming\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
while True: s.sendall(b"400\\r\\n" + b"z" * 1024 + b"\\r\\n"); time.sleep(0.01)`;
  const { lambda } = target.server.clients();
  const { EventStream } = await lambda.send(
    new InvokeWithResponseStreamCommand({ FunctionName: "own-brief", Payload: JSON.stringify({ code }) }),
  );
  let bytes = 0;
  let end: string | undefined;
  for await (const { PayloadChunk, InvokeComplete } of EventStream ?? []) {
    bytes += PayloadChunk?.Payload?.length ?? 0;
    end = InvokeComplete?.ErrorDetails ?? end;
  }
  assert.ok(bytes > 0);
  assert.match(end ?? "", /timed out after 3\.00 seconds/);
});

void test("R25 a function's connections to the endpoint are bounded, and others reach it", { skip }, async (t) => {
  // Connections are taken in their order, and whoever is over the limit is ended at once: when the end of one that came after all others is
  // seen, all are decided. Those that are kept stay silent.
  const code = `
import select
port = int(os.environ["AWS_ENDPOINT_URL"].rsplit(":", 1)[1])
def connected():
    s = socket.socket(); s.settimeout(60)
    return s if tries(s.connect, ("127.0.0.1", port)) == "done" else None
def child(told, go):
    held = [s for s in (connected() for _ in range(900)) if s]
    os.write(told, b"c"); os.read(go, 1)
    poll = select.poll()
    for s in held: poll.register(s, select.POLLIN | select.POLLHUP)
    os.write(told, (len(held) - len(poll.poll(0))).to_bytes(4, "little")); os.read(go, 1); os._exit(0)
children = []
for _ in range(3):
    (r, told), (go, w) = os.pipe(), os.pipe()
    if os.fork() == 0: child(told, go)
    children.append((r, w))
for r, _ in children: os.read(r, 1)
last = connected(); last.settimeout(60)
tries(last.recv, 1)
for _, w in children: os.write(w, b"g")
kept = sum(int.from_bytes(os.read(r, 4), "little") for r, _ in children)
for _, w in children: os.write(w, b"g")
for _ in children: os.wait()
out = kept`;
  const kept = (await target.value("attacker", code)) as number;
  t.diagnostic(`${kept} of 2,700 connections were kept`);
  assert.ok(kept > 500 && kept <= 1000, `${kept} connections`);
  assert.equal(
    await target.value(
      "attacker",
      "out = aws('sts', 'POST', '/', b'Action=GetCallerIdentity&Version=2011-06-15', headers={'content-type': 'application/x-www-form-urlencoded'})[0]",
    ),
    200,
  );
});

void test("R26 a storm of writes to /tmp stays in the function's memory", { skip }, async () => {
  const written = (pid: number | undefined) => Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);
  const atStart = written(target.server.child.pid);
  const code = `
for n in range(20):
    with open("/tmp/storm", "wb") as f:
        for _ in range(20): f.write(b"w" * (1 << 20))
        os.fsync(f.fileno())
out = [line.split()[2] for line in open("/proc/self/mounts") if line.split()[1] == "/tmp"] + [line for line in open("/proc/self/io") if line.startswith("write_bytes: ") and line.strip() != "write_bytes: 0"]`;
  const value = (await target.value("attacker", code)) as string[];
  assert.equal(value[0], "tmpfs");
  assert.ok(written(target.server.child.pid) - atStart < 100 * MIB, "nothing of it went to the host's disk");
});
