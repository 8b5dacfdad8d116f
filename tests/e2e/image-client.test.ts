// AWS's runtime interface client in a container image, as its documentation has it made: Debian's Python, built with buildah, pushed with skopeo.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { CreateRepositoryCommand, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import { CreateFunctionCommand, GetFunctionCommand, waitUntilFunctionActiveV2, type LambdaClient } from "@aws-sdk/client-lambda";
import { debianImage } from "../support/debian-image.ts";
import { call, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { BUILD_MS_MAX, built } from "./built.fixture.ts";

const run = promisify(execFile);
const VERSION = "4.2.2";
/** Of trixie. */
const PYTHON = "3.13";

const CODE = `import os, sys
def handler(event, context):
    if event.get("fail"): raise ValueError("failed on purpose")
    print("printed")
    return [event, sys.version_info[1], os.getcwd(), os.environ["STAGE"], context.aws_request_id, context.memory_limit_in_mb]
`;

const base = await debianImage({ suite: "trixie", packages: [`python${PYTHON}`, "libstdc++6"] });
const skip = process.arch !== "x64" ? "the client's package is fetched for x86_64" : "missing" in base ? base.missing : false;

let server: LambentProcess;
let work: string;
before(async () => {
  if (skip !== false) return;
  server = await startLambent();
  work = await mkdtemp(join(tmpdir(), "lambent-client-"));
});
after(async () => {
  if (skip !== false) return;
  await server.dispose();
  await rm(work, { recursive: true, force: true });
});

/** The function's directory with the client in it; undefined: the test is skipped. */
function functionDirectory(t: TestContext): string | undefined {
  const platforms = ["manylinux2014_x86_64", "manylinux_2_28_x86_64"].flatMap((platform) => ["--platform", platform]);
  const words = ["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--python-version", PYTHON, ...platforms];
  return built(t, "image-python", { "app.py": CODE }, [["/usr/bin/python3", ...words, "--target", ".", `awslambdaric==${VERSION}`]]);
}

async function build(from: string, layout: string): Promise<void> {
  const storage = ["--root", join(work, "storage"), "--runroot", join(work, "runroot"), "--storage-driver", "vfs"];
  const buildah = async (...words: string[]) => (await run("buildah", [...storage, ...words])).stdout.trim();
  const container = await buildah("from", `oci:${"layout" in base ? base.layout : ""}`);
  await buildah("copy", container, from, "/function");
  await buildah("config", "--workingdir", "/function", "--env", "STAGE=image", "--user", "nobody", container);
  await buildah("config", "--entrypoint", `["/usr/bin/python${PYTHON}","-m","awslambdaric"]`, "--cmd", "app.handler", container);
  await buildah("commit", container, `oci:${layout}:latest`);
}

async function push(layout: string, repositoryName: string): Promise<string> {
  const { ecr } = server.clients();
  const { repository } = await ecr.send(new CreateRepositoryCommand({ repositoryName }));
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
  const password = Buffer.from(authorizationData?.[0]?.authorizationToken ?? "", "base64").toString();
  const uri = `${repository?.repositoryUri}:1`;
  const words = ["--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", password];
  await run("skopeo", [...words, `oci:${layout}:latest`, `docker://${uri}`]);
  return uri;
}

async function make(lambda: LambdaClient, FunctionName: string, ImageUri: string, Role: string): Promise<void> {
  await lambda.send(
    new CreateFunctionCommand({ FunctionName, Role, PackageType: "Image", Code: { ImageUri }, MemorySize: 256, Timeout: 60 }),
  );
  await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName });
}

test(
  "awslambdaric in an image answers, fails and logs; the same image by its digest after a restart",
  { skip, timeout: 2 * BUILD_MS_MAX },
  async (t) => {
    const directory = functionDirectory(t);
    if (directory === undefined) return;
    await build(directory, join(work, "layout"));
    const { lambda, iam } = server.clients();
    const role = await makeRole(iam);
    await make(lambda, "client", await push(join(work, "layout"), "client"), role);
    for (const event of [{ a: "ä" }, { b: 2 }]) {
      const { value, functionError, log } = await call(lambda, "client", event);
      assert.equal(functionError, undefined, `${JSON.stringify(value)}\n${log}`);
      const [given, minor, directoryInside, stage, id, memory] = value as unknown[];
      assert.deepEqual([given, minor, directoryInside, stage, memory], [event, 13, "/function", "image", "256"]);
      assert.match(log, new RegExp(`START RequestId: ${String(id)} .*printed`, "s"));
    }
    const failed = await call(lambda, "client", { fail: true });
    const { errorType, errorMessage } = failed.value as Readonly<Record<string, string>>;
    assert.deepEqual([failed.functionError, errorType, errorMessage], ["Unhandled", "ValueError", "failed on purpose"]);

    const { Code } = await lambda.send(new GetFunctionCommand({ FunctionName: "client" }));
    assert.match(Code?.ResolvedImageUri ?? "", /\/client@sha256:[0-9a-f]{64}$/);
    await make(lambda, "pinned", Code?.ResolvedImageUri ?? "", role);
    const { dataDirectory } = server;
    const port = Number(new URL(server.endpoint).port);
    assert.equal(await server.end(), 0);
    server = await startLambent({ dataDirectory, port });
    assert.deepEqual(((await call(server.clients().lambda, "pinned", { again: true })).value as unknown[])[0], { again: true });
  },
);
