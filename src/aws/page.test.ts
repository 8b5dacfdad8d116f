import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMarker, encodeMarker, pageOf } from "./page.ts";

test("a marker brings back what it was made of, for its own list", () => {
  for (const last of ["", "name", "ü/..\u0000x", "__proto__"]) {
    const marker = encodeMarker("ListRoles", last);
    assert.match(marker, /^[\w-]+$/);
    assert.equal(decodeMarker("ListRoles", marker), last);
    assert.equal(decodeMarker("ListUsers", marker), undefined);
  }
});

test("what is no marker is not taken for one", () => {
  const marker = encodeMarker("ListRoles", "name");
  for (const text of [
    "",
    "name",
    `${marker}=`,
    `${marker} `,
    `!${marker}`,
    marker.slice(2),
    Buffer.from([0xff, 0xfe]).toString("base64url"),
  ])
    assert.equal(decodeMarker("ListRoles", text), undefined, text);
});

test("pages hold every item once, also when what a marker names is gone", () => {
  const items = ["a", "b", "\uffff", "\u{10000}"];
  const page = (all: readonly string[], marker: string | undefined) => pageOf("L", all, (item) => item, { marker, max: 2 });
  const first = page(items, undefined);
  assert.deepEqual(first?.found, ["a", "b"]);
  for (const all of [items, items.toSpliced(1, 1)]) assert.deepEqual(page(all, first.next), { found: ["\uffff", "\u{10000}"] });
  assert.deepEqual(page([], undefined), { found: [] });
  assert.equal(page(items, encodeMarker("other", "a")), undefined);
});
