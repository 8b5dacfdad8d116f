// What functions may learn of others and of the server, and whom they reach (F, P, N and X of the containment cases, on a real server).
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { DeleteRoleCommand } from "@aws-sdk/client-iam";
import { ListFunctionsCommand, LambdaClient, UpdateFunctionConfigurationCommand, waitUntilFunctionUpdatedV2 } from "@aws-sdk/client-lambda";
import { skip } from "./sandbox.fixture.ts";
import { Target } from "./server.fixture.ts";

let target: Target;
before(async () => {
  if (skip !== false) return;
  target = await Target.start();
  await target.python("attacker", { Timeout: 300, MemorySize: 1769 });
  await target.python("second", { MemorySize: 1769 });
});
afterEach(async () => {
  if (skip === false) await target.isWell();
});
after(async () => {
  if (skip === false) await target.dispose();
});

void test("F03 the server's data, keys and program are not there", { skip }, async () => {
  const { dataDirectory } = target.server;
  const paths = [dataDirectory, ...globSync(`${dataDirectory}/*`), import.meta.dirname, process.execPath];
  const code = "out = sorted({tries(os.open, p, os.O_RDONLY) for p in event['paths']})";
  assert.deepEqual(await target.value("attacker", code, { paths }), ["ENOENT"]);
});

void test("F04 the code of other functions is not there", { skip }, async () => {
  const places = globSync(`${target.server.dataDirectory}/**/app.py`);
  assert.ok(places.length >= 2, `${places.length} unpacked packages`);
  const code = `
seen = [os.path.join(top, f) for start in ("/var", "/opt", "/tmp") for top, _, files in os.walk(start) for f in files if f == "app.py"]
out = [seen, sorted({tries(os.open, p, os.O_RDONLY) for p in event["places"]})]`;
  assert.deepEqual(await target.value("attacker", code, { places }), [["/var/task/app.py"], ["ENOENT"]]);
});

void test("F05 /tmp is a function's own, and an environment's own", { skip }, async () => {
  const listed = "out = sorted(os.listdir('/tmp'))";
  assert.deepEqual(await target.value("attacker", `open('/tmp/mine', 'w').write('x'); ${listed}`), ["mine"]);
  assert.deepEqual(await target.value("second", listed), []);
  assert.deepEqual(await target.value("attacker", listed), ["mine"], "the same environment has it still");
  await target.run("attacker", "os._exit(1)");
  assert.deepEqual(await target.value("attacker", listed), ["mine"], "the environment outlives its runtime, and has it still");
  assert.deepEqual(await target.value("second", listed), []);
});

// The needle is never in the scanner's memory: a pattern of numbers is.
const SCAN = `
import re
patterns = [re.compile(b"".join(b"\\\\x%02x" % b for b in bytes.fromhex(h))) for h in event["needles"]]
hits, scanned = [], 0
def look(data, where):
    global scanned
    scanned += len(data)
    hits.extend(where for p in patterns if p.search(data))
def read(path, limit=1 << 22):
    try:
        with open(path, "rb") as f: look(f.read(limit), path)
    except OSError: pass
for start in ("/etc", "/var", "/opt", "/tmp", "/proc/self", "/proc/1", "/proc/sys"):
    for top, dirs, files in os.walk(start):
        dirs[:] = [d for d in dirs if d not in ("task", "map_files", "cwd", "root") or start == "/var"]
        if top.startswith("/var/lang"): dirs[:] = []; continue
        for f in files:
            path = os.path.join(top, f)
            if f not in ("kmsg", "mem", "pagemap", "clear_refs", "kcore") and not os.path.islink(path): read(path, 1 << 16 if start.startswith("/proc") else 1 << 22)
with open("/proc/self/mem", "rb", 0) as memory:
    for line in open("/proc/self/maps"):
        begin, end = (int(x, 16) for x in line.split()[0].split("-"))
        if "r" not in line.split()[1] or "[v" in line or end - begin > 1 << 28: continue
        try: memory.seek(begin); look(memory.read(end - begin), "memory " + line)
        except (OSError, ValueError): pass
out = [hits, scanned > 1 << 20]`;

void test("P09 no secret of the server or of another function is in any file, environment or memory", { skip }, async () => {
  const needles = target.secrets.map((secret) => Buffer.from(secret).toString("hex"));
  assert.deepEqual(await target.value("attacker", SCAN, { needles }), [[], true]);
  // The scan finds what is there.
  const found = (await target.value("attacker", `planted = bytes.fromhex(event["needles"][0])\n${SCAN}`, {
    needles: [Buffer.from("a string that is planted").toString("hex")],
  })) as [string[], boolean];
  assert.ok(found[0].some((where) => where.startsWith("memory ")));
});

