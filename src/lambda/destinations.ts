// What is sent when an asynchronous event has ended: invocation records for destinations, the event itself for dead-letter queues.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
import { parseArn } from "../aws/arn.ts";
import type { BusEntry, DeliveryContext } from "../aws/deliver.ts";
import { messageText } from "../aws/message-text.ts";
import { requestId } from "../base/id.ts";
import type { Ending } from "../pool/async.ts";
import { traceThrough } from "../pool/recursion.ts";
import type { Delivery } from "../deliveries.ts";
import { jsonProblem } from "./json-syntax.ts";
import { functionArn, type FunctionReference } from "./names.ts";

/** The function whose event has ended, and where it wants to be told. */
export interface Sender {
  /** As it was invoked; without a qualifier it was `$LATEST`. */
  readonly reference: FunctionReference;
  readonly roleArn: string;
  /** ARNs. */
  readonly onSuccess?: string;
  readonly onFailure?: string;
  readonly deadLetter?: string;
}

/** SNS takes no larger message. */
const TOPIC_BYTES_MAX = 262_144;
/** "ErrorMessage", the first kilobyte of it. */
const ERROR_MESSAGE_BYTES_MAX = 1024;

export function deliveriesOf(ending: Ending, sender: Sender, nowMs: number): Delivery[] {
  const isSuccess = ending.condition === "Success";
  const destination = isSuccess ? sender.onSuccess : sender.onFailure;
  const { deadLetter } = sender;
  return [
    ...(destination === undefined ? [] : [toDestination(destination, ending, sender, nowMs)]),
    ...(isSuccess || deadLetter === undefined ? [] : [toDeadLetters(deadLetter, ending, sender, nowMs)]),
  ];
}

const qualified = (reference: FunctionReference): string => functionArn({ ...reference, qualifier: reference.qualifier ?? "$LATEST" });

function contextOf({ event }: Ending, { reference, roleArn }: Sender, nowMs: number): DeliveryContext {
  const { qualifier: _qualifier, ...unqualified } = reference;
  return {
    id: requestId(),
    account: reference.account,
    region: reference.region,
    sourceArn: qualified(reference),
    sender: { principal: "lambda.amazonaws.com", role: { arn: roleArn, sessionName: reference.name } },
    // So that a loop through destinations is recognised as one.
    traceHeader: traceThrough(event.traceHeader, functionArn(unqualified), nowMs),
  };
}

function toDestination(target: string, ending: Ending, sender: Sender, nowMs: number): Delivery {
  const context = contextOf(ending, sender, nowMs);
  const place = parseArn(target)?.service;
  const result = ending.condition === "Success" ? "Success" : "Failure";
  const record = invocationRecord(ending, qualified(sender.reference), nowMs);
  const isTooLarge = place === "sns" && record.byteLength > TOPIC_BYTES_MAX;
  return {
    target,
    purpose: "destination",
    event: isTooLarge ? invocationRecord(withoutPayloads(ending), qualified(sender.reference), nowMs) : record,
    context: {
      ...context,
      ...(place === "events" ? { busEntry: busEntryOf(target, qualified(sender.reference), result) } : {}),
      ...(place === "s3" ? { objectKey: objectKey(sender.reference.name, context.id, nowMs) } : {}),
    },
  };
}

/** A topic is told of the invocation, if not of what it was about. */
function withoutPayloads(ending: Ending): Ending {
  const nothing = Buffer.from("null");
  const { event, response } = ending;
  return {
    ...ending,
    event: { ...event, payload: nothing },
    ...(response === undefined ? {} : { response: { ...response, payload: nothing } }),
  };
}

const busEntryOf = (bus: string, arn: string, result: string): BusEntry => ({
  source: "lambda",
  detailType: `Lambda Function Invocation Result - ${result}`,
  resources: [bus, arn],
});

/** `aws/lambda/async/<function>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<uuid>` */
function objectKey(name: string, id: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString();
  return `aws/lambda/async/${name}/${time.slice(0, 10).replaceAll("-", "/")}/${time.slice(0, 19).replaceAll(":", ".")}-${id}`;
}

/** Event and answer stand in it byte for byte, so it is put together as text. */
function invocationRecord({ condition, event, runs, response }: Ending, arn: string, nowMs: number): Uint8Array {
  const requestContext = { requestId: event.requestId, functionArn: arn, condition, approximateInvokeCount: runs };
  const head = JSON.stringify({ version: "1.0", timestamp: new Date(nowMs).toISOString(), requestContext });
  const pieces = [Buffer.from(`${head.slice(0, -1)},"requestPayload":`), event.payload];
  if (response !== undefined) {
    const { executedVersion, payload } = response;
    const responseContext = { statusCode: 200, executedVersion, ...(condition === "Success" ? {} : { functionError: "Unhandled" }) };
    pieces.push(Buffer.from(`,"responseContext":${JSON.stringify(responseContext)},"responsePayload":`), jsonOf(payload));
  }
  return Buffer.concat([...pieces, Buffer.from("}")]);
}

/** A custom runtime may answer what is no JSON: then it is a string. */
function jsonOf(payload: Uint8Array): Uint8Array {
  return jsonProblem(payload) === undefined ? payload : Buffer.from(JSON.stringify(Buffer.from(payload).toString()));
}

/** https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq */
function toDeadLetters(target: string, ending: Ending, sender: Sender, nowMs: number): Delivery {
  const { event, response, problem } = ending;
  const message = problem === undefined ? errorMessageOf(response?.payload) : messageText(problem.message);
  const attributes: DeliveryContext["attributes"] = {
    RequestID: { DataType: "String", StringValue: event.requestId },
    ErrorCode: { DataType: "Number", StringValue: String(problem?.status ?? 200) },
    // An attribute can't be empty.
    ...(message === "" ? {} : { ErrorMessage: { DataType: "String", StringValue: message } }),
  };
  return { target, purpose: "dead-letter", event: event.payload, context: { ...contextOf(ending, sender, nowMs), attributes } };
}

/** The error's own words in a function's answer, as a message can hold them; empty where there are none. */
export function errorMessageOf(payload: Uint8Array | undefined): string {
  if (payload === undefined || jsonProblem(payload) !== undefined) return "";
  const document: unknown = JSON.parse(Buffer.from(payload).toString());
  const message = typeof document === "object" && document !== null && "errorMessage" in document ? document.errorMessage : undefined;
  return typeof message === "string" ? firstBytes(messageText(message), ERROR_MESSAGE_BYTES_MAX) : "";
}

/** Without half a character at its end. */
function firstBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end);
}
