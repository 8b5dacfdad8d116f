// `lambent logs NAME`: what the function wrote, oldest first; --follow goes on until Ctrl-C.
import { CreateLogGroupCommand, FilterLogEventsCommand, StartLiveTailCommand } from "@aws-sdk/client-cloudwatch-logs";
import { GetFunctionConfigurationCommand } from "@aws-sdk/client-lambda";
import { systemClock } from "../base/clock.ts";
import type { Clients } from "./clients.ts";
import { CliError, type Terminal } from "./terminal.ts";
import type { Command } from "commander";
import { clientOptions, untilInterrupted, withClients, type Run, type Shared } from "./command.ts";

interface LogsOptions {
  readonly follow?: boolean;
  /** `10m`, `2h`, `1d`: how far back to begin. */
  readonly since: string;
  readonly json?: boolean;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function sinceMs(text: string): number {
  const match = /^(\d+)([smhd])$/.exec(text);
  if (match === null) throw new CliError(`--since ${text}: write a number and s, m, h or d, such as 10m`, 2);
  return Number(match[1]) * (UNIT_MS[match[2] ?? "m"] ?? 60_000);
}

function printer(terminal: Terminal, asJson: boolean) {
  return (event: { timestamp?: number | undefined; message?: string | undefined; logStreamName?: string | undefined }) => {
    if (asJson) return terminal.out(JSON.stringify({ timestamp: event.timestamp, stream: event.logStreamName, message: event.message }));
    terminal.out(`${terminal.style("dim", new Date(event.timestamp ?? 0).toISOString())} ${(event.message ?? "").trimEnd()}`);
  };
}

/** A function that never ran has no group yet: it is made, so that there is something to follow. */
async function ensureGroup(clients: Clients, logGroupName: string): Promise<void> {
  await clients.logs.send(new CreateLogGroupCommand({ logGroupName })).catch((error: unknown) => {
    if ((error as Error).name !== "ResourceAlreadyExistsException") throw error;
  });
}

async function follow(clients: Clients, groupArn: string, print: ReturnType<typeof printer>, signal: AbortSignal): Promise<void> {
  try {
    const tail = await clients.logs.send(new StartLiveTailCommand({ logGroupIdentifiers: [groupArn] }), { abortSignal: signal });
    for await (const event of tail.responseStream ?? []) for (const line of event.sessionUpdate?.sessionResults ?? []) print(line);
  } catch (error) {
    if (!signal.aborted) throw error; // Ctrl-C is how it ends
  }
}

async function logs(clients: Clients, name: string, options: LogsOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const { FunctionArn: arn = "", LoggingConfig } = await clients.lambda.send(new GetFunctionConfigurationCommand({ FunctionName: name }));
  const logGroupName = LoggingConfig?.LogGroup ?? `/aws/lambda/${name}`;
  const print = printer(terminal, options.json ?? false);
  const startTime = systemClock.now() - sinceMs(options.since);
  let nextToken: string | undefined;
  do {
    const page = await clients.logs
      .send(new FilterLogEventsCommand({ logGroupName, startTime, ...(nextToken === undefined ? {} : { nextToken }) }))
      .catch(noGroup);
    for (const event of page.events ?? []) print(event);
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  const [, , , region, account] = arn.split(":");
  if (!options.follow) return;
  await ensureGroup(clients, logGroupName);
  await follow(clients, `arn:aws:logs:${region}:${account}:log-group:${logGroupName}`, print, signal);
}

/** A function that never ran has no log group: that is no error for somebody who asks for its log. */
function noGroup(error: unknown): { events?: []; nextToken?: string } {
  if ((error as Error).name === "ResourceNotFoundException") return {};
  throw error;
}

export function addLogs(program: Command, run: Run): void {
  clientOptions(program.command("logs <name>").description("what a function wrote"))
    .option("-f, --follow", "go on until Ctrl-C")
    .option("-s, --since <time>", "how far back: 30s, 10m, 2h, 1d", "1h")
    .option("--json", "one JSON object a line")
    .action((name: string, options: Shared & LogsOptions) =>
      run(
        async (config, terminal) => withClients(config, (clients) => logs(clients, name, options, terminal, untilInterrupted())),
        options,
      ),
    );
}
