// Java on the machine's own installation, with AWS's runtime interface client: functions that javac made, in real sandboxes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { PublishLayerVersionCommand, type LambdaClient, type Runtime } from "@aws-sdk/client-lambda";
import { loadConfig } from "../../src/config.ts";
import { findHostJava } from "../../src/runtime/host-javas.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { zipOf } from "../support/zip.ts";

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const found = findHostJava(loadConfig({}, {}).javaSearchPath, 17);
const missing = [
  found === undefined || !existsSync(join(found.home, "bin", "javac")) ? "a JDK 17" : "",
  existsSync("/usr/bin/mvn") ? "" : "mvn",
].filter((one) => one !== "");
const skip = missing.length > 0 && `needs ${missing.join(", ")}`;

const SOURCES = {
  "demo/Handler.java": `package demo;
import java.util.Map;
public class Handler {
  public Map<String, Object> handle(Map<String, Object> event) {
    System.out.println("said " + event.get("name"));
    return Map.of("hello", event.get("name"), "version", Runtime.version().feature(), "handler", System.getenv("_HANDLER"));
  }
  public String fails(String event) { throw new IllegalStateException("no: " + event); }
  public String layered(String event) throws Exception { return (String) Class.forName("lib.Layered").getMethod("say").invoke(null); }
}`,
  "lib/Layered.java": `package lib;
public class Layered { public static String say() { return "from a layer"; } }`,
};

let server: LambentProcess;
let lambda: LambdaClient;
let role: string;
let work: string;
const packed = async (pattern: string) =>
  await zipOf(
    Object.fromEntries(globSync(pattern, { cwd: join(work, "classes") }).map((name) => [name, readFileSync(join(work, "classes", name))])),
  );

before(async () => {
  if (skip !== false || found === undefined) return;
  work = await mkdtemp(join(tmpdir(), "lambent-java-"));
  for (const [name, text] of Object.entries(SOURCES)) {
    await mkdir(join(work, name, ".."), { recursive: true });
    await writeFile(join(work, name), text);
  }
  await run(join(found.home, "bin", "javac"), ["-d", join(work, "classes"), ...Object.keys(SOURCES).map((name) => join(work, name))]);
  await run(join(found.home, "bin", "jar"), ["cf", join(work, "lib.jar"), "-C", join(work, "classes"), "lib"]);
  await run(process.execPath, [MAIN, "runtime", "install", "java17", "--runtimes", join(work, "runtimes")]);
  server = await startLambent({ flags: ["--runtimes", join(work, "runtimes")] });
  const clients = server.clients();
  lambda = clients.lambda;
  role = await makeRole(clients.iam);
});
after(async () => {
  if (skip !== false) return;
  await server.dispose();
  await rm(work, { recursive: true, force: true });
});

async function make(name: string, Handler: string, settings: object = {}, runtime: Runtime = "java17"): Promise<void> {
  const given = { Handler, Timeout: 60, MemorySize: 512, Code: { ZipFile: await packed("demo/*.class") }, ...settings };
  await makeFunction(lambda, { name, role, runtime, code: "", settings: given });
}

test("pkg.Class::method gets its event and answers; what it prints is in the log", { skip }, async () => {
  await make("java", "demo.Handler::handle");
  for (const name of ["cold", "warm"]) {
    const { value, functionError, log } = await call(lambda, "java", { name });
    assert.equal(functionError, undefined, `${JSON.stringify(value)}\n${log}`);
    assert.deepEqual(value, { hello: name, version: 17, handler: "demo.Handler::handle" });
    assert.match(log, new RegExp(`said ${name}`));
  }
});

test("an exception is the answer, with AWS's names; a class that is not there as well", { skip }, async () => {
  await make("fails", "demo.Handler::fails");
  const { value, functionError } = await call(lambda, "fails", "x");
  assert.equal(functionError, "Unhandled");
  const { errorType, errorMessage, stackTrace } = value as { errorType: string; errorMessage: string; stackTrace: readonly string[] };
  assert.deepEqual([errorType, errorMessage], ["java.lang.IllegalStateException", "no: x"]);
  assert.match(stackTrace[0] ?? "", /^demo\.Handler\.fails\(Handler\.java:8\)$/);
  await make("missing", "demo.None::handle");
  assert.match(JSON.stringify((await call(lambda, "missing")).value), /Class not found: demo\.None/);
});

test("jars of layers are found in /opt/java/lib", { skip }, async () => {
  const ZipFile = await zipOf({ "java/lib/lib.jar": readFileSync(join(work, "lib.jar")) });
  const { LayerVersionArn = "" } = await lambda.send(new PublishLayerVersionCommand({ LayerName: "lib", Content: { ZipFile } }));
  await make("layered", "demo.Handler::layered", { Layers: [LayerVersionArn] });
  assert.equal((await call(lambda, "layered", "x")).value, "from a layer");
});
