// `lambent env`: the environment for AWS clients, to be evaluated by a shell.
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { installSecrets } from "../install-keys.ts";
import { endpointOf } from "./clients.ts";
import { clientOptions, type Run, type Shared } from "./command.ts";
import type { Terminal } from "./terminal.ts";

/** Works before the first start as well: the keys are made then, and the server will find them. */
async function printEnvironment(config: Config, terminal: Terminal, options: Shared): Promise<number> {
  const keys = await installSecrets(config.dataDirectory);
  const variables = {
    AWS_ENDPOINT_URL: endpointOf(config),
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_REGION: config.region,
    AWS_DEFAULT_REGION: config.region,
  };
  if (options.json) terminal.out(JSON.stringify(variables));
  else for (const [name, value] of Object.entries(variables)) terminal.out(`export ${name}='${value}'`);
  if (!options.json) terminal.out("unset AWS_SESSION_TOKEN AWS_PROFILE");
  return 0;
}

export function addEnv(program: Command, run: Run): void {
  clientOptions(program.command("env").description('print the environment for AWS clients: eval "$(lambent env)"'))
    .option("--json", "as one JSON object")
    .action((options: Shared) => run(printEnvironment, options));
}
