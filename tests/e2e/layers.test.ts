// Layers in real sandboxes: found where each runtime looks, merged in order, kept while they are in use, and no way out.
import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  DeleteLayerVersionCommand,
  PublishLayerVersionCommand,
  PublishVersionCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionUpdatedV2,
  type LambdaClient,
} from "@aws-sdk/client-lambda";
import { rawZip, type RawEntry } from "../acceptance/raw-zip.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { zipOf, zipOfFunction } from "../support/zip.ts";

let server: LambentProcess;
let lambda: LambdaClient;
let role: string;
before(async () => {
  server = await startLambent();
  const clients = server.clients();
  lambda = clients.lambda;
  role = await makeRole(clients.iam);
});
after(async () => {
  await server.dispose();
});

async function publish(LayerName: string, content: Readonly<Record<string, string>> | Uint8Array): Promise<string> {
  const ZipFile = content instanceof Uint8Array ? content : await zipOf(content);
  const made = await lambda.send(new PublishLayerVersionCommand({ LayerName, Content: { ZipFile } }));
  return made.LayerVersionArn ?? "";
}

async function useLayers(FunctionName: string, Layers: readonly string[]): Promise<void> {
  await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, Layers: [...Layers] }));
  await waitUntilFunctionUpdatedV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName });
}

const valueOf = async (name: string, event: unknown = {}): Promise<unknown> => {
  const { value, functionError, log } = await call(lambda, name, event);
  assert.equal(functionError, undefined, `${JSON.stringify(value)}\n${log}`);
  return value;
};

const PYTHON = `
import errno, os, subprocess
import shared, versioned
def handler(event, context):
    try:
        open("/opt/new", "w")
        written = "written"
    except OSError as error:
        written = errno.errorcode[error.errno]
    return [shared.WHO, versioned.WHO, subprocess.run(["tool"], capture_output=True, text=True).stdout, written]
`;

test("Python: modules, programs, the order of layers, and a change that replaces the environments", async () => {
  const versioned = { "python/lib/python3.11/site-packages/versioned.py": "WHO = 'versioned'" };
  const first = await publish("first", { "python/shared.py": "WHO = 'first'", "bin/tool": "#!/bin/sh\nprintf tool", ...versioned });
  const second = await publish("second", { "python/shared.py": "WHO = 'second'" });
  await makeFunction(lambda, { name: "python", role, code: PYTHON, settings: { Layers: [first, second] } });
  assert.deepEqual(await valueOf("python"), ["second", "versioned", "tool", "EROFS"]);
  await useLayers("python", [second, first]);
  assert.deepEqual(await valueOf("python"), ["first", "versioned", "tool", "EROFS"]);
  await useLayers("python", []);
  assert.match((await call(lambda, "python")).log, /No module named 'shared'/);
});

test("Node: CommonJS and ES modules, from both places; what is packed with the function comes first", async () => {
  const packageOf = (text: string) => `module.exports = ${JSON.stringify(text)};`;
  const layer = await publish("node", {
    "nodejs/node_modules/plain/index.js": packageOf("plain"),
    "nodejs/node_modules/both/index.js": packageOf("plain"),
    "nodejs/node24/node_modules/both/index.js": packageOf("of 24"),
    "nodejs/node_modules/esm/package.json": '{"type":"module","exports":"./main.js"}',
    "nodejs/node_modules/esm/main.js": "export default 'esm';",
  });
  const code = `
    import plain from "plain"; import esm from "esm"; import { createRequire } from "node:module";
    export const handler = async () => [plain, esm, createRequire(import.meta.url)("both")];`;
  await makeFunction(lambda, { name: "node", role, runtime: "nodejs24.x", code, settings: { Layers: [layer] } });
  assert.deepEqual(await valueOf("node"), ["plain", "esm", "of 24"]);
});

test("a custom runtime's bootstrap comes from a layer when the package has none", async () => {
  const own = await publish("runtime", await zipOfFunction("provided"));
  const settings = { Layers: [own], Code: { ZipFile: await zipOf({ "data.txt": "" }) } };
  await makeFunction(lambda, { name: "custom", role, runtime: "provided.al2023", code: "", settings });
  assert.deepEqual(await valueOf("custom", { echo: 1 }), { handler: "bootstrap.handler", event: { echo: 1 } });
});

test("AWS_LAMBDA_EXEC_WRAPPER runs from a layer", async () => {
  const wrapper = await publish("wrapper", { wrap: '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"' });
  const settings = { Layers: [wrapper], Environment: { Variables: { AWS_LAMBDA_EXEC_WRAPPER: "/opt/wrap" } } };
  const code = "import os\ndef handler(event, context): return os.environ.get('WRAPPED')";
  await makeFunction(lambda, { name: "wrapped", role, code, settings });
  assert.equal(await valueOf("wrapped"), "yes");
});

test("links in layers lead nowhere but inside the sandbox, and no file lands behind one", async () => {
  const link = (name: string, data: string): RawEntry => ({ name, data, mode: 0o120777 });
  const hostile = await publish("hostile", rawZip([link("python", "/tmp"), link("secret", "/etc/shadow"), link("up", "../../../..")]));
  const harmless = await publish("harmless", { "python/there.py": "WHO = 'there'", "up/file": "file" });
  const code = `
import os, there
def handler(event, context):
    return [there.WHO, os.path.islink("/opt/python"), os.listdir("/tmp"), os.path.exists("/opt/secret"), os.listdir("/opt/up")]`;
  await makeFunction(lambda, { name: "linked", role, code, settings: { Layers: [hostile, harmless] } });
  assert.deepEqual(await valueOf("linked"), ["there", false, [], false, ["file"]]);
});

test("a deleted layer version stays with the functions and versions that have it, through a restart without the cache", async () => {
  const layers = [await publish("kept", { "python/kept.py": "WHO = 'kept'" }), await publish("other", { "python/other.py": "" })];
  const code = "import kept, other\ndef handler(event, context): return [kept.WHO, context.function_version]";
  await makeFunction(lambda, { name: "keeper", role, code, settings: { Layers: layers } });
  await lambda.send(new PublishVersionCommand({ FunctionName: "keeper" }));
  for (const LayerName of ["kept", "other"]) await lambda.send(new DeleteLayerVersionCommand({ LayerName, VersionNumber: 1 }));
  assert.deepEqual(await valueOf("keeper"), ["kept", "$LATEST"]);
  const { dataDirectory } = server;
  assert.equal(await server.end(), 0);
  const packages = join(dataDirectory, "packages");
  for (const name of await readdir(packages)) if (!name.startsWith(".")) await rm(join(packages, name), { recursive: true });
  server = await startLambent({ dataDirectory });
  lambda = server.clients().lambda;
  assert.deepEqual(await valueOf("keeper"), ["kept", "$LATEST"]);
  assert.deepEqual(await valueOf("keeper:1"), ["kept", "1"]);
  assert.deepEqual(await valueOf("keeper:1"), ["kept", "1"], "warm");
});
