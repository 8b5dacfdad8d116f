// The CLI as a person uses it: deploy, invoke, logs, list, delete, env, watch, and what it says when something is wrong.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ListRolesCommand } from "@aws-sdk/client-iam";
import { eventually } from "../support/eventually.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { zipOf } from "../support/zip.ts";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
let server: LambentProcess;
let work: string;
before(async () => {
  server = await startLambent();
  work = await mkdtemp(join(tmpdir(), "lambent-cli-"));
});
after(async () => {
  await server.dispose();
  await rm(work, { recursive: true });
});

const environment = () => ({
  PATH: process.env["PATH"],
  HOME: process.env["HOME"],
  LAMBENT_DATA: server.dataDirectory,
  ...server.environment,
});
const lambent = (...words: string[]) =>
  spawnSync(process.execPath, [MAIN, ...words], { cwd: work, env: environment(), encoding: "utf8", timeout: 240_000 });

test("deploys a directory, invokes, lists, shows the log, deletes", async () => {
  await mkdir(join(work, "hello"));
  await writeFile(
    join(work, "hello", "index.mjs"),
    "export const handler = async (event) => { console.log('hi', event.name); return { hi: event.name }; };\n",
  );
  const deployed = lambent("deploy", "hello");
  assert.equal(deployed.status, 0, deployed.stderr);
  assert.match(deployed.stderr, /created hello {2}nodejs\d+\.x index\.handler {2}256 MB/);
  assert.match(lambent("deploy", "hello").stderr, /unchanged hello/);
  const invoked = lambent("invoke", "hello", '{"name":"you"}');
  assert.equal(invoked.stdout, '{"hi":"you"}\n');
  assert.match(invoked.stderr, /INFO\thi you[\s\S]*REPORT RequestId[\s\S]*ok {2}cold/);
  assert.match(lambent("list").stdout, /NAME[\s\S]*hello/);
  await eventually("the log has the line", () => /hi you/.test(lambent("logs", "hello").stdout));
  const later = lambent("invoke", "hello", '{"name":"later"}', "--async");
  assert.match(later.stdout, /^[0-9a-f-]{36}\n$/);
  await eventually("the event was worked off", () => {
    const { stdout } = lambent("logs", "hello");
    return stdout.includes("hi later") && stdout.includes(`END RequestId: ${later.stdout.trim()}`);
  });
  assert.equal(lambent("delete", "hello").status, 0);
  assert.match(lambent("invoke", "hello").stderr, /ResourceNotFoundException: Function not found: arn:aws:lambda/);
});

test("publishes a layer with what a requirements.txt names, and deploys a function with it", async () => {
  const wheel = await zipOf({
    "greet/__init__.py": "WORD = 'hello'\n",
    "greet-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
    "greet-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "greet-1.0.dist-info/RECORD":
      "greet/__init__.py,,\ngreet-1.0.dist-info/METADATA,,\ngreet-1.0.dist-info/WHEEL,,\ngreet-1.0.dist-info/RECORD,,\n",
  });
  await mkdir(join(work, "needs"));
  await writeFile(join(work, "needs", "greet-1.0-py3-none-any.whl"), wheel);
  await writeFile(join(work, "needs", "requirements.txt"), "--no-index\n./greet-1.0-py3-none-any.whl\n");
  await mkdir(join(work, "shared", "python"), { recursive: true });
  await writeFile(join(work, "shared", "python", "own.py"), "WHO = 'world'\n");
  const published = lambent("layer", "publish", "words", "shared", "-r", "needs/requirements.txt", "--description", "words");
  assert.equal(published.status, 0, published.stderr);
  assert.equal(published.stdout, "arn:aws:lambda:us-east-1:000000000000:layer:words:1\n");
  assert.match(published.stderr, /installing needs\/requirements\.txt for python3\.\d+\npublished {2}[\d.]+ KB {2}python3/);
  assert.match(lambent("layer", "list").stdout, /^NAME +VERSION +RUNTIMES.*\nwords +1 +python3\.\d+ /);
  await mkdir(join(work, "speaker"));
  const code = "import greet, own\ndef handler(event, context):\n    return f'{greet.WORD} {own.WHO}'\n";
  await writeFile(join(work, "speaker", "app.py"), code);
  assert.match(lambent("deploy", "speaker", "--layer", "missing").stderr, /there is no layer missing: publish it with/);
  const deployed = lambent("deploy", "speaker", "--layer", "words");
  assert.equal(deployed.status, 0, deployed.stderr);
  assert.equal(lambent("invoke", "speaker").stdout, '"hello world"\n');
});

