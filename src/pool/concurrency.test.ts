import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "../base/manual-clock.ts";
import { Concurrency, type Claim, type Claimant } from "./concurrency.ts";

const claimant = (name: string, changes: Partial<Claimant> = {}): Claimant => ({
  account: "1",
  region: "r",
  functionArn: `arn:${name}`,
  key: `${name}-1`,
  ...changes,
});
function taken(claim: Claim): string {
  if (claim.kind === "lease") return "lease";
  assert.equal(claim.retryAfterSeconds, 1, "every throttle says when to try again");
  return claim.reason;
}
function end(claim: Claim | undefined): void {
  if (claim?.kind === "lease") claim.end();
}
const ACCOUNT = "ConcurrentInvocationLimitExceeded";
const RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded";

test("an account has its limit in each region, and gets back what ends", () => {
  const concurrency = new Concurrency(2, manualClock());
  const [first] = [concurrency.acquire(claimant("a")), concurrency.acquire(claimant("b"))];
  assert.equal(taken(concurrency.acquire(claimant("a"))), ACCOUNT);
  assert.equal(taken(concurrency.acquire(claimant("a", { region: "s" }))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a", { account: "2" }))), "lease");
  end(first);
  end(first);
  assert.equal(concurrency.busy("1", "r"), 1, "a lease is given back once");
  assert.equal(taken(concurrency.acquire(claimant("a"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a"))), ACCOUNT);
});

test("what a function has reserved is its limit, and nobody else's, before it has run at all", () => {
  const concurrency = new Concurrency(3, manualClock());
  concurrency.reserve(claimant("a"), 2);
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("b"))), ACCOUNT, "one of three is unreserved");
  assert.equal(taken(concurrency.acquire(claimant("a"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a"))), RESERVED);
});

test("a reservation of 0 turns a function off", () => {
  const concurrency = new Concurrency(3, manualClock());
  concurrency.reserve(claimant("a"), 0);
  assert.equal(taken(concurrency.acquire(claimant("a"))), RESERVED);
  assert.equal(concurrency.busy("1", "r"), 0);
});

test("a reservation that is changed or taken back no longer holds", () => {
  const concurrency = new Concurrency(10, manualClock());
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
  const concurrency = new Concurrency(2, manualClock());
  concurrency.acquire(claimant("b"));
  concurrency.acquire(claimant("b"));
  concurrency.reserve(claimant("a"), 2);
  assert.equal(taken(concurrency.acquire(claimant("a"))), ACCOUNT);
});

test("draining waits for the last lease", async () => {
  const concurrency = new Concurrency(2, manualClock());
  await concurrency.drained();
  const lease = concurrency.acquire(claimant("a"));
  let isDrained = false;
  const drained = concurrency.drained().then(() => (isDrained = true));
  await new Promise(setImmediate);
  assert.equal(isDrained, false);
  end(lease);
  await drained;
});

test("what is provisioned is a deployment's own, and its function's others share what is left of the reservation", () => {
  const concurrency = new Concurrency(10, manualClock());
  concurrency.reserve(claimant("a"), 2);
  concurrency.provision(claimant("a", { key: "a-v1" }), 2);
  assert.equal(taken(concurrency.acquire(claimant("a", { key: "a-latest" }))), RESERVED, "all of it is provisioned for another");
  assert.equal(taken(concurrency.acquire(claimant("a", { key: "a-v1" }))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a", { key: "a-v1" }))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("a", { key: "a-v1" }))), RESERVED);
});

test("what is provisioned without a reservation is nobody else's, and spills over into what all share", () => {
  const concurrency = new Concurrency(4, manualClock());
  concurrency.provision(claimant("a"), 2);
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease");
  assert.equal(taken(concurrency.acquire(claimant("b"))), ACCOUNT);
  const own = [concurrency.acquire(claimant("a")), concurrency.acquire(claimant("a"))];
  assert.deepEqual(own.map(taken), ["lease", "lease"]);
  assert.equal(taken(concurrency.acquire(claimant("a"))), ACCOUNT);
  concurrency.retire(new Set(["a-1"]));
  end(own[0]);
  assert.equal(taken(concurrency.acquire(claimant("b"))), "lease", "retired: all share it again");
  assert.equal(taken(concurrency.acquire(claimant("b"))), ACCOUNT, "what still runs counts");
});

test("a limit holds while what is provisioned changes under running invocations", () => {
  const concurrency = new Concurrency(10, manualClock());
  concurrency.reserve(claimant("a"), 3);
  concurrency.provision(claimant("a"), 3);
  for (let count = 0; count < 3; count++) assert.equal(taken(concurrency.acquire(claimant("a"))), "lease");
  concurrency.provision(claimant("a"), 0);
  assert.equal(taken(concurrency.acquire(claimant("a"))), RESERVED);
  assert.equal(concurrency.busy("1", "r"), 3);
});

test("ten requests a second for each unit of concurrency, of synchronous invocations only; who is too fast learns when to come again", () => {
  const clock = manualClock();
  const concurrency = new Concurrency(5, clock);
  concurrency.reserve(claimant("a"), 1);
  concurrency.provision(claimant("p"), 1);
  const run = (name: string, isEvent = false) => {
    const claim = concurrency.acquire(claimant(name), isEvent);
    end(claim);
    return claim.kind === "lease" ? "lease" : [claim.reason, claim.retryAfterSeconds];
  };
  for (let count = 0; count < 10; count++) assert.equal(run("a"), "lease");
  assert.deepEqual(run("a"), ["ReservedFunctionInvocationRateLimitExceeded", 1]);
  for (let count = 0; count < 50; count++) assert.equal(run("b"), "lease");
  assert.deepEqual(run("b"), ["FunctionInvocationRateLimitExceeded", 1]);
  assert.equal(run("c"), "lease", "each function has its own");
  for (let count = 0; count < 100; count++) assert.equal(run("a", true), "lease");
  for (let count = 0; count < 60; count++) assert.equal(run("p"), "lease", "beyond what is provisioned on demand");
  assert.deepEqual(run("p"), ["FunctionInvocationRateLimitExceeded", 1]);
  clock.advance(1000);
  for (const name of ["a", "b", "p"]) assert.equal(run(name), "lease");
});
