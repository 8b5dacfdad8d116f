// Cold starts through the real API, against the bare start of the same interpreter in the same run. `prepared`: a booted sandbox is ready.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetFunctionConfigurationCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionUpdatedV2,
  type Runtime,
} from "@aws-sdk/client-lambda";
import { sleep, systemClock } from "../src/base/clock.ts";
import { loadConfig } from "../src/config.ts";
import { median, summarise, type Result } from "./support/measure.ts";
import { realFunctions } from "./support/real-functions.ts";
import { startBenchServer, type BenchServer } from "./support/server.ts";
import { connections, send, signedInvoke } from "./support/signed-requests.ts";

const RUNS = 25;
/** Of those that take long. */
const REAL_RUNS = 10;
/** A prepared sandbox is replaced in the background, with half a CPU. */
const REFILL_MS = 300;
/** Where it has loaded boto3 besides. */
const SDK_REFILL_MS = 2500;
/** What was deployed is compiled by then, in the background. */
const COMPILE_MS = 4000;
const EVENT = "{}";

interface Case {
  readonly name: string;
  readonly runtime: Runtime;
  readonly handler: string;
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  /** One of these is read at the start, so that no prepared sandbox will do. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly runs?: number;
  readonly refillMs?: number;
  readonly compileMs?: number;
  /** What the machine needs at least: the interpreter's start and end. */
  readonly bare: readonly [command: string, ...words: string[]];
}

/** A custom runtime of a few kilobytes, and a program that only starts and ends: the floor under every cold start. */
async function buildNative(directory: string): Promise<{ bootstrap: Uint8Array; nothing: string }> {
  const compile = async (source: string, target: string) => {
    const [code] = (await once(spawn("cc", ["-O2", "-static", "-D_GNU_SOURCE", "-o", target, source], { stdio: "inherit" }), "exit")) as [
      number,
    ];
    if (code !== 0) throw new Error("the native bench needs a C compiler");
  };
  const [bootstrap, nothing] = [join(directory, "bootstrap"), join(directory, "nothing")];
  await writeFile(`${nothing}.c`, "int main(void) { return 0; }\n");
  await compile(`${nothing}.c`, nothing);
  await compile(join(import.meta.dirname, "native-bootstrap.c"), bootstrap);
  return { bootstrap: await readFile(bootstrap), nothing };
}

function cases({ bootstrap, nothing }: { bootstrap: Uint8Array; nothing: string }, directory: string): readonly Case[] {
  const node = join(loadConfig().runtimesDirectory, "nodejs24.x", "bin", "node");
  const onNode = {
    runtime: "nodejs24.x",
    handler: "index.handler",
    files: { "index.mjs": "export const handler = async () => 1;" },
    bare: [node, "-e", "0"],
  } as const;
  const onPython = {
    runtime: "python3.11",
    handler: "app.handler",
    files: { "app.py": "def handler(event, context):\n    return 1\n" },
    bare: ["/usr/bin/python3.11", "-I", "-S", "-c", "0"],
  } as const;
  return [
    { name: "node-prepared", ...onNode },
    { name: "python-prepared", ...onPython },
    { name: "node", ...onNode, variables: { NODE_NO_WARNINGS: "1" } },
    { name: "python", ...onPython, variables: { PYTHONNOUSERSITE: "1" } },
    { name: "native", runtime: "provided.al2023", handler: "bootstrap", files: { bootstrap }, bare: [nothing] },
    ...realFunctions(directory).flatMap(({ early: variables, ...one }) => [
      {
        ...one,
        runs: REAL_RUNS,
        name: `${one.name}-prepared`,
        refillMs: one.name === "python-boto3" ? SDK_REFILL_MS : REFILL_MS,
        compileMs: COMPILE_MS,
      },
      { ...one, runs: REAL_RUNS, variables },
    ]),
  ];
}

async function bareStart([command, ...words]: Case["bare"]): Promise<number> {
  const startedMs = performance.now();
  await once(spawn(command, words, { stdio: "ignore" }), "exit");
  return performance.now() - startedMs;
}

/** A change of configuration makes every environment a former one: the next invoke is cold. */
async function coldInvoke(server: BenchServer, { name }: Case, round: number): Promise<number> {
  await server.lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: name, Description: `round ${round}` }));
  await waitUntilFunctionUpdatedV2({ client: server.lambda, maxWaitTime: 20, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName: name });
  await server.lambda.send(new GetFunctionConfigurationCommand({ FunctionName: name }));
  const agent = connections(1);
  const elapsedMs = await send(await signedInvoke(server.endpoint, server.keys, name, EVENT), agent);
  agent.destroy();
  return elapsedMs;
}

export async function run(): Promise<Result[]> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-bench-native-"));
  const native = await buildNative(directory);
  const server = await startBenchServer();
  const results: Result[] = [];
  try {
    for (const one of cases(native, directory)) {
      await server.make(one.name, one.runtime, one.handler, one.files, { variables: one.variables ?? {} });
      await coldInvoke(server, one, -1);
      await sleep(systemClock, one.compileMs ?? 0);
      const [cold, bare]: [number[], number[]] = [[], []];
      for (let index = 0; index < (one.runs ?? RUNS); index++) {
        bare.push(await bareStart(one.bare));
        await sleep(systemClock, one.refillMs ?? REFILL_MS);
        cold.push(await coldInvoke(server, one, index));
      }
      results.push(summarise(`cold start: ${one.name}, call to answer`, "ms", cold, median(bare)));
    }
    return results;
  } finally {
    await server.stop();
    await rm(directory, { recursive: true });
  }
}
