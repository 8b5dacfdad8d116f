// A whole server in this process, with everything real but the sandboxes and the disk behind the store: for API tests.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { ECRClient } from "@aws-sdk/client-ecr";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { IAMClient } from "@aws-sdk/client-iam";
import { LambdaClient } from "@aws-sdk/client-lambda";
import { S3Client } from "@aws-sdk/client-s3";
import { SNSClient } from "@aws-sdk/client-sns";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SQSClient } from "@aws-sdk/client-sqs";
import { STSClient } from "@aws-sdk/client-sts";
import { XRayClient } from "@aws-sdk/client-xray";
import { systemClock } from "../../src/base/clock.ts";
import { scaledClock } from "../../src/base/scaled-clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { loadConfig, type Flags } from "../../src/config.ts";
import { fakeSandboxHost, type FakeScript } from "../../src/sandbox/fake.ts";
import { startServer } from "../../src/server.ts";
import { memoryLogSink } from "../../src/store/memory/memory-log-sink.ts";
import { memoryMetrics } from "../../src/store/memory/memory-metrics.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { memoryTraces } from "../../src/store/memory/memory-traces.ts";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Functions of this server answer their event, or do what the script says; it stops when the test ends. */
export async function startApi(t: TestContext, script: FakeScript = () => (event: unknown) => event, flags: Flags = {}) {
  const pace = scaledClock(systemClock, Number(flags.timeScale ?? 1));
  const data = await mkdtemp(join(tmpdir(), "lambent-api-"));
  const storage = memoryStorage({ clock: systemClock, pace });
  const config = loadConfig({ data, port: "0", ...flags }, {});
  const server = await startServer(config, {
    storage,
    pace,
    log: silentLog,
    logs: memoryLogSink({ clock: systemClock }),
    metrics: memoryMetrics(),
    traces: memoryTraces(),
    sandboxes: fakeSandboxHost(script),
  });
  t.after(async () => {
    await server.stop();
    await rm(data, { recursive: true });
  });
  const clients = (credentials: Credentials = server.keys, region = "us-east-1") => {
    const settings = { endpoint: server.endpoint, region, credentials, maxAttempts: 1, disableHostPrefix: true };
    return {
      lambda: new LambdaClient(settings),
      iam: new IAMClient(settings),
      ecr: new ECRClient(settings),
      sqs: new SQSClient(settings),
      sns: new SNSClient(settings),
      events: new EventBridgeClient(settings),
      scheduler: new SchedulerClient(settings),
      sts: new STSClient(settings),
      logs: new CloudWatchLogsClient(settings),
      cloudwatch: new CloudWatchClient(settings),
      xray: new XRayClient(settings),
      s3: new S3Client({ ...settings, forcePathStyle: true }),
    };
  };
  return { server, storage, clients };
}
