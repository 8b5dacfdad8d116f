// Functions for arm64 on a machine for x86_64: a custom runtime, its children, images, and a managed runtime from an image.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CreateFunctionCommand, waitUntilFunctionActiveV2, type LambdaClient } from "@aws-sdk/client-lambda";
import { arm64Emulation } from "../../src/sandbox/linux/emulator.ts";
import { call, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { writeLayout, type TestImage } from "../support/oci-layout.ts";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const SOURCE = join(import.meta.dirname, "..", "functions", "arm64", "bootstrap.go");
const GO = ["/usr/local/go/bin/go", "/usr/bin/go"].find((path) => existsSync(path));
const BUILD_MS_MAX = 250_000;

const emulation = arm64Emulation();
const why = [
  process.arch === "x64" ? "" : "a machine for x86_64",
  "missing" in emulation ? emulation.missing : "",
  GO === undefined ? "Go, to build a program for arm64" : "",
].filter((what) => what !== "");
const skip: string | false = why.length > 0 && `needs ${why.join(", ")}`;

let server: LambentProcess;
let lambda: LambdaClient;
let role: string;
let work: string;

const lambent = (...words: string[]) => {
  const env = { ...process.env, ...server.environment, LAMBENT_DATA: server.dataDirectory, LAMBENT_RUNTIMES: join(work, "runtimes") };
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { cwd: work, env, encoding: "utf8", timeout: 240_000 });
  return { status, stdout, stderr };
};

const done = (...words: string[]): string => {
  const { status, stdout, stderr } = lambent(...words);
  assert.equal(status, 0, stderr);
  return stdout.trim();
};

function build(architecture: "arm64" | "amd64", to: string): void {
  const env = { ...process.env, GOARCH: architecture, GOOS: "linux", CGO_ENABLED: "0", GO111MODULE: "off", GOTOOLCHAIN: "local" };
  const { status, stderr } = spawnSync(GO ?? "", ["build", "-o", to, SOURCE], { env, encoding: "utf8", timeout: BUILD_MS_MAX });
  assert.equal(status, 0, stderr);
}

async function value(name: string, event: unknown = {}): Promise<unknown> {
  const answer = await call(lambda, name, event);
  assert.equal(answer.functionError, undefined, `${JSON.stringify(answer.value)}\n${answer.log}`);
  return answer.value;
}

const facts = (words: readonly string[], handler: string) => ({ machine: "arm64", words, uid: 993, handler });

async function makeImageFunction(name: string, ImageUri: string, architecture: "arm64" | "x86_64"): Promise<void> {
  const given = { FunctionName: name, Role: role, PackageType: "Image", Code: { ImageUri }, Timeout: 120 } as const;
  await lambda.send(new CreateFunctionCommand({ ...given, Architectures: [architecture] }));
  await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName: name });
}

before(
  async () => {
    if (skip !== false) return;
    work = await mkdtemp(join(tmpdir(), "lambent-arm64-"));
    for (const name of ["arm", "intel"]) await mkdir(join(work, name));
    build("arm64", join(work, "arm", "bootstrap"));
    build("amd64", join(work, "intel", "bootstrap"));
    await writeFile(join(work, "arm", "script"), "#!/var/task/bootstrap child\n", { mode: 0o755 });
    server = await startLambent({ variables: { LAMBENT_RUNTIMES: join(work, "runtimes") } });
    ({ lambda } = server.clients());
    role = await makeRole(server.clients().iam);
  },
  { timeout: 3 * BUILD_MS_MAX },
);
after(async () => {
  if (skip !== false) return;
  await server.dispose();
  await rm(work, { recursive: true, force: true });
});

