// Checks the code itself: who imports whom, files that nothing imports, words that are banned, first lines.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";
import { test } from "node:test";

// What each folder may import besides itself and node:. Anything not listed is refused; services never see each other.
const SERVICE = ["src/base", "src/aws", "src/store", "src/deliveries.ts"];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "src/base": [],
  "src/aws": ["src/base", "@smithy/core", "@smithy/types", "@aws-sdk/core"],
  "src/store": ["src/base"],
  "src/images": [],
  "src/sandbox": ["src/base"],
  "src/runtime": ["src/base", "src/sandbox"],
  "src/pool": ["src/base", "src/store", "src/sandbox", "src/runtime"],
  "src/gateway": ["src/base", "src/aws", "src/limits.ts"],
  "src/lambda": [...SERVICE, "src/failed-events.ts", "src/images", "src/pool", "src/limits.ts", "@aws-sdk/client-lambda", "yauzl"],
  "src/services/cloudwatch": [...SERVICE, "@aws-sdk/client-cloudwatch"],
  "src/services/events": [...SERVICE, "@aws-sdk/client-eventbridge"],
  "src/services/scheduler": [...SERVICE, "@aws-sdk/client-scheduler"],
  "src/services/ecr": [...SERVICE, "src/images", "@aws-sdk/client-ecr"],
  "src/services/iam": [...SERVICE, "@aws-sdk/client-iam"],
  "src/services/logs": [...SERVICE, "@aws-sdk/client-cloudwatch-logs"],
  "src/services/s3": [...SERVICE, "@aws-sdk/client-s3"],
  "src/services/sns": [...SERVICE, "@aws-sdk/client-sns"],
  "src/services/sqs": [...SERVICE, "@aws-sdk/client-sqs"],
  "src/services/sts": [...SERVICE, "@aws-sdk/client-sts"],
  "src/services/xray": [...SERVICE, "@aws-sdk/client-xray"],
  "src/cli": [
    "src/base",
    "src/aws",
    "src/images",
    "src/limits.ts",
    "src/server.ts",
    "src/config.ts",
    "src/install-keys.ts",
    "src/runtime/host-javas.ts",
    "src/runtime/host-pythons.ts",
    "src/runtime/host-rubies.ts",
    "src/runtime/identifiers.ts",
    "src/runtime/installed.ts",
    "src/runtime/managed.ts",
    "src/runtime/missing.ts",
    "src/runtime/pins.ts",
    "src/runtime/program-machine.ts",
    "src/sandbox/linux/doctor.ts",
    "@aws-sdk/client-cloudwatch-logs",
    "@aws-sdk/client-ecr",
    "@aws-sdk/client-iam",
    "@aws-sdk/client-lambda",
    "commander",
    "yazl",
  ],
  runtimes: [],
};