void test("P10 a function's keys are its role's, short-lived, and stand in no log", { skip }, async () => {
  const code = `
identity = aws("sts", "POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", headers={"content-type": "application/x-www-form-urlencoded"})
denied = aws("lambda", "GET", "/2015-03-31/functions")
import base64
out = [os.environ["AWS_ACCESS_KEY_ID"][:4], identity, denied[0], os.environ["AWS_SECRET_ACCESS_KEY"]]`;
  const [kind, [status, identity], denied, secret] = (await target.value("attacker", code)) as [string, [number, string], number, string];
  assert.deepEqual([kind, status, denied], ["ASIA", 200, 403]);
  assert.match(identity, /:assumed-role\/test-role\/attacker</);
  for (const message of await target.messages("attacker")) assert.ok(!message.includes(secret));
  assert.ok(!target.server.stderr().includes(secret));
  const database = globSync(`${target.server.dataDirectory}/**/*`, { withFileTypes: true }).filter((entry) => entry.isFile());
  for (const entry of database) assert.ok(!readFileSync(`${entry.parentPath}/${entry.name}`).includes(secret), entry.name);
});

void test("P11 memory and /tmp that one function had are zero when another gets them", { skip }, async () => {
  const held = "x = bytearray(b'REMANENT' * (64 << 17)); open('/tmp/r', 'wb').write(b'REMANENT' * (8 << 17)); out = len(x)";
  for (let n = 0; n < 2; n++) {
    assert.equal(await target.value("attacker", held), 64 << 20);
    await target.run("attacker", "os._exit(1)");
    const code = `
import mmap
pages = mmap.mmap(-1, 96 << 20)
fd = os.open("/tmp/sparse", os.O_CREAT | os.O_RDWR); os.ftruncate(fd, 32 << 20)
out = [pages.read().strip(b"\\0") == b"", os.read(fd, 32 << 20).strip(b"\\0") == b""]`;
    assert.deepEqual(await target.value("second", code), [true, true]);
    await target.run("second", "os._exit(1)");
  }
});

void test("N06 of all ports only the endpoint, the Runtime API and the supervisor's answer", { skip }, async () => {
  const code = `
import select
def scan(address):
    found = []
    for p in range(1, 65536):
        s = socket.socket()
        if s.connect_ex((address, p)) == 0 and s.getsockname() != s.getpeername(): found.append(p) # TCP may connect a socket with itself
        s.close()
    return found
out = [scan("127.0.0.1"), scan("169.254.100.1")]`;
  const found = (await target.value("attacker", code)) as number[][];
  const endpoint = Number(new URL(target.server.endpoint).port);
  for (const ports of found)
    assert.deepEqual(
      ports,
      // 9002: the supervisor of what runs inside; it does nothing without the token of a request that is open.
      [endpoint, 9001, 9002].filter((port) => ports.includes(port)).toSorted((a, b) => a - b),
    );
  assert.ok(found[0]?.includes(endpoint));
});

void test("N08 Lambent's own API refuses a function's keys", { skip }, async () => {
  const code = `
out = [aws("lambent", m, p)[0] for m, p in (("GET", "/_lambent/events/failed"), ("GET", "/_lambent/metrics"), ("POST", "/_lambent/events/failed/x/retry"))]`;
  const statuses = (await target.value("attacker", code)) as number[];
  for (const status of statuses) assert.ok(status === 403 || status === 404, String(statuses));
  assert.equal(statuses[0], 403);
});

void test("X10 keys that were carried outside have the role's rights only, and end with the role", { skip }, async () => {
  const role = await target.roleWith("carried", ["AWSLambda_ReadOnlyAccess"]);
  await target.python("carried", { Role: role });
  const code =
    "out = {'accessKeyId': os.environ['AWS_ACCESS_KEY_ID'], 'secretAccessKey': os.environ['AWS_SECRET_ACCESS_KEY'], 'sessionToken': os.environ['AWS_SESSION_TOKEN']}";
  const credentials = (await target.value("carried", code)) as { accessKeyId: string; secretAccessKey: string; sessionToken: string };
  const outside = new LambdaClient({ endpoint: target.server.endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
  const list = () => outside.send(new ListFunctionsCommand({}));
  assert.ok(((await list()).Functions?.length ?? 0) > 0);
  await assert.rejects(
    outside.send(new UpdateFunctionConfigurationCommand({ FunctionName: "second", Description: "x" })),
    /not authorized/,
  );
  const { lambda, iam } = target.server.clients();
  await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: "carried", Role: target.role }));
  await waitUntilFunctionUpdatedV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName: "carried" });
  await target.detach("carried", ["AWSLambda_ReadOnlyAccess"]);
  await assert.rejects(list(), /not authorized/);
  await iam.send(new DeleteRoleCommand({ RoleName: "carried" }));
  await assert.rejects(list(), (error: Error) => /UnrecognizedClient|InvalidClientTokenId|AccessDenied/.test(error.name));
});
