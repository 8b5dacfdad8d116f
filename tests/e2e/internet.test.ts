// Functions with a way to the internet: what they reach and what they don't, on a machine that is a network namespace of the test's own.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { findTool, missingGatewayPackages } from "../../src/sandbox/linux/tools.ts";
import { leftovers, nothingLeftSince } from "../support/leftovers.ts";
import { runIsolated } from "./internet.fixture.ts";
import { skip as missing } from "../acceptance/containment/sandbox.fixture.ts";

const packages = [...missingGatewayPackages(), ...(findTool("ip") === undefined ? ["iproute2"] : [])];
const skip = missing === false && packages.length > 0 ? `needs the packages ${packages.join(", ")}` : missing;
const CASES = join(import.meta.dirname, "internet-cases.fixture.ts");

void test("functions reach the internet, and neither the host nor each other; nothing is left", { skip, timeout: 600_000 }, async () => {
  const before = leftovers();
  const { code, output } = await runIsolated(CASES, 570_000);
  assert.equal(code, 0, output);
  assert.match(output, /^# pass 15$/m, "every case has run");
  await nothingLeftSince(before);
});