test("a custom runtime runs, starts programs and scripts of its own kind, and is as confined as any other", { skip }, async () => {
  done("deploy", "arm", "--architecture", "arm64", "--timeout", "120");
  assert.deepEqual(await value("arm"), facts(["/var/task/bootstrap"], "bootstrap"));
  assert.deepEqual(await value("arm", { do: "child" }), ["arm64 child", "arm64 child"]);
  assert.equal(await value("arm", { do: "script" }), "arm64 child /var/task/script word");
  assert.equal(await value("arm", { do: "parallel" }), 3_200_000);
  assert.deepEqual(await value("arm", { do: "confined" }), [
    "operation not permitted",
    "operation not permitted",
    "open /var/emulator: read-only file system",
    "open /proc/sys/fs/binfmt_misc/register: no such file or directory",
  ]);
  const exit = await call(lambda, "arm", { do: "exit" });
  assert.deepEqual([exit.functionError, (exit.value as { errorType: string }).errorType], ["Unhandled", "Runtime.ExitError"]);
  assert.deepEqual(await value("arm"), facts(["/var/task/bootstrap"], "bootstrap"));
});

test("a program for the other machine is refused in AWS's words, on both sides", { skip }, async () => {
  await cp(join(work, "arm"), join(work, "not-intel"), { recursive: true });
  await cp(join(work, "intel"), join(work, "not-arm"), { recursive: true });
  done("deploy", "not-intel");
  done("deploy", "not-arm", "--architecture", "arm64");
  for (const name of ["not-intel", "not-arm"]) {
    const { value: error } = await call(lambda, name);
    const { errorType, errorMessage } = error as Record<string, string>;
    assert.equal(errorType, "Runtime.InvalidEntrypoint", name);
    assert.match(errorMessage ?? "", /Error: fork\/exec \/var\/task\/bootstrap: exec format error$/);
  }
  done("deploy", "not-intel", "--architecture", "arm64");
  assert.equal(((await value("not-intel")) as { machine: string }).machine, "arm64", "the same code, for the other architecture");
});

test("of an image for both, the function's architecture is pushed, chosen and run", { skip }, async () => {
  const image = (from: string, architecture: string): TestImage => ({
    layers: [[{ name: "app", data: readFileSync(join(work, from, "bootstrap")), mode: 0o755 }]],
    config: { Entrypoint: ["/app"], Cmd: ["the.handler"] },
    architecture,
  });
  await writeLayout(join(work, "layout"), { both: [image("intel", "amd64"), image("arm", "arm64")] });
  const push = (tag: string, ...words: string[]) => done("image", "push", `team/app:${tag}`, "--from", "layout", ...words);
  await makeImageFunction("image-arm", push("arm", "--architecture", "arm64"), "arm64");
  assert.deepEqual(await value("image-arm"), facts(["/app", "the.handler"], "the.handler"));
  assert.deepEqual(await value("image-arm", { do: "child" }), ["arm64 child", "arm64 child"]);
  await makeImageFunction("image-wrong", push("intel"), "arm64");
  const { value: error } = await call(lambda, "image-wrong");
  assert.match((error as { errorMessage: string }).errorMessage, /Error: fork\/exec \/app: exec format error$/);
});

test("a managed runtime comes from an image of the architecture, and from no other", { skip }, async () => {
  const layers = [[{ name: "entry", data: readFileSync(join(work, "arm", "bootstrap")), mode: 0o755 }]];
  await writeLayout(join(work, "ruby"), { one: { layers, config: { Entrypoint: ["/entry"] }, architecture: "arm64" } });
  const code = { name: "managed", runtime: "ruby3.4", handler: "app.handler" };
  await mkdir(join(work, "managed"));
  await writeFile(join(work, "managed", "app.rb"), "");
  done("deploy", "managed", "--runtime", code.runtime, "--handler", code.handler, "--architecture", "arm64");
  await assert.rejects(call(lambda, "managed"), {
    name: "InvalidRuntimeException",
    message:
      /^The runtime ruby3\.4 for arm64 needs an image of that architecture: run {2}lambent runtime install ruby3\.4 --from IMAGE --arch/,
  });
  const wrong = lambent("runtime", "install", "ruby3.4", "--from", "ruby");
  assert.deepEqual([wrong.status, /it is for arm64, not for x86_64/.test(wrong.stderr)], [2, true], wrong.stderr);
  done("runtime", "install", "ruby3.4", "--from", "ruby", "--architecture", "arm64");
  assert.match(done("runtime", "list"), /^ruby3\.4 +arm64 +ready +through /m);
  assert.deepEqual(await value("managed"), facts(["/entry", "app.handler"], "app.handler"));
});
