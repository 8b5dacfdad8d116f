// The Deliverer: hands events of one service to resources of another, in process, with the rights of the sender's role; and to web addresses.
import { Readable } from "node:stream";
import { parseArn } from "./aws/arn.ts";
import { authorise } from "./aws/authorise.ts";
import type { AccessNeed, ServiceDefinition } from "./aws/definition.ts";
import type { Deliver, Deliverer, DeliveryContext, DeliveryOutcome, DeliverySender } from "./aws/deliver.ts";
import type { Caller, Identities } from "./aws/identity.ts";
import { CommonFault } from "./aws/fault.ts";
import type { Context } from "./aws/operations.ts";
import { knownFault } from "./aws/wire-fault.ts";
import type { Clock } from "./base/clock.ts";
import type { OutboundHttp } from "./base/outbound-http.ts";
import { StorageError } from "./store/storage.ts";

type Input = Readonly<Record<string, unknown>>;

/** An operation of the target's service. */
interface Step {
  readonly operation: string;
  /** Makes of its input one that does nothing. */
  readonly dryRun?: Input;
  readonly inputOf: (target: string, event: Uint8Array, context: DeliveryContext, nowMs: number) => Input;
}

/** The one that takes the event. */
interface Target extends Step {
  /** Made before: that it is there already is as good. */
  readonly place?: Step;
  /** Fails when there is no such target: a policy that is not there admits nobody, which would be no help to who looks for the fault. */
  readonly presence?: Step;
  /** The operation takes what it is given for a target that is not there, and drops it. */
  readonly dropsInSilence?: true;
  /** What it answers may say that it was not taken. */
  readonly faultOf?: (output: unknown) => CommonFault | undefined;
}

export interface DelivererDeps {
  readonly clock: Clock;
  readonly identities: Identities;
  /** A session of the role, assumed by the principal; undefined when the role is gone or does not trust the principal. */
  readonly assume: (roleArn: string, sessionName: string, principal: string) => Caller | undefined;
  /** By the name in their ARNs; may wait for a service that is still starting. */
  readonly services: ReadonlyMap<string, () => Promise<ServiceDefinition>>;
  readonly web: OutboundHttp;
}

const toFunction: Target = {
  operation: "Invoke",
  inputOf: (FunctionName, Payload) => ({ FunctionName, InvocationType: "Event", Payload }),
  dryRun: { InvocationType: "DryRun" },
  presence: { operation: "GetFunctionConfiguration", inputOf: (FunctionName) => ({ FunctionName }) },
};

const toBucket: Target = {
  operation: "PutObject",
  inputOf: (target, event, { objectKey, id }) => ({
    Bucket: parseArn(target)?.resource,
    Key: objectKey ?? id,
    Body: Readable.from([event]),
    ContentLength: event.byteLength,
    ContentType: "application/json",
  }),
};

/** Operations take bytes. */
function decoded(attributes: NonNullable<DeliveryContext["attributes"]>): Input {
  const entries = Object.entries(attributes).map(([name, { BinaryValue, ...rest }]) => [
    name,
    BinaryValue === undefined ? rest : { ...rest, BinaryValue: Buffer.from(BinaryValue, "base64") },
  ]);
  return Object.fromEntries(entries) as Input;
}

function queueUrl(target: string): string {
  const { account, resource } = parseArn(target) ?? {};
  return `${ENDPOINT}/${account}/${resource}`;
}

const toQueue: Target = {
  operation: "SendMessage",
  presence: { operation: "GetQueueAttributes", inputOf: (target) => ({ QueueUrl: queueUrl(target) }) },
  inputOf(target, event, { attributes = {}, messageGroupId, deduplicationId }) {
    return {
      QueueUrl: queueUrl(target),
      MessageBody: Buffer.from(event).toString(),
      MessageAttributes: decoded(attributes),
      ...(messageGroupId === undefined ? {} : { MessageGroupId: messageGroupId }),
      ...(deduplicationId === undefined ? {} : { MessageDeduplicationId: deduplicationId }),
    };
  },
};

const toTopic: Target = {
  operation: "Publish",
  presence: { operation: "GetTopicAttributes", inputOf: (TopicArn) => ({ TopicArn }) },
  inputOf: (TopicArn, event, { subject, attributes = {}, messageGroupId, deduplicationId }) => ({
    TopicArn,
    Message: Buffer.from(event).toString(),
    MessageAttributes: decoded(attributes),
    ...(subject === undefined ? {} : { Subject: subject }),
    ...(messageGroupId === undefined ? {} : { MessageGroupId: messageGroupId }),
    ...(deduplicationId === undefined ? {} : { MessageDeduplicationId: deduplicationId }),
  }),
};

