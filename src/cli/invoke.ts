// `lambent invoke NAME [JSON|-]`: the answer on stdout, log and timings on stderr; with --async the request id alone.
import { text } from "node:stream/consumers";
import { InvokeCommand, type LambdaClient } from "@aws-sdk/client-lambda";
import { systemClock } from "../base/clock.ts";
import { CliError, type Terminal } from "./terminal.ts";
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { clientOptions, withClients, type Run, type Shared } from "./command.ts";

export interface Invoked {
  readonly payload: string;
  readonly log: string;
  readonly functionError?: string;
  readonly executedVersion?: string;
  readonly requestId?: string;
  readonly elapsedMs: number;
}

export async function invoke(lambda: LambdaClient, FunctionName: string, payload: string): Promise<Invoked> {
  const startedMs = systemClock.monotonic();
  const answer = await lambda.send(new InvokeCommand({ FunctionName, LogType: "Tail", Payload: Buffer.from(payload) }));
  const elapsedMs = systemClock.monotonic() - startedMs;
  return {
    payload: Buffer.from(answer.Payload ?? new Uint8Array()).toString("utf8"),
    log: Buffer.from(answer.LogResult ?? "", "base64").toString("utf8"),
    ...(answer.FunctionError === undefined ? {} : { functionError: answer.FunctionError }),
    ...(answer.ExecutedVersion === undefined ? {} : { executedVersion: answer.ExecutedVersion }),
    ...(answer.$metadata.requestId === undefined ? {} : { requestId: answer.$metadata.requestId }),
    elapsedMs,
  };
}

/** Resolves with the request id when the event is in the queue: what comes of it stands in the log. */
async function invokeLater(lambda: LambdaClient, FunctionName: string, payload: string): Promise<string> {
  const answer = await lambda.send(new InvokeCommand({ FunctionName, InvocationType: "Event", Payload: Buffer.from(payload) }));
  return answer.$metadata.requestId ?? "";
}

/** `-` reads the event from stdin; nothing is an empty event. Throws CliError when it is no JSON. */
async function eventText(argument: string | undefined): Promise<string> {
  const event = argument === "-" ? await text(process.stdin) : (argument ?? "{}");
  try {
    JSON.parse(event);
  } catch (cause) {
    const instead = argument === "-" ? "" : "; of a file:  lambent invoke NAME - < FILE";
    throw new CliError(`the event is not JSON: ${(cause as Error).message}${instead}`, 2, { cause });
  }
  return event;
}

export function describeInvoked(terminal: Terminal, result: Invoked): void {
  for (const line of result.log.trimEnd().split("\n")) terminal.note(terminal.style("dim", line));
  const outcome =
    result.functionError === undefined ? terminal.style("green", "ok") : terminal.style("red", `function error (${result.functionError})`);
  const start = result.log.includes("Init Duration:") ? "cold" : "warm";
  terminal.note(`${outcome}  ${start}  ${result.elapsedMs.toFixed(1)} ms from here`);
  terminal.out(result.payload);
}

export function addInvoke(program: Command, run: Run): void {
  clientOptions(program.command("invoke <name> [event]").description("invoke a function; the event is JSON, or - for stdin"))
    .option("--async", "put the event into the function's queue and print the request id; do not wait for the answer")
    .option("--json", "print answer, log and timings as one JSON object")
    .action((name: string, event: string | undefined, options: Shared & { async?: boolean }) =>
      run((config, terminal) => invokeCommand(config, terminal, name, event, options), options),
    );
}

async function invokeCommand(
  config: Config,
  terminal: Terminal,
  name: string,
  event: string | undefined,
  options: Shared & { async?: boolean },
): Promise<number> {
  const payload = await eventText(event);
  let exitCode = 0;
  await withClients(config, async (clients) => {
    if (options.async) {
      const requestId = await invokeLater(clients.lambda, name, payload);
      return terminal.out(options.json ? JSON.stringify({ requestId }) : requestId);
    }
    const result = await invoke(clients.lambda, name, payload);
    if (options.json) terminal.out(JSON.stringify(result));
    else describeInvoked(terminal, result);
    exitCode = result.functionError === undefined ? 0 : 3;
  });
  return exitCode;
}