test("a layer from a package.json, for Node; a directory that no runtime looks at is told", async () => {
  await mkdir(join(work, "library"));
  await writeFile(join(work, "library", "package.json"), '{"name":"library","version":"1.0.0","main":"index.js"}');
  await writeFile(join(work, "library", "index.js"), "module.exports = 'from the library';\n");
  await writeFile(join(work, "package.json"), '{"scripts":{"prepare":"exit 1"},"dependencies":{"library":"file:./library"}}');
  await mkdir(join(work, "more", "nodejs", "node_modules", "own"), { recursive: true });
  await writeFile(join(work, "more", "nodejs", "node_modules", "own", "index.js"), "module.exports = 'own';\n");
  const published = lambent("layer", "publish", "library", "more", "-r", "package.json", "--json");
  assert.equal(published.status, 0, published.stderr);
  const { LayerVersionArn, CompatibleRuntimes } = JSON.parse(published.stdout) as { LayerVersionArn: string; CompatibleRuntimes: string[] };
  assert.match(CompatibleRuntimes[0] ?? "", /^nodejs/);
  await mkdir(join(work, "reader"));
  await writeFile(
    join(work, "reader", "index.mjs"),
    "import text from 'library';\nimport own from 'own';\nexport const handler = async () => [text, own];\n",
  );
  assert.equal(lambent("deploy", "reader", "--layer", LayerVersionArn).status, 0);
  assert.equal(lambent("invoke", "reader").stdout, '["from the library","own"]\n');
  const misplaced = lambent("layer", "publish", "misplaced", "library");
  assert.equal(misplaced.status, 0, misplaced.stderr);
  assert.match(misplaced.stderr, /nothing in it is where a runtime looks: python\//);
});

test("a function error has its own exit code, and the payload on stdout", async () => {
  await mkdir(join(work, "broken"));
  await writeFile(join(work, "broken", "lambda_function.py"), "def lambda_handler(event, context):\n    raise ValueError('no')\n");
  assert.equal(lambent("deploy", "broken", "--timeout", "60").status, 0);
  const { status, stdout } = lambent("invoke", "broken");
  assert.equal(status, 3);
  assert.equal((JSON.parse(stdout) as { errorType: string }).errorType, "ValueError");
});

test("--watch deploys again when a file is saved", async () => {
  await mkdir(join(work, "watched"));
  const file = join(work, "watched", "index.mjs");
  await writeFile(file, "export const handler = async () => 1;\n");
  const child = spawn(process.execPath, [MAIN, "deploy", "watched", "--watch"], {
    cwd: work,
    env: environment(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    await eventually("it watches", () => text.includes("watching"));
    await writeFile(file, "export const handler = async () => 2;\n");
    // A save may be seen in the middle, when the file is empty: what counts is what is deployed in the end.
    await eventually("it deployed again", () => text.includes("updated watched") && lambent("invoke", "watched").stdout === "2\n");
  } finally {
    child.kill("SIGINT");
  }
  assert.equal(await ended, 0);
});

test("logs --follow shows lines as they are written, until Ctrl-C", async () => {
  await mkdir(join(work, "talker"));
  await writeFile(join(work, "talker", "index.mjs"), "export const handler = async (event) => console.log('word', event.n);\n");
  lambent("deploy", "talker");
  const child = spawn(process.execPath, [MAIN, "logs", "talker", "--follow"], { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  let n = 0;
  await eventually("a line arrives", () => {
    lambent("invoke", "talker", JSON.stringify({ n: n++ }));
    return /word \d/.test(text);
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGINT");
  assert.equal(await ended, 0);
});

test("events that fail are listed, survive a killed server, are shown and sent again; with faster time in seconds", async () => {
  const flags = ["--time-scale", "100"];
  let fast = await startLambent({ flags });
  const { dataDirectory } = fast;
  const run = (...words: string[]) => {
    const env = { ...environment(), LAMBENT_DATA: dataDirectory, ...fast.environment };
    return spawnSync(process.execPath, [MAIN, ...words], { cwd: work, env, encoding: "utf8", timeout: 240_000 });
  };
  try {
    assert.match(fast.stderr(), /Time runs 100 times faster/);
    await mkdir(join(work, "orders"));
    const write = (body: string) => writeFile(join(work, "orders", "index.mjs"), `export const handler = async (event) => { ${body} };\n`);
    await write("throw new Error('no stock')");
    assert.equal(run("deploy", "orders").status, 0);
    const requestId = run("invoke", "orders", '{"order":7}', "--async").stdout.trim();
    const listed = () => JSON.parse(run("events", "failed", "--function", "orders", "--json").stdout) as Record<string, unknown>[];
    await eventually("three attempts have failed", () => listed().length === 1);
    fast.child.kill("SIGKILL");
    await fast.end();
    fast = await startLambent({ dataDirectory, flags });
    const [event] = listed();
    assert.deepEqual(
      [event?.["RequestId"], event?.["Reason"], event?.["Attempts"], event?.["Error"]],
      [requestId, "RetriesExhausted", 3, "no stock"],
    );
    const id = String(event?.["Id"]);
    assert.match(run("events", "failed").stdout, /^ID.*\n[0-9a-f-]{36} .*orders .*3 .*RetriesExhausted .*no stock\n$/);
    assert.equal(run("events", "show", id).stdout, '{"order":7}\n');
    await write("console.log('sent', event.order)");
    assert.equal(run("deploy", "orders").status, 0);
    assert.match(run("events", "redrive", id).stderr, /sent again: 1/);
    assert.match(run("events", "failed").stderr, /no failed events/);
    await eventually("it is worked off", () => run("logs", "orders").stdout.includes("sent 7"));
    assert.match(run("events", "show", id).stderr, /ResourceNotFoundException: There is no failed event/);
  } finally {
    await fast.dispose();
  }
});

test("wrong use is told in a sentence, with exit code 2", () => {
  for (const [words, pattern] of [
    [["deploy", "nowhere"], /nowhere can't be read: name a directory with code, or a zip/],
    [["up", "--port", "many"], /port: "many" is not a number from 0 to 65535/],
    [["up", "--host", "0.0.0.0"], /0\.0\.0\.0 is not a loopback address.*--insecure-network/],
    [["up", "--time-scale", "0.5"], /time scale: it is a number from 1 to 200/],
    [["up", "--host", "0.0.0.0", "--insecure-network", "--time-scale", "60"], /time runs faster on loopback only/],
    [["events", "redrive"], /name one event, or say --all/],
    [["frobnicate"], /unknown command/],
    [["layer", "publish", "x"], /nothing to publish: name a directory, a zip, or a requirements.txt or package.json with -r/],
    [["layer", "publish", "x", "nowhere"], /nowhere can't be read/],
    [["layer", "publish", "x", "-r", "nowhere.txt"], /nowhere\.txt can't be read/],
    [["layer", "publish", "x", "-r", "package.json", "--runtime", "python3.11"], /package\.json is for nodejs, and python3\.11 is not/],
  ] as const) {
    const { status, stderr } = lambent(...words);
    assert.equal(status, 2, stderr);
    assert.match(stderr, pattern);
    assert.doesNotMatch(stderr, /\n\s+at /);
  }
});

test("what can't be deployed is told before anything is made, and nothing is left of it", async () => {
  await mkdir(join(work, "empty"));
  await mkdir(join(work, "prose"));
  await writeFile(join(work, "prose", "readme.txt"), "no code");
  await mkdir(join(work, "refused"));
  await writeFile(join(work, "refused", "index.mjs"), "export const handler = async () => 1;\n");
  for (const [words, exitCode, pattern] of [
    [["empty"], 2, /empty is empty/],
    [["prose"], 2, /no handler was found: name it with --runtime and --handler/],
    [["prose", "--handler", "a.b"], 2, /what a\.b is written in was not found: name it with --runtime/],
    [["prose", "--runtime", "nodejs24.x"], 2, /no handler was found: name it with --handler/],
    [["refused", "--layer", "none"], 2, /there is no layer none: publish it/],
    [["refused", "--layer", "none:7"], 2, /there is no version 7 of a layer none: see {2}lambent layer list/],
    [["refused/index.mjs"], 2, /refused\/index\.mjs is not a zip: name the directory that has the code/],
    [["refused", "--memory", "lots"], 2, /--memory lots: write a whole number/],
    [["refused", "--env", "NAME"], 2, /--env NAME: write NAME=VALUE/],
    [["refused", "--memory", "12"], 1, /ValidationException: .*'memorySize' failed to satisfy constraint/],
    [["refused", "--policy", "None"], 1, /NoSuchEntityException/],
    [["refused", "--runtime", "cobol"], 1, /InvalidParameterValueException: Value cobol at 'runtime'/],
  ] as const) {
    const { status, stderr } = lambent("deploy", ...words);
    assert.equal(status, exitCode, stderr);
    assert.match(stderr, pattern);
    assert.doesNotMatch(stderr, /\n\s+at /);
  }
  const { iam } = server.clients();
  const roles = await iam.send(new ListRolesCommand({}));
  iam.destroy();
  assert.equal(
    roles.Roles?.some(({ RoleName }) => RoleName === "lambent-refused"),
    false,
  );
});

test("a function whose runtime is not there is made, and told what it needs", () => {
  const { status, stderr } = lambent("deploy", "refused", "--name", "needs", "--runtime", "dotnet8", "--handler", "a::b.c");
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /created needs.*\nThe runtime dotnet8 comes only with AWS's own image: run {2}lambent runtime install dotnet8 --from IMAGE/,
  );
  assert.equal(lambent("delete", "needs").status, 0);
});

test("a function that is missing, or an event that is none, is told in a sentence", () => {
  for (const words of [
    ["invoke", "missing"],
    ["invoke", "missing", "--json"],
    ["logs", "missing", "--follow"],
    ["delete", "missing"],
  ]) {
    const { status, stdout, stderr } = lambent(...words);
    assert.deepEqual([status, stdout], [1, ""], stderr);
    assert.match(stderr, /^lambent: ResourceNotFoundException: Function not found: arn:aws:lambda:.*\nSee {2}\.\/lambent list\n$/);
  }
  for (const words of [
    ["invoke", "missing", "{oops"],
    ["invoke", "missing", ""],
  ]) {
    const { status, stderr } = lambent(...words);
    assert.equal(status, 2);
    assert.match(stderr, /^lambent: the event is not JSON: .*\n$/);
  }
});

test("--json is JSON and nothing else, and what is piped has no colours", async () => {
  await mkdir(join(work, "plain"));
  await writeFile(join(work, "plain", "index.mjs"), "export const handler = async (event) => event;\n");
  const json = (...words: string[]) => JSON.parse(lambent(...words, "--json").stdout) as Readonly<Record<string, unknown>>;
  assert.equal(json("deploy", "plain")["FunctionName"], "plain");
  assert.equal(lambent("logs", "plain").stdout, "", "it never ran");
  assert.equal(json("invoke", "plain", "[1]")["payload"], "[1]");
  assert.match(String(json("invoke", "plain", "--async")["requestId"]), /^[0-9a-f-]{36}$/);
  assert.ok((json("list") as unknown as { FunctionName: string }[]).some((one) => one.FunctionName === "plain"));
  await eventually("each line of the log is an object", () => {
    const lines = lambent("logs", "plain", "--json")
      .stdout.split("\n")
      .filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line) as { message: string }).some(({ message }) => message.startsWith("REPORT"));
  });
  for (const words of [["invoke", "plain"], ["invoke", "missing"], ["logs", "plain"], ["list"], ["doctor"], ["deploy", "plain"]]) {
    const { stdout, stderr } = lambent(...words);
    // oxlint-disable-next-line no-control-regex -- the character that begins a colour
    assert.doesNotMatch(stdout + stderr, /\u001b/);
  }
});

test("who has read enough ends the command without a stack", async () => {
  await eventually("there is a log", () => lambent("logs", "plain").stdout.length > 0);
  const child = spawn(process.execPath, [MAIN, "logs", "plain"], { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  await once(child, "close");
  assert.equal(stderr, "");
});

test("Ctrl-C in the middle of an invocation ends the command alone", async () => {
  await mkdir(join(work, "slow"));
  await writeFile(
    join(work, "slow", "index.mjs"),
    "export const handler = async (event) => { if (event.slow) { console.log('began'); await new Promise(() => setInterval(() => {}, 1000)); } return 'done'; };\n",
  );
  assert.equal(lambent("deploy", "slow", "--timeout", "120").status, 0);
  const child = spawn(process.execPath, [MAIN, "invoke", "slow", '{"slow":true}'], { env: environment(), stdio: "ignore" });
  await eventually("it runs", () => /began/.test(lambent("logs", "slow").stdout));
  child.kill("SIGINT");
  await once(child, "close");
  assert.ok(child.exitCode === 130 || child.signalCode === "SIGINT", `${child.exitCode} ${child.signalCode}`);
  assert.equal(lambent("invoke", "slow").stdout, '"done"\n');
});

for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)
  test(`${signal} in the middle of the demo ends its server, and leaves none of its data`, async () => {
    const temporary = await mkdtemp(join(tmpdir(), "lambent-demo-test-"));
    const child = spawn(process.execPath, [MAIN, "demo"], {
      env: { ...environment(), TMPDIR: temporary },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    await eventually("it invokes", () => stderr.includes("lambent invoke greeter"));
    child.kill(signal);
    await once(child, "close");
    assert.deepEqual([child.exitCode, stderr.trimEnd().split("\n").at(-1)], [status, "lambent: interrupted"]);
    assert.deepEqual(
      (await readdir(temporary)).filter((name) => name.startsWith("lambent")),
      [],
    );
    await rm(temporary, { recursive: true });
  });

test("a second server is told what is in its way", async () => {
  const { port } = new URL(server.endpoint);
  const other = await mkdtemp(join(tmpdir(), "lambent-second-"));
  const taken = lambent("up", "--port", port, "--data", other);
  assert.equal(taken.status, 1, taken.stderr);
  assert.match(taken.stderr, new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken \\(another Lambent\\?\\)`));
  const locked = lambent("up", "--port", "0", "--data", server.dataDirectory);
  assert.equal(locked.status, 1, locked.stderr);
  assert.ok(locked.stderr.includes(server.dataDirectory), locked.stderr);
  for (const { stderr } of [taken, locked]) assert.doesNotMatch(stderr, /\n\s+at /);
  await rm(other, { recursive: true });
});

test("every command has a help, and wrong words are answered in two lines", () => {
  const { status, stdout } = lambent("--help");
  assert.equal(status, 0);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+)\b/gm)].map((match) => match[1] ?? "");
  assert.ok(commands.length >= 10, stdout);
  for (const command of commands) {
    const help = lambent(command, "--help");
    assert.equal(help.status, 0, command);
    assert.match(help.stdout, /^Usage: lambent/);
  }
  for (const words of [["frobnicate"], ["up", "--prot", "1"], ["list", "extra"], ["deploy"]]) {
    const wrong = lambent(...words);
    assert.equal(wrong.status, 2);
    assert.ok(wrong.stderr.trimEnd().split("\n").length <= 3, wrong.stderr);
    assert.match(wrong.stderr, /lambent --help names the commands/);
  }
});

test("without a server the commands say how to start one", () => {
  const env = { ...environment(), AWS_ENDPOINT_URL: "http://127.0.0.1:9" };
  const { status, stderr } = spawnSync(process.execPath, [MAIN, "list"], { env, encoding: "utf8", timeout: 240_000 });
  assert.equal(status, 1);
  assert.match(stderr, /no Lambent server answers at http:\/\/127\.0\.0\.1:9: start one with {2}\.\/lambent up/);
});

test("env prints what a shell can eval, runtime list and doctor speak JSON", () => {
  assert.match(lambent("env").stdout, /^export AWS_ENDPOINT_URL='http:\/\/127\.0\.0\.1:4566'$/m);
  assert.ok(Array.isArray(JSON.parse(lambent("runtime", "list", "--json").stdout)));
  assert.ok(Array.isArray(JSON.parse(lambent("doctor", "--json").stdout)));
});
