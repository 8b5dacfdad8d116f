// AWS's own runtime interface clients, unchanged and from their registries, against Lambent's Runtime API in real sandboxes.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { requestId } from "../../src/base/id.ts";
import { silentLog } from "../../src/base/log.ts";
import { loadConfig } from "../../src/config.ts";
import type { Deployment } from "../../src/pool/invocation.ts";
import type { DataPlane } from "../../src/pool/invoke.ts";
import { responseStream } from "../../src/pool/response-stream.ts";
import { runtimeCatalog } from "../../src/runtime/managed.ts";
import type { RuntimeLayout } from "../../src/runtime/settings.ts";
import { linuxSandboxHost } from "../../src/sandbox/linux/host.ts";
import type { SandboxHost } from "../../src/sandbox/sandbox.ts";
import { BUILD_MS_MAX, built, type Recipe } from "./built.fixture.ts";
import { deploymentOf, planeOf } from "./deployment.fixture.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const LAUNCHER = join(ROOT, "native", "build", "launcher");
/** Two of these, and what then runs. */
const timeout = 3 * BUILD_MS_MAX;
const GO_VERSION = "v1.49.0";
const RUST_VERSION = "=1.5.0";
const PYTHON_VERSION = "4.2.2";
const NODE_VERSION = "4.0.2";

const GO = `package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type answer struct {
	Event map[string]any \`json:"event"\`
	Id    string         \`json:"id"\`
	Arn   string         \`json:"arn"\`
}

func handle(ctx context.Context, event map[string]any) (any, error) {
	switch event["do"] {
	case "fail":
		return nil, errors.New("failed on purpose")
	case "panic":
		panic("panicked on purpose")
	case "exit":
		os.Exit(3)
	case "stream":
		reader, writer := io.Pipe()
		go func() {
			for count := 0; count < 40; count++ {
				writer.Write([]byte(strings.Repeat("x", 100_000)))
			}
			writer.Close()
		}()
		return &events.LambdaFunctionURLStreamingResponse{StatusCode: 200, Body: reader}, nil
	}
	lc, _ := lambdacontext.FromContext(ctx)
	return answer{event, lc.AwsRequestID, lc.InvokedFunctionArn}, nil
}

func main() { lambda.Start(handle) }
`;

const RUST = `use lambda_runtime::{service_fn, Error, LambdaEvent};
use serde_json::{json, Value};

async fn handler(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (payload, context) = event.into_parts();
    match payload["do"].as_str() {
        Some("fail") => return Err("failed on purpose".into()),
        Some("panic") => panic!("panicked on purpose"),
        Some("exit") => std::process::exit(3),
        _ => (),
    }
    Ok(json!({ "event": payload, "id": context.request_id, "arn": context.invoked_function_arn }))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(handler)).await
}
`;

const CARGO = `[package]
name = "bootstrap"
version = "0.1.0"
edition = "2021"

[dependencies]
lambda_runtime = "${RUST_VERSION}"
serde_json = "1"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
`;

const PYTHON = `import os
def handler(event, context):
    do = event.get("do")
    if do == "fail": raise ValueError("failed on purpose")
    if do == "exit": os._exit(3)
    print("printed")
    return {"event": event, "id": context.aws_request_id, "arn": context.invoked_function_arn}
`;

const NODE = `export const handler = async (event, context) => {
  if (event.do === "fail") throw new TypeError("failed on purpose");
  if (event.do === "exit") process.exit(3);
  console.log("logged");
  return { event, id: context.awsRequestId, arn: context.invokedFunctionArn };
};
export const stream = awslambda.streamifyResponse(async (event, stream) => {
  for (let count = 0; count < 40; count++) if (!stream.write("x".repeat(100_000))) await new Promise((go) => stream.once("drain", go));
  stream.end();
});
`;

const skip = process.getuid?.() !== 0 ? "needs root" : existsSync(LAUNCHER) ? false : `needs ${LAUNCHER}`;
const catalog = runtimeCatalog({
  runtimesDirectory: loadConfig().runtimesDirectory,
  bootstrapsDirectory: join(ROOT, "runtimes"),
  pythonSearchPath: [],
});

/** Lambent's Node with AWS's client instead of Lambent's bootstrap. */
const OFFICIAL_NODE = "nodejs24.x";
function officialNode(): RuntimeLayout | { missing: string } | undefined {
  const layout = catalog.resolve(OFFICIAL_NODE);
  if (layout === undefined || "missing" in layout) return layout;
  const argv = ["/var/lang/bin/node", "/var/task/node_modules/aws-lambda-ric/index.mjs"];
  const { mounts, env, version } = layout;
  return { mounts, env, version, argv, protocol: "runtime-api" };
}

/** Of each client's function. */
const directories = new Map<string, string>();
let host: SandboxHost;
let plane: DataPlane;

before(async () => {
  if (skip !== false) return;
  host = await linuxSandboxHost({ launcherPath: LAUNCHER, log: silentLog });
  const resolve = (runtime: string) => (runtime === OFFICIAL_NODE ? officialNode() : catalog.resolve(runtime));
  plane = planeOf({ sandboxes: host, runtimes: { resolve }, limits: { environmentsMax: 10 } });
});
after(async () => {
  if (skip !== false) return;
  await plane.stop();
  await host.stop();
});

/** As `built`; false: the test is skipped. */
function build(t: TestContext, name: string, ...what: Recipe): boolean {
  const directory = built(t, name, ...what);
  if (directory !== undefined) directories.set(name, directory);
  return directory !== undefined;
}

