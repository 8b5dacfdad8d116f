// `lambent up`: serves until Ctrl-C and stops cleanly.
import { once } from "node:events";
import type { Config } from "../config.ts";
import type { RuntimeState } from "../runtime/managed.ts";
import { HERE } from "../runtime/program-machine.ts";
import { startServer, type Server } from "../server.ts";
import { renewBootstraps } from "./runtime.ts";
import { CliError, fileProblem, type Terminal } from "./terminal.ts";
import { Option, type Command } from "commander";
import { collect, runtimesOption, type Run, type Shared } from "./command.ts";

/** Starts the server, with a sentence instead of a stack for what people run into. */
export async function startOrExplain(config: Config): Promise<Server> {
  try {
    return await startServer(config);
  } catch (cause) {
    const known = cause as NodeJS.ErrnoException;
    if (known.code === "EADDRINUSE")
      throw new CliError(`port ${config.port} on ${config.host} is taken (another Lambent?): stop it, or choose another with --port`, 1, {
        cause,
      });
    if (known.code === "EACCES" && known.syscall === "listen")
      throw new CliError(`port ${config.port} needs root: choose one above 1023 with --port`, 1, { cause });
    if (known.code === "EADDRNOTAVAIL") throw new CliError(`${config.host} is no address of this machine`, 1, { cause });
    const refused = fileProblem(cause);
    if (refused !== undefined) throw refused;
    // A bug keeps its stack; everything else (a locked or newer directory, a missing layer of isolation) is told in its own sentence.
    if (!(cause instanceof Error) || cause instanceof TypeError || cause instanceof ReferenceError) throw cause;
    throw new CliError(cause.message, 1, { cause });
  }
}

function banner(terminal: Terminal, config: Config, server: Server): void {
  terminal.note(`Lambent  data ${config.dataDirectory}  account ${config.account}  network ${config.network}`);
  if (config.acceptTestCredentials)
    terminal.note(
      terminal.style("yellow", "Accepting the credentials test/test as the account's root: anyone who can reach this port is root."),
    );
  if (config.timeScale !== 1)
    terminal.note(
      terminal.style(
        "yellow",
        `Time runs ${config.timeScale} times faster for events and deliveries (ages, retries, delays): for tests only, with a data directory of their own.`,
      ),
    );
  const runtimes = server.runtimes().filter(({ architecture }) => architecture === HERE);
  const inState = (wanted: RuntimeState["state"]) => runtimes.filter(({ state }) => state === wanted).map(({ runtime }) => runtime);
  terminal.note(`runtimes ${inState("ready").join(" ") || "none: see  lambent runtime list"}`);
  const outdated = inState("outdated");
  if (outdated.length > 0)
    terminal.note(
      terminal.style(
        "yellow",
        `Installed by another version of Lambent, and not to be used: run  lambent runtime install ${outdated.join(" ")}`,
      ),
    );
  terminal.out(`ready on ${server.endpoint}`);
}

const exitNow = () => process.exit(130);

/** Resolves with the exit code after the first SIGINT or SIGTERM; a second one ends the process at once. */
async function up(config: Config, terminal: Terminal): Promise<number> {
  await renewBootstraps(config, terminal);
  const server = await startOrExplain(config);
  banner(terminal, config, server);
  const asked = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  const ended = await Promise.race([asked.then(() => undefined), server.failed]);
  if (ended !== undefined) terminal.note(terminal.style("red", `stopping: ${ended.message}`));
  else terminal.note("stopping: finishing what runs (again Ctrl-C to stop at once)");
  process.once("SIGINT", exitNow).once("SIGTERM", exitNow);
  await server.stop();
  terminal.note("stopped");
  return ended === undefined ? 0 : 1;
}

export function addUp(program: Command, run: Run): void {
  runtimesOption(program.command("up").description("serve until Ctrl-C"))
    .option("-p, --port <number>", "port (LAMBENT_PORT; default 4566; 0: any free one)")
    .option("--host <address>", "address (LAMBENT_HOST; default 127.0.0.1)")
    .option("-d, --data <dir>", "directory of everything that must survive (LAMBENT_DATA)")
    .option("--region <name>", "region of requests that name none (LAMBENT_REGION; default us-east-1)")
    .option("--account <digits>", "account number (LAMBENT_ACCOUNT; default 000000000000)")
    .option("--accept-test-credentials", "take test/test as the account's root; loopback only (LAMBENT_ACCEPT_TEST_CREDENTIALS=1)")
    .option("--network <kind>", "what functions reach besides Lambent: endpoint (nothing) or internet: public addresses (LAMBENT_NETWORK)")
    .option(
      "--network-allow <cidr>",
      "with internet: a private network that functions reach as well (repeatable; LAMBENT_NETWORK_ALLOW)",
      collect,
    )
    .option(
      "--webhook-allow <cidr>",
      "a private network that SNS may call; default: loopback, if the server listens there; none: public addresses only (repeatable; LAMBENT_WEBHOOK_ALLOW)",
      collect,
    )
    .option("--host-name <name>", "a further name under which clients reach this server (repeatable; LAMBENT_HOST_NAMES)", collect)
    .option(
      "--time-scale <number>",
      "retries and ages of asynchronous events run so many times faster, for tests; loopback only (LAMBENT_TIME_SCALE)",
    )
    .option("--insecure-network", "listen on another address than loopback without TLS")
    .addOption(new Option("--log-level <level>", "server log on stderr (LAMBENT_LOG_LEVEL)").choices(["debug", "info", "warn", "error"]))
    .action((options: Shared) => run((config, terminal) => up(config, terminal), options));
}
