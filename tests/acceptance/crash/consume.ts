// A consumer of a queue: what it received, and what it was told is deleted, stand in the ledger in this order.
import { DeleteMessageCommand, ReceiveMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import type { Attempts } from "./attempts.ts";

/** Receives once, and deletes what came; how many that were, `undefined` when the server did not answer. */
export async function consume(sqs: SQSClient, attempts: Attempts, QueueUrl: string, what: string): Promise<number | undefined> {
  const input = { QueueUrl, MaxNumberOfMessages: 5, WaitTimeSeconds: 1 };
  const answer = await attempts.look(`${what}-receive`, () => sqs.send(new ReceiveMessageCommand(input)));
  const messages = answer?.Messages ?? [];
  for (const { Body = "" } of messages) attempts.note(`${what}-receive`, Body);
  for (const { Body = "", ReceiptHandle } of messages) {
    // A claim that has run out meanwhile is no error of the server: the message comes again.
    const remove = () => sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle })).then(() => "deleted", isOver);
    const outcome = await attempts.look(`${what}-delete`, remove);
    if (outcome === "deleted") attempts.note(`${what}-delete`, Body);
  }
  return answer === undefined ? undefined : messages.length;
}

function isOver(cause: Error): "over" {
  if (cause.name === "InvalidParameterValueException" || cause.name === "InvalidParameterValue") return "over";
  throw cause;
}