interface WholeEvent {
  readonly source: string;
  readonly "detail-type": string;
}

const toBus: Target = {
  operation: "PutEvents",
  dropsInSilence: true,
  presence: { operation: "DescribeEventBus", inputOf: (Name) => ({ Name }) },
  inputOf(EventBusName, event, { busEntry, traceHeader }) {
    const text = Buffer.from(event).toString();
    const trace = traceHeader === undefined ? {} : { TraceHeader: traceHeader };
    if (busEntry !== undefined) {
      const { source: Source, detailType: DetailType, resources: Resources } = busEntry;
      return { Entries: [{ EventBusName, Source, DetailType, Resources, Detail: text, ...trace }] };
    }
    const { source: Source, "detail-type": DetailType } = JSON.parse(text) as WholeEvent;
    return { Entries: [{ EventBusName, Source, DetailType, Detail: "{}", forwarded: text, ...trace }] };
  },
  faultOf(output) {
    const { Entries: [entry] = [] } = output as { readonly Entries?: readonly { ErrorCode?: string; ErrorMessage?: string }[] };
    return entry?.ErrorCode === undefined ? undefined : new CommonFault(entry.ErrorCode, entry.ErrorMessage ?? "", 400);
  },
};

const groupOf = (target: string) => (parseArn(target)?.resource ?? "").replace(/^log-group:/, "").replace(/:\*$/, "");
/** One for each source. */
const streamOf = ({ sourceArn }: DeliveryContext) => (parseArn(sourceArn)?.resource ?? sourceArn).replaceAll(/[:*]/g, "-");

/** A transformer can make any JSON of an event, and lines of it. */
function objectIn(text: string): Input {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Input) : {};
  } catch {
    return {};
  }
}

/** A transformed event says its time itself. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html */
function logEventOf(text: string, nowMs: number): Input {
  const { timestamp, message, ...more } = objectIn(text);
  if (typeof timestamp === "number" && typeof message === "string" && Object.keys(more).length === 0) return { timestamp, message };
  return { timestamp: nowMs, message: text };
}

const toLogGroup: Target = {
  place: {
    operation: "CreateLogStream",
    inputOf: (target, _event, context) => ({ logGroupName: groupOf(target), logStreamName: streamOf(context) }),
  },
  operation: "PutLogEvents",
  inputOf: (target, event, context, nowMs) => ({
    logGroupName: groupOf(target),
    logStreamName: streamOf(context),
    logEvents: [logEventOf(Buffer.from(event).toString(), nowMs)],
  }),
  faultOf(output) {
    const { rejectedLogEventsInfo: rejected } = output as { readonly rejectedLogEventsInfo?: object };
    const message = "The log group keeps no event of that time: it is too old, or too far in the future.";
    return rejected === undefined ? undefined : new CommonFault("InvalidParameterException", message, 400);
  },
};

/** By the service in the target's ARN; those that this server does not have are no targets. */
const TARGETS: ReadonlyMap<string, Target> = new Map([
  ["events", toBus],
  ["lambda", toFunction],
  ["logs", toLogGroup],
  ["s3", toBucket],
  ["sns", toTopic],
  ["sqs", toQueue],
]);

/** No client ever sees it. */
const ENDPOINT = "http://localhost";

const serviceOf = (arn: string) => parseArn(arn)?.service ?? "";

export function deliverer(deps: DelivererDeps): Deliverer {
  const way =
    (isDryRun: boolean): Deliver =>
    async (arn, event, context) => {
      if (/^https?:/i.test(arn)) return await post(deps.web, arn, event, context);
      const [target, load] = [TARGETS.get(serviceOf(arn)), deps.services.get(serviceOf(arn))];
      if (target === undefined || load === undefined) return { kind: "refused", code: "NO_TARGET", message: `there is no way to ${arn}` };
      try {
        await send(deps, target, await load(), { arn, event, sent: context, isDryRun });
        return { kind: "delivered" };
      } catch (cause) {
        return outcomeOf(cause);
      }
    };
  return {
    supports: (arn) => TARGETS.has(serviceOf(arn)) && deps.services.has(serviceOf(arn)),
    deliver: way(false),
    mayDeliver: way(true),
  };
}

interface Sending {
  readonly arn: string;
  readonly event: Uint8Array;
  readonly sent: DeliveryContext;
  readonly isDryRun: boolean;
}

/** SNS waits so long for an answer. */
const WEB_TIMEOUT_MS = 15_000;

