// Java 17 and 25 of this machine, and 21 of a Debian that it is not, each with AWS's runtime interface client: functions that javac made, in
// real sandboxes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { InvokeCommand, PublishLayerVersionCommand, type LambdaClient, type Runtime } from "@aws-sdk/client-lambda";
import { loadConfig } from "../../src/config.ts";
import { findHostJava } from "../../src/runtime/host-javas.ts";
import { debianImage } from "../support/debian-image.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { zipOf } from "../support/zip.ts";

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const host = (major: number) => findHostJava(loadConfig({}, {}).javaSearchPath, major);
const compiler = host(17);
const missing = [
  compiler === undefined || !existsSync(join(compiler.home, "bin", "javac")) ? "a JDK 17" : "",
  existsSync("/usr/bin/mvn") ? "" : "mvn",
].filter((one) => one !== "");
const skip = missing.length > 0 && `NOT RUN: needs ${missing.join(", ")}`;
const image = skip === false ? await debianImage({ suite: "trixie", packages: ["openjdk-21-jre-headless"] }) : { missing: skip };

/** Why one is not tested, or how it is installed. */
const VERSIONS: readonly { runtime: Runtime; major: number; skip: string | false; words: readonly string[] }[] = [
  { runtime: "java17", major: 17, skip, words: [] },
  {
    runtime: "java21",
    major: 21,
    skip: "missing" in image && `NOT RUN: ${image.missing}`,
    words: "layout" in image ? ["--from", image.layout] : [],
  },
  { runtime: "java25", major: 25, skip: skip !== false ? skip : host(25) === undefined && "NOT RUN: needs a JDK or JRE 25", words: [] },
];

const SOURCES = {
  "demo/Handler.java": `package demo;
import java.util.Map;
public class Handler {
  public Map<String, Object> handle(Map<String, Object> event) {
    System.out.println("said " + event.get("name"));
    return Map.of("hello", event.get("name"), "version", Runtime.version().feature(), "handler", System.getenv("_HANDLER"));
  }
  private int calls;
  public Integer fails(String event) {
    calls++;
    if (event.equals("x")) throw new IllegalStateException("no: " + event);
    return calls;
  }
  public String named(String event) throws Exception { return (String) Class.forName(event).getMethod("say").invoke(null); }
  public String exits(Integer status) { System.exit(status); return ""; }
  public Integer fills(Integer mib) {
    java.util.List<byte[]> kept = new java.util.ArrayList<>();
    for (int at = 0; at < mib; at++) kept.add(new byte[1 << 20]);
    return kept.size();
  }
}`,
  "demo/Typed.java": `package demo;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.List;
public class Typed implements RequestHandler<Typed.Order, Typed.Receipt> {
  public static class Order {
    private String name;
    private List<Integer> amounts;
    public String getName() { return name; }
    public void setName(String name) { this.name = name; }
    public List<Integer> getAmounts() { return amounts; }
    public void setAmounts(List<Integer> amounts) { this.amounts = amounts; }
  }
  public static class Receipt {
    private final String customer;
    private final int total;
    private final List<String> context;
    Receipt(String customer, int total, List<String> context) { this.customer = customer; this.total = total; this.context = context; }
    public String getCustomer() { return customer; }
    public int getTotal() { return total; }
    public List<String> getContext() { return context; }
  }
  @Override public Receipt handleRequest(Order order, Context context) {
    context.getLogger().log("logged for " + order.getName() + "\\n");
    int total = order.getAmounts().stream().mapToInt(Integer::intValue).sum();
    return new Receipt(order.getName(), total, List.of(context.getFunctionName(), context.getFunctionVersion(), context.getAwsRequestId(),
      context.getInvokedFunctionArn(), context.getLogGroupName(), String.valueOf(context.getMemoryLimitInMB()),
      String.valueOf(context.getRemainingTimeInMillis() > 1000), context.getClientContext().getCustom().get("a")));
  }
}`,
  "demo/Streamed.java": `package demo;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.*;
public class Streamed implements RequestStreamHandler {
  @Override public void handleRequest(InputStream input, OutputStream output, Context context) throws IOException {
    output.write("[".getBytes());
    input.transferTo(output);
    output.write("]".getBytes());
  }
}`,
  "demo/Broken.java": `package demo;
public class Broken {
  public Broken() { throw new IllegalArgumentException("broken"); }
  public String handle(String event) { return event; }
}`,
  "lib/Beside.java": `package lib;
public class Beside { public static String say() { return "from a jar"; } }`,
};

let server: LambentProcess;
let lambda: LambdaClient;
let role: string;
let work: string;
const packed = async (more: Readonly<Record<string, Uint8Array>> = {}) =>
  await zipOf({
    ...Object.fromEntries(
      globSync("demo/*.class", { cwd: join(work, "classes") }).map((name) => [name, readFileSync(join(work, "classes", name))]),
    ),
    ...more,
  });
const jar = (name: string) => readFileSync(join(work, name));

