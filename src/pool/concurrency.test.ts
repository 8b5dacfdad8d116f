import assert from "node:assert/strict";
import { test } from "node:test";
import { Concurrency, type Claim, type Claimant } from "./concurrency.ts";

const claimant = (name: string, reservedConcurrency?: number, changes: Partial<Claimant> = {}): Claimant => ({
  account: "1",
  region: "r",
  functionArn: `arn:${name}`,
  key: `${name}-1`,
  ...(reservedConcurrency === undefined ? {} : { reservedConcurrency }),
  ...changes,
});
const taken = (claim: Claim) => (claim.kind === "lease" ? "lease" : claim.reason);
const ACCOUNT = "ConcurrentInvocationLimitExceeded";
const RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded";

test("an account has its limit in each region, and gets back what ends", () => {
  const concurrency = new Concurrency(2);
  const [first] = [concurrency.acquire(claimant("a")), concurrency.acquire(claimant("b"))];
  assert.equal(taken(concurrency.acquire(claimant("a"))), ACCOUNT);
  assert.equal(taken(concurrency.acquire(claimant("a", undefined, { region: "s" }))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a", undefined, { account: "2" }))), "lease");
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(concurrency.busy("1", "r"), 1, "a lease is given back once");
  assert.equal(taken(concurrency.acquire(claimant("a"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a"))), ACCOUNT);
});

test("what a function has reserved is its limit, and nobody else's", () => {
  const concurrency = new Concurrency(3);
  assert.equal(taken(concurrency.acquire(claimant("a", 2))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("b"))), ACCOUNT, "one of three is unreserved");
  assert.equal(taken(concurrency.acquire(claimant("a", 2, { key: "a-2" }))), "lease", "all versions share it");
  assert.equal(taken(concurrency.acquire(claimant("a", 2))), RESERVED);
});

test("a reservation of 0 turns a function off", () => {
  const concurrency = new Concurrency(3);
  assert.equal(taken(concurrency.acquire(claimant("a", 0))), RESERVED);
  assert.equal(concurrency.busy("1", "r"), 0);
});

test("a reservation that is changed, taken back or forgotten no longer holds", () => {
  const concurrency = new Concurrency(10);
  concurrency.acquire(claimant("a", 10))[Symbol.dispose]();
  assert.equal(taken(concurrency.acquire(claimant("b"))), ACCOUNT);
  concurrency.acquire(claimant("a", 9))[Symbol.dispose]();
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("b"))), ACCOUNT);
  concurrency.forget(new Set(["a-1"]));
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
  concurrency.acquire(claimant("a", 8))[Symbol.dispose]();
  concurrency.acquire(claimant("a"))[Symbol.dispose]();
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
});

test("the account's limit holds although a reservation is learned late", () => {
  const concurrency = new Concurrency(2);
  concurrency.acquire(claimant("b"));
  concurrency.acquire(claimant("b"));
  assert.equal(taken(concurrency.acquire(claimant("a", 2))), ACCOUNT);
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
