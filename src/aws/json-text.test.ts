import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonWriter } from "./json-text.ts";
import type { Member, Shape, StructureShape } from "./shape.ts";

const STRING: Shape = { kind: "string" };
const listOf = (item: Shape, isSparse = false): Shape => ({ kind: "list", item, itemXmlName: "", isSparse });
const mapOf = (value: Shape, isSparse = false): Shape => ({ kind: "map", value, keyXmlName: "", valueXmlName: "", isSparse });

/** Only what the writer reads of it. */
function structureOf(shapes: Readonly<Record<string, Shape>>): StructureShape {
  const members = Object.entries(shapes).map(([name, shape]) => ({ name, jsonName: `${name}"`, shape }) as Member);
  return { kind: "structure", name: "S", xmlName: "S", isUnion: false, isError: false, members };
}

const write = jsonWriter((member) => member.jsonName);
const written = (shape: Shape, value: unknown): unknown => JSON.parse(write(shape, value));

test("texts come out as they were, whatever is in them, as values and as keys", () => {
  const texts = [
    "",
    "plain ~!#[]^",
    'a "quote"',
    "back\\slash",
    "line\nfeed",
    "\u0000\u001f\u007f",
    "é",
    "\u2028",
    "😀",
    "\ud800",
    "</script>",
  ];
  assert.equal(write(listOf(STRING), texts), JSON.stringify(texts));
  for (const text of texts) {
    assert.deepEqual(Object.entries(written(mapOf(STRING), { [text]: text }) as object), [[text, text]]);
    assert.deepEqual(written({ kind: "document" }, { [text]: text }), { [text]: text });
  }
});

test("members go by their other name, absent ones and unknown ones are left out", () => {
  const shape = structureOf({ A: STRING, B: STRING, C: structureOf({}), D: { kind: "boolean" } });
  assert.equal(write(shape, { D: false, C: {}, B: null, A: undefined, E: "x" }), '{"C\\"":{},"D\\"":false}');
  assert.equal(write(shape, {}), "{}");
});

test("nulls stay in lists and maps that may hold them, and in no others", () => {
  assert.equal(write(listOf(STRING), [null, "a", undefined, "b"]), '["a","b"]');
  assert.equal(write(listOf(STRING, true), [null, "a", undefined]), '[null,"a",null]');
  assert.equal(write(mapOf(STRING), { a: null, b: "c", d: undefined }), '{"b":"c"}');
  assert.equal(write(mapOf(STRING, true), { a: null, b: "c", d: undefined }), '{"a":null,"b":"c"}');
  assert.equal(write(listOf(STRING), new Set()), "[]");
});

test("numbers, times and bytes", () => {
  assert.equal(write(listOf({ kind: "double" }), [1, -0.5, 1e21, -0, Number.NaN, -Infinity]), '[1,-0.5,1e+21,0,"NaN","-Infinity"]');
  const time = new Date(1_500);
  assert.equal(write({ kind: "timestamp" }, time), "1.5");
  assert.equal(write({ kind: "timestamp", format: "date-time" }, time), '"1970-01-01T00:00:01.500Z"');
  assert.equal(write({ kind: "blob" }, Buffer.from("abc").subarray(1)), '"YmM="');
});
