// The limits that a function is promised are enforced: memory, CPU share, timeout, /tmp, the file system, the network.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";

let server: LambentProcess;
let role: string;
before(async () => {
  server = await startLambent();
  role = await makeRole(server.clients().iam);
});
after(() => server.dispose());

const python = (name: string, code: string, settings = {}) =>
  makeFunction(server.clients().lambda, { name, role, code, settings: { Timeout: 120, MemorySize: 256, ...settings } });

test("a function that takes more than its memory is ended, and the next invoke gets a new runtime", async () => {
  await python("hog", "def handler(event, context):\n    data = bytearray(event['mb'] * 2**20)\n    return len(data)\n", {
    MemorySize: 128,
  });
  const { lambda } = server.clients();
  const ended = await call(lambda, "hog", { mb: 400 });
  assert.equal(ended.functionError, "Unhandled");
  assert.match(JSON.stringify(ended.value), /"errorType":"Runtime\.(?:OutOfMemory|ExitError)"/);
  assert.match(ended.log, /Max Memory Used: 128 MB/);
  const next = await call(lambda, "hog", { mb: 10 });
  assert.equal(next.value, 10 * 2 ** 20);
  // The environment outlives its runtime, so its init is not told again.
  assert.doesNotMatch(next.log, /Init Duration/);
});

test("CPU in proportion to memory: a CPU-bound function at 256 MB gets a quarter of what it gets at 1,024 MB", async () => {
  const spin =
    "import time\ndef handler(event, context):\n    wall, cpu = time.perf_counter(), time.process_time()\n    while time.perf_counter() - wall < event['s']: pass\n    return (time.process_time() - cpu) / (time.perf_counter() - wall)\n";
  await python("slow", spin, { MemorySize: 256 });
  await python("fast", spin, { MemorySize: 1024 });
  const { lambda } = server.clients();
  // CPU seconds per second, at the same time: what others do on this machine makes both less.
  const shares = (s: number) => Promise.all(["slow", "fast"].map(async (name) => (await call(lambda, name, { s })).value as number));
  await shares(0.001);
  const [slow = 1, fast = 0] = await shares(4);
  const told = `256 MB: ${slow.toFixed(3)} CPUs, 1024 MB: ${fast.toFixed(3)} CPUs`;
  assert.ok(slow < (256 / 1769) * 1.25 && fast < (1024 / 1769) * 1.25, told);
  assert.ok(fast > slow * 1.5, told);
});

test("a function that runs beyond its timeout is ended with AWS's payload, and the next invoke works", async () => {
  await python("sleeper", "import time\ndef handler(event, context):\n    time.sleep(event['s'])\n    return 'awake'\n", { Timeout: 1 });
  const { lambda } = server.clients();
  const late = await call(lambda, "sleeper", { s: 20 });
  assert.equal(late.functionError, "Unhandled");
  assert.deepEqual(late.value, {
    errorType: "Sandbox.Timedout",
    errorMessage: `RequestId: ${late.requestId} Error: Task timed out after 1.00 seconds`,
  });
  assert.match(late.log, /Status: timeout/);
  assert.equal((await call(lambda, "sleeper", { s: 0 })).value, "awake");
});

test("/tmp holds exactly what EphemeralStorage says", async () => {
  const fill =
    "def handler(event, context):\n    n = 0\n    try:\n        with open('/tmp/fill', 'wb') as f:\n            while n < 700:\n                f.write(b'x' * 2**20); n += 1\n    except OSError as e:\n        return [n, e.errno]\n    return [n, 0]\n";
  await python("filler", fill, { MemorySize: 1024, EphemeralStorage: { Size: 512 } });
  const [written, errno] = (await call(server.clients().lambda, "filler")).value as [number, number];
  assert.ok(written >= 505 && written <= 512, `${written} MiB fitted`);
  assert.equal(errno, 28); // ENOSPC
});

test("nothing but /tmp can be written, and the host's files are not there", async () => {
  const probe =
    "import os\ndef handler(event, context):\n    out = {}\n    for p in event['write']:\n        try:\n            open(p + '/probe', 'w').close(); out[p] = 'written'\n        except OSError as e:\n            out[p] = e.errno\n    for p in event['read']:\n        try:\n            out[p] = os.listdir(p) if os.path.isdir(p) else open(p).read(20)\n        except OSError as e:\n            out[p] = e.errno\n    return out\n";
  await python("prober", probe);
  const read = ["/root", "/home", "/boot", "/sys/fs", "/sys/kernel", "/run", "/etc/shadow", server.dataDirectory];
  const found = (
    await call(server.clients().lambda, "prober", { write: ["/", "/usr", "/var/task", "/var/runtime", "/etc", "/dev", "/tmp"], read })
  ).value as Record<string, unknown>;
  assert.equal(found["/tmp"], "written");
  for (const place of ["/", "/usr", "/var/task", "/var/runtime", "/etc", "/dev"])
    assert.ok([30, 13, 1, 2].includes(found[place] as number), `${place}: ${String(found[place])}`);
  for (const place of read) assert.ok(found[place] === 2 || found[place] === 13, `${place}: ${JSON.stringify(found[place])}`);
});

test("a function reaches Lambent's endpoint and no other port of the host", async () => {
  const other = createServer((socket) => socket.end("secret"));
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const port = (other.address() as { port: number }).port;
  const connect =
    "import os, socket\nfrom urllib.parse import urlparse\ndef handler(event, context):\n    out = []\n    for host, port in [(urlparse(os.environ['AWS_ENDPOINT_URL']).hostname, urlparse(os.environ['AWS_ENDPOINT_URL']).port)] + event['targets']:\n        s = socket.socket(); s.settimeout(20)\n        try:\n            s.connect((host, port)); out.append('open')\n        except OSError as e:\n            out.append('closed')\n        finally:\n            s.close()\n    return out\n";
  await python("dialler", connect);
  const targets = [
    ["127.0.0.1", port],
    ["169.254.169.254", 80],
    ["10.0.0.1", 80],
    ["192.168.1.1", 80],
  ];
  const found = (await call(server.clients().lambda, "dialler", { targets })).value;
  other.close();
  assert.deepEqual(found, ["open", "closed", "closed", "closed", "closed"]);
});
