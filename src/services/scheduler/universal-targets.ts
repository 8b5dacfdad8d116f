// Universal targets: an operation of another service, with its parameters as JSON.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
import type { Target } from "@aws-sdk/client-scheduler";
import { parseExactly } from "../../aws/exact-json.ts";
import { Malformed } from "../../aws/scalar.ts";
import type { DeliveryContext } from "../../aws/deliver.ts";
import { validation } from "./faults.ts";
import type { Place } from "./model.ts";

/** What one delivery carries. */
export interface Request {
  readonly target: string;
  readonly event: string;
  readonly context: Partial<DeliveryContext>;
}

type Parameters = Readonly<Record<string, unknown>>;

interface Operation {
  readonly service: string;
  readonly required: readonly string[];
  readonly optional: readonly string[];
  readonly requests: (parameters: Parameters, place: Place) => readonly Request[];
}

const PREFIX = "arn:aws:scheduler:::aws-sdk:";

export const isUniversal = (arn: string): boolean => arn.startsWith(PREFIX);

const textOf = (parameters: Parameters, name: string): string => {
  const value = parameters[name];
  if (value !== undefined && typeof value !== "string") throw invalid(`The field '${name}' must be a string.`);
  return value ?? "";
};
const invalid = (reason: string) => validation(`Invalid RequestJson provided. Reason: ${reason}`);

const invoke: Operation = {
  service: "lambda",
  required: ["FunctionName"],
  optional: ["InvocationType", "Payload", "Qualifier"],
  requests(parameters, { account, region }) {
    const [name, qualifier] = [textOf(parameters, "FunctionName"), textOf(parameters, "Qualifier")];
    if (!["", "Event", "RequestResponse"].includes(textOf(parameters, "InvocationType")))
      throw invalid("The field 'InvocationType' must be Event or RequestResponse.");
    const arn = name.startsWith("arn:")
      ? name
      : `arn:aws:lambda:${region}:${account}:function:${name.replace(/^\d{12}:(?:function:)?/, "")}`;
    const { Payload: payload = "{}" } = parameters;
    const event = typeof payload === "string" ? payload : JSON.stringify(payload);
    return [{ target: qualifier === "" ? arn : `${arn}:${qualifier}`, event, context: {} }];
  },
};

const sendMessage: Operation = {
  service: "sqs",
  required: ["QueueUrl", "MessageBody"],
  optional: ["MessageAttributes", "MessageGroupId", "MessageDeduplicationId"],
  requests(parameters, { region }) {
    const [, account, name] = /\/(\d{12})\/([\w.-]{1,80})\/?$/.exec(textOf(parameters, "QueueUrl")) ?? [];
    if (account === undefined || name === undefined) throw invalid("The field 'QueueUrl' must be the URL of a queue.");
    return [
      { target: `arn:aws:sqs:${region}:${account}:${name}`, event: textOf(parameters, "MessageBody"), context: messageContext(parameters) },
    ];
  },
};

const publish: Operation = {
  service: "sns",
  required: ["TopicArn", "Message"],
  optional: ["Subject", "MessageAttributes", "MessageGroupId", "MessageDeduplicationId"],
  requests(parameters) {
    const subject = textOf(parameters, "Subject");
    const context = { ...messageContext(parameters), ...(subject === "" ? {} : { subject }) };
    return [{ target: textOf(parameters, "TopicArn"), event: textOf(parameters, "Message"), context }];
  },
};

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null && !Array.isArray(value);
const ATTRIBUTE_MEMBERS: ReadonlySet<string> = new Set(["DataType", "StringValue", "BinaryValue"]);

const isAttribute = (value: unknown): boolean =>
  isObject(value) && Object.entries(value).every(([name, one]) => ATTRIBUTE_MEMBERS.has(name) && typeof one === "string");

/** What the values of attributes may be is for the service that gets them to say. */
function messageContext(parameters: Parameters): Partial<DeliveryContext> {
  const { MessageAttributes: attributes } = parameters;
  if (attributes !== undefined && !(isObject(attributes) && Object.values(attributes).every(isAttribute)))
    throw invalid("The field 'MessageAttributes' must be an object of objects with DataType and StringValue or BinaryValue.");
  const [group, deduplication] = [textOf(parameters, "MessageGroupId"), textOf(parameters, "MessageDeduplicationId")];
  return {
    ...(attributes === undefined ? {} : { attributes: attributes as DeliveryContext["attributes"] & {} }),
    ...(group === "" ? {} : { messageGroupId: group }),
    ...(deduplication === "" ? {} : { deduplicationId: deduplication }),
  };
}

const ENTRIES_MAX = 10;

const putEvents: Operation = {
  service: "events",
  required: ["Entries"],
  optional: [],
  requests({ Entries: entries }, { account, region }) {
    if (!Array.isArray(entries) || entries.length === 0 || entries.length > ENTRIES_MAX)
      throw invalid(`The field 'Entries' must have 1 to ${ENTRIES_MAX} entries.`);
    return entries.map((one: unknown) => {
      const entry = membersOf(one, ["Source", "DetailType", "Detail"], ["EventBusName", "Resources"], "putEvents");
      const bus = textOf(entry, "EventBusName") || "default";
      const { Resources: resources = [] } = entry;
      if (!Array.isArray(resources) || !resources.every((arn) => typeof arn === "string"))
        throw invalid("The field 'Resources' must be a list.");
      return {
        target: bus.startsWith("arn:") ? bus : `arn:aws:events:${region}:${account}:event-bus/${bus}`,
        event: textOf(entry, "Detail"),
        context: { busEntry: { source: textOf(entry, "Source"), detailType: textOf(entry, "DetailType"), resources } },
      };
    });
  },
};

/** By what stands behind the prefix of their ARN. */
const OPERATIONS: ReadonlyMap<string, Operation> = new Map([
  ["lambda:invoke", invoke],
  ["sqs:sendMessage", sendMessage],
  ["sns:publish", publish],
  ["eventbridge:putEvents", putEvents],
]);

function membersOf(value: unknown, required: readonly string[], optional: readonly string[], api: string): Parameters {
  if (!isObject(value)) throw invalid("It must be an object.");
  const missing = required.find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) throw invalid(`The field '${missing}' is required by the api '${api}'.`);
  const unknown = Object.keys(value).find((name) => !required.includes(name) && !optional.includes(name));
  if (unknown !== undefined) throw invalid(`The field '${unknown.slice(0, 100)}' is not supported for the api '${api}'.`);
  return value as Parameters;
}

/** Throws ValidationException for what is no request. `input` takes the place of the target's. */
export function requestsOf(target: Target, place: Place, input = target.Input ?? "{}"): readonly Request[] {
  const api = (target.Arn ?? "").slice(PREFIX.length);
  const operation = OPERATIONS.get(api);
  if (operation === undefined)
    throw validation(`Lambent has no universal target ${api.slice(0, 100)}; it has ${[...OPERATIONS.keys()].join(", ")}.`);
  return operation.requests(membersOf(readJson(input), operation.required, operation.optional, api), place);
}

function readJson(text: string): unknown {
  try {
    return parseExactly(text);
  } catch (cause) {
    if (cause instanceof Malformed) throw invalid("It is not JSON.");
    throw cause;
  }
}
