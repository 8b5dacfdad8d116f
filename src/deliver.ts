// The Deliverer: hands events of one service to resources of another, in process, with the rights of the sender's role.
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
import { StorageError } from "./store/storage.ts";

type Input = Readonly<Record<string, unknown>>;

/** One operation of the target's service, which takes the event. */
interface Target {
  /** Made before: that it is there already is as good. */
  readonly place?: Pick<Target, "operation" | "inputOf">;
  readonly operation: string;
  readonly inputOf: (target: string, event: Uint8Array, context: DeliveryContext, nowMs: number) => Input;
  /** What it answers may say that it was not taken. */
  readonly faultOf?: (output: unknown) => CommonFault | undefined;
}

export interface DelivererDeps {
  readonly clock: Clock;
  readonly identities: Identities;
  /** A session of the role, assumed by the principal; throws a fault when the role is gone or does not trust the principal. */
  readonly assume: (roleArn: string, sessionName: string, principal: string) => Caller;
  /** By the name in their ARNs; may wait for a service that is still starting. */
  readonly services: ReadonlyMap<string, () => Promise<ServiceDefinition>>;
}

const toFunction: Target = {
  operation: "Invoke",
  inputOf: (FunctionName, Payload) => ({ FunctionName, InvocationType: "Event", Payload }),
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

const toQueue: Target = {
  operation: "SendMessage",
  inputOf(target, event, { attributes = {}, messageGroupId, deduplicationId }) {
    const { account, resource } = parseArn(target) ?? {};
    return {
      QueueUrl: `${ENDPOINT}/${account}/${resource}`,
      MessageBody: Buffer.from(event).toString(),
      MessageAttributes: attributes,
      ...(messageGroupId === undefined ? {} : { MessageGroupId: messageGroupId }),
      ...(deduplicationId === undefined ? {} : { MessageDeduplicationId: deduplicationId }),
    };
  },
};

interface WholeEvent {
  readonly source: string;
  readonly "detail-type": string;
}

const toBus: Target = {
  operation: "PutEvents",
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

/** A transformed event says its time itself. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html */
function logEventOf(text: string, nowMs: number): Input {
  const { timestamp, message, ...more } = JSON.parse(text) as { readonly timestamp?: unknown; readonly message?: unknown };
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
};

/** By the service in the target's ARN; those that this server does not have are no targets. */
const TARGETS: ReadonlyMap<string, Target> = new Map([
  ["events", toBus],
  ["lambda", toFunction],
  ["logs", toLogGroup],
  ["s3", toBucket],
  ["sqs", toQueue],
]);

/** No client ever sees it. */
const ENDPOINT = "http://localhost";

const serviceOf = (arn: string) => parseArn(arn)?.service ?? "";

export function deliverer(deps: DelivererDeps): Deliverer {
  const deliver: Deliver = async (arn, event, context) => {
    const [target, load] = [TARGETS.get(serviceOf(arn)), deps.services.get(serviceOf(arn))];
    if (target === undefined || load === undefined) return { kind: "refused", code: "NO_TARGET", message: `there is no way to ${arn}` };
    try {
      await send(deps, target, await load(), arn, event, context);
      return { kind: "delivered" };
    } catch (cause) {
      return outcomeOf(cause);
    }
  };
  return { supports: (arn) => TARGETS.has(serviceOf(arn)) && deps.services.has(serviceOf(arn)), deliver };
}

async function send(
  deps: DelivererDeps,
  target: Target,
  service: ServiceDefinition,
  arn: string,
  event: Uint8Array,
  sent: DeliveryContext,
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
  const perform = async ({ operation, inputOf }: Pick<Target, "operation" | "inputOf">): Promise<unknown> => {
    const input = inputOf(arn, event, sent, deps.clock.now());
    const needs = await service.access(operation, context, input);
    authorise(undefined, context, sender.role === undefined ? needs.map((need) => withSource(need, sent)) : needs, deps);
    return await (service.operations[operation] as (context: Context, input: Input) => unknown)(context, input);
  };
  if (target.place !== undefined) await perform(target.place).catch(unlessThere);
  const output = await perform(target);
  const fault = target.faultOf?.(output);
  if (fault !== undefined) throw fault;
}

function unlessThere(cause: unknown): void {
  if (knownFault(cause)?.code !== "ResourceAlreadyExistsException") throw cause;
}

function callerOf({ assume }: DelivererDeps, { principal, role }: DeliverySender): Caller {
  if (role !== undefined) return assume(role.arn, role.sessionName, principal);
  return { kind: "service", account: "", arn: principal, userId: principal, accessKeyId: "" };
}

/** What a resource's policy asks of a service: for whom it acts. */
const withSource = (need: AccessNeed, { sourceArn, account }: DeliveryContext): AccessNeed => ({
  ...need,
  conditions: { ...need.conditions, "aws:SourceArn": sourceArn, "aws:SourceAccount": account },
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
