import assert from "node:assert/strict";
import { test } from "node:test";
import { FAKE_ROOT, FAKE_STRANGER } from "./aws/fake-service.ts";
import type { Caller } from "./aws/identity.ts";
import { memoryIdentities } from "./aws/memory-identities.ts";
import { silentLog } from "./base/log.ts";
import { manualClock } from "./base/manual-clock.ts";
import { segmentsOf } from "./segments.ts";

const OWNER = { account: "000000000000", region: "us-east-1", functionName: "f", roleArn: "arn:aws:iam::000000000000:role/r" };

function setUp(caller: Caller | undefined) {
  const kept: unknown[] = [];
  const identities = memoryIdentities([FAKE_ROOT, FAKE_STRANGER]);
  const senders = { clock: manualClock(), identities, assume: () => caller };
  const one = segmentsOf({ senders, log: silentLog, recorder: { record: (place, document) => void kept.push([place, document]) } });
  return { ...one, kept };
}

test("a segment is kept for the account and region of its function", () => {
  const { segments, mayTrace, kept } = setUp(FAKE_ROOT.caller);
  assert.equal(mayTrace(OWNER, OWNER.roleArn), true);
  segments(OWNER, ["{}"]);
  assert.deepEqual(kept, [[{ account: "000000000000", region: "us-east-1" }, "{}"]]);
});

test("of a role that may not send segments, or that is gone, none is kept", () => {
  for (const caller of [FAKE_STRANGER.caller, undefined]) {
    const { segments, mayTrace, kept } = setUp(caller);
    assert.equal(mayTrace(OWNER, OWNER.roleArn), false);
    segments(OWNER, ["{}"]);
    assert.deepEqual(kept, []);
  }
});
