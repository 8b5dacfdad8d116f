// Container images: pushed with Debian's own tools over the registry's protocol, run in real sandboxes, pinned by digest.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { CreateRepositoryCommand, GetAuthorizationTokenCommand, BatchDeleteImageCommand, type ECRClient } from "@aws-sdk/client-ecr";
import {
  CreateFunctionCommand,
  GetFunctionCommand,
  UpdateFunctionCodeCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionActiveV2,
  waitUntilFunctionUpdatedV2,
  type CreateFunctionCommandInput,
  type LambdaClient,
} from "@aws-sdk/client-lambda";
import type { RawTarEntry } from "../../src/images/tar.fixture.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { writeLayout, type TestImage } from "../support/oci-layout.ts";
import { zipOf } from "../support/zip.ts";

const run = promisify(execFile);
const BUSYBOX = "/bin/busybox";
const missing = [BUSYBOX, "/usr/bin/skopeo", "/usr/bin/buildah"].filter((path) => !existsSync(path));
const skip = missing.length > 0 && `needs ${missing.join(", ")}`;

let server: LambentProcess;
let lambda: LambdaClient;
let ecr: ECRClient;
let role: string;
let work: string;
let layout: string;

// A runtime in shell, which answers what the event, a command, prints.
const RUNTIME = `#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while wget -q -S -O /tmp/event $api/next 2>/tmp/head; do
  id=$(sed -n 's/.*[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *//p' /tmp/head | tr -d '\\r')
  command=$(sed 's/^"//; s/"$//' /tmp/event)
  answer=$(eval "$command" 2>&1 | tr '\\n' ' ')
  wget -q -O /dev/null --post-data "\\"$answer\\"" $api/$id/response
done`;

const busybox = (): readonly RawTarEntry[] => [
  { name: "bin/", type: "5", mode: 0o755 },
  { name: "bin/busybox", data: readFileSync(BUSYBOX), mode: 0o4755 },
  ...["sh", "wget", "sed", "tr", "cat", "ls", "id", "touch", "stat", "test"].map((name) => ({
    name: `bin/${name}`,
    type: "2",
    link: "busybox",
  })),
  { name: "entry", data: RUNTIME, mode: 0o755 },
  { name: "app/", type: "5", mode: 0o755 },
  { name: "app/gone", data: "gone" },
  { name: "app/kept", data: "kept" },
  { name: "app/replaced", data: "lower" },
  { name: "data/old", data: "old" },
  { name: "private", data: "private", mode: 0o600 },
];

const UPPER: readonly RawTarEntry[] = [
  { name: "app/.wh.gone", data: "" },
  { name: "app/replaced", data: "upper" },
  { name: "data/.wh..wh..opq", data: "" },
  { name: "data/new", data: "new" },
  { name: "tmp", type: "2", link: "/etc" },
  { name: "etc/resolv.conf", type: "2", link: "/proc/1/environ" },
];

const CONFIG = { Entrypoint: ["/entry"], Cmd: ["app.handler"], Env: ["PATH=/bin", "FROM=image", "BOTH=image"], WorkingDir: "/app" };
const says = (text: string): TestImage => ({ layers: [busybox(), [{ name: "version", data: text }]], config: CONFIG });

before(async () => {
  if (skip !== false) return;
  server = await startLambent();
  work = await mkdtemp(join(tmpdir(), "lambent-images-"));
  layout = join(work, "layout");
  connect();
  role = await makeRole(server.clients().iam);
  await writeLayout(layout, {
    full: { layers: [busybox(), UPPER], config: CONFIG },
    one: says("one"),
    two: says("two"),
    both: [{ ...says("arm"), architecture: "arm64" }, says("intel")],
  });
  await ecr.send(new CreateRepositoryCommand({ repositoryName: "team/app" }));
});
after(async () => {
  if (skip !== false) return;
  await server.dispose();
  await rm(work, { recursive: true, force: true });
});

function connect(): void {
  ({ lambda, ecr } = server.clients());
}

const registry = () => `localhost:${new URL(server.endpoint).port}`;

async function password(): Promise<string> {
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
  return Buffer.from(authorizationData?.[0]?.authorizationToken ?? "", "base64").toString();
}

async function push(from: string, to: string): Promise<void> {
  const words = ["--insecure-policy", "copy", "--all", "--dest-tls-verify=false", "--dest-creds", await password()];
  await run("skopeo", [...words, `oci:${layout}:${from}`, `docker://${registry()}/${to}`]);
}

