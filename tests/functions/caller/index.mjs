// Calls the function event.name with event.payload through the AWS SDK, and answers with what it answered.
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

const lambda = new LambdaClient();

export const handler = async ({ name, payload }) => {
  const answer = await lambda.send(new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(payload) }));
  return { status: answer.StatusCode, error: answer.FunctionError ?? null, payload: JSON.parse(answer.Payload.transformToString()) };
};
