// What functions may do with their life, and with the Runtime API, on a real server (L and X of the containment cases).
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import {
  DeleteFunctionCommand,
  InvokeCommand,
  PublishVersionCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionUpdatedV2,
} from "@aws-sdk/client-lambda";
import { call, makeFunction } from "../../support/functions.ts";
import { eventually } from "../../support/eventually.ts";
import { random } from "../../support/hostile-requests.ts";
import { skip } from "./sandbox.fixture.ts";
import { Target } from "./server.fixture.ts";

const isLong = process.env["LAMBENT_TEST_LONG"] === "1";

let target: Target;
let lambda: ReturnType<Target["server"]["clients"]>["lambda"];
before(async () => {
  if (skip !== false) return;
  target = await Target.start();
  ({ lambda } = target.server.clients());
  await target.python("attacker");
  await target.python("brief", { Timeout: 1 });
  await target.ownRuntime("own");
  await target.ownRuntime("own-brief", { Timeout: 2 });
  await target.ownRuntime("other");
});
afterEach(async () => {
  if (skip === false) await target.isWell();
});
after(async () => {
  if (skip === false) await target.dispose();
});

const typeOf = (value: unknown) => (value as { errorType?: string } | undefined)?.errorType;

void test("L02 what is written after the answer is of the same function's stream, or of none", { skip }, async () => {
  const late = `late-${process.pid}`;
  await target.value(
    "attacker",
    `
def later():
    for n in range(200): os.write(1, b"${late}\\n"); time.sleep(0.01)
threading.Thread(target=later, daemon=True).start(); out = "answered"`,
  );
  assert.equal(await target.value("own", "time.sleep(0.3); out = 1"), 1);
  await target.value("attacker", "time.sleep(0.2); out = 1");
  await eventually("some of it", async () => (await target.messages("attacker")).some((message) => message.includes(late)));
  for (const name of ["own", "canary"]) assert.ok(!(await target.messages(name)).some((message) => message.includes(late)), name);
});

void test("L03 a runtime that kills itself: AWS's payload, and a new environment", { skip }, async () => {
  const killed = await target.run("attacker", "os.kill(os.getpid(), signal.SIGKILL)");
  assert.deepEqual([killed.functionError, typeOf(killed.value)], ["Unhandled", "Runtime.ExitError"]);
  assert.match((killed.value as { errorMessage: string }).errorMessage, /signal: killed/);
  assert.equal(await target.value("attacker", "out = 1"), 1);
});

void test("L04 a runtime that leaves without an answer: AWS's payload, and a new environment", { skip }, async () => {
  const left = await target.run("attacker", "os._exit(0)");
  assert.deepEqual([left.functionError, typeOf(left.value)], ["Unhandled", "Runtime.ExitError"]);
  assert.equal(await target.value("attacker", "out = 1"), 1);
});

void test("L05 of two responses the first counts, the second is refused", { skip }, async () => {
  assert.equal(await target.value("own", "first = respond(1); second = respond(2)"), 1);
  assert.deepEqual(await target.value("own", "out = [first, second]"), [202, 400]);
});

/** The requests that a function's log says have begun. */
const begun = async (name: string) =>
  (await target.messages(name)).flatMap((message) => /^START RequestId: (\S+)/.exec(message)?.[1] ?? []);

void test("L06 responses for a foreign or an old request are refused, and have no effect on anybody", { skip }, async () => {
  await target.value("other", "out = 1");
  await target.value("own", "out = 1");
  const codes = "out = [respond(b'0', to) for to in (past[-1], event['foreign'], '00000000-0000-4000-8000-000000000000')]";
  // Its request must be open when the other asks: on a slow machine that takes a longer one.
  for (const seconds of [2, 10, 40]) {
    const earlier = await begun("other");
    let isOver = false;
    const slow = target.value("other", `time.sleep(${seconds}); out = 'its own'`).finally(() => (isOver = true));
    const foreign = await eventually("it runs", async () => (await begun("other")).find((id) => !earlier.includes(id)));
    assert.deepEqual(await target.value("own", codes, { foreign }), [400, 400, 400]);
    const wasOpen = !isOver;
    assert.equal(await slow, "its own");
    if (wasOpen) return;
  }
  assert.fail("the other function was never quick enough");
});

void test("L07 a response that comes a byte at a time is cut at the timeout", { skip }, async () => {
  const code = `
s = raw(f"POST {INVOCATION}{id}/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1000\\r\\n\\r\\n")
while True: s.sendall(b"1"); time.sleep(0.1)`;
  assert.equal(typeOf((await target.run("own-brief", code)).value), "Sandbox.Timedout");
  assert.equal(await target.value("own-brief", "out = 1"), 1);
});

