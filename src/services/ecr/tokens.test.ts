// Authorization tokens: how long they are good, and what else is none.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CommonFault } from "../../aws/fault.ts";
import type { Caller } from "../../aws/identity.ts";
import { memoryIdentities } from "../../aws/memory-identities.ts";
import { manualClock } from "../../base/manual-clock.ts";
import { authorizationToken, tokenOf } from "./tokens.ts";

const HOURS = 3_600_000;
const caller: Caller = {
  kind: "user",
  account: "000000000000",
  arn: "arn:aws:iam::000000000000:user/one",
  userId: "AIDA1",
  accessKeyId: "AKIA1",
};
const identities = memoryIdentities([{ secretAccessKey: "secret", caller }]);
const sealingKey = Buffer.alloc(32, 1);

const refusedAs = (pattern: RegExp) => (cause: unknown) => {
  assert.ok(cause instanceof CommonFault);
  assert.deepEqual([cause.status, cause.code], [401, "UNAUTHORIZED"]);
  assert.match(cause.message, pattern);
  return true;
};

test("a token is good for twelve hours, and says whose it is and of which region", () => {
  const clock = manualClock();
  const deps = { sealingKey, clock, identities };
  const { token, expiresMs } = authorizationToken(deps, { caller, region: "eu-west-1" });
  assert.equal(expiresMs, clock.now() + 12 * HOURS);
  clock.advance(12 * HOURS - 1);
  const { caller: found, region } = tokenOf(deps, `Basic ${token}`);
  assert.deepEqual([found, region], [caller, "eu-west-1"]);
  clock.advance(1);
  assert.throws(
    () => tokenOf(deps, `Basic ${token}`),
    refusedAs(/^Your authorization token has expired\. Reauthenticate and try again\.$/),
  );
});

test("of another installation, another user's name, changed, or of a key that is gone: none of them is one", () => {
  const deps = { sealingKey, clock: manualClock(), identities };
  const { token } = authorizationToken(deps, { caller, region: "us-east-1" });
  const password = Buffer.from(token, "base64").toString().slice("AWS:".length);
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  assert.throws(() => tokenOf({ ...deps, sealingKey: Buffer.alloc(32, 2) }, `Basic ${token}`), refusedAs(/not one of this registry's/));
  for (const wrong of [basic(`root:${password}`), basic("AWS:"), basic(`AWS:${password.slice(0, -2)}`), basic("AWS")])
    assert.throws(() => tokenOf(deps, wrong), refusedAs(/not one of this registry's/), wrong);
  for (const wrong of [undefined, "", "Bearer x", "Basic %"])
    assert.throws(() => tokenOf(deps, wrong), refusedAs(/no basic auth credentials/));
  assert.throws(() => tokenOf({ ...deps, identities: memoryIdentities([]) }, `Basic ${token}`), refusedAs(/access key .* is gone/));
});
