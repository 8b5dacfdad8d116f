// argv → cli; nothing else. The compile cache halves the start-up of everything that is imported after it.
import { enableCompileCache } from "node:module";

enableCompileCache();
const { runCli } = await import("./cli/program.ts");
process.exitCode = await runCli(process.argv.slice(2));
