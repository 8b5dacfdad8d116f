// `lambent delete NAME`: a function, and the role that deploy made for it.
import { DeleteFunctionCommand } from "@aws-sdk/client-lambda";
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { clientOptions, withClients, type Run, type Shared } from "./command.ts";
import { removeRole } from "./role.ts";
import type { Terminal } from "./terminal.ts";

async function deleteCommand(config: Config, terminal: Terminal, name: string): Promise<number> {
  return await withClients(config, async (clients) => {
    await clients.lambda.send(new DeleteFunctionCommand({ FunctionName: name }));
    await removeRole(clients.iam, name);
    terminal.note(`deleted ${name}`);
  });
}

export function addDelete(program: Command, run: Run): void {
  clientOptions(program.command("delete <name>").description("delete a function, and the role that deploy made for it")).action(
    (name: string, options: Shared) => run((config, terminal) => deleteCommand(config, terminal, name), options),
  );
}
