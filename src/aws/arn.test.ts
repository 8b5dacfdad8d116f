import assert from "node:assert/strict";
import { test } from "node:test";
import { parseArn } from "./arn.ts";

test("an ARN is taken apart", () => {
  const arn = parseArn("arn:aws:lambda:eu-west-1:000000000000:function:f:live");
  assert.deepEqual(arn, { partition: "aws", service: "lambda", region: "eu-west-1", account: "000000000000", resource: "function:f:live" });
  assert.deepEqual(parseArn("arn:aws:s3:::b/k"), { partition: "aws", service: "s3", region: "", account: "", resource: "b/k" });
});

test("what is no ARN is not taken for one", () => {
  for (const text of ["", "*", "arn", "arn:aws:s3::", "arn::s3:::b", "arn:aws::::b", "urn:aws:s3:::b", " arn:aws:s3:::b"])
    assert.equal(parseArn(text), undefined, text);
});