before(async () => {
  if (skip !== false || compiler === undefined) return;
  work = await mkdtemp(join(tmpdir(), "lambent-java-"));
  const runtimes = join(work, "runtimes");
  for (const version of VERSIONS.filter((one) => one.skip === false))
    await run(process.execPath, [MAIN, "runtime", "install", version.runtime, ...version.words, "--runtimes", runtimes]);
  for (const [name, text] of Object.entries(SOURCES)) {
    await mkdir(join(work, name, ".."), { recursive: true });
    await writeFile(join(work, name), text);
  }
  const classPath = ["-cp", join(runtimes, "java-client", "lib", "*")];
  const files = Object.keys(SOURCES).map((name) => join(work, name));
  await run(join(compiler.home, "bin", "javac"), [...classPath, "-d", join(work, "classes"), ...files]);
  await run(join(compiler.home, "bin", "jar"), ["cf", join(work, "lib.jar"), "-C", join(work, "classes"), "lib"]);
  await run(join(compiler.home, "bin", "jar"), ["cf", join(work, "fat.jar"), "-C", join(work, "classes"), "."]);
  server = await startLambent({ flags: ["--runtimes", runtimes] });
  const clients = server.clients();
  lambda = clients.lambda;
  role = await makeRole(clients.iam);
});
after(async () => {
  if (skip !== false) return;
  await server.dispose();
  await rm(work, { recursive: true, force: true });
});

interface Failure {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly stackTrace: readonly string[];
}

for (const version of VERSIONS)
  describe(version.runtime, { skip: version.skip }, () => {
    const { runtime, major } = version;
    const make = async (name: string, Handler: string, settings: object = {}): Promise<string> => {
      const given = { Handler, Timeout: 60, MemorySize: 512, Code: { ZipFile: await packed() }, ...settings };
      await makeFunction(lambda, { name: `${runtime}-${name}`, role, runtime, code: "", settings: given });
      return `${runtime}-${name}`;
    };
    const answer = async (name: string, event: unknown) => {
      const { value, functionError, log } = await call(lambda, name, event);
      assert.equal(functionError, undefined, `${JSON.stringify(value)}\n${log}`);
      return { value, log };
    };
    const failure = async (name: string, event: unknown) => {
      const { value, functionError, log } = await call(lambda, name, event);
      assert.equal(functionError, "Unhandled", log);
      return value as Failure;
    };

    test("pkg.Class::method gets its event and answers; what it prints is in the log", async () => {
      const handler = await make("method", "demo.Handler::handle");
      for (const name of ["cold", "warm"]) {
        const { value, log } = await answer(handler, { name });
        assert.deepEqual(value, { hello: name, version: major, handler: "demo.Handler::handle" });
        assert.match(log, new RegExp(`said ${name}`));
      }
    });

    test("a RequestHandler: objects in and out, the context, the logger", async () => {
      const name = await make("typed", "demo.Typed");
      const ClientContext = Buffer.from('{"custom":{"a":"b"}}').toString("base64");
      const Payload = JSON.stringify({ name: "é", amounts: [1, 2, 3] });
      const found = await lambda.send(new InvokeCommand({ FunctionName: name, Payload, ClientContext, LogType: "Tail" }));
      const log = Buffer.from(found.LogResult ?? "", "base64").toString();
      assert.equal(found.FunctionError, undefined, `${Buffer.from(found.Payload ?? []).toString()}\n${log}`);
      assert.deepEqual(JSON.parse(Buffer.from(found.Payload ?? []).toString()), {
        customer: "é",
        total: 6,
        context: [
          name,
          "$LATEST",
          found.$metadata.requestId,
          `arn:aws:lambda:us-east-1:000000000000:function:${name}`,
          `/aws/lambda/${name}`,
          "512",
          "true",
          "b",
        ],
      });
      assert.match(log, /^logged for é$/m);
    });

    test("a RequestStreamHandler has the bytes as they are", async () => {
      assert.deepEqual((await answer(await make("streamed", "demo.Streamed"), { a: ["é"] })).value, [{ a: ["é"] }]);
    });

    test("an exception is the answer, and the environment goes on", async () => {
      const name = await make("fails", "demo.Handler::fails");
      const { errorType, errorMessage, stackTrace } = await failure(name, "x");
      assert.deepEqual([errorType, errorMessage], ["java.lang.IllegalStateException", "no: x"]);
      assert.match(stackTrace[0] ?? "", /^demo\.Handler\.fails\(Handler\.java:11\)$/);
      assert.equal((await answer(name, "y")).value, 2);
    });

    test("a class that is not there, and one that can't be made, fail the initialisation", async () => {
      const missed = await failure(await make("missing", "demo.None::handle"), "x");
      assert.match(missed.errorMessage, /Class not found: demo\.None/);
      const broken = await failure(await make("broken", "demo.Broken::handle"), "x");
      assert.match(JSON.stringify(broken), /broken/);
    });

    test("an exit ends the runtime, and too much for the heap is an error; the next invocation has a new one", async () => {
      const exits = await make("exits", "demo.Handler::exits");
      assert.equal((await failure(exits, 3)).errorType, "Runtime.ExitError");
      const fills = await make("fills", "demo.Handler::fills");
      assert.equal((await failure(fills, 600)).errorType, "java.lang.OutOfMemoryError");
      assert.equal((await answer(fills, 1)).value, 1);
    });

    test("jars of the package's lib and of layers are found, and a jar is a package", async () => {
      const beside = await make("beside", "demo.Handler::named", { Code: { ZipFile: await packed({ "lib/lib.jar": jar("lib.jar") }) } });
      assert.equal((await answer(beside, "lib.Beside")).value, "from a jar");
      const ZipFile = await zipOf({ "java/lib/lib.jar": jar("lib.jar") });
      const { LayerVersionArn = "" } = await lambda.send(new PublishLayerVersionCommand({ LayerName: "lib", Content: { ZipFile } }));
      const layered = await make("layered", "demo.Handler::named", { Layers: [LayerVersionArn] });
      assert.equal((await answer(layered, "lib.Beside")).value, "from a jar");
      const fat = await make("fat", "demo.Handler::named", { Code: { ZipFile: jar("fat.jar") } });
      assert.equal((await answer(fat, "lib.Beside")).value, "from a jar");
    });
  });
