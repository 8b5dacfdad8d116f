// A real server as a user starts it: `lambent up` in a process of its own, on a free port, with a data directory of its own.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { createInterface } from "node:readline";
import { awsClients } from "./aws-clients.ts";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");

export interface LambentProcess {
  readonly endpoint: string;
  readonly dataDirectory: string;
  readonly child: ChildProcess;
  /** For child processes: what `eval "$(lambent env)"` sets. */
  readonly environment: Record<string, string>;
  readonly stderr: () => string;
  clients(): ReturnType<typeof awsClients>;
  /** Sends the signal and resolves with the exit code when the process has ended. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
  /** Ends the process if need be, and removes its data. */
  dispose(): Promise<void>;
}

async function readyEndpoint(child: ChildProcess, stderr: () => string): Promise<string> {
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  for await (const line of lines) {
    const match = /^ready on (http:\/\/\S+)$/.exec(line);
    if (match?.[1] !== undefined) return match[1];
  }
  throw new Error(`lambent up ended before it was ready:\n${stderr()}`);
}

interface LambentOptions {
  readonly dataDirectory?: string;
  readonly flags?: readonly string[];
  readonly port?: number;
  /** Another program that takes the words of `lambent`. */
  readonly program?: string;
  /** Added to this process's own variables. */
  readonly variables?: Readonly<Record<string, string>>;
}

export async function startLambent(options: LambentOptions = {}): Promise<LambentProcess> {
  const dataDirectory = options.dataDirectory ?? (await mkdtemp(join(tmpdir(), "lambent-e2e-")));
  return await spawnLambent({ ...options, dataDirectory }).ready;
}

/** The process at once, and the server when it is ready. */
export function spawnLambent(options: LambentOptions & { dataDirectory: string }): { child: ChildProcess; ready: Promise<LambentProcess> } {
  const { dataDirectory, port = 0, flags = [], program = MAIN, variables = {} } = options;
  const words = [program, "up", "--port", String(port), "--data", dataDirectory, "--log-level", "warn", ...flags];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"], env: { ...env, ...variables } });
  return { child, ready: whenReady(child, dataDirectory) };
}

/** Of each server of this process, what it logged: told when a test has failed, because it may say why. */
const logs: (() => string)[] = [];
process.on("exit", () => {
  if (process.exitCode !== undefined && process.exitCode !== 0)
    for (const [at, log] of logs.entries())
      if (log() !== "") process.stderr.write(`-- server ${at + 1} logged:\n${log().slice(-10_000)}\n`);
});

async function whenReady(child: ChildProcess, dataDirectory: string): Promise<LambentProcess> {
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  logs.push(() => text);
  const endpoint = await readyEndpoint(child, () => text);
  const keys = JSON.parse(await readFile(join(dataDirectory, "keys.json"), "utf8")) as { accessKeyId: string; secretAccessKey: string };
  const end = async (signal: NodeJS.Signals = "SIGINT") => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
    }
    return child.exitCode;
  };
  return {
    endpoint,
    dataDirectory,
    child,
    environment: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      AWS_REGION: "us-east-1",
      AWS_DEFAULT_REGION: "us-east-1",
    },
    stderr: () => text,
    clients: () => awsClients(endpoint, keys),
    end,
    async dispose() {
      await end();
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}
