// Provisioned concurrency: how many environments of an alias or a version are kept initialised, and how far that has come.
// https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
import { InvalidParameterValueException$, ProvisionedConcurrencyConfigNotFoundException$ } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { limits } from "../limits.ts";
import type { Entry } from "../store/storage.ts";
import { aliasOf, aliasesOf, type AliasRecord } from "./alias-records.ts";
import {
  provisionedConfigsOf,
  provisionedKey,
  provisionedOf,
  provisionedTotal,
  qualifierOf,
  reservedOf,
  scopeOf,
  unreservedConcurrency,
  type ProvisionedRecord,
} from "./concurrency-records.ts";
import { conflict, invalidParameter, notFound } from "./faults.ts";
import type { Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";
import { page } from "./page.ts";
import { entriesOf, findFunction, findVersion, writeBeside } from "./records.ts";
import { refuseForTenants } from "./tenancy.ts";

type Names =
  | "PutProvisionedConcurrencyConfig"
  | "GetProvisionedConcurrencyConfig"
  | "DeleteProvisionedConcurrencyConfig"
  | "ListProvisionedConcurrencyConfigs";

export function provisionedConcurrency(lambda: Lambda) {
  return {
    PutProvisionedConcurrencyConfig: (context, input) => putConfig(lambda, context, input),
    GetProvisionedConcurrencyConfig(context, { FunctionName = "", Qualifier = "" }) {
      const { reference, qualifier } = qualified(lambda, context, FunctionName, Qualifier);
      const entry = provisionedOf(lambda, reference, qualifier);
      if (entry === undefined)
        throw new Fault(ProvisionedConcurrencyConfigNotFoundException$, "No Provisioned Concurrency Config found for this function", {
          Type: "User",
        });
      return describe(lambda, reference, entry);
    },
    async DeleteProvisionedConcurrencyConfig(context, { FunctionName = "", Qualifier = "" }) {
      const { reference, qualifier } = qualified(lambda, context, FunctionName, Qualifier);
      await lambda.meta.write([{ key: provisionedKey(reference, qualifier) }]);
      return {};
    },
    ListProvisionedConcurrencyConfigs(context, input) {
      const { reference } = findFunction(lambda, context, input.FunctionName ?? "");
      const { found, more } = page(
        `provisioned-concurrency/${reference.name}`,
        input,
        ({ key }: Entry<ProvisionedRecord>) => key.id,
        (after, limit) => provisionedConfigsOf(lambda, reference, after, limit),
      );
      const listed = found.map((entry) => ({
        FunctionArn: functionArn({ ...reference, qualifier: qualifierOf(entry) }),
        ...describe(lambda, reference, entry),
      }));
      return { ProvisionedConcurrencyConfigs: listed, ...more };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

const UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";

/** An alias or a version that is there. AWS has a sentence for either. */
function qualified(lambda: Lambda, context: Context, name: string, given: string, refusal?: string) {
  const reference = functionReference(context, name, given);
  const { qualifier = given } = reference;
  if (qualifier === "$LATEST") throw invalidParameter(refusal ?? "The function resource provided must be an alias or a published version.");
  const isAlias = !/^\d+$/.test(qualifier);
  if (isAlias && aliasOf(lambda, reference, qualifier) === undefined) throw notFound(`Cannot find alias arn: ${functionArn(reference)}`);
  return { ...findVersion(lambda, context, name, qualifier), qualifier };
}

/** One at a time in an account: what is left is checked against what is stored. */
async function putConfig(lambda: Lambda, context: Context, input: client.PutProvisionedConcurrencyConfigCommandInput) {
  const { FunctionName = "", Qualifier = "", ProvisionedConcurrentExecutions: requested = 0 } = input;
  return await lambda.turns.run(scopeOf(functionReference(context, FunctionName, Qualifier)), async () => {
    const { reference, qualifier, version } = qualified(lambda, context, FunctionName, Qualifier, UNPUBLISHED);
    if (version === undefined) throw invalidParameter(UNPUBLISHED);
    refuseForTenants(version.value.deployed.configuration, "Provisioned concurrency");
    checkTargets(lambda, reference, qualifier);
    checkRoom(lambda, reference, qualifier, requested);
    const record: ProvisionedRecord = { requested, lastModifiedMs: lambda.clock.now() };
    await writeBeside(lambda, { key: provisionedKey(reference, qualifier), value: record }, () => there(lambda, context, input));
    return described({ ...record, allocated: 0, status: "IN_PROGRESS" });
  });
}

/** What must still be there when it is written. */
function there(
  lambda: Lambda,
  context: Context,
  { FunctionName = "", Qualifier = "" }: client.PutProvisionedConcurrencyConfigCommandInput,
) {
  return entriesOf(lambda, qualified(lambda, context, FunctionName, Qualifier, UNPUBLISHED));
}

function checkTargets(lambda: Lambda, reference: FunctionReference, qualifier: string): void {
  const alias = aliasOf(lambda, reference, qualifier);
  if (alias === undefined) {
    const isPointedAt = aliasesOf(lambda, reference).some(
      ({ key, value }) => versionsBehind(value).includes(qualifier) && provisionedOf(lambda, reference, aliasName(key.id)) !== undefined,
    );
    if (isPointedAt) throw conflict("Version is pointed by a Provisioned Concurrency alias");
    return;
  }
  if (alias.value.weights !== undefined) throw invalidParameter("Alias with weights can not be used with Provisioned Concurrency");
  checkAlias(lambda, reference, qualifier, alias.value);
}

const aliasName = (id: string): string => id.slice(id.indexOf("/") + 1);
const versionsBehind = ({ FunctionVersion, weights = {} }: AliasRecord): string[] => [FunctionVersion, ...Object.keys(weights)];

/** Throws when an alias cannot have provisioned concurrency and point there: a version has it from one side only. */
function checkAlias(lambda: Lambda, reference: FunctionReference, name: string, record: AliasRecord): void {
  if (record.FunctionVersion === "$LATEST") throw invalidParameter(UNPUBLISHED);
  const others = provisionedConfigsOf(lambda, reference)
    .map(qualifierOf)
    .filter((other) => other !== name)
    .flatMap((other) => {
      const alias = aliasOf(lambda, reference, other);
      return alias === undefined ? [other] : versionsBehind(alias.value);
    });
  if (versionsBehind(record).some((version) => others.includes(version)))
    throw conflict("Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version");
}

/** For an alias that is to be changed. */
export function checkProvisionedAlias(lambda: Lambda, reference: FunctionReference, name: string, record: AliasRecord): void {
  if (provisionedOf(lambda, reference, name) !== undefined) checkAlias(lambda, reference, name, record);
}

// AWS sends these without a Type.
function checkRoom(lambda: Lambda, reference: FunctionReference, qualifier: string, requested: number): void {
  const refuse = (message: string): never => {
    throw new Fault(InvalidParameterValueException$, message);
  };
  const own = provisionedOf(lambda, reference, qualifier)?.value.requested ?? 0;
  const reserved = reservedOf(lambda, reference);
  if (reserved !== undefined) {
    if (provisionedTotal(lambda, reference) - own + requested > reserved)
      refuse("Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function");
    return;
  }
  const unreserved = unreservedConcurrency(lambda, reference) + own;
  if (requested > unreserved)
    refuse(`Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [${unreserved}].`);
  if (unreserved - requested < limits.unreservedConcurrencyMin)
    refuse(
      `Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [${limits.unreservedConcurrencyMin}].`,
    );
}

function describe(lambda: Lambda, reference: FunctionReference, entry: Entry<ProvisionedRecord>) {
  return described({ ...entry.value, ...lambda.provisioning.progressOf(reference, qualifierOf(entry)) });
}

interface Described extends ProvisionedRecord {
  readonly allocated: number;
  readonly status: client.ProvisionedConcurrencyStatusEnum;
  readonly reason?: string;
}

function described({ requested, lastModifiedMs, allocated, status, reason }: Described) {
  return {
    RequestedProvisionedConcurrentExecutions: requested,
    AvailableProvisionedConcurrentExecutions: allocated,
    AllocatedProvisionedConcurrentExecutions: allocated,
    Status: status,
    ...(reason === undefined ? {} : { StatusReason: reason }),
    // Whole seconds, unlike a function's.
    LastModified: new Date(lastModifiedMs).toISOString().replace(/\.\d+Z$/, "+0000"),
  };
}
