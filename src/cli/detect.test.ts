import assert from "node:assert/strict";
import { test } from "node:test";
import { detect } from "./detect.ts";

const ROWS: readonly [string, Readonly<Record<string, string>>, string | undefined][] = [
  ["an ES module", { "index.mjs": "export const handler = async () => 1;" }, "nodejs index.handler"],
  ["a CommonJS module", { "index.js": "exports.run = () => 1; exports.handler = () => 2;" }, "nodejs index.handler"],
  ["an export list", { "app.js": "async function go() {}\nexport { go };" }, "nodejs app.go"],
  [
    "Python's usual name",
    { "lambda_function.py": "import json\ndef lambda_handler(event, context):\n  return 1" },
    "python lambda_function.lambda_handler",
  ],
  [
    "Python functions with other parameters are no handlers",
    { "app.py": "def main():\n  pass\ndef go(event, context):\n  pass" },
    "python app.go",
  ],
  [
    "Ruby's usual name",
    { "lambda_function.rb": "def help(x) = x\ndef lambda_handler(event:, context:)\nend" },
    "ruby lambda_function.lambda_handler",
  ],
  ["a bootstrap wins", { bootstrap: "#!/bin/sh", "index.js": "exports.handler = 1" }, "provided bootstrap"],
  ["nothing that looks like a handler", { "readme.md": "hello" }, undefined],
];

for (const [name, files, expected] of ROWS)
  test(`detects ${name}`, async () => {
    const found = await detect(Object.keys(files), async (file) => files[file]);
    assert.equal(found === undefined ? undefined : `${found.family} ${found.handler}`, expected);
  });
