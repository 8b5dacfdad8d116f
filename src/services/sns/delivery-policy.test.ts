import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "../../base/manual-clock.ts";
import { deliveryPolicyProblem, webRules } from "./delivery-policy.ts";
import { Throttle } from "./throttle.ts";

const retry = (healthyRetryPolicy: object) => JSON.stringify({ healthyRetryPolicy });

for (const [what, policy, problem] of [
  ["nothing", "{}", undefined],
  ["an empty text", "", undefined],
  ["all phases", retry({ numRetries: 9, numNoDelayRetries: 3, numMinDelayRetries: 2, numMaxDelayRetries: 1 }), undefined],
  ["no JSON", "x", "failed to parse JSON."],
  ["an unknown member", '{"x":1}', "Unexpected JSON member: x"],
  ["an inherited member", '{"healthyRetryPolicy":{"constructor":1}}', "Unexpected JSON member: constructor"],
  ["a short delay", retry({ minDelayTarget: 0 }), "healthyRetryPolicy.minDelayTarget must be greater than or equal to 1"],
  ["a fraction", retry({ minDelayTarget: 1.5 }), "healthyRetryPolicy.minDelayTarget must be an integer"],
  ["delays the wrong way round", retry({ minDelayTarget: 30 }), "healthyRetryPolicy.maxDelayTarget must be greater than or equal to 30"],
  ["many retries", retry({ numRetries: 101 }), "healthyRetryPolicy.numRetries must be less than or equal to 100"],
  [
    "a long time",
    retry({ numRetries: 100, maxDelayTarget: 3600 }),
    "healthyRetryPolicy: the total retry time must not exceed 3600 seconds",
  ],
  ["an unknown curve", retry({ backoffFunction: "x" }), 'healthyRetryPolicy.backoffFunction: Invalid value ["x"]'],
  [
    "phases that are longer than the whole",
    retry({ numRetries: 3, numNoDelayRetries: 2, numMinDelayRetries: 2 }),
    "healthyRetryPolicy.numRetries must be greater than or equal to the sum of the retries of its phases",
  ],
  ["no rate", '{"throttlePolicy":{"maxReceivesPerSecond":0}}', "throttlePolicy.maxReceivesPerSecond must be greater than or equal to 1"],
  [
    "a header in a content type",
    '{"requestPolicy":{"headerContentType":"a/b\\r\\nx: y"}}',
    'requestPolicy.headerContentType: Invalid value ["a/b\\r\\nx: y"]',
  ],
] as const)
  test(`a delivery policy with ${what}: ${problem ?? "allowed"}`, () => {
    assert.equal(deliveryPolicyProblem(policy, "subscription"), problem);
  });

test("a subscription's own rules come before its topic's, unless the topic forbids it", () => {
  const topic = (more: object) => ({
    DeliveryPolicy: JSON.stringify({
      http: { defaultHealthyRetryPolicy: { numRetries: 7 }, defaultThrottlePolicy: { maxReceivesPerSecond: 2 }, ...more },
    }),
  });
  const own = { DeliveryPolicy: retry({ numRetries: 5 }) };
  assert.deepEqual([webRules({}, {}).retry.retriesMax, webRules({}, {}).perSecond], [3, undefined]);
  assert.deepEqual([webRules(topic({}), own).retry.retriesMax, webRules(topic({}), own).perSecond], [5, 2]);
  assert.equal(webRules(topic({}), {}).retry.retriesMax, 7);
  assert.equal(webRules(topic({ disableSubscriptionOverrides: true }), own).retry.retriesMax, 7);
});

test("requests of a throttled endpoint are spread over time", () => {
  const clock = manualClock();
  const throttle = new Throttle(clock);
  const start = clock.now();
  const slots = [1, 2, 3].map(() => throttle.slot("a", 2) - start);
  assert.deepEqual([...slots, throttle.slot("b", 2) - start], [0, 500, 1000, 0]);
  clock.advance(5000);
  assert.equal(throttle.slot("a", 2) - start, 5000);
  clock.step(-3_600_000);
  assert.equal(throttle.slot("a", 2) - clock.now(), 500);
});
