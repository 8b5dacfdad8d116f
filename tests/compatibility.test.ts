// docs/compatibility.md is generated from the code: this keeps the two the same.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compatibilityPage } from "../scripts/compatibility-page.ts";

test("docs/compatibility.md is what the code says (npm run docs writes it)", async () => {
  assert.equal(readFileSync(join(import.meta.dirname, "..", "docs", "compatibility.md"), "utf8"), await compatibilityPage());
});
