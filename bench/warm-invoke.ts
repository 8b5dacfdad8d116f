// Warm invokes through the real API, signature verified and IAM evaluated, against a bare node:http echo in the same run.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Worker, isMainThread, parentPort } from "node:worker_threads";
import { median, summarise, type Result } from "./measure.ts";
import { startBenchServer } from "./server.ts";
import { connections, send, signedInvoke, type Prepared } from "./signed-requests.ts";

const WARM_UP = 500;
const SAMPLES = 3000;
const ROUND = 500;
const CALLERS = 10;
const EVENT = '{"key1":"value1","key2":"value2","key3":"value3"}';
const NODE = { "index.mjs": "export const handler = async (event) => event;" };
const PYTHON = { "app.py": "def handler(event, context):\n    return event\n" };

if (!isMainThread && parentPort !== null) {
  // The floor: in a thread of its own, as the server is in its process's main thread.
  const echo = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => response.end(Buffer.concat(parts)));
  });
  echo.listen(0, "127.0.0.1", () => parentPort?.postMessage((echo.address() as AddressInfo).port));
}

async function latencies(prepared: Prepared, count: number): Promise<number[]> {
  const agent = connections(1);
  const samples: number[] = [];
  for (let index = 0; index < count; index++) samples.push(await send(prepared, agent));
  agent.destroy();
  return samples;
}

/** Answers per second with `CALLERS` connections that never wait. */
async function throughput(prepared: Prepared, count: number): Promise<number> {
  const agent = connections(CALLERS);
  const startedMs = performance.now();
  let left = count;
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (left-- > 0) await send(prepared, agent);
    }),
  );
  agent.destroy();
  return (count / (performance.now() - startedMs)) * 1000;
}

/** Server and floor take turns, so that a change of the machine's speed meets both. */
async function compare(name: string, target: Prepared, floor: Prepared): Promise<Result[]> {
  await latencies(target, WARM_UP);
  await latencies(floor, WARM_UP);
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let done = 0; done < SAMPLES; done += ROUND) {
    ours.push(...(await latencies(target, ROUND)));
    theirs.push(...(await latencies(floor, ROUND)));
  }
  const [rates, floorRates]: [number[], number[]] = [[], []];
  for (let round = 0; round < 5; round++) {
    rates.push(await throughput(target, 3000));
    floorRates.push(await throughput(floor, 3000));
  }
  return [
    summarise(`warm invoke: ${name}, one at a time`, "ms", ours, median(theirs)),
    summarise(`warm invoke: ${name}, ${CALLERS} at once`, "1/s", rates, median(floorRates)),
  ];
}

export async function run(): Promise<Result[]> {
  const echo = new Worker(new URL(import.meta.url));
  const [port] = (await once(echo, "message")) as [number];
  const server = await startBenchServer();
  try {
    await server.make("node", "nodejs24.x", "index.handler", NODE);
    await server.make("python", "python3.11", "app.handler", PYTHON);
    const floor: Prepared = { url: new URL(`http://127.0.0.1:${port}/`), headers: { "content-length": String(EVENT.length) }, body: EVENT };
    const results: Result[] = [];
    for (const name of ["node", "python"])
      results.push(...(await compare(name, await signedInvoke(server.endpoint, server.keys, name, EVENT), floor)));
    return results;
  } finally {
    await server.stop();
    await echo.terminate();
  }
}
