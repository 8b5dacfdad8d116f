// A work directory is gone when its work is done, fails, or is interrupted.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inWorkDirectory } from "./work-directory.ts";

let top: string;
before(async () => (top = await mkdtemp(join(tmpdir(), "lambent-work-"))));
after(() => rm(top, { recursive: true }));

test("it is there for the work, and gone afterwards", async () => {
  const found = await inWorkDirectory(join(top, "a-"), async (directory) => {
    await writeFile(join(directory, "file"), "");
    return await readdir(directory);
  });
  assert.deepEqual(found, ["file"]);
  await assert.rejects(
    inWorkDirectory(join(top, "a-"), () => Promise.reject(new Error("failed"))),
    /failed/,
  );
  assert.deepEqual(await readdir(top), []);
  assert.deepEqual([process.listenerCount("SIGINT"), process.listenerCount("SIGTERM")], [0, 0]);
});

for (const signal of ["SIGINT", "SIGTERM"] as const)
  test(`${signal} ends the process, and one within another goes as well`, async () => {
    const script = `
      const { inWorkDirectory } = await import(${JSON.stringify(join(import.meta.dirname, "work-directory.ts"))});
      const { writeFileSync } = await import("node:fs");
      await inWorkDirectory(${JSON.stringify(join(top, "b-"))}, (outer) => inWorkDirectory(outer + "-", (inner) => {
        for (const directory of [outer, inner]) writeFileSync(directory + "/file", "");
        console.log(inner);
        return new Promise((resolve) => setTimeout(resolve, 60_000));
      }));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const [inner] = (await once(child.stdout, "data")) as [Buffer];
    assert.ok(existsSync(inner.toString().trim()));
    child.kill(signal);
    await once(child, "close");
    assert.equal(child.signalCode, signal);
    assert.deepEqual(await readdir(top), []);
  });
