// What the definitions of commands share: options that several have, and how a command reaches the server.
import { Option, type Command } from "commander";
import type { Config, Flags } from "../config.ts";
import { clientsFor, connection, type Clients, type Connection } from "./clients.ts";
import { explain, type Terminal } from "./terminal.ts";

export interface Shared extends Flags {
  readonly json?: boolean;
}

type Action = (config: Config, terminal: Terminal, options: Shared) => number | Promise<number>;

/** What each command's action calls: with the configuration that its options make. */
export type Run = (action: Action, options: Shared) => Promise<void>;

/** Options that say which server is meant: for `env` and the commands that talk to it. */
export function clientOptions(command: Command): Command {
  return command
    .option("-p, --port <number>", "the server's port (LAMBENT_PORT; default 4566)")
    .option("--host <address>", "the server's address (LAMBENT_HOST; default 127.0.0.1)")
    .option("-d, --data <dir>", "the server's data directory, which has its keys (LAMBENT_DATA)")
    .option("--region <name>", "region (LAMBENT_REGION; default us-east-1)");
}

/** Where what runs functions is: for the server, and for who chooses or installs a runtime. */
export const runtimesOption = (command: Command): Command =>
  command.option("--runtimes <dir>", "directory of interpreters and SDKs (LAMBENT_RUNTIMES)");

export const forArchitecture = (description: string): Option =>
  new Option("--architecture <name>", description).choices(["x86_64", "arm64"]);

export const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export async function withServer(config: Config, use: (to: Connection) => Promise<void>): Promise<number> {
  const to = await connection(config);
  try {
    await use(to);
  } catch (error) {
    throw explain(error, to.endpoint);
  }
  return 0;
}

export const withClients = (config: Config, use: (clients: Clients) => Promise<void>): Promise<number> =>
  withServer(config, (to) => use(clientsFor(to)));

export function untilInterrupted(): AbortSignal {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  return stop.signal;
}