async function make(name: string, ImageUri: string, settings: Partial<CreateFunctionCommandInput> = {}): Promise<void> {
  const given = { FunctionName: name, Role: role, PackageType: "Image", Code: { ImageUri }, Timeout: 120, ...settings } as const;
  await lambda.send(new CreateFunctionCommand(given));
  await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName: name });
}

async function updated(FunctionName: string): Promise<void> {
  await waitUntilFunctionUpdatedV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName });
}

async function printed(name: string, command: string): Promise<unknown> {
  const { value, functionError, log } = await call(lambda, name, command);
  assert.equal(functionError, undefined, `${JSON.stringify(value)}\n${log}`);
  return value;
}

test("an image that skopeo pushed runs: ENTRYPOINT, ENV, WORKDIR, whiteouts, and nothing of the host", { skip }, async () => {
  await push("full", "team/app:full");
  await make("full", `${registry()}/team/app:full`, { Environment: { Variables: { BOTH: "function" } } });
  assert.equal(await printed("full", "ls -a"), ". .. kept replaced ");
  assert.equal(await printed("full", "cat replaced kept"), "upperkept");
  assert.equal(await printed("full", "ls /data"), "new ");
  assert.equal(await printed("full", "ls /"), "app bin data dev entry etc private proc sys tmp var ");
  assert.equal(
    await printed("full", "echo $FROM $BOTH $_HANDLER $AWS_EXECUTION_ENV $PWD"),
    "image function app.handler AWS_Lambda_Image /app ",
  );
  assert.equal(
    await printed("full", "touch /app/x /x; touch /tmp/x && ls /tmp"),
    "touch: /app/x: Read-only file system touch: /x: Read-only file system event head x ",
  );
  assert.match(String(await printed("full", "cat /private")), /Permission denied/);
  assert.match(String(await printed("full", "cat /etc/hosts; cat /etc/resolv.conf")), /sandbox.localdomain.*no resolver/);
  assert.match(String(await printed("full", "ls /dev /proc/1/root")), /null/);
});

test(
  "a tag that moves does not move the function; an update does; a digest stays through a restart without image and cache",
  { skip },
  async () => {
    await push("one", "team/app:moving");
    await make("moving", `${registry()}/team/app:moving`);
    assert.equal(await printed("moving", "cat /version"), "one");
    await push("two", "team/app:moving");
    assert.equal(await printed("moving", "cat /version"), "one");
    const { Code, Configuration } = await lambda.send(new GetFunctionCommand({ FunctionName: "moving" }));
    assert.equal(Code?.ImageUri, `${registry()}/team/app:moving`);
    assert.equal(Code?.ResolvedImageUri, `${registry()}/team/app@sha256:${Configuration?.CodeSha256}`);
    await make("pinned", Code?.ResolvedImageUri ?? "");
    await lambda.send(new UpdateFunctionCodeCommand({ FunctionName: "moving", ImageUri: `${registry()}/team/app:moving` }));
    await updated("moving");
    assert.equal(await printed("moving", "cat /version"), "two");
    await ecr.send(
      new BatchDeleteImageCommand({ repositoryName: "team/app", imageIds: [{ imageDigest: `sha256:${Configuration?.CodeSha256}` }] }),
    );
    const { dataDirectory } = server;
    const port = Number(new URL(server.endpoint).port);
    assert.equal(await server.end(), 0);
    const packages = join(dataDirectory, "packages");
    for (const name of await readdir(packages)) if (!name.startsWith(".")) await rm(join(packages, name), { recursive: true });
    server = await startLambent({ dataDirectory, port });
    connect();
    assert.equal(await printed("pinned", "cat /version"), "one");
    assert.equal(await printed("moving", "cat /version"), "two");
  },
);

