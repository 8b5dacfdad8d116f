// What of a sandbox is decided early and what late, and which functions need everything at the start.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { fakeSandboxHost } from "../sandbox/fake.ts";
import type { SandboxMount, SandboxSpec } from "../sandbox/sandbox.ts";
import { SETTINGS } from "./environment.fixture.ts";
import { lateBinding, lateEars, startSandbox, type LateBinding } from "./late-binding.ts";
import { sandboxSpec } from "./sandbox-spec.ts";
import type { FunctionSettings, RuntimeLayout } from "./settings.ts";

const LAYOUT: RuntimeLayout = {
  argv: ["/var/lang/bin/node", "/var/rapid/bootstrap.cjs"],
  argvFor: ({ memoryMiB }) => ["/var/lang/bin/node", `--max-old-space-size=${memoryMiB}`, "/var/rapid/bootstrap.cjs"],
  mounts: [{ source: "/opt/lambent/node", target: "/var/lang" }],
  env: { LANG: "en_US.UTF-8", NODE_PATH: "/opt/nodejs/node_modules" },
  protocol: "framed",
  version: "24.21.0",
};

function specOf(settings: FunctionSettings, layout: RuntimeLayout, mounts: readonly SandboxMount[] = []): SandboxSpec {
  const spec = sandboxSpec({
    id: "s",
    settings,
    layout,
    argv: layout.argvFor?.(settings) ?? layout.argv,
    credentials: { accessKeyId: "a", secretAccessKey: "secret", sessionToken: "t", expiresMs: 1 },
    logStream: "stream",
    metadataToken: "metadata",
    initializationType: "on-demand",
    compiled: [],
    endpoint: { port: 4566, onConnection: (socket) => void socket.destroy() },
    network: "endpoint",
    onDatagram: () => true,
  });
  return { ...spec, mounts: [...spec.mounts, ...mounts] };
}

function bound(changes: Partial<FunctionSettings> = {}, mounts: readonly SandboxMount[] = [], layout = LAYOUT): LateBinding | undefined {
  const settings = { ...SETTINGS, ...changes };
  return lateBinding(specOf(settings, layout, mounts), settings, layout);
}

void test("early and late together are the whole", () => {
  const layer = { source: "/layers/1", target: "/opt" };
  const settings = { ...SETTINGS, variables: { TZ: "Europe/Berlin", COLOUR: "blue" } };
  const whole = specOf(settings, LAYOUT, [layer]);
  const late = lateBinding(whole, settings, LAYOUT);
  assert.ok(late !== undefined);
  const { isPrepared, ...early } = late.kinds[0].spec;
  assert.equal(isPrepared, true);
  const { listeners: _, id: __, ...expected } = whole;
  assert.deepEqual(
    { ...early, ...late.given, mounts: [...early.mounts, ...late.given.mounts], env: { ...early.env, ...late.variables } },
    { ...expected, env: { ...expected.env } },
  );
  assert.deepEqual(late.given.mounts, [{ source: SETTINGS.codeDirectory, target: "/var/task" }, layer]);
  assert.deepEqual(late.kinds[0].ports, { listeners: [4566] });
});

void test("what was compiled of a function's code comes with the code", () => {
  const compiled = { source: "/packages/1.python3.11.task", target: "/var/rapid/task.compiled" };
  const late = bound({}, [compiled]);
  assert.equal(late?.kinds[0].key, bound()?.kinds[0].key);
  assert.deepEqual(late?.given.mounts.at(-1), compiled);
});

void test("nothing of a function is in its kind, but what its process is started with", () => {
  const kind = bound()?.kinds[0];
  assert.doesNotMatch(kind?.key ?? "", /secret|packages|stream/);
  const alike: Partial<FunctionSettings>[] = [
    { functionName: "g", codeDirectory: "/packages/g", handler: "other.handler", ephemeralStorageMiB: 10_240, timeoutMs: 1 },
    { variables: { NODE_ENV: "production", TZ: "UTC", PATH: "/bin", EVERYTHING: "else" }, account: "111111111111", version: "7" },
    { logging: { format: "JSON", group: "mine", applicationLevel: "ERROR" } },
  ];
  for (const changes of alike) assert.equal(bound(changes)?.kinds[0]?.key, kind?.key, JSON.stringify(changes));
  assert.notEqual(bound({ memoryMiB: 512 })?.kinds[0]?.key, kind?.key, "Node's heap is sized at its start");
  const other = { ...LAYOUT, mounts: [{ source: "/opt/lambent/node22", target: "/var/lang" }] };
  assert.notEqual(bound({}, [], other)?.kinds[0]?.key, kind?.key);
  assert.notEqual(bound({ isTraced: true })?.kinds[0]?.key, kind?.key, "something listens at the X-Ray daemon's address");
});

