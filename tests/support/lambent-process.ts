// A real server as a user starts it: `lambent up` in a process of its own, on a free port, with a data directory of its own.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { ECRClient } from "@aws-sdk/client-ecr";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { IAMClient } from "@aws-sdk/client-iam";
import { LambdaClient } from "@aws-sdk/client-lambda";
import { S3Client } from "@aws-sdk/client-s3";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SQSClient } from "@aws-sdk/client-sqs";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");

export interface LambentProcess {
  readonly endpoint: string;
  readonly dataDirectory: string;
  readonly child: ChildProcess;
  /** For child processes: what `eval "$(lambent env)"` sets. */
  readonly environment: Record<string, string>;
  readonly stderr: () => string;
  clients(): {
    lambda: LambdaClient;
    ecr: ECRClient;
    iam: IAMClient;
    s3: S3Client;
    logs: CloudWatchLogsClient;
    sqs: SQSClient;
    events: EventBridgeClient;
    scheduler: SchedulerClient;
  };
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

export async function startLambent(
  options: { dataDirectory?: string; flags?: readonly string[]; port?: number } = {},
): Promise<LambentProcess> {
  const dataDirectory = options.dataDirectory ?? (await mkdtemp(join(tmpdir(), "lambent-e2e-")));
  const words = [MAIN, "up", "--port", String(options.port ?? 0), "--data", dataDirectory, "--log-level", "warn", ...(options.flags ?? [])];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
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
    clients() {
      const settings = { endpoint, region: "us-east-1", credentials: keys, maxAttempts: 1, disableHostPrefix: true };
      return {
        lambda: new LambdaClient(settings),
        ecr: new ECRClient(settings),
        iam: new IAMClient(settings),
        s3: new S3Client({ ...settings, forcePathStyle: true }),
        logs: new CloudWatchLogsClient(settings),
        sqs: new SQSClient(settings),
        events: new EventBridgeClient(settings),
        scheduler: new SchedulerClient(settings),
      };
    },
    end,
    async dispose() {
      await end();
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}