test("of an index the image of the function's architecture; ImageConfig replaces ENTRYPOINT, CMD and WORKDIR", { skip }, async () => {
  await push("both", "team/app:both");
  await make("both", `${registry()}/team/app:both`);
  assert.equal(await printed("both", "cat /version; echo $_HANDLER"), "intelapp.handler ");
  const ImageConfig = { Command: ["other.handler"], WorkingDirectory: "/data" };
  await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: "both", ImageConfig }));
  await updated("both");
  assert.equal(await printed("both", "echo $_HANDLER; ls"), "other.handler old ");
  for (const [config, errorType, message] of [
    [{ EntryPoint: ["/none"] }, "Runtime.InvalidEntrypoint", /Error: fork\/exec \/none: no such file or directory$/],
    [{ EntryPoint: ["none"] }, "Runtime.InvalidEntrypoint", /Error: exec: "none": executable file not found in \$PATH$/],
    [{ EntryPoint: ["/version"] }, "Runtime.InvalidEntrypoint", /Error: fork\/exec \/version: permission denied$/],
    [{ WorkingDirectory: "/none" }, "Runtime.InvalidWorkingDir", /Error: chdir \/none: no such file or directory$/],
    [{ EntryPoint: ["sh", "-c", "exit 3"] }, "Runtime.ExitError", /exit status 3$/],
  ] as const) {
    await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: "both", ImageConfig: { ...config } as object }));
    await updated("both");
    const { value, functionError } = await call(lambda, "both");
    assert.equal(functionError, "Unhandled");
    assert.equal((value as { errorType: string }).errorType, errorType);
    assert.match((value as { errorMessage: string }).errorMessage, message);
  }
});

test("buildah builds from scratch and pushes; what is pushed can be pulled again", { skip }, async () => {
  const storage = ["--root", join(work, "storage"), "--runroot", join(work, "runroot"), "--storage-driver", "vfs"];
  const buildah = async (...words: string[]) => (await run("buildah", [...storage, ...words])).stdout.trim();
  const container = await buildah("from", "scratch");
  await buildah("copy", "--chmod", "755", container, BUSYBOX, "/bin/busybox");
  await buildah("config", "--entrypoint", '["/bin/busybox","sh","-c","echo hello from buildah; exit 1"]', container);
  await buildah("commit", "--format", "docker", container, "built");
  await buildah("push", "--tls-verify=false", "--creds", await password(), "built", `docker://${registry()}/team/app:built`);
  await make("built", `${registry()}/team/app:built`);
  assert.match((await call(lambda, "built")).log, /hello from buildah/);
  const back = join(work, "back");
  const words = ["--insecure-policy", "copy", "--src-tls-verify=false", "--src-creds", await password()];
  await run("skopeo", [...words, `docker://${registry()}/team/app:built`, `dir:${back}`]);
  assert.equal((await readdir(back)).includes("manifest.json"), true);
});

const lambent = (environment: Readonly<Record<string, string>>, ...words: readonly string[]) =>
  run(process.execPath, [join(import.meta.dirname, "..", "..", "src", "main.ts"), ...words], { env: { ...process.env, ...environment } });

test("lambent image push takes layouts and what docker save writes", { skip }, async () => {
  const archive = join(work, "saved.tar");
  await run("skopeo", ["--insecure-policy", "copy", `oci:${layout}:two`, `docker-archive:${archive}:team/app:two`]);
  for (const [tag, words, text] of [
    ["layout", ["--from", layout, "--image", "one"], "one"],
    ["saved", ["--from", archive], "two"],
  ] as const) {
    const { stdout } = await lambent(server.environment, "image", "push", `pushed/by-cli:${tag}`, ...words);
    await make(`cli-${tag}`, stdout.trim());
    assert.equal(await printed(`cli-${tag}`, "cat /version"), text);
  }
});

test("a managed runtime from an image runs packages: code, layers and the handler's name where they belong", { skip }, async () => {
  const runtimes = join(work, "runtimes");
  await writeLayout(join(work, "ruby"), { ruby: { layers: [busybox()], config: { ...CONFIG, Env: ["PATH=/bin", "FROM=image"] } } });
  await lambent({}, "runtime", "install", "ruby3.4", "--from", join(work, "ruby"), "--runtimes", runtimes);
  const other = await startLambent({ flags: ["--runtimes", runtimes] });
  try {
    const { lambda: client, iam } = other.clients();
    const settings = { Handler: "app.main", Timeout: 120, Code: { ZipFile: await zipOf({ "app.rb": "code" }) } };
    await makeFunction(client, { name: "ruby", role: await makeRole(iam), runtime: "ruby3.4", code: "", settings });
    const { value } = await call(client, "ruby", "pwd; cat app.rb; echo $FROM $_HANDLER $AWS_EXECUTION_ENV; ls /");
    assert.equal(value, "/var/task codeimage app.main AWS_Lambda_ruby3.4 app bin data dev entry etc opt private proc sys tmp var ");
  } finally {
    await other.dispose();
  }
});