// `only` is where the pattern may stand: a file, or a folder that ends in a slash.
const BANNED: readonly { pattern: RegExp; only: readonly string[]; instead: string }[] = [
  { pattern: /\b(?:FIXME|TODO|XXX)\b/, only: [], instead: "finish it, or file an issue" },
  { pattern: /process\.env\b/, only: ["src/config.ts", "runtimes/"], instead: "a field of Config" },
  { pattern: /Date\.now\(|new Date\(\)|performance\.now\(/, only: ["src/base/clock.ts", "runtimes/"], instead: "the injected Clock" },
  { pattern: /node:child_process/, only: ["src/sandbox/", "src/cli/"], instead: "a Sandbox" },
  { pattern: /node:sqlite/, only: ["src/store/"], instead: "the interfaces of store/storage.ts" },
  { pattern: /\beval\(|new Function\(|node:vm\b/, only: ["runtimes/"], instead: "an engine with limits" },
  { pattern: /\b[A-Z]\w*(?:Manager|Helper|Impl)\b/, only: [], instead: "the name of what it is" },
];

const IMPORT = /^\s*(?:import\s+|(?:import|export)\s[\w\s{},*$]*?from\s+)["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;
// Files that something other than an import starts.
const ROOTS = ["src/main.ts", "src/server.ts"];
const STARTED = /new URL\(["'](\.[^"']+\.ts)["'],\s*import\.meta\.url\)/g;

function folderOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT).find((folder) => path.startsWith(`${folder}/`));
}

function complaintsOf(file: string, text: string, imported: Set<string>): string[] {
  const complaints: string[] = [];
  const isTest = /\.(?:test|contract|fixture)\.ts$/.test(file);
  const folder = folderOf(file);
  for (const match of text.matchAll(IMPORT)) {
    const name = match[1] ?? match[2] ?? "";
    if (name.startsWith("node:")) continue;
    const target = name.startsWith(".") ? join(dirname(file), name) : name;
    imported.add(target);
    if (folder === undefined || isTest || target.startsWith(`${folder}/`)) continue;
    if (!(MAY_IMPORT[folder] ?? []).some((one) => target === one || target.startsWith(`${one}/`)))
      complaints.push(`${file}: may not import ${target}; see MAY_IMPORT`);
  }
  for (const match of text.matchAll(STARTED)) imported.add(join(dirname(file), match[1] ?? ""));
  for (const { pattern, only, instead } of BANNED)
    if (!isTest && pattern.test(text) && !only.some((place) => file === place || (place.endsWith("/") && file.startsWith(place))))
      complaints.push(`${file}: ${pattern.source} is banned; use ${instead}`);
  if (file.startsWith("src/") && !isTest && !text.startsWith("// ")) complaints.push(`${file}: the first line says what the file is for`);
  return complaints;
}

function tidy(sources: ReadonlyMap<string, string>, usedByTests: readonly string[] = []): string[] {
  const imported = new Set(usedByTests);
  const complaints = [...sources].flatMap(([file, text]) => complaintsOf(file, text, imported));
  for (const file of sources.keys())
    if (file.startsWith("src/") && !/\.(?:test|contract|fixture)\.ts$/.test(file) && !imported.has(file) && !ROOTS.includes(file))
      complaints.push(`${file}: nothing imports it`);
  return complaints;
}

// Fakes are drivers that others may want: it is enough that tests and benches use them.
function driversOfTests(): string[] {
  const found: string[] = [];
  for (const file of globSync(["tests/**/*.ts", "bench/**/*.ts", "scripts/**/*.ts", "src/**/*.test.ts", "src/**/*.fixture.ts"]))
    for (const match of readFileSync(file, "utf8").matchAll(IMPORT)) {
      const target = join(dirname(file), match[1] ?? match[2] ?? "");
      if (/fake|manual|memory|fixture|silent/.test(target)) found.push(target);
    }
  return found;
}

test("the code is tidy", () => {
  const sources = new Map(globSync(["src/**/*.ts", "runtimes/**/*.{cjs,mjs}"]).map((file) => [file, readFileSync(file, "utf8")]));
  assert.deepEqual(tidy(sources, driversOfTests()), []);
});

test("tidy sees what it should", () => {
  const sources = new Map([
    ["src/base/clock.ts", `// Time.\nexport const now = () => Date.now();`],
    ["src/store/store.ts", `// Store.\nimport { Pool } from "../pool/pool.ts"; const t = Date.now();`],
    ["src/pool/pool.ts", `import { now } from "../base/clock.ts";\nimport express from "express";`],
    ["src/services/sts/service.ts", `// STS.\nimport type { Iam } from "../iam/service.ts";`],
  ]);
  assert.deepEqual(tidy(sources), [
    "src/store/store.ts: may not import src/pool/pool.ts; see MAY_IMPORT",
    "src/store/store.ts: Date\\.now\\(|new Date\\(\\)|performance\\.now\\( is banned; use the injected Clock",
    "src/pool/pool.ts: may not import express; see MAY_IMPORT",
    "src/pool/pool.ts: the first line says what the file is for",
    "src/services/sts/service.ts: may not import src/services/iam/service.ts; see MAY_IMPORT",
    "src/store/store.ts: nothing imports it",
    "src/services/sts/service.ts: nothing imports it",
  ]);
});
