import assert from "node:assert/strict";
import { test } from "node:test";
import { requestsOf } from "./universal-targets.ts";

test("a payload that is an object goes out with its numbers as they were written", () => {
  const Input = '{"FunctionName":"f","Qualifier":"live","Payload":{"id":12345678901234567890,"price":1.0}}';
  const target = { Arn: "arn:aws:scheduler:::aws-sdk:lambda:invoke", RoleArn: "", Input };
  assert.deepEqual(requestsOf(target, { account: "000000000000", region: "eu-west-1" }), [
    { target: "arn:aws:lambda:eu-west-1:000000000000:function:f:live", event: '{"id":12345678901234567890,"price":1.0}', context: {} },
  ]);
});