const deployment = (functionName: string, handler = "bootstrap"): Deployment =>
  deploymentOf({ functionName, runtime: "provided.al2023", handler, codeDirectory: directories.get(functionName) ?? "" });

async function invoke(target: Deployment, event: object) {
  const id = requestId();
  const request = {
    requestId: id,
    payload: Buffer.from(JSON.stringify(event)),
    invokedArn: `${target.functionArn}:live`,
    wantsLogTail: true,
  };
  const outcome = await plane.invoke(target, request);
  assert.ok(outcome.kind === "returned" || outcome.kind === "failed", JSON.stringify(outcome));
  const value = JSON.parse(Buffer.from(outcome.payload).toString()) as Record<string, unknown>;
  const errorType = outcome.kind === "failed" ? outcome.errorType : undefined;
  return { id, value, errorType, log: Buffer.from(outcome.report.logTail ?? []).toString() };
}

/** What every client has to do: answer twice in one environment, report an error, and be started again after an exit. */
async function behaves(target: Deployment): Promise<void> {
  for (const event of [{ a: "ä" }, { b: [1, 2] }]) {
    const { id, value, log } = await invoke(target, event);
    assert.deepEqual(value, { event, id, arn: `${target.functionArn}:live` });
    assert.match(log, new RegExp(`^(?:INIT_START|START RequestId: ${id})`));
  }
  const failed = await invoke(target, { do: "fail" });
  assert.ok(failed.errorType !== undefined);
  assert.equal(failed.value["errorMessage"], "failed on purpose");
  const exited = await invoke(target, { do: "exit" });
  assert.deepEqual(
    [exited.errorType, exited.value["errorMessage"]],
    ["Runtime.ExitError", `RequestId: ${exited.id} Error: Runtime exited with error: exit status 3`],
  );
  assert.deepEqual((await invoke(target, {})).value["event"], {});
}

/** Four million bytes, streamed, behind the metadata of a function URL where the client writes some. */
async function streams(target: Deployment): Promise<void> {
  const stream = responseStream();
  const request = { requestId: requestId(), payload: Buffer.from('{"do":"stream"}'), invokedArn: target.functionArn, wantsLogTail: false };
  const running = plane.invoke(target, { ...request, response: stream }).finally(() => stream.end());
  let bytes = 0;
  for await (const chunk of stream.chunks()) bytes += chunk.filter((byte) => byte === 0x78).length;
  const outcome = await running;
  assert.deepEqual(
    [bytes, outcome.kind],
    [4_000_000, "returned"],
    "payload" in outcome ? Buffer.from(outcome.payload).toString("utf8", 0, 500) : "",
  );
}

test(`Go: aws-lambda-go ${GO_VERSION}`, { skip, timeout }, async (t) => {
  const files = { "main.go": GO, "go.mod": "module handler\n\ngo 1.21\n" };
  const commands = [
    ["go", "get", `github.com/aws/aws-lambda-go@${GO_VERSION}`],
    ["env", "CGO_ENABLED=0", "go", "build", "-tags", "lambda.norpc", "-o", "bootstrap", "."],
  ];
  if (!build(t, "go", files, commands)) return;
  const target = deployment("go");
  await behaves(target);
  const panicked = await invoke(target, { do: "panic" });
  assert.equal(panicked.value["errorMessage"], "panicked on purpose");
  await streams(target);
});

test(`Python: awslambdaric ${PYTHON_VERSION}`, { skip, timeout }, async (t) => {
  const bootstrap = `#!/bin/sh\nPYTHONPATH=/var/task exec /usr/bin/python3 -m awslambdaric "$_HANDLER"\n`;
  const install = ["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--target", ".", `awslambdaric==${PYTHON_VERSION}`];
  if (!build(t, "python", { "index.py": PYTHON, bootstrap }, [["/usr/bin/python3", ...install]])) return;
  const target = deployment("python", "index.handler");
  await behaves(target);
  const missing = await invoke({ ...deployment("python", "absent.handler"), key: "absent" }, {});
  assert.equal(missing.errorType, "Runtime.ImportModuleError");
  assert.match(String(missing.value["errorMessage"]), /Unable to import module 'absent'/);
});

test(`Rust: lambda_runtime ${RUST_VERSION}`, { skip, timeout }, async (t) => {
  const commands = [
    ["cargo", "build", "--quiet"],
    ["mv", "target/debug/bootstrap", "bootstrap"],
    ["rm", "-r", "target"],
  ];
  if (!build(t, "rust", { "Cargo.toml": CARGO, "src/main.rs": RUST }, commands)) return;
  await behaves(deployment("rust"));
});

test(`Node: aws-lambda-ric ${NODE_VERSION}`, { skip, timeout }, async (t) => {
  const layout = catalog.resolve(OFFICIAL_NODE);
  if (layout === undefined || "missing" in layout) return t.skip(`NOT RUN: ${layout?.missing}`);
  // It builds a native part of its own, in three minutes.
  const commands = [["npm", "install", "--loglevel=error", `aws-lambda-ric@${NODE_VERSION}`]];
  if (!build(t, "node", { "package.json": '{"private":true}', "index.mjs": NODE }, commands)) return;
  const official = (handler: string): Deployment => ({ ...deployment("node", handler), key: handler, runtime: OFFICIAL_NODE });
  await behaves(official("index.handler"));
  await streams(official("index.stream"));
});
