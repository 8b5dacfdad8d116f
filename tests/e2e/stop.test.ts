// Starting, stopping and starting again as a user does it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FilterLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { ListFunctionsCommand } from "@aws-sdk/client-lambda";
import { eventually } from "../support/eventually.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent } from "../support/lambent-process.ts";
import { leftovers, nothingLeftSince } from "../support/leftovers.ts";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const childrenOf = (pid: number | undefined) =>
  globSync(`/proc/${pid}/task/*/children`).flatMap((file) => readFileSync(file, "utf8").split(" ").filter(Boolean));
const up = (...words: string[]) => spawnSync(process.execPath, [MAIN, "up", ...words], { encoding: "utf8", timeout: 120_000 });

test("Ctrl-C in the middle of an invoke leaves no process, mount, cgroup, network namespace or temporary folder", async (context) => {
  const before = leftovers();
  // Others have temporary folders, too: this server has a place of its own for them.
  const folder = await mkdtemp(join(tmpdir(), "lambent-stop-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const server = await startLambent({ variables: { TMPDIR: folder } });
  context.after(() => server.dispose());
  const { lambda, iam, logs } = server.clients();
  const role = await makeRole(iam);
  await makeFunction(lambda, {
    name: "napper",
    role,
    code: "import time\ndef handler(event, context):\n    print('sleeps', flush=True)\n    time.sleep(600)\n",
    settings: { Timeout: 900 },
  });
  const napping = call(lambda, "napper").then(
    () => "answered",
    () => "cut off",
  );
  await eventually("the function runs", async () => {
    const { events = [] } = await logs.send(new FilterLogEventsCommand({ logGroupName: "/aws/lambda/napper" }));
    return events.some(({ message }) => message?.startsWith("sleeps"));
  });
  const exitCode = await server.end("SIGINT");
  assert.equal(exitCode, 0, server.stderr());
  assert.match(await napping, /answered|cut off/);
  await nothingLeftSince(before);
  const left = await readdir(folder);
  assert.deepEqual(
    left.filter((name) => name !== "node-compile-cache"), // Node's own, shared by all that run
    [],
  );
});

test("SIGTERM to each process of a service, as systemd sends it, is the server's to obey", async (context) => {
  const before = leftovers();
  const server = await startLambent();
  context.after(() => server.dispose());
  const { lambda, iam } = server.clients();
  const code = "import os\ndef handler(event, context):\n    return os.getpid()\n";
  await makeFunction(lambda, { name: "goes-on", role: await makeRole(iam), code });
  const { value } = await call(lambda, "goes-on");
  const launcher = childrenOf(server.child.pid).find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("launcher"));
  process.kill(Number(launcher), "SIGTERM");
  assert.equal((await call(lambda, "goes-on")).value, value);
  assert.equal(await server.end("SIGTERM"), 0, server.stderr());
  await nothingLeftSince(before);
});

test("a second start on the same data has everything, and runs it", async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), "lambent-again-"));
  const first = await startLambent({ dataDirectory });
  const role = await makeRole(first.clients().iam);
  await makeFunction(first.clients().lambda, { name: "kept", role, code: "def handler(event, context):\n    return 'still here'\n" });
  assert.equal((await call(first.clients().lambda, "kept")).value, "still here");
  await first.end("SIGTERM");
  const second = await startLambent({ dataDirectory });
  const { Functions = [] } = await second.clients().lambda.send(new ListFunctionsCommand({}));
  assert.deepEqual(
    Functions.map((one) => one.FunctionName),
    ["kept"],
  );
  assert.equal((await call(second.clients().lambda, "kept")).value, "still here");
  assert.equal((await stat(join(dataDirectory, "keys.json"))).mode & 0o777, 0o600);
  await second.dispose();
  await rm(dataDirectory, { recursive: true, force: true });
});

test("a second server on the same data, and one on a taken port, are refused with a sentence", async (context) => {
  const server = await startLambent();
  context.after(() => server.dispose());
  const port = new URL(server.endpoint).port;
  const other = await mkdtemp(join(tmpdir(), "lambent-other-"));
  context.after(() => rm(other, { recursive: true, force: true }));
  const sameData = up("--port", "0", "--data", server.dataDirectory);
  assert.equal(sameData.status, 1);
  assert.match(sameData.stderr, new RegExp(`lambent: .*${server.dataDirectory}.*(?:another|pid|in use)`, "s"));
  const samePort = up("--port", port, "--data", other);
  assert.equal(samePort.status, 1);
  assert.match(samePort.stderr, new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken`));
  assert.doesNotMatch(sameData.stderr + samePort.stderr, /\n\s+at /);
});
