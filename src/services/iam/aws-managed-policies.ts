// The managed policies of AWS that people attach to functions' roles. https://docs.aws.amazon.com/aws-managed-policy/latest/reference/
import { createHash } from "node:crypto";
import type { PolicyDocument } from "../../aws/policy.ts";
import { idLetters } from "./model.ts";

const PREFIX = "arn:aws:iam::aws:policy/";

const allow = (...Action: string[]): PolicyDocument => ({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action, Resource: "*" }] });

const READ = ["Get*", "List*", "Describe*", "Head*", "BatchGet*", "Query", "Scan", "Filter*"];
const READ_SERVICES = [
  "lambda",
  "s3",
  "iam",
  "logs",
  "sqs",
  "sns",
  "dynamodb",
  "kinesis",
  "events",
  "scheduler",
  "states",
  "apigateway",
  "cloudwatch",
  "ecr",
];

const DOCUMENTS: ReadonlyMap<string, PolicyDocument> = new Map([
  ["AdministratorAccess", allow("*")],
  [
    "PowerUserAccess",
    { Version: "2012-10-17", Statement: [{ Effect: "Allow", NotAction: ["iam:*", "organizations:*", "account:*"], Resource: "*" }] },
  ],
  ["ReadOnlyAccess", allow(...READ_SERVICES.flatMap((service) => READ.map((verb) => `${service}:${verb}`)), "sts:GetCallerIdentity")],
  ["service-role/AWSLambdaBasicExecutionRole", allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")],
  ["service-role/AWSLambdaRole", allow("lambda:InvokeFunction")],
  [
    "service-role/AWSLambdaSQSQueueExecutionRole",
    allow(
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
    ),
  ],
  [
    "service-role/AWSLambdaKinesisExecutionRole",
    allow(
      "kinesis:DescribeStream",
      "kinesis:DescribeStreamSummary",
      "kinesis:GetRecords",
      "kinesis:GetShardIterator",
      "kinesis:ListShards",
      "kinesis:ListStreams",
      "kinesis:SubscribeToShard",
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
    ),
  ],
  [
    "service-role/AWSLambdaDynamoDBExecutionRole",
    allow(
      "dynamodb:DescribeStream",
      "dynamodb:GetRecords",
      "dynamodb:GetShardIterator",
      "dynamodb:ListStreams",
      "logs:CreateLogGroup",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
    ),
  ],
  [
    "AWSLambda_FullAccess",
    {
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Action: [
            "lambda:*",
            "iam:GetPolicy",
            "iam:GetPolicyVersion",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:ListRoles",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:GetLogEvents",
            "logs:FilterLogEvents",
            "logs:StartLiveTail",
          ],
          Resource: "*",
        },
        {
          Effect: "Allow",
          Action: "iam:PassRole",
          Resource: "*",
          Condition: { StringEquals: { "iam:PassedToService": "lambda.amazonaws.com" } },
        },
      ],
    },
  ],
  [
    "AWSLambda_ReadOnlyAccess",
    allow("lambda:Get*", "lambda:List*", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"),
  ],
  ["AmazonS3FullAccess", allow("s3:*", "s3-object-lambda:*")],
  ["AmazonS3ReadOnlyAccess", allow("s3:Get*", "s3:List*", "s3:Describe*")],
  ["CloudWatchLogsFullAccess", allow("logs:*")],
  [
    "CloudWatchLogsReadOnlyAccess",
    allow("logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents", "logs:StartLiveTail", "logs:StopLiveTail"),
  ],
  ["AmazonSQSFullAccess", allow("sqs:*")],
  ["AmazonSNSFullAccess", allow("sns:*")],
  ["AmazonDynamoDBFullAccess", allow("dynamodb:*")],
  ["AmazonKinesisFullAccess", allow("kinesis:*")],
  ["AmazonEventBridgeFullAccess", allow("events:*", "scheduler:*")],
  ["AWSStepFunctionsFullAccess", allow("states:*")],
  ["IAMFullAccess", allow("iam:*")],
  [
    "AWSXRayDaemonWriteAccess",
    allow("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"),
  ],
]);

/** Each has one version here. */
export const AWS_VERSION = "v1";

export interface AwsManagedPolicy {
  readonly arn: string;
  /** `ANPA…`: the same in every installation. */
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly document: PolicyDocument;
}

function described(name: string, document: PolicyDocument): AwsManagedPolicy {
  const at = name.lastIndexOf("/") + 1;
  const id = `ANPA${idLetters(createHash("sha256").update(name).digest().subarray(0, 17))}`;
  return { arn: PREFIX + name, id, name: name.slice(at), path: `/${name.slice(0, at)}`, document };
}

const POLICIES: ReadonlyMap<string, AwsManagedPolicy> = new Map(
  [...DOCUMENTS].map(([name, document]) => [PREFIX + name, described(name, document)]),
);

export const awsManagedPolicy = (arn: string): AwsManagedPolicy | undefined => POLICIES.get(arn);

export const awsManagedPolicies = (): readonly AwsManagedPolicy[] => [...POLICIES.values()];
