// `lambent`: its commands, each of which has a file of its own, and what becomes of their errors.
import { Command, CommanderError } from "commander";
import { clientEnvironment, ConfigError, loadConfig } from "../config.ts";
import { KeysError } from "../install-keys.ts";
import type { Run } from "./command.ts";
import { addDelete } from "./delete.ts";
import { addDemo } from "./demo.ts";
import { addDeploy } from "./deploy.ts";
import { addDoctor } from "./doctor.ts";
import { addEnv } from "./env.ts";
import { addEvents } from "./events.ts";
import { addImage } from "./image.ts";
import { addInvoke } from "./invoke.ts";
import { addLayer } from "./layer.ts";
import { addList } from "./list.ts";
import { addLogs } from "./logs.ts";
import { addRuntime } from "./runtime.ts";
import { CliError, fileProblem, terminal as makeTerminal } from "./terminal.ts";
import { addTest } from "./test.ts";
import { addUp } from "./up.ts";

/** In the order of the help. */
const COMMANDS = [
  addUp,
  addEnv,
  addDemo,
  addTest,
  addDeploy,
  addInvoke,
  addLogs,
  addList,
  addDelete,
  addLayer,
  addImage,
  addEvents,
  addRuntime,
  addDoctor,
];

function definitions(run: Run): Command {
  const program = new Command("lambent")
    .description("AWS Lambda that you run yourself")
    .version("0.1.0")
    .showHelpAfterError("lambent --help names the commands, lambent COMMAND --help the options of one");
  for (const add of COMMANDS) add(program, run);
  return program;
}

/** Exit codes: 0 done, 1 failed, 2 wrong use, 3 the invoked function answered with an error. */
export async function runCli(words: readonly string[]): Promise<number> {
  const terminal = makeTerminal(clientEnvironment().wantsColour);
  let exitCode = 0;
  const program = definitions(async (action, options) => {
    exitCode = await action(loadConfig(options), terminal, options);
  });
  exitOverride(program);
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const told = error instanceof CliError || error instanceof ConfigError || error instanceof KeysError ? error : fileProblem(error);
    if (told === undefined) throw error;
    terminal.note(`${terminal.style("red", "lambent:")} ${told.message}`);
    return told instanceof CliError ? told.exitCode : told instanceof ConfigError ? 2 : 1;
  }
  return exitCode;
}

/** Commander would end the process by itself; here the caller does. */
function exitOverride(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) exitOverride(child);
}
