// Warm invokes through the real API, signature verified and IAM evaluated, against a bare node:http echo in the same run: one at a time as a
// usual client makes them, and as many as there can be, with callers that cost little.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Worker, isMainThread, parentPort, type MessagePort } from "node:worker_threads";
import { sleep, systemClock } from "../src/base/clock.ts";
import { startCallers } from "./support/callers.ts";
import { median, repeat, summarise, type Result } from "./support/measure.ts";
import { wireText } from "./support/raw-connection.ts";
import { startBenchServer } from "./support/server.ts";
import { connections, send, signedInvoke, type Prepared } from "./support/signed-requests.ts";

/** Until the compiler is done with server, function and caller; the floor has as many. */
const WARM_UP = 5000;
const SAMPLES = 3000;
const ROUND = 500;
const CALLERS = 10;
/** Calls of each of these in a round. */
const EACH = 300;
const ROUNDS = 7;
const WARM_UP_ROUNDS = 15;
/** After 5 ms at rest an environment is frozen: these calls find it so. */
const REST = { ms: 20, samples: 200 } as const;
const EVENT = '{"key1":"value1","key2":"value2","key3":"value3"}';
const NODE = { "index.mjs": "export const handler = async (event) => event;" };
const PYTHON = { "app.py": "def handler(event, context):\n    return event\n" };

interface Load {
  readonly href: string;
  readonly request: Omit<Prepared, "url">;
  readonly count: number;
  /** Between two calls. */
  readonly restMs: number;
}

function serveFloor(port: MessagePort): void {
  const echo = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => response.end(Buffer.concat(parts)));
  });
  echo.listen(0, "127.0.0.1", () => port.postMessage((echo.address() as AddressInfo).port));
}

/** Calls one after the other on one connection; the milliseconds of each. */
async function load({ href, request, count, restMs }: Load): Promise<number[]> {
  const agent = connections(1);
  const prepared = { ...request, url: new URL(href) };
  const samples = await repeat(count, async () => {
    if (restMs > 0) await sleep(systemClock, restMs);
    return await send(prepared, agent);
  });
  agent.destroy();
  return samples;
}

// The floor has a thread of its own, as the server has this one, and the caller a process: what it costs, and collects, is no part of the figure.
if (!isMainThread && parentPort !== null) serveFloor(parentPort);
else if (import.meta.main) process.on("message", (one: Load) => void load(one).then((samples) => process.send?.(samples)));

async function latencies(caller: ChildProcess, { url, ...request }: Prepared, count: number, restMs = 0): Promise<number[]> {
  caller.send({ href: url.href, request, count, restMs } satisfies Load);
  const ended = new AbortController();
  const end = () => ended.abort(new Error("the caller has ended"));
  caller.once("exit", end);
  const [samples] = (await once(caller, "message", { signal: ended.signal })) as [number[]];
  caller.off("exit", end);
  return samples;
}

/** Server and floor take turns, so that a change of the machine's speed meets both. */
async function compare(caller: ChildProcess, name: string, target: Prepared, floor: Prepared): Promise<Result[]> {
  await latencies(caller, target, WARM_UP);
  await latencies(caller, floor, WARM_UP);
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let done = 0; done < SAMPLES; done += ROUND) {
    ours.push(...(await latencies(caller, target, ROUND)));
    theirs.push(...(await latencies(caller, floor, ROUND)));
  }
  const rested = await latencies(caller, target, REST.samples, REST.ms);
  const floorRested = await latencies(caller, floor, REST.samples, REST.ms);
  const [rates, floorRates] = await compareRates(target, floor);
  return [
    summarise(`warm invoke: ${name}, one at a time`, "ms", ours, median(theirs)),
    summarise(`warm invoke: ${name}, after ${REST.ms} ms at rest`, "ms", rested, median(floorRested)),
    summarise(`warm invoke: ${name}, ${CALLERS} at once`, "1/s", rates, median(floorRates)),
  ];
}

/** At full load, when the compiler is done with ten environments, too. */
async function compareRates(target: Prepared, floor: Prepared): Promise<readonly [ours: number[], theirs: number[]]> {
  const callers = startCallers();
  const rateOf = async (prepared: Prepared) =>
    (await callers.load({ port: Number(prepared.url.port), request: wireText(prepared), callers: CALLERS, each: EACH })).perSecond;
  try {
    await repeat(WARM_UP_ROUNDS, () => rateOf(target));
    await rateOf(floor);
    const rates = await repeat(ROUNDS, async () => [await rateOf(target), await rateOf(floor)] as const);
    return [rates.map(([ours]) => ours), rates.map(([, theirs]) => theirs)];
  } finally {
    callers.stop();
  }
}

export async function run(): Promise<Result[]> {
  const echo = new Worker(new URL(import.meta.url));
  const caller = fork(import.meta.filename);
  const [port] = (await once(echo, "message")) as [number];
  const server = await startBenchServer();
  try {
    await server.make("node", "nodejs24.x", "index.handler", NODE);
    await server.make("python", "python3.11", "app.handler", PYTHON);
    const url = new URL(`http://127.0.0.1:${port}/`);
    const floor: Prepared = { url, headers: { host: url.host, "content-length": String(EVENT.length) }, body: EVENT };
    const results: Result[] = [];
    for (const name of ["node", "python"])
      results.push(...(await compare(caller, name, await signedInvoke(server.endpoint, server.keys, name, EVENT), floor)));
    return results;
  } finally {
    await server.stop();
    caller.kill();
    await echo.terminate();
  }
}