/** Success is 2xx; what is wrong with the request itself is not tried again, but for "too many". */
async function post(web: OutboundHttp, url: string, event: Uint8Array, context: DeliveryContext): Promise<DeliveryOutcome> {
  const { headers = {}, publicOnly = false } = context;
  const answer = await web.post({ url, headers, body: event, timeoutMs: WEB_TIMEOUT_MS, publicOnly });
  if (answer.kind === "refused") return { kind: "refused", code: "ADDRESS_NOT_ALLOWED", message: answer.message };
  if (answer.kind === "failed") return { kind: "unavailable", code: "NO_ANSWER", message: answer.message };
  const { status } = answer;
  if (status >= 200 && status < 300) return { kind: "delivered" };
  const isRefusal = status >= 300 && status < 500 && status !== 429;
  return { kind: isRefusal ? "refused" : "unavailable", code: String(status), message: `the endpoint answered ${status}` };
}

async function send(
  deps: DelivererDeps,
  target: Target,
  service: ServiceDefinition,
  { arn, event, sent, isDryRun }: Sending,
): Promise<void> {
  const { id, account, sender, traceHeader } = sent;
  const region = parseArn(arn)?.region ?? "";
  const context: Context = {
    // The same each time, so that who has it already may know it again.
    requestId: id,
    account,
    region: region === "" ? sent.region : region,
    caller: callerOf(deps, sender),
    endpoint: ENDPOINT,
    ...(traceHeader === undefined ? {} : { traceHeader }),
    signal: new AbortController().signal,
  };
  const call = async (operation: string, input: Input): Promise<unknown> =>
    await (service.operations[operation] as (context: Context, input: Input) => unknown)(context, input);
  const allow = async (operation: string, input: Input): Promise<void> => {
    const needs = await service.access(operation, context, input);
    authorise(undefined, context, sender.role === undefined ? needs.map((need) => withSource(need, sent)) : needs, deps);
  };
  const checkPresence = async (): Promise<void> => {
    const { presence } = target;
    // Of other accounts nobody learns what they have.
    const isOwn = parseArn(arn)?.account === account;
    if (presence !== undefined && isOwn) await call(presence.operation, presence.inputOf(arn, event, sent, 0));
  };
  const unlessMissing = async (cause: unknown): Promise<never> => {
    if (sender.role === undefined) await checkPresence();
    throw cause;
  };
  const perform = async ({ operation, inputOf, dryRun }: Step): Promise<unknown> => {
    const input = inputOf(arn, event, sent, deps.clock.now());
    await allow(operation, input).catch(unlessMissing);
    // What has no dry run of its own is only asked for the right to it.
    if (isDryRun && dryRun === undefined) return undefined;
    return await call(operation, isDryRun ? { ...input, ...dryRun } : input);
  };
  if (target.place !== undefined) await perform(target.place).catch(unlessThere);
  const output = await perform(target);
  if (target.dropsInSilence === true && !isDryRun) await checkPresence();
  const fault = isDryRun ? undefined : target.faultOf?.(output);
  if (fault !== undefined) throw fault;
}

function unlessThere(cause: unknown): void {
  if (knownFault(cause)?.code !== "ResourceAlreadyExistsException") throw cause;
}

function callerOf({ assume }: DelivererDeps, { principal, role }: DeliverySender): Caller {
  if (role !== undefined) return assume(role.arn, role.sessionName, principal) ?? notAssumed(role.arn, principal);
  return { kind: "service", account: "", arn: principal, userId: principal, accessKeyId: "" };
}

function notAssumed(roleArn: string, principal: string): never {
  const why = `${principal} cannot assume ${roleArn}: there is no such role, or its trust policy does not name the service`;
  throw new CommonFault("FAILED_TO_ASSUME_ROLE", why, 403);
}

/** What a resource's policy asks of a service: for whom it acts. */
const withSource = (need: AccessNeed, { sourceArn, account }: DeliveryContext): AccessNeed => ({
  ...need,
  conditions: () => ({ ...need.conditions?.(), "aws:SourceArn": sourceArn, "aws:SourceAccount": account }),
});

/** What is the sender's fault will not get better by itself. */
function outcomeOf(cause: unknown): DeliveryOutcome {
  const fault = knownFault(cause);
  if (fault !== undefined) {
    const mayPass = fault.status >= 500 || fault.status === 429 || fault.status === 409;
    return { kind: mayPass ? "unavailable" : "refused", code: fault.code, message: `${fault.code}: ${fault.message}` };
  }
  if (cause instanceof StorageError) return { kind: "unavailable", code: "ServiceUnavailable", message: cause.message };
  throw cause;
}
