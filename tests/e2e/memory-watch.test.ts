// Real sandboxes on a machine whose memory gets short, as far as the server knows: what is idle goes, what runs and what is provisioned stays.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { requestId } from "../../src/base/id.ts";
import { loadConfig } from "../../src/config.ts";
import { runtimeCatalog } from "../../src/runtime/managed.ts";
import { skip as withoutSandboxes, startHost } from "../acceptance/containment/sandbox.fixture.ts";
import { eventually } from "../support/eventually.ts";
import { deploymentOf, planeOf } from "./deployment.fixture.ts";

const RUNTIME = "nodejs24.x";
const catalog = runtimeCatalog(loadConfig());
const isReady = !("missing" in (catalog.resolve(RUNTIME) ?? { missing: "" }));
const skip = withoutSandboxes || (isReady ? false : `needs ${RUNTIME}`);

/** Until there is a file of the name that it is given. */
const WAITS = `
  import { existsSync } from "node:fs";
  import { setTimeout } from "node:timers/promises";
  export const handler = async ({ until }) => {
    while (until !== undefined && !existsSync(until)) await setTimeout(10);
  };`;

void test("idle environments and prepared sandboxes go while memory is short", { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "lambent-memory-"));
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, "index.mjs"), WAITS);
  const memory = { free: 1 };
  const host = await startHost();
  const plane = planeOf({ sandboxes: host, runtimes: catalog, freeMemory: () => memory.free, limits: { preparedMax: 2 } });
  const code = (functionName: string) =>
    deploymentOf({ functionName, runtime: RUNTIME, handler: "index.handler", codeDirectory: directory });
  const invoke = async (name: string, until?: string) => {
    const payload = Buffer.from(JSON.stringify({ until }));
    const request = { requestId: requestId(), payload, invokedArn: code(name).functionArn, wantsLogTail: false };
    const outcome = await plane.invoke(code(name), request);
    assert.equal(outcome.kind, "returned", JSON.stringify(outcome));
  };
  try {
    await Promise.all(["a", "b", "c"].map((name) => invoke(name)));
    plane.provision(code("kept"), 1);
    await eventually(
      "one is provisioned, two are prepared",
      () => plane.provisioned("kept")?.available === 1 && plane.prepared().ready === 2,
    );
    const running = invoke("busy", "go");
    memory.free = 0.03;
    await eventually("those are left that are used or provisioned", async () => (await host.inventory()).length === 2);
    writeFileSync(join(directory, "go"), "");
    await running;
    await eventually("the one is left that is provisioned", async () => (await host.inventory()).length === 1);
    assert.equal(plane.total().environments, 1);
    memory.free = 0.09;
    await Promise.all(["a", "kept"].map((name) => invoke(name)));
    assert.equal(plane.total().environments, 2);
  } finally {
    await plane.stop();
    await host.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});
