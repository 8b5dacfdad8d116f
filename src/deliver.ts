// The Deliverer: hands events of one service to resources of another, in process, with the rights of the sender's role.
import { Readable } from "node:stream";
import { parseArn } from "./aws/arn.ts";
import { authorise } from "./aws/authorise.ts";
import type { ServiceDefinition } from "./aws/definition.ts";
import type { Deliver, Deliverer, DeliveryContext, DeliveryOutcome } from "./aws/deliver.ts";
import type { Caller, Identities } from "./aws/identity.ts";
import type { Context } from "./aws/operations.ts";
import { knownFault } from "./aws/wire-fault.ts";
import type { Clock } from "./base/clock.ts";
import { StorageError } from "./store/storage.ts";

type Input = Readonly<Record<string, unknown>>;

/** One operation of the target's service, which takes the event. */
interface Target {
  readonly service: () => Promise<ServiceDefinition>;
  readonly operation: string;
  readonly inputOf: (target: string, event: Uint8Array, context: DeliveryContext) => Input;
}

export interface DelivererDeps {
  readonly clock: Clock;
  readonly identities: Identities;
  /** Acts as the role; throws a fault when it is gone or does not trust the sender. */
  readonly callerOf: (roleArn: string, sessionName: string) => Caller;
  readonly services: { readonly lambda: () => Promise<ServiceDefinition>; readonly s3: () => Promise<ServiceDefinition> };
}

/** By the service in the target's ARN. */
function targetsOf({ services }: DelivererDeps): ReadonlyMap<string, Target> {
  return new Map<string, Target>([
    [
      "lambda",
      {
        service: services.lambda,
        operation: "Invoke",
        inputOf: (FunctionName, Payload) => ({ FunctionName, InvocationType: "Event", Payload }),
      },
    ],
    [
      "s3",
      {
        service: services.s3,
        operation: "PutObject",
        inputOf: (target, event, { objectKey, id }) => ({
          Bucket: parseArn(target)?.resource,
          Key: objectKey ?? id,
          Body: Readable.from([event]),
          ContentLength: event.byteLength,
          ContentType: "application/json",
        }),
      },
    ],
  ]);
}

export function deliverer(deps: DelivererDeps): Deliverer {
  const targets = targetsOf(deps);
  const targetOf = (arn: string) => targets.get(parseArn(arn)?.service ?? "");
  const deliver: Deliver = async (arn, event, context) => {
    const target = targetOf(arn);
    if (target === undefined) return { kind: "refused", message: `there is no way to ${arn}` };
    try {
      await send(deps, target, arn, event, context);
      return { kind: "delivered" };
    } catch (cause) {
      return outcomeOf(cause);
    }
  };
  return { supports: (arn) => targetOf(arn) !== undefined, deliver };
}

async function send(deps: DelivererDeps, target: Target, arn: string, event: Uint8Array, sent: DeliveryContext): Promise<void> {
  const { id, account, region, roleArn, sessionName, traceHeader } = sent;
  const service = await target.service();
  const context: Context = {
    // The same each time, so that who has it already may know it again.
    requestId: id,
    account,
    region,
    caller: deps.callerOf(roleArn, sessionName),
    endpoint: "http://localhost",
    ...(traceHeader === undefined ? {} : { traceHeader }),
    signal: new AbortController().signal,
  };
  const input = target.inputOf(arn, event, sent);
  authorise(undefined, context, await service.access(target.operation, context, input), deps);
  const operation = service.operations[target.operation] as (context: Context, input: Input) => unknown;
  await operation(context, input);
}

/** What is the sender's fault will not get better by itself. */
function outcomeOf(cause: unknown): DeliveryOutcome {
  const fault = knownFault(cause);
  if (fault !== undefined) {
    const mayPass = fault.status >= 500 || fault.status === 429 || fault.status === 409;
    return { kind: mayPass ? "unavailable" : "refused", message: `${fault.code}: ${fault.message}` };
  }
  if (cause instanceof StorageError) return { kind: "unavailable", message: cause.message };
  throw cause;
}
