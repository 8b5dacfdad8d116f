// `lambent doctor`: what this machine can and cannot isolate, and the command that mends it.
import type { Config } from "../config.ts";
import { inspectHost } from "../sandbox/linux/doctor.ts";
import type { Terminal } from "./terminal.ts";
import type { Command } from "commander";
import { type Run, type Shared } from "./command.ts";

const MARK = { ok: "ok      ", degraded: "less    ", missing: "MISSING " } as const;
const STYLE = { ok: "green", degraded: "yellow", missing: "red" } as const;

/** Exit code 1 when something that every sandbox needs is missing. */
function doctor(config: Config, terminal: Terminal, asJson: boolean): number {
  const findings = inspectHost(config);
  if (asJson) terminal.out(JSON.stringify(findings));
  else
    for (const { name, state, detail, remedy } of findings) {
      terminal.out(`${terminal.style(STYLE[state], MARK[state])} ${name.padEnd(24)} ${detail}`);
      if (remedy !== undefined) terminal.out(`${" ".repeat(34)}→ ${remedy}`);
    }
  return findings.some((finding) => finding.state === "missing") ? 1 : 0;
}

export function addDoctor(program: Command, run: Run): void {
  program
    .command("doctor")
    .description("what this machine can and cannot isolate, and the command that mends it")
    .option("--json", "as JSON")
    .action((options: Shared) => run((config, terminal) => doctor(config, terminal, options.json ?? false), options));
}
