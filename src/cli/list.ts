// `lambent list`: the functions.
import { ListFunctionsCommand, type FunctionConfiguration } from "@aws-sdk/client-lambda";
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { clientOptions, withClients, type Run, type Shared } from "./command.ts";
import { columns, type Terminal } from "./terminal.ts";

async function listCommand(config: Config, terminal: Terminal, options: Shared): Promise<number> {
  return await withClients(config, async (clients) => {
    const functions: FunctionConfiguration[] = [];
    let Marker: string | undefined;
    do {
      const page = await clients.lambda.send(new ListFunctionsCommand(Marker === undefined ? {} : { Marker }));
      functions.push(...(page.Functions ?? []));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    if (options.json) return terminal.out(JSON.stringify(functions));
    if (functions.length === 0) return terminal.note("no functions yet: try  ./lambent deploy examples/greeter");
    const head = ["NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT", "MODIFIED"];
    const rows = functions.map((one) => [
      one.FunctionName ?? "",
      one.Runtime ?? "",
      one.Handler ?? "",
      `${one.MemorySize} MB`,
      `${one.Timeout} s`,
      one.LastModified ?? "",
    ]);
    terminal.out(columns([head, ...rows]));
  });
}

export function addList(program: Command, run: Run): void {
  clientOptions(program.command("list").description("list the functions"))
    .option("--json", "as JSON")
    .action((options: Shared) => run(listCommand, options));
}
