// Makes functions for tests through the real API, with a role that Lambda may assume.
import { AttachRolePolicyCommand, CreateRoleCommand, type IAMClient } from "@aws-sdk/client-iam";
import {
  CreateFunctionCommand,
  InvokeCommand,
  waitUntilFunctionActiveV2,
  type CreateFunctionCommandInput,
  type LambdaClient,
  type Runtime,
} from "@aws-sdk/client-lambda";
import { zipOf } from "./zip.ts";

const TRUST = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
};

export async function makeRole(iam: IAMClient, name = "test-role", policies: readonly string[] = []): Promise<string> {
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: JSON.stringify(TRUST) }));
  for (const policy of policies)
    await iam.send(new AttachRolePolicyCommand({ RoleName: name, PolicyArn: `arn:aws:iam::aws:policy/${policy}` }));
  return Role?.Arn ?? "";
}

interface TestFunction {
  readonly name: string;
  readonly role: string;
  readonly runtime?: Runtime;
  /** Text of `index.mjs` or `app.py`, whose handler is called `handler`. */
  readonly code: string;
  readonly settings?: Partial<CreateFunctionCommandInput>;
}

export async function makeFunction(lambda: LambdaClient, made: TestFunction): Promise<void> {
  const runtime: Runtime = made.runtime ?? "python3.11";
  const file = runtime.startsWith("python") ? "app.py" : runtime.startsWith("nodejs") ? "index.mjs" : "bootstrap";
  await lambda.send(
    new CreateFunctionCommand({
      FunctionName: made.name,
      Runtime: runtime,
      Handler: `${file.split(".")[0]}.handler`,
      Role: made.role,
      Code: { ZipFile: await zipOf({ [file]: made.code }) },
      Timeout: 60, // longer than any takes, on a busy machine as well
      ...made.settings,
    }),
  );
  await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName: made.name });
}

export interface Answer {
  readonly value: unknown;
  readonly functionError: string | undefined;
  readonly log: string;
  readonly requestId: string;
}

export async function call(lambda: LambdaClient, FunctionName: string, event: unknown = {}): Promise<Answer> {
  const answer = await lambda.send(new InvokeCommand({ FunctionName, LogType: "Tail", Payload: JSON.stringify(event) }));
  const text = Buffer.from(answer.Payload ?? []).toString();
  return {
    value: text === "" ? undefined : JSON.parse(text),
    functionError: answer.FunctionError,
    log: Buffer.from(answer.LogResult ?? "", "base64").toString(),
    requestId: answer.$metadata.requestId ?? "",
  };
}
