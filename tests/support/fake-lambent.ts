// `lambent up` with fake sandboxes: everything is real but what runs the functions. They return `n` of their event, and fail when 5 divides it.
import { once } from "node:events";
import { argv } from "node:process";
import { parseArgs } from "node:util";
import { systemClock } from "../../src/base/clock.ts";
import { jsonLog } from "../../src/base/log.ts";
import { loadConfig } from "../../src/config.ts";
import { fakeSandboxHost } from "../../src/sandbox/fake.ts";
import { startServer } from "../../src/server.ts";

interface Numbered {
  readonly n?: number;
  readonly detail?: { readonly n?: number };
}

function work(event: unknown): number {
  const { n, detail } = event as Numbered;
  const number = n ?? detail?.n ?? 0;
  if (number % 5 === 0) throw new Error("five");
  return number;
}

const options = { port: { type: "string" }, data: { type: "string" }, "log-level": { type: "string" } } as const;
const { values } = parseArgs({ args: argv.slice(3), options });
const config = loadConfig({ port: values.port ?? "0", data: values.data ?? "" });
const log = jsonLog({ clock: systemClock, level: "warn", write: (text: string) => void process.stderr.write(`${text}\n`) });
const server = await startServer(config, { log, sandboxes: fakeSandboxHost(() => work) });
process.stdout.write(`ready on ${server.endpoint}\n`);
await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT"), server.failed]);
await server.stop();
