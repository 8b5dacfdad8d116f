import assert from "node:assert/strict";
import { test } from "node:test";
import { Concurrency, type Claim, type Claimant } from "./concurrency.ts";

const claimant = (name: string, changes: Partial<Claimant> = {}): Claimant => ({
  account: "1",
  region: "r",
  functionArn: `arn:${name}`,
  ...changes,
});
const taken = (claim: Claim) => (claim.kind === "lease" ? "lease" : claim.reason);
const ACCOUNT = "ConcurrentInvocationLimitExceeded";
const RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded";

test("an account has its limit in each region, and gets back what ends", () => {
  const concurrency = new Concurrency(2);
  const [first] = [concurrency.acquire(claimant("a")), concurrency.acquire(claimant("b"))];
  assert.equal(taken(concurrency.acquire(claimant("a"))), ACCOUNT);
  assert.equal(taken(concurrency.acquire(claimant("a", { region: "s" }))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a", { account: "2" }))), "lease");
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(concurrency.busy("1", "r"), 1, "a lease is given back once");
  assert.equal(taken(concurrency.acquire(claimant("a"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a"))), ACCOUNT);
});

test("what a function has reserved is its limit, and nobody else's, before it has run at all", () => {
  const concurrency = new Concurrency(3);
  concurrency.reserve(claimant("a"), 2);
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("b"))), ACCOUNT, "one of three is unreserved");
  assert.equal(taken(concurrency.acquire(claimant("a"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a"))), RESERVED);
});

test("a reservation of 0 turns a function off", () => {
  const concurrency = new Concurrency(3);
  concurrency.reserve(claimant("a"), 0);
  assert.equal(taken(concurrency.acquire(claimant("a"))), RESERVED);
  assert.equal(concurrency.busy("1", "r"), 0);
});

test("a reservation that is changed or taken back no longer holds", () => {
  const concurrency = new Concurrency(10);
  concurrency.reserve(claimant("a"), 10);
  assert.equal(taken(concurrency.acquire(claimant("b"))), ACCOUNT);
  concurrency.reserve(claimant("a"), 9);
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("b"))), ACCOUNT);
  concurrency.reserve(claimant("a"), undefined);
  concurrency.reserve(claimant("a"), undefined);
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a"))), "lease");
});

test("the account's limit holds although a reservation comes late", () => {
  const concurrency = new Concurrency(2);
  concurrency.acquire(claimant("b"));
  concurrency.acquire(claimant("b"));
  concurrency.reserve(claimant("a"), 2);
  assert.equal(taken(concurrency.acquire(claimant("a"))), ACCOUNT);
});

test("draining waits for the last lease", async () => {
  const concurrency = new Concurrency(2);
  await concurrency.drained();
  const lease = concurrency.acquire(claimant("a"));
  let isDrained = false;
  const drained = concurrency.drained().then(() => (isDrained = true));
  await new Promise(setImmediate);
  assert.equal(isDrained, false);
  lease[Symbol.dispose]();
  await drained;
});
