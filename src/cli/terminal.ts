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

/** What a person can do about what the file system refuses. */
const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  EACCES: "this user may not: run it as one who may, or name another place",
  EPERM: "this user may not: run it as one who may, or name another place",
  EROFS: "nothing can be written there: name another place",
  ENOSPC: "the disk is full: make room, or name another place",
  EEXIST: "there is something else already: name another place",
  ENOTDIR: "something above it is no directory: name another place",
  EISDIR: "it is a directory: name a file",
  ENOENT: "it is not there",
};

/** What the file system refused, as a sentence; undefined: something else went wrong. */
export function fileProblem(error: unknown): CliError | undefined {
  const { code = "", path, syscall, address } = error as NodeJS.ErrnoException & { readonly address?: string };
  const problem = FILE_PROBLEMS[code];
  if (problem === undefined || syscall === undefined || address !== undefined) return undefined;
  return new CliError(`${path === undefined ? "" : `${path}: `}${problem} (${code}, ${syscall})`, 1, { cause: error });
}

/** There is no server, or no way to it. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
]);

interface Known {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly $metadata?: { readonly requestId?: string };
  /** Of an answer that the SDK can't read. */
  readonly $response?: unknown;
}

function hintFor(name: string | undefined, message: string): string {
  if (name === "UnrecognizedClientException" || name === "InvalidClientTokenId")
    return '\nThe keys are not this server\'s: name its data directory with --data, or run  eval "$(./lambent env)"  with it, or unset AWS_ACCESS_KEY_ID';
  return message.startsWith("Function not found") ? "\nSee  ./lambent list" : "";
}

export const notLambent = (endpoint: string, cause: unknown): CliError =>
  new CliError(`what answers at ${endpoint} is no Lambent server: name another with --port or AWS_ENDPOINT_URL`, 1, { cause });

/** Turns what the SDK throws into a sentence: no server, wrong keys, or AWS's own error with its request id. */
export function explain(error: unknown, endpoint: string): CliError {
  const isTold = error instanceof CliError ? error : fileProblem(error);
  if (isTold !== undefined) return isTold;
  const known = error as Known;
  // Which `fetch` says of all of these.
  if (UNREACHABLE.has(known.code ?? "") || known.message === "fetch failed")
    return new CliError(`no Lambent server answers at ${endpoint}: start one with  ./lambent up`, 1, { cause: error });
  if (error instanceof SyntaxError && known.$response !== undefined) return notLambent(endpoint, error);
  const id = known.$metadata?.requestId;
  const hint = hintFor(known.name, known.message ?? "");
  return new CliError(
    `${known.name ?? "Error"}: ${known.message ?? String(error)}${id === undefined ? "" : ` (request ${id})`}${hint}`,
    1,
    { cause: error },
  );
}
