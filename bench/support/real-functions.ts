// Functions whose code takes longer to load than their runtime takes to start: an AWS SDK, a few packages, a large bundle.
import { cpSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";

interface RealFunction {
  readonly name: string;
  readonly runtime: "nodejs24.x" | "python3.11";
  readonly handler: string;
  readonly files: Readonly<Record<string, string>>;
  /** It is read at the start, so that no prepared sandbox will do. */
  readonly early: Readonly<Record<string, string>>;
  /** The bare interpreter loading the same, from its start to its end. */
  readonly bare: readonly [command: string, ...words: string[]];
}

const BOTO3 = 'import boto3\nclient = boto3.client("s3")\n';
/** Of the installed packages; together some fifty modules, and what they need of the standard library. */
const PACKAGES = ["urllib3", "dateutil", "jmespath", "six.py"];
const IMPORTS = "import dateutil.parser, dateutil.rrule, dateutil.tz, dateutil.zoneinfo, jmespath, six, urllib3\n";
const SDK_CLIENT = '{ S3Client } = require("@aws-sdk/client-s3");\nnew S3Client({ region: "us-east-1" });\n';
/** Together about three megabytes. */
const BUNDLED = [
  "client-s3",
  "client-dynamodb",
  "client-lambda",
  "client-iam",
  "client-cloudwatch",
  "client-sqs",
  "client-sns",
  "client-ssm",
];

/** `directory`: for what the bare interpreters load. */
export function realFunctions(directory: string): readonly RealFunction[] {
  const { runtimesDirectory } = loadConfig();
  const [pythonSdk, nodeSdk] = [join(runtimesDirectory, "python-sdk"), join(runtimesDirectory, "node-sdk")];
  const node = join(runtimesDirectory, "nodejs24.x", "bin", "node");
  const python = (place: string, code: string) =>
    ["/usr/bin/python3.11", "-I", "-S", "-c", `import sys; sys.path.insert(0, ${JSON.stringify(place)})\n${code}`] as const;
  const onPython = { runtime: "python3.11", handler: "app.handler", early: { PYTHONNOUSERSITE: "1" } } as const;
  const onNode = { runtime: "nodejs24.x", handler: "index.handler", early: { NODE_NO_WARNINGS: "1" } } as const;
  const packages = copied(pythonSdk, PACKAGES, directory);
  const bundle = bundleOf(nodeSdk);
  writeFileSync(join(directory, "bundle.cjs"), bundle);
  const sdkFile = join(nodeSdk, "package.json");
  const makesClient = `const ${SDK_CLIENT.replace("require", `require("node:module").createRequire(${JSON.stringify(sdkFile)})`)}`;
  const answers = "\ndef handler(event, context):\n    return 1\n";
  return [
    {
      name: "python-boto3",
      ...onPython,
      files: { "app.py": BOTO3 + answers },
      bare: python(pythonSdk, BOTO3.replace('"s3"', '"s3", region_name="us-east-1"')),
    },
    { name: "python-packages", ...onPython, files: { "app.py": IMPORTS + answers, ...packages }, bare: python(directory, IMPORTS) },
    {
      name: "node-client-s3",
      ...onNode,
      files: { "index.cjs": `const ${SDK_CLIENT}exports.handler = async () => 1;` },
      bare: [node, "-e", makesClient],
    },
    {
      name: "node-bundle",
      ...onNode,
      files: { "index.cjs": `${bundle}\nexports.handler = async () => 1;` },
      bare: [node, join(directory, "bundle.cjs")],
    },
  ];
}

/** Sources without compiled files, as pip leaves them that was told not to compile. Beside the copies the bare interpreter's may lie. */
function copied(place: string, names: readonly string[], directory: string): Record<string, string> {
  const files: Record<string, string> = {};
  const add = (name: string) => {
    const path = join(place, name);
    if (statSync(path).isDirectory()) for (const below of readdirSync(path)) add(join(name, below));
    else if (name.endsWith(".py")) files[name] = readFileSync(path, "utf8");
  };
  for (const name of names) {
    add(name);
    cpSync(join(place, name), join(directory, name), { recursive: true });
  }
  return files;
}

/** Undefined: it is optional, and not there. */
function resolved(resolve: (name: string) => string, name: string): string | undefined {
  try {
    return resolve(name);
  } catch {
    return undefined;
  }
}

/** All modules that the clients need in one file, and a client of each, as bundlers make it. */
function bundleOf(place: string): string {
  const numbers = new Map<string, number>();
  const texts: string[] = [];
  const add = (path: string): number => {
    const known = numbers.get(path);
    if (known !== undefined) return known;
    const number = numbers.size;
    numbers.set(path, number);
    const { resolve } = createRequire(path);
    const text = readFileSync(path, "utf8").replace(/\brequire\(["']([^"']+)["']\)/g, (whole, name: string) => {
      const found = resolved(resolve, name);
      return found?.startsWith("/") === true ? `load(${add(found)})` : whole;
    });
    texts[number] = path.endsWith(".json") ? `module.exports = ${text}` : text;
    return number;
  };
  const root = join(place, "package.json");
  const clients = BUNDLED.map((name) => add(createRequire(root).resolve(`@aws-sdk/${name}`)));
  const modules = texts.map((text, number) => `modules[${number}] = function (module, exports) {\n${text}\n};`);
  return [
    "const modules = [], loaded = [];",
    "function load(n) { if (loaded[n] === undefined) { loaded[n] = { exports: {} }; modules[n](loaded[n], loaded[n].exports); } return loaded[n].exports; }",
    ...modules,
    `for (const n of [${clients.join(", ")}]) { const [name] = Object.keys(load(n)).filter((one) => /^[A-Z]\\w+Client$/.test(one)).slice(-1); new (load(n)[name])({ region: "us-east-1" }); }`,
  ].join("\n");
}