void test("L09 a function that crashes in its init is started for its invokes, and not in between", { skip }, async () => {
  const code = "import os\nos.write(1, b'init begins\\n')\nos._exit(3)\n";
  await makeFunction(lambda, { name: "crashes", role: target.role, code, settings: { Timeout: 30 } });
  const said = async (text: string) => (await target.messages("crashes")).filter((message) => message.includes(text)).length;
  const inits = () => said("init begins");
  for (let n = 0; n < 4; n++) assert.equal(typeOf((await call(lambda, "crashes")).value), "Runtime.ExitError");
  await eventually("all is in the log", async () => (await said("REPORT RequestId")) === 4);
  const made = await inits();
  assert.ok(made <= 5, `${made} inits in 4 invokes`);
  await target.value("other", "time.sleep(1); out = 1"); // a second in which nobody asks
  assert.equal(await inits(), made);
});

void test("L10 a response that breaks off is an error of the function", { skip }, async () => {
  const code = `s = raw(f"POST {INVOCATION}{id}/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1000\\r\\n\\r\\nhalf"); s.close()`;
  assert.equal(typeOf((await target.run("own", code)).value), "Runtime.TruncatedResponse");
  assert.equal(await target.value("own", "out = 1"), 1);
});

void test("L12 a process that stops itself does not stop its timeout", { skip }, async () => {
  const stopped = await target.run("brief", "os.kill(0, signal.SIGSTOP)");
  assert.equal(typeOf(stopped.value), "Sandbox.Timedout");
  assert.equal(await target.value("brief", "out = 1"), 1);
});

const PURE = `
import os
seen = set()
def handler(event, context):
    seen.add((context.function_name, context.function_version, os.environ["CONFIGURATION"], os.environ["AWS_LAMBDA_FUNCTION_VERSION"]))
    return {"seen": [list(one) for one in seen], "name": context.function_name}
`;

void test("L15 an environment sees one function, one version and one configuration", { skip, timeout: 900_000 }, async (t) => {
  const [functions, invokes] = isLong ? [50, 10_000] : [5, 300];
  const configure = async (FunctionName: string, configuration: string) => {
    const Environment = { Variables: { CONFIGURATION: configuration } };
    await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, Environment }));
    await waitUntilFunctionUpdatedV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName });
  };
  const names = Array.from({ length: functions }, (_, n) => `pure-${n}`);
  for (const name of names) {
    const settings = { Environment: { Variables: { CONFIGURATION: "first" } } };
    await makeFunction(lambda, { name, role: target.role, code: PURE, settings });
    await lambda.send(new PublishVersionCommand({ FunctionName: name }));
    await configure(name, "second");
  }
  const chance = random(20_261_127);
  const one = async () => {
    const name = names[Math.floor(chance() * names.length)] ?? "";
    const isPublished = chance() < 0.5;
    const { value } = await call(lambda, isPublished ? `${name}:1` : name);
    const version = isPublished ? "1" : "$LATEST";
    const configuration = isPublished ? "first" : isChanged ? "(?:second|third)" : "second";
    const { seen, name: answered } = value as { seen: string[][]; name: string };
    assert.equal(answered, name);
    assert.equal(seen.length, 1, JSON.stringify(seen));
    assert.match(
      seen[0]?.join(" ") ?? "",
      new RegExp(`^${name} ${version.replace("$", "\\$")} ${configuration} ${version.replace("$", "\\$")}$`),
    );
  };
  let isChanged = false;
  for (let left = invokes; left > 0; left -= 6) {
    if (!isChanged && left < invokes / 2) {
      isChanged = true;
      await configure("pure-0", "third");
    }
    await Promise.all(Array.from({ length: 6 }, one));
  }
  t.diagnostic(`${invokes} invokes of ${functions} functions, 2 versions each`);
});

void test("L16 many first invokes of a package with a bootstrap find it whole", { skip, timeout: 900_000 }, async (t) => {
  const many = isLong ? 500 : 40;
  await target.ownRuntime("fresh", { Timeout: 300, MemorySize: 128 });
  const code = "time.sleep(1); out = os.getpid()";
  const answers = await Promise.allSettled(Array.from({ length: many }, () => target.run("fresh", code)));
  const wrong = answers.flatMap((answer) =>
    answer.status === "rejected"
      ? [String(answer.reason)]
      : answer.value.functionError === undefined
        ? []
        : [JSON.stringify(answer.value.value)],
  );
  // A machine that is full says so, with a type of its own; nothing of a package that was not there yet.
  assert.deepEqual(
    wrong.filter((text) => !/TooManyRequests|ServiceException|ServiceUnavailable/.test(text)),
    [],
  );
  t.diagnostic(`${many} at once, ${wrong.length} of them throttled`);
  assert.ok(wrong.length < many / 2);
});

void test("L17 functions that call the server that waits for them do not stop it", { skip, timeout: 600_000 }, async () => {
  await target.python("deep", { Timeout: 300, Role: await target.roleWith("deep", ["AWSLambda_FullAccess"]) });
  // Each calls itself one level down, and waits: 5 levels, 6 side by side.
  const code = `
depth = event["depth"]
if depth:
    status, body = aws("lambda", "POST", "/2015-03-31/functions/deep/invocations", json.dumps({"code": event["code"], "depth": depth - 1}).encode())
    out = json.loads(body) + 1 if status == 200 else [status, body]
else: out = 0`;
  const depths = await Promise.all(Array.from({ length: 6 }, () => target.value("deep", code, { depth: 4 })));
  assert.deepEqual(depths, Array(6).fill(4));
});

