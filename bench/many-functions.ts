// A server with many functions of three versions each: start-up, memory and idle CPU of its process, and how long it takes to look one up or
// list them all, against a server with one function in the same run. FUNCTIONS says how many; 10,000 take some minutes to make.
import { readFileSync } from "node:fs";
import {
  CreateFunctionCommand,
  GetFunctionCommand,
  LambdaClient,
  paginateListFunctions,
  PublishVersionCommand,
  UpdateFunctionCodeCommand,
} from "@aws-sdk/client-lambda";
import { systemClock, sleep } from "../src/base/clock.ts";
import { ensureRole } from "../src/cli/role.ts";
import { startLambent, type LambentProcess } from "../tests/support/lambent-process.ts";
import { zipOf } from "../tests/support/zip.ts";
import { describeResult, median, repeat, summarise, type Result } from "./support/measure.ts";

const FUNCTIONS = Number(process.env["FUNCTIONS"] ?? 10_000);
const VERSIONS = 3;
const CALLERS = 16;
const STARTS = 3;
const IDLE_MS = 10_000;
/** Of /proc/<pid>/stat: clock ticks in a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** `make` for 0 up to `count`, `CALLERS` at a time. */
async function many(count: number, make: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count) await make(next++);
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

async function fill(server: LambentProcess, count: number): Promise<void> {
  const { iam } = server.clients();
  const lambda = clientOf(server);
  const Role = await ensureRole(iam, "many", []);
  const zips = await repeat(VERSIONS, (n) => zipOf({ "index.mjs": `export const handler = () => ${n};` }));
  await many(count, async (n) => {
    const FunctionName = `function-${String(n).padStart(5, "0")}`;
    const [ZipFile = new Uint8Array(), ...later] = zips;
    await lambda.send(
      new CreateFunctionCommand({ FunctionName, Runtime: "nodejs24.x", Handler: "index.handler", Role, Code: { ZipFile } }),
    );
    await lambda.send(new PublishVersionCommand({ FunctionName }));
    for (const code of later) await lambda.send(new UpdateFunctionCodeCommand({ FunctionName, ZipFile: code, Publish: true }));
  });
  lambda.destroy();
  iam.destroy();
}

function clientOf({ endpoint, environment }: LambentProcess): LambdaClient {
  const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } = environment;
  // A function that is still being made answers 409: the SDK does not try that again by itself, so it waits for its turn.
  const client = new LambdaClient({ endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 });
  client.middlewareStack.add(
    (next) => async (args) => {
      for (let tries = 0; ; tries++)
        try {
          return await next(args);
        } catch (cause) {
          if ((cause as Error).name !== "ResourceConflictException" || tries > 100) throw cause;
          await sleep(systemClock, 20);
        }
    },
    { step: "finalizeRequest", name: "waitForItsTurn", priority: "high" },
  );
  return client;
}

const residentMiB = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

interface Figures {
  readonly startMs: number[];
  readonly memoryMiB: number[];
  readonly idleCpuPercent: number[];
  readonly getMs: number[];
  readonly listMs: number[];
}

async function figuresOf(dataDirectory: string, count: number): Promise<Figures> {
  const figures: Figures = { startMs: [], memoryMiB: [], idleCpuPercent: [], getMs: [], listMs: [] };
  for (let start = 0; start < STARTS; start++) {
    const startedMs = systemClock.monotonic();
    const server = await startLambent({ dataDirectory });
    figures.startMs.push(systemClock.monotonic() - startedMs);
    try {
      await measureOne(server, count, figures);
    } finally {
      await server.end();
    }
  }
  return figures;
}

async function measureOne(server: LambentProcess, count: number, figures: Figures): Promise<void> {
  const pid = server.child.pid ?? 0;
  const client = clientOf(server);
  const timed = async (samples: number[], call: () => Promise<unknown>) => {
    const beforeMs = systemClock.monotonic();
    await call();
    samples.push(systemClock.monotonic() - beforeMs);
  };
  const FunctionName = `function-${String(Math.floor(count / 2)).padStart(5, "0")}`;
  await repeat(50, () => client.send(new GetFunctionCommand({ FunctionName })));
  await repeat(50, () => timed(figures.getMs, () => client.send(new GetFunctionCommand({ FunctionName }))));
  await timed(figures.listMs, async () => {
    let found = 0;
    for await (const page of paginateListFunctions({ client, pageSize: 50 }, {})) found += page.Functions?.length ?? 0;
    if (found !== count) throw new Error(`${found} functions instead of ${count}`);
  });
  client.destroy();
  const beforeCpu = cpuSeconds(pid);
  await sleep(systemClock, IDLE_MS);
  figures.idleCpuPercent.push(((cpuSeconds(pid) - beforeCpu) * 100_000) / IDLE_MS);
  figures.memoryMiB.push(residentMiB(pid));
}

async function figuresWith(count: number): Promise<Figures> {
  const server = await startLambent();
  try {
    await fill(server, count);
    await server.end();
    return await figuresOf(server.dataDirectory, count);
  } finally {
    await server.dispose();
  }
}

export async function run(): Promise<Result[]> {
  const one = await figuresWith(1);
  const all = await figuresWith(FUNCTIONS);
  const row = (what: string, unit: string, of: keyof Figures) =>
    summarise(`${FUNCTIONS} functions: ${what}`, unit, all[of], median(one[of]));
  return [
    row("start to ready", "ms", "startMs"),
    row("memory of the server", "MiB", "memoryMiB"),
    row("CPU when idle, percent of one", "%", "idleCpuPercent"),
    row("GetFunction", "ms", "getMs"),
    summarise(`${FUNCTIONS} functions: ListFunctions, all pages of 50`, "ms", all.listMs),
  ];
}

if (import.meta.main) for (const result of await run()) console.log(describeResult(result));
