// How asynchronous events of a function are retried and where their results go: one configuration for each qualifier.
import type * as client from "@aws-sdk/client-lambda";
import { parseArn } from "../aws/arn.ts";
import { Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { limits } from "../limits.ts";
import type { AsyncSettings } from "../pool/async.ts";
import { StorageError, type Key } from "../store/storage.ts";
import { conflict, invalidParameter, notFound } from "./faults.ts";
import type { Lambda } from "./model.ts";
import { functionArn, functionReference, readFunctionName, type FunctionReference } from "./names.ts";
import { page } from "./page.ts";
import { entriesOf, findVersion, stillThere, type FoundVersion } from "./records.ts";
import { checkMaySendTo } from "./sending-rights.ts";

export const EVENT_INVOKE_KIND = "lambda.event-invoke-config";
/** When somebody else changes function or configuration in between. */
const TRIES_MAX = 10;

export interface EventInvokeRecord {
  readonly MaximumRetryAttempts?: number;
  readonly MaximumEventAgeInSeconds?: number;
  /** ARNs of destinations. */
  readonly onSuccess?: string;
  readonly onFailure?: string;
  readonly lastModifiedMs: number;
}

type Place = Pick<FunctionReference, "account" | "region" | "name" | "qualifier">;

/** A function's name has no slash. */
export const eventInvokeKey = ({ account, region, name, qualifier = "$LATEST" }: Place): Key => ({
  account,
  region,
  kind: EVENT_INVOKE_KIND,
  id: `${name}/${qualifier}`,
});

type Configs = Pick<Lambda, "eventInvokeConfigs">;

export const eventInvokeOf = ({ eventInvokeConfigs }: Configs, place: Place) => {
  const { account, region, id } = eventInvokeKey(place);
  return eventInvokeConfigs.get(account, region, id);
};

/** All of a function's, to be deleted with it. */
export function eventInvokeKeysOf({ eventInvokeConfigs }: Configs, { account, region, name }: Place): Key[] {
  return eventInvokeConfigs.list(account, region, { prefix: `${name}/`, limit: Infinity }).map(({ key }) => key);
}

export const asyncSettingsOf = (record: EventInvokeRecord | undefined): AsyncSettings => ({
  retriesMax: record?.MaximumRetryAttempts ?? limits.eventRetriesMax,
  ageMaxMs: (record?.MaximumEventAgeInSeconds ?? limits.eventAgeSecondsMax) * 1000,
});

type Names =
  | "PutFunctionEventInvokeConfig"
  | "UpdateFunctionEventInvokeConfig"
  | "GetFunctionEventInvokeConfig"
  | "DeleteFunctionEventInvokeConfig"
  | "ListFunctionEventInvokeConfigs";

export function eventInvoke(lambda: Lambda) {
  return {
    PutFunctionEventInvokeConfig: (context, input) => putConfig(lambda, context, input, "replaces"),
    UpdateFunctionEventInvokeConfig: (context, input) => putConfig(lambda, context, input, "merges"),
    GetFunctionEventInvokeConfig(context, { FunctionName = "", Qualifier }) {
      const reference = functionReference(context, FunctionName, Qualifier);
      return describe(reference, present(lambda, reference).value);
    },
    async DeleteFunctionEventInvokeConfig(context, { FunctionName = "", Qualifier }) {
      const { key } = present(lambda, functionReference(context, FunctionName, Qualifier));
      await lambda.meta.write([{ key }]);
      return {};
    },
    ListFunctionEventInvokeConfigs: (context, input) => listConfigs(lambda, context, input),
  } satisfies Pick<Operations<typeof client>, Names>;
}

function present(lambda: Lambda, reference: FunctionReference) {
  const entry = eventInvokeOf(lambda, reference);
  const arn = functionArn({ ...reference, qualifier: reference.qualifier ?? "$LATEST" });
  if (entry === undefined) throw notFound(`The function ${arn} doesn't have an EventInvokeConfig`);
  return entry;
}

function existing(lambda: Lambda, context: Context, name: string, qualifier?: string): FoundVersion {
  try {
    return findVersion(lambda, context, name, qualifier);
  } catch (cause) {
    if (cause instanceof Fault && cause.name === "ResourceNotFoundException") throw notFound("The function doesn't exist.");
    throw cause;
  }
}

type Given = Pick<
  client.PutFunctionEventInvokeConfigCommandInput,
  "FunctionName" | "Qualifier" | "MaximumRetryAttempts" | "MaximumEventAgeInSeconds" | "DestinationConfig"
>;

/** Only while the function and its qualifier are there, so that none is left behind by what is being deleted. */
async function putConfig(lambda: Lambda, context: Context, input: Given, how: "replaces" | "merges") {
  const find = () => existing(lambda, context, input.FunctionName ?? "", input.Qualifier);
  await checkGiven(lambda, find(), input);
  for (let tries = 1; ; tries++) {
    const found = find();
    const { reference } = found;
    const before = how === "merges" ? present(lambda, reference) : undefined;
    const record = merged(before?.value, input, lambda.clock.now());
    const write = { key: eventInvokeKey(reference), value: record, ...(before === undefined ? {} : { expect: before.revision }) };
    try {
      await lambda.meta.write([write, ...entriesOf(lambda, found).map(stillThere)]);
      return describe(reference, record);
    } catch (cause) {
      if (!(cause instanceof StorageError && cause.failure === "Conflict")) throw cause;
      if (tries === TRIES_MAX)
        throw conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${functionArn(reference)}`);
    }
  }
}

async function checkGiven(lambda: Lambda, { reference, entry, version }: FoundVersion, given: Given): Promise<void> {
  if (given.MaximumRetryAttempts === undefined && given.MaximumEventAgeInSeconds === undefined && given.DestinationConfig === undefined)
    throw invalidParameter("You must specify at least one of error handling or destination setting.");
  checkDestinations(lambda, reference, given.DestinationConfig);
  const { OnSuccess, OnFailure } = given.DestinationConfig ?? {};
  const { Role: roleArn } = (version?.value.deployed ?? entry.value.wanted).configuration;
  for (const { Destination = "" } of [OnSuccess ?? {}, OnFailure ?? {}]) await checkMaySendTo(lambda, { reference, roleArn }, Destination);
}

/** An empty ARN, or none in what is given, says that there is no destination. */
function merged(before: EventInvokeRecord | undefined, given: Given, lastModifiedMs: number): EventInvokeRecord {
  const retries = given.MaximumRetryAttempts ?? before?.MaximumRetryAttempts;
  const age = given.MaximumEventAgeInSeconds ?? before?.MaximumEventAgeInSeconds;
  const { OnSuccess: success = { Destination: before?.onSuccess }, OnFailure: failure = { Destination: before?.onFailure } } =
    given.DestinationConfig ?? {};
  const [onSuccess, onFailure] = [success.Destination ?? "", failure.Destination ?? ""];
  return {
    ...(retries === undefined ? {} : { MaximumRetryAttempts: retries }),
    ...(age === undefined ? {} : { MaximumEventAgeInSeconds: age }),
    ...(onSuccess === "" ? {} : { onSuccess }),
    ...(onFailure === "" ? {} : { onFailure }),
    lastModifiedMs,
  };
}

const SUCCESS_SERVICES: ReadonlySet<string> = new Set(["lambda", "sqs", "sns", "events"]);
const FAILURE_SERVICES: ReadonlySet<string> = new Set([...SUCCESS_SERVICES, "s3"]);

function checkDestinations(lambda: Lambda, reference: FunctionReference, given: client.DestinationConfig | undefined): void {
  const [success, failure] = [given?.OnSuccess?.Destination ?? "", given?.OnFailure?.Destination ?? ""];
  const wrongService = (arn: string, services: ReadonlySet<string>) => arn !== "" && !services.has(parseArn(arn)?.service ?? "");
  if (wrongService(success, SUCCESS_SERVICES) || wrongService(failure, FAILURE_SERVICES)) {
    const part = (arn: string, name: string) => (arn === "" ? "null" : `${name}(destination=${arn})`);
    const text = `DestinationConfig(onSuccess=${part(success, "OnSuccess")}, onFailure=${part(failure, "OnFailure")})`;
    throw invalidParameter(`The provided destination config ${text} is invalid.`);
  }
  for (const arn of [success, failure]) if (arn !== "") checkDestination(lambda, reference, arn);
}

function checkDestination(lambda: Lambda, reference: FunctionReference, arn: string): void {
  const service = parseArn(arn)?.service ?? "";
  if (service === "lambda") {
    const { account, region, name } = readFunctionName(reference, arn);
    const isHere = account === reference.account && region === reference.region;
    if (isHere && name === reference.name) throw invalidParameter("You can't specify the function as a destination for itself.");
    if (!isHere || lambda.functions.get(account, region, name) === undefined)
      throw invalidParameter(`The destination ARN ${arn} is invalid.`);
  }
  if (!lambda.supportsTarget(arn))
    throw invalidParameter(`Lambent cannot deliver to ${service} yet, so ${arn} can't be a destination. See docs/compatibility.md.`);
}

/** Only the numbers that were set; always both destinations. */
function describe(reference: FunctionReference, record: EventInvokeRecord) {
  const { MaximumRetryAttempts, MaximumEventAgeInSeconds, onSuccess, onFailure, lastModifiedMs } = record;
  return {
    LastModified: new Date(lastModifiedMs),
    FunctionArn: functionArn({ ...reference, qualifier: reference.qualifier ?? "$LATEST" }),
    ...(MaximumRetryAttempts === undefined ? {} : { MaximumRetryAttempts }),
    ...(MaximumEventAgeInSeconds === undefined ? {} : { MaximumEventAgeInSeconds }),
    DestinationConfig: {
      OnSuccess: onSuccess === undefined ? {} : { Destination: onSuccess },
      OnFailure: onFailure === undefined ? {} : { Destination: onFailure },
    },
  };
}

function listConfigs(lambda: Lambda, context: Context, input: client.ListFunctionEventInvokeConfigsCommandInput) {
  const { qualifier: _qualifier, ...reference } = existing(lambda, context, input.FunctionName ?? "").reference;
  const { name } = reference;
  const list = (after: string | undefined, limit: number) =>
    lambda.eventInvokeConfigs.list(reference.account, reference.region, {
      prefix: `${name}/`,
      limit,
      ...(after === undefined ? {} : { after }),
    });
  const { found, more } = page(`event-invoke-configs/${name}`, input, ({ key }) => key.id, list);
  return {
    FunctionEventInvokeConfigs: found.map(({ key, value }) => describe({ ...reference, qualifier: key.id.slice(name.length + 1) }, value)),
    ...more,
  };
}
