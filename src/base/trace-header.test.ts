import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTrace, lineageId, newTrace, parseTrace, sampledTrace, traceHeader } from "./trace-header.ts";

const ID = lineageId("arn:aws:lambda:us-east-1:000000000000:function:f");
const ROOT = "1-5759e988-bd862e3fe1be46a994272793";
const FRESH = /^Root=1-6955b900-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=[0-9a-f]{8}:0$/;
const header = (incoming?: string) => traceHeader(incoming, ID, Date.UTC(2026, 0, 1));

test("without a header a trace is made, and it is not sampled", () => {
  assert.match(header(), FRESH);
  assert.notEqual(header(), header());
});

const NONSENSE = [
  "",
  ";;;===",
  "Root=1-5759e988-bd862e3fe1be46a99427279\r\nX-Evil: 1",
  "Root=1-5759e988-BD862E3FE1BE46A994272793;Parent=zz;Sampled=2;Lineage=x",
  `Root=${ROOT};`.repeat(200),
  `__proto__=1;constructor=2`,
  `Lineage=${"a87bd80c:1|".repeat(40)}`,
];
for (const incoming of NONSENSE)
  test(`a header that is none is replaced: ${JSON.stringify(incoming.slice(0, 40))}`, () => assert.match(header(incoming), FRESH));

test("a caller's trace goes on", () => {
  assert.equal(header(`Root=${ROOT};Parent=53995c3f42cd8ad8;Sampled=1`), `Root=${ROOT};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=${ID}:0`);
  assert.match(header(`Root=${ROOT};Sampled=?`), /^Root=1-5759e988-bd862e3fe1be46a994272793;Parent=[0-9a-f]{16};Sampled=0;/);
});

test("each pass through a function is counted in the lineage", () => {
  assert.match(header(`Root=${ROOT};Lineage=${ID}:3`), new RegExp(`Lineage=${ID}:4$`));
  assert.match(header(`Root=${ROOT};Lineage=a87bd80c:7|${ID}:15`), new RegExp(`Lineage=a87bd80c:7\\|${ID}:16$`));
  assert.match(header(`Root=${ROOT};Lineage=a87bd80c:7`), new RegExp(`Lineage=a87bd80c:7\\|${ID}:0$`));
  const many = Array.from({ length: 32 }, (_, at) => `${String(at).padStart(8, "0")}:1`).join("|");
  assert.equal(header(`Lineage=${many}`).split("Lineage=")[1]?.split("|").length, 32);
});

test("a trace is read and written field by field; what is none is left out", () => {
  const whole = `Root=${ROOT};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=${ID}:3`;
  assert.deepEqual(parseTrace(whole), { root: ROOT, parent: "53995c3f42cd8ad8", isSampled: true, lineage: `${ID}:3` });
  assert.equal(formatTrace(parseTrace(` Sampled=1 ;Self=1-67891234-12456789abcdef012345678;${whole}`) ?? assert.fail()), whole);
  assert.deepEqual(parseTrace(`Root=${ROOT};Parent=x;Sampled=?`), {
    root: ROOT,
    parent: undefined,
    isSampled: undefined,
    lineage: undefined,
  });
  assert.equal(formatTrace(parseTrace(`Root=${ROOT};Sampled=?`) ?? assert.fail()), `Root=${ROOT}`);
  assert.equal(parseTrace("Parent=53995c3f42cd8ad8;Sampled=1"), undefined);
  assert.match(formatTrace(newTrace(Date.UTC(2026, 0, 1), true)), /^Root=1-6955b900-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1$/);
});

test("only what is sampled for certain is recorded", () => {
  assert.equal(sampledTrace(`Root=${ROOT};Sampled=1`)?.root, ROOT);
  for (const other of [
    undefined,
    "",
    `Root=${ROOT};Sampled=0`,
    `Root=${ROOT}`,
    "Sampled=1",
    `Root=${ROOT};XSampled=1`,
    `Root=${ROOT};Sampled=10`,
  ])
    assert.equal(sampledTrace(other), undefined, other);
});
