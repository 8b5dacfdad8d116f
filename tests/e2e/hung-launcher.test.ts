// A launcher that hangs: what runs is answered, what needs it is refused as trouble of the server's, and the server ends.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { FilterLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { below, launcherOf, processes, startHost } from "../acceptance/containment/sandbox.fixture.ts";
import { eventually } from "../support/eventually.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { leftovers, nothingLeftSince } from "../support/leftovers.ts";

const CODE = `
import os, time
def handler(event, context):
    print("runs", flush=True)
    time.sleep(event.get("sleep", 0))
    if event.get("dies"):
        os.kill(os.getpid(), 9)
    return "answered"
`;

/** A server with warm functions of these names. */
async function serve(...names: readonly string[]): Promise<LambentProcess> {
  const server = await startLambent();
  const { lambda, iam } = server.clients();
  const role = await makeRole(iam);
  for (const name of names) {
    await makeFunction(lambda, { name, role, code: CODE, settings: name === "frozen" ? { Timeout: 3 } : {} });
    assert.equal((await call(lambda, name)).value, "answered");
  }
  return server;
}

async function isRunning(server: LambentProcess, name: string): Promise<void> {
  await eventually(`${name} runs`, async () => {
    const { events = [] } = await server.clients().logs.send(new FilterLogEventsCommand({ logGroupName: `/aws/lambda/${name}` }));
    return events.filter(({ message }) => message?.startsWith("runs")).length === 2;
  });
}

/** A launcher that was killed leaves control groups; the next one sweeps them up. */
async function nothingLeft(server: LambentProcess, launcher: number, own: ReadonlySet<number>, before: ReturnType<typeof leftovers>) {
  await server.dispose();
  await eventually("no process of it is left", () => !processes().some(({ pid }) => pid === launcher || own.has(pid)));
  await (await startHost()).stop();
  await nothingLeftSince(before);
}

test("with a launcher that hangs, invocations end by themselves, others are no function errors, and the server ends", async (t) => {
  const before = leftovers();
  const server = await serve("returns", "dies", "frozen");
  t.after(() => server.dispose());
  const { lambda } = server.clients();
  const answers = [call(lambda, "returns", { sleep: 3 }), call(lambda, "dies", { sleep: 3, dies: true })];
  await Promise.all(["returns", "dies"].map((name) => isRunning(server, name)));
  const launcher = launcherOf(server.child.pid);
  const own = below(launcher);
  const exited = once(server.child, "exit");
  process.kill(launcher, "SIGSTOP");
  await assert.rejects(call(lambda, "frozen"), { name: "ServiceException" });
  const [returned, died] = await Promise.all(answers);
  assert.equal(returned?.value, "answered");
  assert.match(JSON.stringify(died?.value), /"errorType":"Runtime.ExitError"/);
  assert.match(returned?.log ?? "", /^REPORT .*Max Memory Used: \d+ MB/m);
  await exited;
  assert.equal(server.child.exitCode, 1, server.stderr());
  assert.match(server.stderr(), /stopping: the launcher has not answered \w+ within 30 s/);
  await nothingLeft(server, launcher, own, before);
});

test("a server whose launcher hangs stops all the same", async (t) => {
  const before = leftovers();
  const server = await serve("runs");
  t.after(() => server.dispose());
  const answer = call(server.clients().lambda, "runs", { sleep: 50 }).then(
    () => "answered",
    () => "cut off",
  );
  await isRunning(server, "runs");
  const launcher = launcherOf(server.child.pid);
  const own = below(launcher);
  process.kill(launcher, "SIGSTOP");
  await server.end("SIGTERM");
  assert.equal(await answer, "cut off");
  await nothingLeft(server, launcher, own, before);
});
