// A whole server with the clients that deployment tools have of it.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { CloudWatchLogs } from "@aws-sdk/client-cloudwatch-logs";
import { ECR } from "@aws-sdk/client-ecr";
import { EventBridge } from "@aws-sdk/client-eventbridge";
import { IAM } from "@aws-sdk/client-iam";
import { Lambda } from "@aws-sdk/client-lambda";
import { S3 } from "@aws-sdk/client-s3";
import { Scheduler } from "@aws-sdk/client-scheduler";
import { SNS } from "@aws-sdk/client-sns";
import { SQS } from "@aws-sdk/client-sqs";
import { STS } from "@aws-sdk/client-sts";
import { startApi, type Credentials } from "../support/api.ts";

export const ACCOUNT = "000000000000";
export const arnOf = (service: string, resource: string) => `arn:aws:${service}:us-east-1:${ACCOUNT}:${resource}`;

function toolsOf(endpoint: string, credentials: Credentials) {
  const settings = { endpoint, region: "us-east-1", credentials, maxAttempts: 1 };
  return {
    lambda: new Lambda(settings),
    iam: new IAM(settings),
    s3: new S3({ ...settings, forcePathStyle: true }),
    ecr: new ECR(settings),
    logs: new CloudWatchLogs(settings),
    sqs: new SQS(settings),
    sns: new SNS(settings),
    events: new EventBridge(settings),
    scheduler: new Scheduler(settings),
    sts: new STS(settings),
  };
}

export type Tools = ReturnType<typeof toolsOf>;

/** The clients of the account's root, and those of whoever has the credentials. */
export async function startTools(t: TestContext) {
  const { server } = await startApi(t);
  const as = (credentials: Credentials): Tools => {
    const tools = toolsOf(server.endpoint, credentials);
    t.after(() => {
      for (const client of Object.values(tools)) client.destroy();
    });
    return tools;
  };
  return { ...as(server.keys), as, server };
}

/** Which tools take for "it is not there", or "there is none". */
export const isMissing = (call: Promise<unknown>, name: string) =>
  assert.rejects(call, (cause: Error & { $metadata?: { httpStatusCode?: number } }) => {
    assert.deepEqual([cause.name, cause.$metadata?.httpStatusCode === 501], [name, false]);
    return true;
  });
