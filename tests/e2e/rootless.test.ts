// `lambent up` without root: every layer is there, or it does not start. Needs root to make an ordinary user to test with.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { findTool, missingGatewayPackages } from "../../src/sandbox/linux/tools.ts";
import { leftovers, nothingLeftSince } from "../support/leftovers.ts";
import { runIsolated } from "./internet.fixture.ts";
import { canEmulate } from "./rootless.fixture.ts";
import { skip as missing } from "../acceptance/containment/sandbox.fixture.ts";

const packages = [
  ...missingGatewayPackages(),
  ...(findTool("ip") === undefined ? ["iproute2"] : []),
  ...(findTool("newuidmap") === undefined ? ["uidmap"] : []),
];
const skip = missing === false && packages.length > 0 ? `needs the packages ${packages.join(", ")}` : missing;

void test("an ordinary user has the same sandboxes, or a sentence why not", { skip, timeout: 900_000 }, async () => {
  const before = leftovers();
  const { code, output } = await runIsolated(join(import.meta.dirname, "rootless-cases.fixture.ts"), 870_000);
  assert.equal(code, 0, output);
  assert.match(output, new RegExp(`^# pass ${canEmulate() ? 14 : 13}$`, "m"), "every case has run");
  await nothingLeftSince(before);
});
