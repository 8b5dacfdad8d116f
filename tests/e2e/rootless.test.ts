// `lambent up` without root: every layer is there, or it does not start. Needs root to make an ordinary user to test with.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { findTool, missingGatewayPackages } from "../../src/sandbox/linux/tools.ts";
import { leftovers, nothingLeftSince } from "../support/leftovers.ts";
import { skip as missing } from "./sandbox.fixture.ts";

const packages = [
  ...missingGatewayPackages(),
  ...(findTool("ip") === undefined ? ["iproute2"] : []),
  ...(findTool("newuidmap") === undefined ? ["uidmap"] : []),
];
const skip = missing === false && packages.length > 0 ? `needs the packages ${packages.join(", ")}` : missing;

void test("an ordinary user has the same sandboxes, or a sentence why not", { skip, timeout: 300_000 }, async () => {
  const before = leftovers();
  const words = ["--net", "--mount", process.execPath, "--test-reporter=spec", join(import.meta.dirname, "rootless-cases.fixture.ts")];
  const child = spawn("unshare", words, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NODE_TEST_CONTEXT: "" } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => (output += piece.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 0, output);
  assert.match(output, /pass 7\b/, "every case has run");
  await nothingLeftSince(before);
});
