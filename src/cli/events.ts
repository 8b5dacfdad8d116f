// `lambent events`: asynchronous events and deliveries that failed for good: list, show, send again.
import { signedHeaders } from "../aws/sign.ts";
import { systemClock } from "../base/clock.ts";
import type { Connection } from "./clients.ts";
import { CliError, columns, notLambent, type Terminal } from "./terminal.ts";
import type { Command } from "commander";
import { clientOptions, withServer, type Run, type Shared } from "./command.ts";

interface EventsOptions {
  readonly function?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

interface Failed {
  readonly Id: string;
  readonly Kind: string;
  readonly Source: string;
  readonly Target?: string;
  readonly Reason: string;
  readonly Error: string;
  readonly Attempts: number;
  readonly FailedAt: string;
}

const ERROR_SHOWN_MAX = 60;

async function ask<T>(to: Connection, method: "GET" | "POST", path: string, body = ""): Promise<T> {
  const url = new URL(`/_lambent/events/${path}`, to.endpoint);
  const headers = signedHeaders({ method, url, body, ...to, service: "lambent", nowMs: systemClock.now() });
  const answer = await fetch(url, { method, headers, ...(method === "POST" ? { body } : {}) });
  const document = (await answer.json().catch((cause: unknown) => {
    throw notLambent(to.endpoint, cause);
  })) as T & Readonly<Record<"__type" | "message", string>>;
  const { __type: name, message } = document;
  const requestId = answer.headers.get("x-amzn-requestid");
  if (!answer.ok) throw Object.assign(new Error(message), { name, $metadata: { requestId } });
  return document;
}

const queryOf = (fields: Readonly<Record<string, string | undefined>>): string => {
  const given = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  return given.length === 0 ? "" : `?${new URLSearchParams(given).toString()}`;
};

async function listFailed(to: Connection, options: EventsOptions, terminal: Terminal): Promise<void> {
  const all: Failed[] = [];
  let after: string | undefined;
  do {
    const page = await ask<{ Events: Failed[]; After?: string }>(
      to,
      "GET",
      `failed${queryOf({ FunctionName: options.function, After: after })}`,
    );
    all.push(...page.Events);
    after = page.After;
  } while (after !== undefined);
  if (options.json === true) return terminal.out(JSON.stringify(all));
  if (all.length === 0) return terminal.note("no failed events");
  terminal.out(columns([["ID", "FAILED", "WHAT", "ATTEMPTS", "REASON", "ERROR"], ...all.map(rowOf)]));
}

function rowOf({ Id, FailedAt, Source, Target, Attempts, Reason, Error }: Failed): string[] {
  const last = (arn: string) => arn.split(":").slice(6).join(":") || arn.split(":").slice(5).join(":");
  const what = Target === undefined ? last(Source) : `${last(Source)} to ${last(Target)}`;
  const error = Error.replaceAll(/\s+/g, " ");
  return [
    Id,
    FailedAt.slice(0, 19),
    what,
    String(Attempts),
    Reason,
    error.length > ERROR_SHOWN_MAX ? `${error.slice(0, ERROR_SHOWN_MAX)}…` : error,
  ];
}

/** Everything that is known of it, with the event as it was sent. */
async function showFailed(to: Connection, id: string, options: EventsOptions, terminal: Terminal): Promise<void> {
  const found = await ask<Failed & { readonly Payload: string }>(to, "GET", `failed/${encodeURIComponent(id)}`);
  if (options.json === true) return terminal.out(JSON.stringify(found));
  const { Payload, ...rest } = found;
  for (const [name, value] of Object.entries(rest)) terminal.note(`${name.padEnd(10)} ${String(value)}`);
  terminal.out(Payload);
}

async function redrive(to: Connection, id: string | undefined, options: EventsOptions, terminal: Terminal): Promise<void> {
  if ((id === undefined) === (options.all !== true))
    throw new CliError("name one event, or say --all (with --function NAME: all of that function)", 2);
  if (id !== undefined && options.function !== undefined) throw new CliError("--function goes with --all", 2);
  const body = options.function === undefined ? "{}" : JSON.stringify({ FunctionName: options.function });
  const path = id === undefined ? "redrive" : `failed/${encodeURIComponent(id)}/redrive`;
  const { Redriven } = await ask<{ Redriven: number }>(to, "POST", path, body);
  if (options.json === true) terminal.out(JSON.stringify({ Redriven }));
  else terminal.note(`sent again: ${Redriven}`);
}

export function addEvents(program: Command, run: Run): void {
  const events = program.command("events").description("asynchronous events and deliveries that failed for good");
  clientOptions(events.command("failed").description("list them, oldest first"))
    .option("--function <name>", "only those of this function")
    .option("--json", "as JSON")
    .action((options: Shared & EventsOptions) =>
      run((config, terminal) => withServer(config, (to) => listFailed(to, options, terminal)), options),
    );
  clientOptions(events.command("show <id>").description("everything about one, and the event itself on stdout"))
    .option("--json", "as JSON")
    .action((id: string, options: Shared & EventsOptions) =>
      run((config, terminal) => withServer(config, (to) => showFailed(to, id, options, terminal)), options),
    );
  clientOptions(events.command("redrive [id]").description("send one again, or all: as a new attempt of the same event"))
    .option("--all", "all of them")
    .option("--function <name>", "with --all: only those of this function")
    .option("--json", "as JSON")
    .action((id: string | undefined, options: Shared & EventsOptions) =>
      run((config, terminal) => withServer(config, (to) => redrive(to, id, options, terminal)), options),
    );
}
