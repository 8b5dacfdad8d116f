// Which directories are compiled, when, and that nobody waits for it or fails with it; the compiler is a fake.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { silentLog, type Log } from "../base/log.ts";
import type { RuntimeLayout } from "../runtime/settings.ts";
import type { FakeProgram, FakeScript } from "../sandbox/fake.ts";
import { deployment, describe, eventually, plane, request } from "./data-plane.fixture.ts";
import type { Deployment } from "./invocation.ts";
import type { DataPlaneDeps } from "./invoke.ts";

const LAYOUT: RuntimeLayout = { argv: ["python"], compiler: ["compile"], mounts: [], env: {}, protocol: "framed", version: "3.11" };
const LARGE = "#".repeat(16 * 1024);

/** There is nothing to compile, and all is well. */
const succeeds: FakeProgram = () => 0;

function open(t: TestContext, compiler: FakeProgram = succeeds, deps: Partial<DataPlaneDeps> = {}) {
  const directory = mkdtempSync(join(tmpdir(), "lambent-compilation-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const script: FakeScript = ({ argv, env }) =>
    argv[0] === "compile" ? { program: compiler, handler: () => undefined } : () => env["KEY"];
  const all = plane(script, {}, { freeMemory: () => 1, runtimes: { resolve: () => LAYOUT }, ...deps });
  t.after(() => all.plane.stop());
  const code = (name: string, files: Readonly<Record<string, string>>, changes: Partial<Deployment> = {}) => {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(join(directory, name, file, ".."), { recursive: true });
      writeFileSync(join(directory, name, file), text);
    }
    return deployment(name, { codeDirectory: join(directory, name), ...changes });
  };
  const compilers = () => [...all.host.sandboxes.values()].filter(({ id }) => id.startsWith("compile-"));
  const made = () => readdirSync(directory).filter((name) => /\.nodejs24\.x\.(?:task|opt)$/.test(name) || name.startsWith("."));
  return { ...all, directory, code, compilers, made };
}

void test("what is deployed is compiled, layers as well, and mounted into its environments", async (t) => {
  const all = open(t);
  const layer = all.code("layer", { "python/two.py": LARGE }).codeDirectory;
  const target = all.code("f", { "one.py": LARGE }, { layersDirectory: layer });
  all.plane.expect(target);
  all.clock.advance(100);
  await eventually(() => all.made().toSorted().join(" ") === "f.nodejs24.x.task layer.nodejs24.x.opt", "both are compiled");
  assert.equal(describe(await all.plane.invoke(target, request())), 'returned "f-1"');
  const [sandbox] = all.host.sandboxes.values();
  assert.deepEqual(sandbox?.spec.mounts, [
    { source: target.codeDirectory, target: "/var/task" },
    { source: layer, target: "/opt" },
    { source: `${target.codeDirectory}.nodejs24.x.task`, target: "/var/rapid/task.compiled" },
    { source: `${layer}.nodejs24.x.opt`, target: "/var/rapid/opt.compiled" },
  ]);
});

void test("a cold start does not wait for the compiler, and asks for it", async (t) => {
  const seen: string[] = [];
  const all = open(t, ({ sandbox, hang }) => {
    seen.push(JSON.stringify(sandbox.spec.mounts));
    return hang();
  });
  const [f, g] = [all.code("f", { "one.py": LARGE }), all.code("g", { "one.py": LARGE })];
  for (const target of [f, g]) assert.equal(describe(await all.plane.invoke(target, request())), `returned "${target.key}"`);
  all.clock.advance(100);
  await eventually(() => seen.length === 1, "one is being compiled");
  // The other one waits, and invocations do not.
  all.plane.retire([g.key]);
  assert.equal(describe(await all.plane.invoke({ ...g, key: "g-2", variables: { KEY: "g-2" } }, request())), 'returned "g-2"');
  assert.deepEqual(seen, [JSON.stringify([{ source: f.codeDirectory, target: "/var/task" }])]);
  assert.equal(all.compilers().length, 1);
  // It takes too long: then the next has its turn.
  all.clock.advance(120_000);
  await eventually(() => seen.length === 2, "the other is being compiled");
  await all.plane.stop();
  assert.deepEqual([all.made(), all.host.ledger().runningNow], [[], 0]);
});

void test("what is small, what is no source and what lies elsewhere in a layer is left alone", async (t) => {
  const all = open(t);
  const layer = all.code("layer", { "bin/tool.py": LARGE }).codeDirectory;
  all.plane.expect(all.code("f", { "one.py": "pass", "data.json": LARGE, "below/two.py": LARGE.slice(10) }, { layersDirectory: layer }));
  const last = all.code("last", { "below/deep/one.py": LARGE });
  all.plane.expect(last);
  all.clock.advance(100);
  await eventually(() => existsSync(`${last.codeDirectory}.nodejs24.x.task`), "the last one is compiled");
  assert.deepEqual(all.made(), ["last.nodejs24.x.task"]);
});

void test("what has failed is told once and not tried again, and the function runs", async (t) => {
  const told: unknown[] = [];
  const log: Log = { ...silentLog, warn: (_, fields) => void told.push(fields?.["directory"]) };
  const all = open(t, () => 1, { log });
  const [f, again, g] = [
    all.code("f", { "one.py": LARGE }, { key: "f-1", variables: { KEY: "f-1" } }),
    all.code("f", { "one.py": LARGE }, { key: "f-2", variables: { KEY: "f-2" } }),
    all.code("g", { "one.py": LARGE }),
  ];
  const start = async (target: Deployment) => {
    assert.equal(describe(await all.plane.invoke(target, request())), `returned "${target.key}"`);
    all.plane.retire([target.key]);
    all.clock.advance(100);
  };
  await start(f);
  await eventually(() => told.length === 1, "it has failed");
  await start(again);
  // Whatever is wanted has its turn in the order in which it was.
  await start(g);
  await eventually(() => told.length > 1, "the next has failed");
  assert.deepEqual(told, [f.codeDirectory, g.codeDirectory]);
  assert.deepEqual([all.compilers(), all.made()], [[], []]);
});

void test("without memory to spare nothing is compiled, and when there is some again the next cold start asks", async (t) => {
  let memory = 0;
  const asked: number[] = [];
  const all = open(t, succeeds, { freeMemory: () => asked.push(memory) * memory });
  const start = async (key: string) => {
    await all.plane.invoke(all.code("f", { "one.py": LARGE }, { key, variables: { KEY: key } }), request());
    all.plane.retire([key]);
    all.clock.advance(100);
  };
  await start("f-1");
  await eventually(() => asked.length === 1, "there was none");
  await eventually(() => all.host.ledger().runningNow === 0, "all is at rest");
  memory = 1;
  await start("f-2");
  await eventually(() => all.made()[0] === "f.nodejs24.x.task", "it is compiled");
});
