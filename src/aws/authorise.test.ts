import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { manualClock } from "../base/manual-clock.ts";
import { authorise } from "./authorise.ts";
import type { AccessNeed } from "./definition.ts";
import { FAKE_ROOT, FAKE_STRANGER } from "./fake-service.ts";
import type { Identities } from "./identity.ts";
import type { PolicyStatement } from "./policy.ts";
import type { WireRequest } from "./request.ts";

const HTTP = "http://localhost:4566";
const signal = new AbortController().signal;

function requestFrom(sourceIp: string | undefined, endpoint = HTTP): WireRequest {
  const target = { id: "1", method: "GET", rawPath: "/", rawQuery: "", headers: new Map(), endpoint, hostBucket: undefined };
  return { ...target, sourceIp, body: () => Readable.from([]), hasBody: false, signal };
}

/** Whether a user may who is allowed everything under the condition. */
function isAllowed(Condition: PolicyStatement["Condition"] & {}, need: Partial<AccessNeed> = {}, request?: WireRequest): boolean {
  const statement: PolicyStatement = { Effect: "Allow", Action: "*", Resource: "*", Condition };
  const identities: Identities = {
    credential: () => "unknown-key",
    policies: () => ({ identity: [{ Version: "2012-10-17", Statement: statement }], session: [] }),
  };
  const { caller } = FAKE_STRANGER;
  const context = { requestId: "1", account: caller.account, region: "eu-west-1", caller, endpoint: request?.endpoint ?? HTTP, signal };
  try {
    authorise(request, context, [{ action: "s3:GetObject", resource: "*", ...need }], { identities, clock: manualClock() });
    return true;
  } catch (cause) {
    assert.match((cause as Error).message, /is not authorized to perform: s3:GetObject/);
    return false;
  }
}

test("what does not leave the machine is as good as encrypted", () => {
  const secure = { Bool: { "aws:SecureTransport": "true" } };
  for (const sourceIp of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", undefined])
    assert.equal(isAllowed(secure, {}, requestFrom(sourceIp)), true, sourceIp);
  assert.equal(isAllowed(secure), true, "one service in another");
  for (const sourceIp of ["10.0.0.7", "2001:db8::1", "::11", "::ffff:10.127.0.1"]) {
    assert.equal(isAllowed(secure, {}, requestFrom(sourceIp)), false, sourceIp);
    assert.equal(isAllowed(secure, {}, requestFrom(sourceIp, "https://lambent.example")), true, sourceIp);
  }
});

test("aws:ResourceAccount is the account that owns the resource", () => {
  const { account } = FAKE_ROOT.caller;
  const own = { StringEquals: { "aws:ResourceAccount": account } };
  assert.equal(isAllowed(own), true, "without a resource of its own");
  assert.equal(isAllowed(own, { resource: "arn:aws:s3:::bucket/key", owner: account }), true);
  const others = { StringEquals: { "aws:ResourceAccount": "222222222222" } };
  assert.equal(isAllowed(others, { resource: "arn:aws:s3:::bucket/key", owner: account }), false);
  assert.equal(isAllowed(own, { resource: `arn:aws:lambda:eu-west-1:${account}:function:f` }), true);
});
