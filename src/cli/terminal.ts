// What a person sees: colours only on a terminal, plain columns, one clear line per error.
import { styleText } from "node:util";

type Style = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";

export interface Terminal {
  /** Results: what a script would read. */
  out(text: string): void;
  /** Progress, logs and timings: what a person reads. */
  note(text: string): void;
  style(style: Style, text: string): string;
}

/** Whoever read has gone (`lambent logs x | head`): the command ends as by Ctrl-C, which those that must clean up know. */
function onWriteError(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.kill(process.pid, "SIGINT");
}

export function terminal(wantsColour: boolean): Terminal {
  process.stdout.on("error", onWriteError);
  process.stderr.on("error", onWriteError);
  const isColoured = wantsColour && process.stderr.isTTY && process.stdout.isTTY;
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    note: (text) => void process.stderr.write(`${text}\n`),
    style: (style, text) => (isColoured ? styleText(style, text) : text),
  };
}

/** Columns, left-aligned, two spaces apart; the last one is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  return rows
    .map((row) => row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join("  "))
    .join("\n");
}

/** The command can't do what was asked; the message says what to do next. Ends the program with `exitCode`. */
export class CliError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}

function hintFor(name: string | undefined, message: string): string {
  if (name === "UnrecognizedClientException" || name === "InvalidClientTokenId")
    return '\nThe keys are not this server\'s: run  eval "$(./lambent env)"  or unset AWS_ACCESS_KEY_ID';
  return message.startsWith("Function not found") ? "\nSee  ./lambent list" : "";
}

/** Turns what the SDK throws into a sentence: no server, wrong keys, or AWS's own error with its request id. */
export function explain(error: unknown, endpoint: string): CliError {
  if (error instanceof CliError) return error;
  const known = error as { name?: string; message?: string; code?: string; $metadata?: { requestId?: string; httpStatusCode?: number } };
  if (known.code === "ECONNREFUSED" || known.code === "ECONNRESET")
    return new CliError(`no Lambent server answers at ${endpoint}: start one with  ./lambent up`, 1, { cause: error });
  const id = known.$metadata?.requestId;
  const hint = hintFor(known.name, known.message ?? "");
  return new CliError(
    `${known.name ?? "Error"}: ${known.message ?? String(error)}${id === undefined ? "" : ` (request ${id})`}${hint}`,
    1,
    { cause: error },
  );
}
