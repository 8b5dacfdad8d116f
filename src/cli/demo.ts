// `lambent demo`: a server of its own on a free port, two functions of which one calls the other, their answer, log and timings.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Server } from "../server.ts";
import { clientsFor, type Clients } from "./clients.ts";
import { deploy, describeDeployed, type ChooseRuntime } from "./deploy.ts";
import { describeInvoked, invoke, type Invoked } from "./invoke.ts";
import { CliError, type Terminal } from "./terminal.ts";
import { startOrExplain } from "./up.ts";
import type { Command } from "commander";
import { type Run, type Shared } from "./command.ts";
import { ensureRuntimes } from "./runtime.ts";

const EXAMPLES = join(import.meta.dirname, "..", "..", "examples");
const WARM_INVOKES = 200;
/** Until the compiler is done with client, server and function, and sandboxes have been prepared in place of those that were taken. */
const WARM_UPS = 500;
/** One vCPU: with less, what is shown is how long a function waits for its next share of CPU. */
const MEMORY_MIB = "1769";

/** Another round is another deployment, which begins with a cold start. */
function deployBoth(clients: Clients, choose: ChooseRuntime, round: number) {
  const env = [`ROUND=${round}`];
  const concierge = { memory: MEMORY_MIB, policy: ["service-role/AWSLambdaRole"], env: ["GREETER=greeter", ...env] };
  return Promise.all([
    deploy(clients, join(EXAMPLES, "greeter"), { memory: MEMORY_MIB, env }, choose),
    deploy(clients, join(EXAMPLES, "concierge"), concierge, choose),
  ]);
}

async function warmTimes(clients: Clients, name: string, payload: string): Promise<{ p50: number; p99: number }> {
  const times: number[] = [];
  for (let count = 0; count < WARM_UPS; count++) await invoke(clients.lambda, name, payload);
  for (let count = 0; count < WARM_INVOKES; count++) times.push((await invoke(clients.lambda, name, payload)).elapsedMs);
  const sorted = times.toSorted((a, b) => a - b);
  return { p50: sorted[WARM_INVOKES >> 1] ?? 0, p99: sorted[Math.floor(WARM_INVOKES * 0.99)] ?? 0 };
}

async function show(clients: Clients, name: string, payload: string, terminal: Terminal): Promise<Invoked> {
  terminal.note(`\n${terminal.style("bold", `lambent invoke ${name} '${payload}'`)}`);
  const result = await invoke(clients.lambda, name, payload);
  describeInvoked(terminal, result);
  return result;
}

function whatNext(terminal: Terminal): void {
  const steps: readonly (readonly [string, string])[] = [
    ["./lambent up", "start a server that keeps its data (port 4566)"],
    ['eval "$(./lambent env)"', "point every AWS SDK and the AWS CLI of this shell at it"],
    ["./lambent deploy examples/greeter --watch", "deploy, and again at every save"],
    ['./lambent invoke greeter \'{"name":"you"}\'', "answer on stdout, log and timings on stderr"],
    ["./lambent logs greeter --follow", "what it writes, as it writes it"],
    ["./lambent doctor", "what this machine can isolate"],
  ];
  terminal.note(`\n${terminal.style("bold", "What to type next")}`);
  for (const [command, what] of steps) terminal.note(`  ${terminal.style("cyan", command.padEnd(44))} ${what}`);
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** Rejects at Ctrl-C or SIGTERM, so that what is begun is ended; a second one ends the process at once. */
function interruption(): Promise<never> {
  const signals = Object.entries(SIGNALS).map(async ([signal, status]): Promise<never> => {
    await once(process, signal);
    throw new CliError("interrupted", status);
  });
  const interrupted = Promise.race(signals);
  // It may come before anybody waits for it.
  interrupted.catch(() => undefined);
  return interrupted;
}

async function demo(config: Config, choose: ChooseRuntime, terminal: Terminal): Promise<number> {
  const interrupted = interruption();
  const dataDirectory = await mkdtemp(join(tmpdir(), "lambent-demo-"));
  try {
    const server = await startOrExplain({ ...config, dataDirectory, host: "127.0.0.1", port: 0, logLevel: "warn" });
    try {
      return await Promise.race([present(server, config, choose, terminal), interrupted]);
    } finally {
      await server.stop();
    }
  } finally {
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

async function present(server: Server, config: Config, choose: ChooseRuntime, terminal: Terminal): Promise<number> {
  terminal.note(`Lambent is ready on ${server.endpoint} (for this demo only)\n`);
  const clients = clientsFor({ endpoint: server.endpoint, region: config.region, credentials: server.keys });
  for (const deployed of await deployBoth(clients, choose, 1)) describeDeployed(terminal, deployed);
  const answers = [
    await show(clients, "greeter", '{"name":"world"}', terminal),
    await show(clients, "concierge", '{"name":"world"}', terminal),
    await show(clients, "concierge", '{"name":"again"}', terminal),
  ];
  terminal.note(
    `\n${terminal.style("bold", `${WARM_INVOKES} warm invokes each, after ${WARM_UPS} others, one by one, SDK, signature and log included`)}`,
  );
  for (const name of ["greeter", "concierge"]) {
    const { p50, p99 } = await warmTimes(clients, name, '{"name":"world"}');
    terminal.note(`  ${name.padEnd(10)} p50 ${p50.toFixed(2)} ms   p99 ${p99.toFixed(2)} ms`);
  }
  await deployBoth(clients, choose, 2);
  terminal.note(`\n${terminal.style("bold", "A cold start each, of a new deployment, in a sandbox that was prepared meanwhile")}`);
  for (const name of ["greeter", "concierge"]) {
    const { elapsedMs } = await invoke(clients.lambda, name, '{"name":"world"}');
    terminal.note(`  ${name.padEnd(10)} ${elapsedMs.toFixed(1)} ms`);
  }
  whatNext(terminal);
  return answers.every((answer) => answer.functionError === undefined) ? 0 : 1;
}

export function addDemo(program: Command, run: Run): void {
  program
    .command("demo")
    .description("start a server, deploy two functions, invoke them, show what happens")
    .action((options: Shared) => run(async (config, terminal) => demo(config, await ensureRuntimes(config, terminal), terminal), options));
}
