// A real server for benches: with sandboxes, on a free port, with data of its own; and functions in it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LambdaClient, CreateFunctionCommand, waitUntilFunctionActiveV2, type Runtime } from "@aws-sdk/client-lambda";
import { IAMClient } from "@aws-sdk/client-iam";
import { buffer } from "node:stream/consumers";
import { ZipFile } from "yazl";
import { silentLog } from "../../src/base/log.ts";
import { ensureRole } from "../../src/cli/role.ts";
import { loadConfig } from "../../src/config.ts";
import type { Parts } from "../../src/parts.ts";
import { startServer } from "../../src/server.ts";

type Files = Readonly<Record<string, string | Uint8Array>>;

interface BenchSettings {
  readonly memoryMiB?: number;
  readonly variables?: Readonly<Record<string, string>>;
}

export interface BenchServer {
  readonly endpoint: string;
  readonly keys: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly lambda: LambdaClient;
  make(name: string, runtime: Runtime, handler: string, files: Files, settings?: BenchSettings): Promise<void>;
  stop(): Promise<void>;
}

async function zipOf(files: Files): Promise<Uint8Array> {
  const zip = new ZipFile();
  for (const [name, text] of Object.entries(files)) zip.addBuffer(Buffer.from(text as Uint8Array), name, { mode: 0o100755 });
  zip.end();
  return await buffer(zip.outputStream);
}

export async function startBenchServer(parts: Partial<Parts> = {}): Promise<BenchServer> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "lambent-bench-"));
  const server = await startServer({ ...loadConfig(), dataDirectory, port: 0 }, { log: silentLog, ...parts });
  const settings = { endpoint: server.endpoint, region: "us-east-1", credentials: server.keys };
  const lambda = new LambdaClient(settings);
  const iam = new IAMClient(settings);
  return {
    endpoint: server.endpoint,
    keys: server.keys,
    lambda,
    async make(FunctionName, Runtime, Handler, files, { memoryMiB: MemorySize = 1769, variables = {} } = {}) {
      const Role = await ensureRole(iam, FunctionName, []);
      const Code = { ZipFile: await zipOf(files) };
      const Environment = { Variables: { ...variables } };
      await lambda.send(new CreateFunctionCommand({ FunctionName, Runtime, Handler, Role, MemorySize, Timeout: 30, Code, Environment }));
      await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName });
    },
    async stop() {
      await server.stop();
      await rm(dataDirectory, { recursive: true });
    },
  };
}

/** Measures each kind of function on one server, one after the other. */
export async function measureKinds<K, R>(
  kinds: readonly K[],
  measure: (server: BenchServer, kind: K) => Promise<readonly R[]>,
): Promise<R[]> {
  const server = await startBenchServer();
  try {
    const results: R[] = [];
    for (const kind of kinds) results.push(...(await measure(server, kind)));
    return results;
  } finally {
    await server.stop();
  }
}
