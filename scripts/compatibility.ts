// Writes docs/compatibility.md from the operations objects: which operation is built, which answers 501; `--check` only compares.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv, exit } from "node:process";
import { compatibilityPage } from "./compatibility-page.ts";

const path = join(import.meta.dirname, "..", "docs", "compatibility.md");
const page = await compatibilityPage();
if (argv.includes("--check")) {
  if (readFileSync(path, "utf8") === page) exit(0);
  console.error("docs/compatibility.md is not what the code says: run  npm run docs");
  exit(1);
}
writeFileSync(path, page);