void test("what is read at the start can't come late", () => {
  const names =
    "NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_COMPILE_CACHE NODE_NO_WARNINGS PYTHONHASHSEED PYTHONPATH PYTHONSTARTUP PYTHONUNBUFFERED LD_PRELOAD " +
    "LD_LIBRARY_PATH LANG LC_ALL MALLOC_ARENA_MAX GLIBC_TUNABLES OPENSSL_CONF SSL_CERT_FILE UV_THREADPOOL_SIZE AWS_LAMBDA_EXEC_WRAPPER";
  for (const name of names.split(" ")) assert.equal(bound({ variables: { [name]: "1" } }), undefined, name);
});

void test("custom runtimes, and mounts below /var/task or /opt, can't come late", () => {
  assert.equal(bound({}, [], { ...LAYOUT, protocol: "runtime-api" }), undefined);
  assert.equal(bound({}, [{ source: "/layers/1", target: "/opt/extensions" }]), undefined);
});

void test("a prepared sandbox finds its boot frame when it goes on", async () => {
  const specs: SandboxSpec[] = [];
  const host = fakeSandboxHost((spec) => {
    specs.push(spec);
    return () => "answer";
  });
  const late = bound({ variables: { COLOUR: "blue" } });
  assert.ok(late !== undefined);
  const { connect, ...ears } = lateEars(late.kinds[0].ports);
  const waiting = await host.start({ ...late.kinds[0].spec, ...ears, id: "waiting" });
  await waiting.freeze();
  const started = await startSandbox(host, specOf(SETTINGS, LAYOUT), late, { take: () => ({ sandbox: waiting, connect }) });
  assert.deepEqual({ id: started.sandbox.id, isBooting: started.isBooting }, { id: "waiting", isBooting: true });
  const [answer] = (await once(waiting.control, "data")) as [Buffer];
  assert.equal(answer.toString("latin1", 4, 5), "R");
  assert.equal(specs[0]?.env["COLOUR"], "blue");
  await host.stop();
});

void test("a prepared sandbox that can't be completed is replaced by a new one", async () => {
  const host = fakeSandboxHost(() => () => "answer");
  const late = bound();
  assert.ok(late !== undefined);
  const waiting = await host.start({ ...late.kinds[0].spec, ...lateEars(late.kinds[0].ports), id: "waiting" });
  await waiting.kill();
  const { connect } = lateEars(late.kinds[0].ports);
  const started = await startSandbox(host, specOf(SETTINGS, LAYOUT), late, { take: () => ({ sandbox: waiting, connect }) });
  assert.equal(started.sandbox.id, "s");
  assert.equal(started.isBooting, false);
  await host.stop();
});

void test("what a prepared sandbox of a traced function sends is dropped until it is known whose it is", async () => {
  const host = fakeSandboxHost(() => () => "answer");
  const settings = { ...SETTINGS, isTraced: true } as const;
  const spec = specOf(settings, LAYOUT);
  const late = lateBinding(spec, settings, LAYOUT);
  assert.ok(late !== undefined);
  const { connect, ...ears } = lateEars(late.kinds[0].ports);
  await host.start({ ...late.kinds[0].spec, ...ears, id: "waiting" });
  const waiting = host.sandboxes.get("waiting");
  const seen: string[] = [];
  waiting?.sendDatagram(2000, Buffer.from("early"));
  connect({ ...spec, datagrams: { port: 2000, onDatagram: (bytes) => seen.push(bytes.toString()) > 0 } });
  waiting?.sendDatagram(2000, Buffer.from("late"));
  assert.deepEqual(seen, ["late"]);
  await host.stop();
});
