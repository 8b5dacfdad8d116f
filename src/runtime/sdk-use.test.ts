// Which functions are taken to import the runtime's AWS SDK.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { SETTINGS } from "./environment.fixture.ts";
import { usesSdk } from "./sdk-use.ts";
import type { RuntimeLayout } from "./settings.ts";

const LAYOUT: RuntimeLayout = { argv: ["python"], mounts: [], env: {}, protocol: "framed", sdk: "boto3", version: "3.11" };
const directory = mkdtempSync(join(tmpdir(), "lambent-sdk-use-"));
after(() => rmSync(directory, { recursive: true }));

function tree(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(directory, name);
  mkdirSync(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const CASES: readonly (readonly [what: string, uses: boolean, code: Record<string, string>, layer?: Record<string, string>])[] = [
  ["its handler imports it", true, { "app.py": "import os\nimport boto3\n" }],
  ["with others in a line", true, { "app.py": "import os, boto3\n" }],
  ["a part of it", true, { "app.py": "from botocore.config import Config\n" }],
  ["when it is called", true, { "app.py": "def handler(event, context):\n    import boto3\n" }],
  ["a module of its own does", true, { "app.py": "import shop.db", "shop/db/__init__.py": "import boto3" }],
  ["a layer's module does", true, { "app.py": "import db" }, { "python/db.py": "import boto3" }],
  ["nobody does", false, { "app.py": "# import boto3\nx = 'import boto3'\nimport boto3_fake\n", "notes.txt": "import boto3" }],
  ["a package that pip has installed", false, { "app.py": "", "tools-1.0.dist-info/RECORD": "", "tools/aws.py": "import boto3" }],
  ["it brings its own", false, { "app.py": "import boto3", "boto3/__init__.py": "" }],
  ["it brings a part", false, { "app.py": "import boto3", "six.py": "" }],
  ["a layer brings its own", false, { "app.py": "import boto3" }, { "python/lib/python3.11/site-packages/botocore/__init__.py": "" }],
];

for (const [index, [what, uses, code, layer]] of CASES.entries())
  void test(`${what}: ${uses}`, async () => {
    const settings = { ...SETTINGS, runtime: "python3.11", variables: {}, codeDirectory: tree(`code-${index}`, code) };
    const layersDirectory = layer === undefined ? {} : { layersDirectory: tree(`layer-${index}`, layer) };
    assert.equal(await usesSdk({ ...settings, ...layersDirectory }, LAYOUT), uses);
  });

void test("what boto3 reads when it is loaded has to be there then; other runtimes have no SDK that could be", async () => {
  const settings = { ...SETTINGS, runtime: "python3.11", codeDirectory: tree("home", { "app.py": "import boto3" }) };
  assert.equal(await usesSdk({ ...settings, variables: { HOME: "/tmp" } }, LAYOUT), false);
  const { sdk: _, ...other } = LAYOUT;
  assert.equal(await usesSdk({ ...settings, variables: {} }, other), false);
});

void test("links are not followed, and a directory that is not there is no trouble", async () => {
  const outside = tree("outside", { "app.py": "import boto3" });
  const codeDirectory = tree("linked", {});
  symlinkSync(outside, join(codeDirectory, "package"));
  symlinkSync(join(outside, "app.py"), join(codeDirectory, "app.py"));
  const settings = { ...SETTINGS, variables: {} };
  assert.equal(await usesSdk({ ...settings, codeDirectory }, LAYOUT), false);
  assert.equal(await usesSdk({ ...settings, codeDirectory: join(directory, "absent") }, LAYOUT), false);
});
