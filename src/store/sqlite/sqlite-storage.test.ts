// Which SQLite may hold data.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkSqlite } from "./sqlite-storage.ts";

test("an SQLite that can lose data is refused", () => {
  for (const version of ["3.51.3", "3.53.4", "3.60.0", "4.0.0", process.versions["sqlite"]]) checkSqlite(version);
  for (const version of ["3.51.2", "3.50.7", "3.9.20", "2.99.9", undefined])
    assert.throws(() => checkSqlite(version), /use a Node with SQLite 3\.51\.3/);
});
