import assert from "node:assert/strict";
import { test } from "node:test";
import { eventOf, newEvent } from "./bus-event.ts";
import { parsePath, valueAt } from "./input-path.ts";
import { inputOf } from "./target-input.ts";

const RULE = { name: "orders", arn: "arn:aws:events:eu-west-1:000000000000:rule/orders" };
const DETAIL = {
  id: "i-1",
  state: "ACTIVE",
  n: 1.5,
  yes: true,
  none: null,
  who: { acc_id: "0a78", sf_id: "baz" },
  all: ["ACTIVE", "INACTIVE"],
  said: 'a "b"\n',
};
/** Numbers that are others once JavaScript has read and written them. */
const EXACT = '{"id":12345678901234567890,"price":1.0,"all":[1e400,-0]}';
const EVENT = newEvent(
  {
    account: "000000000000",
    region: "eu-west-1",
    source: "shop",
    detailType: "made",
    resources: ["r0", "r1"],
    detail: `${JSON.stringify(DETAIL).slice(0, -1)},"exact":${EXACT}}`,
    timeMs: Date.UTC(2026, 0, 1),
  },
  Date.UTC(2026, 0, 1, 0, 0, 1),
);

const PATHS = {
  id: "$.detail.id",
  state: "$.detail.state",
  n: "$.detail.n",
  yes: "$.detail.yes",
  null: "$.detail.none",
  who: "$.detail.who",
  all: "$.detail.all",
  said: "$.detail.said",
  first: "$.resources[0]",
  type: "$.detail-type",
  missing: "$.detail.missing",
  exact: "$.detail.exact",
  big: "$.detail.exact.id",
  within: "$.detail.exact.id.rawJSON",
};

const TABLE: readonly [template: string, result: string][] = [
  ['"<id> is in state <state>"', '"i-1 is in state ACTIVE"'],
  ['{"id": <id>, "n": <n>, "yes": <yes>, "none": <null>}', '{"id": "i-1", "n": 1.5, "yes": true, "none": null}'],
  ['{"who": <who>, "all": <all>}', '{"who": {"acc_id":"0a78","sf_id":"baz"}, "all": ["ACTIVE","INACTIVE"]}'],
  ['"<who> <all> <yes> <n> <null>"', '"{acc_id:0a78,sf_id:baz} [ACTIVE,INACTIVE] true 1.5 null"'],
  ['{"a": "<missing>|", "b": <missing>}', '{"a": "|", "b": ""}'],
  ['"<said>"', '"a \\"b\\"\\n"'],
  ['"a \\" <id>"', '"a \\" i-1"'],
  ['"one <id>"\n"two <state>"', '"one i-1"\n"two ACTIVE"'],
  ['{"<id>": [<first>, <type>]}', '{"i-1": ["r0", "made"]}'],
  ['{"r": <aws.events.rule-name>, "a": "<aws.events.rule-arn>"}', `{"r": "orders", "a": "${RULE.arn}"}`],
  ["<aws.events.event.ingestion-time>", '"2026-01-01T00:00:01.000Z"'],
  ["<aws.events.event.json>", EVENT.text],
  ['{"a": <exact>, "b": <big>}', `{"a": ${EXACT}, "b": 12345678901234567890}`],
  ['"<big> <exact> <within>"', '"12345678901234567890 {id:12345678901234567890,price:1.0,all:[1e400,-0]} "'],
];

test("templates are filled as EventBridge fills them", () => {
  for (const [InputTemplate, result] of TABLE)
    assert.equal(
      inputOf({ Id: "1", Arn: "", InputTransformer: { InputPathsMap: PATHS, InputTemplate } }, EVENT, RULE),
      result,
      InputTemplate,
    );
  const whole = inputOf({ Id: "1", Arn: "", InputTransformer: { InputTemplate: "<aws.events.event>" } }, EVENT, RULE);
  const { detail: _detail, "detail-type": detailType, ...rest } = EVENT.value;
  assert.deepEqual(JSON.parse(whole), { ...rest, detailType });
});

test("without a transformer: a constant, a part, or the whole event", () => {
  const of = (target: object) => inputOf({ Id: "1", Arn: "", ...target }, EVENT, RULE);
  assert.equal(of({}), EVENT.text);
  assert.equal(of({ Input: "[1]" }), "[1]");
  assert.equal(of({ InputPath: "$.detail.who" }), '{"acc_id":"0a78","sf_id":"baz"}');
  assert.equal(of({ InputPath: "$.detail.missing" }), "null");
  assert.deepEqual(JSON.parse(of({ InputPath: "$" })), EVENT.value);
});

test("paths reach keys and places, and nothing else", () => {
  assert.deepEqual(parsePath("$.a['b c'][\"d\"][0].e-f"), ["a", "b c", "d", 0, "e-f"]);
  for (const text of ["", "a", "$a", "$.", "$..a", "$.*", "$[*]", "$[-1]", "$['a", "$.a[?(@.b)]", "$.a[0:1]"])
    assert.equal(parsePath(text), undefined, text);
  const value: unknown = JSON.parse('{"a":[{"__proto__":1}],"length":2}');
  assert.equal(valueAt(value, ["a", 0, "__proto__"]), 1);
  for (const path of [["a", "length"], ["constructor"], ["a", 1], ["length", "x"], [0]]) assert.equal(valueAt(value, path), undefined);
});

test("an event keeps its detail byte for byte but for white space", () => {
  const detail = '{ "a b" : [ 1.0 , "x \\" y" ],\n "n":1e400 }';
  const { text } = newEvent({ account: "a", region: "r", source: "s", detailType: "d", resources: [], detail, timeMs: 0 }, 0);
  assert.ok(text.endsWith(',"detail":{"a b":[1.0,"x \\" y"],"n":1e400}}'), text);
  assert.equal(eventOf(text, 0).text, text);
  const long = JSON.stringify({ text: 'x\\"'.repeat(300_000) });
  assert.ok(
    newEvent({ account: "a", region: "r", source: "s", detailType: "d", resources: [], detail: long, timeMs: 0 }, 0).text.includes(long),
  );
});
