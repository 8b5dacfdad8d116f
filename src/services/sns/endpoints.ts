// Endpoints: what each protocol takes as one, and whose it is.
import { parseArn } from "../../aws/arn.ts";
import { outboundUrl } from "../../base/outbound-http.ts";
import { invalid } from "./faults.ts";
import { isFifoName, type SubscriptionProtocol } from "./model.ts";

const PROTOCOLS: ReadonlySet<string> = new Set(["lambda", "sqs", "http", "https", "email", "email-json"] satisfies SubscriptionProtocol[]);
/** SNS has them; Lambent has nothing to deliver to. */
const REFUSED: ReadonlySet<string> = new Set(["firehose", "sms", "application"]);
const EMAIL = /^[^\s@\0]{1,64}@[\w.-]{1,255}$/;
const URL_CHARACTERS_MAX = 2048;

/** Throws InvalidParameter. */
export function protocolOf(text: string, topicName: string): SubscriptionProtocol {
  if (REFUSED.has(text)) throw invalid(`Protocol Reason: Lambent does not deliver to ${text}: see docs/compatibility.md`);
  if (!PROTOCOLS.has(text)) throw invalid(`Amazon SNS does not support this protocol string: ${text.slice(0, 100)}`);
  if (isFifoName(topicName) && text !== "sqs") throw invalid("Invalid parameter: Endpoint Reason: Please use FIFO SQS queue");
  return text as SubscriptionProtocol;
}

function checkUrl(protocol: string, endpoint: string): void {
  const url = outboundUrl(endpoint);
  if (!endpoint.toLowerCase().startsWith(`${protocol}://`)) throw invalid("Endpoint must match the specified protocol");
  if (typeof url === "string" || endpoint.length > URL_CHARACTERS_MAX) throw invalid("Endpoint Reason: Invalid URL");
}

/** Throws InvalidParameter. */
export function checkEndpoint(protocol: SubscriptionProtocol, endpoint: string, topicName: string): void {
  if (endpoint === "") throw invalid("Endpoint Reason: no value for required parameter");
  const arn = parseArn(endpoint);
  if (protocol === "http" || protocol === "https") checkUrl(protocol, endpoint);
  else if (protocol === "email" || protocol === "email-json") {
    if (!EMAIL.test(endpoint)) throw invalid("Email address");
  } else if (protocol === "lambda") {
    const isFunction = arn?.service === "lambda" && /^function:[\w-]{1,64}(?::(?:\$LATEST|[\w-]{1,128}))?$/.test(arn.resource);
    if (!isFunction || !/^\d{12}$/.test(arn.account)) throw invalid("Lambda endpoint ARN");
  } else {
    if (arn?.service !== "sqs" || !/^\d{12}$/.test(arn.account) || !/^[\w.-]{1,80}$/.test(arn.resource)) throw invalid("SQS endpoint ARN");
    if (isFifoName(arn.resource) && !isFifoName(topicName))
      throw invalid("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics");
  }
}

/** Account of what needs no confirmation when its own account subscribes it. */
export const ownerOf = (endpoint: string): string | undefined => parseArn(endpoint)?.account;

/** As it is told: without the password of a URL. */
export const shownEndpoint = (endpoint: string): string => endpoint.replace(/^(https?:\/\/[^/?#@:]*:)[^/?#@]*@/i, "$1****@");
