// Functions with a way to the internet: what they reach and what they don't, on a machine that is a network namespace of the test's own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { findTool, missingGatewayPackages } from "../../src/sandbox/linux/tools.ts";
import { leftovers, nothingLeftSince } from "../support/leftovers.ts";
import { skip as missing } from "./sandbox.fixture.ts";

const packages = [...missingGatewayPackages(), ...(findTool("ip") === undefined ? ["iproute2"] : [])];
const skip = missing === false && packages.length > 0 ? `needs the packages ${packages.join(", ")}` : missing;
const CASES = join(import.meta.dirname, "internet-cases.fixture.ts");

// The cases are tests in a process of their own, because a process can't move into a namespace on its own.
void test("functions reach the internet, and neither the host nor each other; nothing is left", { skip, timeout: 180_000 }, async () => {
  const before = leftovers();
  const words = ["--net", "--mount", process.execPath, "--test-reporter=spec", CASES];
  const child = spawn("unshare", words, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NODE_TEST_CONTEXT: "" } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => (output += piece.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 0, output);
  assert.match(output, /pass 1\d\b/, "every case has run");
  await nothingLeftSince(before);
});
