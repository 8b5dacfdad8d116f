import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "../base/manual-clock.ts";
import { cachedCredentials } from "./credentials.ts";

function source(lifeMs = 3_600_000) {
  const clock = manualClock();
  const asked: string[] = [];
  const get = cachedCredentials(async (roleArn, functionName) => {
    const number = asked.push(`${roleArn} ${functionName}`);
    await Promise.resolve();
    if (roleArn === "gone") throw new Error("no such role");
    return { accessKeyId: `A${number}`, secretAccessKey: "", sessionToken: "", expiresMs: clock.now() + lifeMs };
  }, clock);
  return { clock, asked, get };
}

test("credentials are fetched once for a role and function, also when many ask at once", async () => {
  const { get, asked } = source();
  const all = await Promise.all([get("r", "f"), get("r", "f"), get("r", "g"), get("s", "f"), get("r", "f")]);
  assert.deepEqual(
    all.map(({ accessKeyId }) => accessKeyId),
    ["A1", "A1", "A2", "A3", "A1"],
  );
  assert.deepEqual(asked, ["r f", "r g", "s f"]);
});

test("they are renewed when half of their life is over", async () => {
  const { get, clock } = source();
  await get("r", "f");
  clock.advance(1_799_999);
  assert.equal((await get("r", "f")).accessKeyId, "A1");
  clock.advance(1);
  assert.equal((await get("r", "f")).accessKeyId, "A2");
});

test("a failure is told to all who waited, and asked again by the next", async () => {
  const { get, asked } = source();
  const both = await Promise.allSettled([get("gone", "f"), get("gone", "f")]);
  assert.ok(both.every(({ status }) => status === "rejected"));
  await assert.rejects(get("gone", "f"), /no such role/);
  assert.equal(asked.length, 2);
});
