// Callers: what they ask for, and a process of their own for them, which sends requests that were signed beforehand and takes next to nothing
// of the machine.
import { fork } from "node:child_process";
import { once } from "node:events";
import { sleep, systemClock } from "../../src/base/clock.ts";
import { rawConnection } from "./raw-connection.ts";

/** What callers ask for, each with one call after the other. */
export interface Demand {
  readonly callers: number;
  /** Calls of each of them. */
  readonly each: number;
  /** Of all together, as far as timers and answers have it. Absent: each asks again as soon as it is answered. */
  readonly perSecond?: number;
}

interface Load extends Demand {
  readonly port: number;
  /** As it goes over the wire. */
  readonly request: string;
}

export interface Measured {
  readonly perSecond: number;
  /** Of each call. */
  readonly latenciesMs: readonly number[];
}

interface Callers {
  load(load: Load): Promise<Measured>;
  stop(): void;
}

export async function measure({ callers, each, perSecond }: Demand, call: (caller: number) => Promise<unknown>): Promise<Measured> {
  const latenciesMs: number[] = [];
  const startedMs = systemClock.monotonic();
  const aheadMs = (turn: number) => (perSecond === undefined ? 0 : startedMs + (turn * 1000) / perSecond - systemClock.monotonic());
  const one = async (caller: number) => {
    for (let n = 0; n < each; n++) {
      const restMs = aheadMs(n * callers + caller);
      if (restMs >= 1) await sleep(systemClock, restMs);
      const beforeMs = systemClock.monotonic();
      await call(caller);
      latenciesMs.push(systemClock.monotonic() - beforeMs);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => one(caller)));
  return { perSecond: (callers * each * 1000) / (systemClock.monotonic() - startedMs), latenciesMs };
}

async function callAll({ port, request, ...demand }: Load): Promise<Measured> {
  const connections = await Promise.all(Array.from({ length: demand.callers }, () => rawConnection(port)));
  const call = (caller: number) => connections[caller]?.call(request) ?? Promise.reject(new Error("no connection"));
  const measured = await measure(demand, call);
  for (const connection of connections) connection.close();
  return measured;
}

export function startCallers(): Callers {
  const child = fork(import.meta.filename);
  const ended = once(child, "exit").then(() => Promise.reject(new Error("the callers have ended")));
  ended.catch(() => undefined); // whoever waits for them is told
  return {
    async load(load) {
      child.send(load);
      const [measured] = (await Promise.race([once(child, "message"), ended])) as [Measured];
      return measured;
    },
    stop: () => void child.kill(),
  };
}

if (import.meta.main) process.on("message", (load: Load) => void callAll(load).then((measured) => process.send?.(measured)));