void test("X01 no other sandbox's Runtime API can be reached", { skip }, async () => {
  const waits = target.value("other", "time.sleep(1.5); out = 'mine'");
  const code = `
found = set()
for a in ("127.0.0.1", "169.254.100.1", "169.254.100.2", "127.0.0.2"):
    for p in (9001, 9002, 80, 443, 2000):
        s = socket.socket(); s.settimeout(5)
        try: s.connect((a, p)); found.add(p)
        except OSError: pass
        s.close()
listens = [line.split()[1] for line in open("/proc/net/tcp").read().splitlines()[1:] if line.split()[3] == "0A"]
out = [sorted(found), len(listens), open("/proc/net/unix").read().count("@")]`;
  assert.deepEqual(await target.value("own", code), [[9001, 9002], 3, 0]);
  assert.equal(await waits, "mine");
});

void test("X02 request ids are random, and one that is guessed leads to nobody's request", { skip }, async () => {
  const ids = new Set<unknown>();
  for (let n = 0; n < 20; n++) ids.add(await target.value("own", "out = id"));
  assert.equal(ids.size, 20);
  for (const id of ids) assert.match(String(id), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const code = "out = [respond(b'0', f'{id[:-4]}{n:04x}') for n in range(0, 400) if f'{id[:-4]}{n:04x}' != id].count(400) >= 399";
  assert.equal(await target.value("own", code), true);
});

void test("X03 no code can be put into a warm environment, and no init be told again", { skip }, async () => {
  const code = `
tried = [http_call("POST", path, b"{}")[0] for path in ("/init", "/run", "/2018-06-01/runtime/init", "/2018-06-01/runtime/init/error", "/2018-06-01/runtime/restore/error")]
try: open("/var/task/more", "a"); wrote = True
except OSError as e: wrote = e.errno
out = [max(tried) < 500, min(tried) >= 400, wrote]`;
  assert.deepEqual(await target.value("own", code), [true, true, 30]);
});

void test("X05 nonsense to the Runtime API is passed on as bytes or refused; the server goes on", { skip }, async () => {
  const errors = ["not json", '{"errorMessage":', "\\u0000", "[".repeat(10_000)];
  for (const body of errors) {
    const answer = await lambda.send(
      new InvokeCommand({
        FunctionName: "own",
        Payload: JSON.stringify({ code: `http_call("POST", f"{INVOCATION}{id}/error", event["body"].encode())`, body }),
      }),
    );
    assert.equal(answer.FunctionError, "Unhandled");
    assert.equal(Buffer.from(answer.Payload ?? []).toString(), body);
  }
  const header = `http_call("POST", f"{INVOCATION}{id}/error", b"{}", {"Lambda-Runtime-Function-Error-Type": "A" * 60000})`;
  assert.equal((await target.run("own", header)).functionError, "Unhandled");
  const split = `s = raw(f"POST {INVOCATION}{id}/error HTTP/1.1\\r\\nHost: x\\r\\nLambda-Runtime-Function-Error-Type: A\\rInjected: b\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}"); s.settimeout(30); refused = s.recv(20); out = "400" in refused.decode() or refused.decode()`;
  assert.equal(await target.value("own", split), true);
});

const MALFORMED: readonly (readonly [string, string])[] = [
  ["python3.11", "def handler(event, context\n"],
  ["python3.11", "raise SystemExit(1)\n"],
  ["python3.11", "import nowhere\n"],
  ["python3.11", "handler = 5\n"],
  ["nodejs24.x", "export const handler = ;"],
  ["nodejs24.x", "process.kill(process.pid, 'SIGKILL');"],
  ["provided.al2023", ""],
  ["provided.al2023", "#!/nowhere/at/all\n"],
  ["provided.al2023", "\u007fELF\u0000\u0000 nothing"],
  ["provided.al2023", "#!/bin/sh\nexit 0\n"],
];

void test("X08 malformed functions between them do not harm a healthy one", { skip, timeout: 900_000 }, async (t) => {
  const rounds = isLong ? 10 : 2;
  for (let round = 0; round < rounds; round++)
    for (const [at, [runtime, code]] of MALFORMED.entries()) {
      const name = `malformed-${round}-${at}`;
      await makeFunction(lambda, { name, role: target.role, runtime: runtime as "python3.11", code, settings: { Timeout: 30 } });
      const [bad, good] = await Promise.all([call(lambda, name), target.value("attacker", "out = 'healthy'")]);
      assert.equal(bad.functionError, "Unhandled", `${runtime} ${code}`);
      assert.equal(good, "healthy");
      await lambda.send(new DeleteFunctionCommand({ FunctionName: name }));
    }
  t.diagnostic(`${rounds * MALFORMED.length} malformed functions`);
});
