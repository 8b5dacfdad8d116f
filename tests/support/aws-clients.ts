// Clients of a server as its users have them: the AWS SDKs, without retries of their own.
import { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { ECRClient } from "@aws-sdk/client-ecr";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { IAMClient } from "@aws-sdk/client-iam";
import { LambdaClient } from "@aws-sdk/client-lambda";
import { S3Client } from "@aws-sdk/client-s3";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SNSClient } from "@aws-sdk/client-sns";
import { SQSClient } from "@aws-sdk/client-sqs";
import { XRayClient } from "@aws-sdk/client-xray";

export function awsClients(endpoint: string, credentials: { accessKeyId: string; secretAccessKey: string }) {
  const settings = { endpoint, region: "us-east-1", credentials, maxAttempts: 1, disableHostPrefix: true };
  return {
    lambda: new LambdaClient(settings),
    ecr: new ECRClient(settings),
    iam: new IAMClient(settings),
    s3: new S3Client({ ...settings, forcePathStyle: true }),
    logs: new CloudWatchLogsClient(settings),
    sqs: new SQSClient(settings),
    sns: new SNSClient(settings),
    events: new EventBridgeClient(settings),
    scheduler: new SchedulerClient(settings),
    xray: new XRayClient(settings),
  };
}
