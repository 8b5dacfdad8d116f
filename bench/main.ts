// `npm run bench -- [NAME…] [--json]`: runs the benches, each against a floor measured in the same run.
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { argv, exit } from "node:process";
import { describeResult, type Result } from "./support/measure.ts";

/** What is in this folder is one; what they share is in support/. */
const THIS = basename(import.meta.filename, ".ts");

interface Bench {
  run(): Promise<readonly Result[]>;
}

const words = argv.slice(2);
const asJson = words.includes("--json");
const wanted = words.filter((word) => word !== "--json");
const present = globSync(join(import.meta.dirname, "*.ts"))
  .map((path) => ({ path, name: basename(path, ".ts") }))
  .filter(({ name }) => name !== THIS)
  .toSorted((a, b) => (a.name < b.name ? -1 : 1));
const unknown = wanted.filter((name) => !present.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(`no bench is called ${unknown.join(", ")}; there are ${present.map((bench) => bench.name).join(", ")}`);
  exit(2);
}
for (const { path, name } of present) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const bench = (await import(path)) as Bench;
  for (const result of await bench.run()) console.log(asJson ? JSON.stringify(result) : describeResult(result));
}
