// Warm invokes through the real API, signature verified and IAM evaluated, against a bare node:http echo in the same run.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Worker, isMainThread, parentPort, workerData, type MessagePort } from "node:worker_threads";
import { sleep, systemClock } from "../src/base/clock.ts";
import { median, summarise, type Result } from "./measure.ts";
import { startBenchServer } from "./server.ts";
import { connections, send, signedInvoke, type Prepared } from "./signed-requests.ts";

const WARM_UP = 500;
const SAMPLES = 3000;
const ROUND = 500;
const CALLERS = 10;
/** After 5 ms at rest an environment is frozen: these calls find it so. */
const REST = { ms: 20, samples: 200 } as const;
const EVENT = '{"key1":"value1","key2":"value2","key3":"value3"}';
const NODE = { "index.mjs": "export const handler = async (event) => event;" };
const PYTHON = { "app.py": "def handler(event, context):\n    return event\n" };

type Role = "floor" | "callers";

interface Load {
  readonly href: string;
  readonly request: Omit<Prepared, "url">;
  readonly callers: number;
  readonly count: number;
  /** Between two calls of a caller. */
  readonly restMs: number;
}

interface Measured {
  /** Of each request, in ms. */
  readonly samples: readonly number[];
  /** Answers per second. */
  readonly rate: number;
}

function serveFloor(port: MessagePort): void {
  const echo = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => response.end(Buffer.concat(parts)));
  });
  echo.listen(0, "127.0.0.1", () => port.postMessage((echo.address() as AddressInfo).port));
}

/** So many callers, with a connection each. */
async function load({ href, request, callers, count, restMs }: Load): Promise<Measured> {
  const agent = connections(callers);
  const prepared = { ...request, url: new URL(href) };
  const samples: number[] = [];
  const startedMs = performance.now();
  let left = count;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (left-- > 0) {
        if (restMs > 0) await sleep(systemClock, restMs);
        samples.push(await send(prepared, agent));
      }
    }),
  );
  agent.destroy();
  return { samples, rate: (count / (performance.now() - startedMs)) * 1000 };
}

// Floor and callers have threads of their own, as the server has this one: what a caller costs is no part of the figure.
if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  if ((workerData as Role) === "floor") serveFloor(port);
  else port.on("message", (one: Load) => void load(one).then((measured) => port.postMessage(measured)));
}

const worker = (role: Role) => new Worker(new URL(import.meta.url), { workerData: role });

async function measure(callers: Worker, { url, ...request }: Prepared, count: number, atOnce = 1, restMs = 0): Promise<Measured> {
  callers.postMessage({ href: url.href, request, callers: atOnce, count, restMs } satisfies Load);
  const [measured] = (await once(callers, "message")) as [Measured];
  return measured;
}

/** Server and floor take turns, so that a change of the machine's speed meets both. */
async function compare(callers: Worker, name: string, target: Prepared, floor: Prepared): Promise<Result[]> {
  await measure(callers, target, WARM_UP);
  await measure(callers, floor, WARM_UP);
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let done = 0; done < SAMPLES; done += ROUND) {
    ours.push(...(await measure(callers, target, ROUND)).samples);
    theirs.push(...(await measure(callers, floor, ROUND)).samples);
  }
  const [rates, floorRates]: [number[], number[]] = [[], []];
  for (let round = 0; round < 5; round++) {
    rates.push((await measure(callers, target, 3000, CALLERS)).rate);
    floorRates.push((await measure(callers, floor, 3000, CALLERS)).rate);
  }
  const rested = await measure(callers, target, REST.samples, 1, REST.ms);
  const floorRested = await measure(callers, floor, REST.samples, 1, REST.ms);
  return [
    summarise(`warm invoke: ${name}, one at a time`, "ms", ours, median(theirs)),
    summarise(`warm invoke: ${name}, after ${REST.ms} ms at rest`, "ms", rested.samples, median(floorRested.samples)),
    summarise(`warm invoke: ${name}, ${CALLERS} at once`, "1/s", rates, median(floorRates)),
  ];
}

export async function run(): Promise<Result[]> {
  const echo = worker("floor");
  const callers = worker("callers");
  const [port] = (await once(echo, "message")) as [number];
  const server = await startBenchServer();
  try {
    await server.make("node", "nodejs24.x", "index.handler", NODE);
    await server.make("python", "python3.11", "app.handler", PYTHON);
    const floor: Prepared = { url: new URL(`http://127.0.0.1:${port}/`), headers: { "content-length": String(EVENT.length) }, body: EVENT };
    const results: Result[] = [];
    for (const name of ["node", "python"])
      results.push(...(await compare(callers, name, await signedInvoke(server.endpoint, server.keys, name, EVENT), floor)));
    return results;
  } finally {
    await server.stop();
    await Promise.all([echo.terminate(), callers.terminate()]);
  }
}
