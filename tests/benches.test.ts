// Each file in bench/ is a bench: `npm run bench` without names runs them all.
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const BENCHES = join(import.meta.dirname, "../bench");

for (const file of globSync("*.ts", { cwd: BENCHES, exclude: ["main.ts"] }))
  test(`bench/${file} can be run`, async () => {
    const { run } = (await import(join(BENCHES, file))) as { readonly run?: unknown };
    assert.equal(typeof run, "function", "what benches share is in bench/support/");
  });
