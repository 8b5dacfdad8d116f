// When a function's runtime is updated: kept for `$LATEST` and each version. A server's runtimes change when its operator installs others,
// so the modes differ in what they say, not in what happens.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import type { Key } from "../store/storage.ts";
import { runtimeVersionArn } from "./configuration.ts";
import { invalidParameter, notFound } from "./faults.ts";
import type { Lambda } from "./model.ts";
import { functionArn, type FunctionReference } from "./names.ts";
import { assertChangeable, findVersion, writeBeside, type FoundVersion } from "./records.ts";

export const RUNTIME_MANAGEMENT_KIND = "lambda.runtime-management";

export interface RuntimeManagementRecord {
  readonly UpdateRuntimeOn: client.UpdateRuntimeOn;
  /** `Manual` only. */
  readonly RuntimeVersionArn?: string;
}

type Place = Pick<FunctionReference, "account" | "region" | "name">;
type Configs = Pick<Lambda, "runtimeManagement">;

export const runtimeManagementKey = ({ account, region, name }: Place, version: string): Key => ({
  account,
  region,
  kind: RUNTIME_MANAGEMENT_KIND,
  id: `${name}/${version}`,
});

/** All of a function's, to be deleted with it. */
export function runtimeManagementKeysOf(lambda: Configs, { account, region, name }: Place): Key[] {
  return lambda.runtimeManagement.list(account, region, { prefix: `${name}/`, limit: Infinity }).map(({ key }) => key);
}

type Names = "GetRuntimeManagementConfig" | "PutRuntimeManagementConfig";

export function runtimeManagement(lambda: Lambda) {
  return {
    GetRuntimeManagementConfig(context, { FunctionName = "", Qualifier }) {
      const { reference, qualifier } = found(lambda, context, FunctionName, Qualifier);
      const { account, region, id } = runtimeManagementKey(reference, qualifier);
      return describe(reference, qualifier, lambda.runtimeManagement.get(account, region, id)?.value ?? { UpdateRuntimeOn: "Auto" });
    },
    PutRuntimeManagementConfig: (context, input) => putConfig(lambda, context, input),
  } satisfies Pick<Operations<typeof client>, Names>;
}

/** `$LATEST` or a version: an alias has no runtime of its own. */
function found(lambda: Lambda, context: Context, name: string, given?: string): FoundVersion & { readonly qualifier: string } {
  const one = findVersion(lambda, context, name, given);
  const { qualifier = "$LATEST" } = one.reference;
  if (qualifier !== "$LATEST" && qualifier !== String(one.version?.value.number))
    throw notFound(`Function not found: ${functionArn(one.reference)}`);
  return { ...one, qualifier };
}

async function putConfig(lambda: Lambda, context: Context, input: client.PutRuntimeManagementConfigCommandInput) {
  const { FunctionName = "", Qualifier, UpdateRuntimeOn = "Auto", RuntimeVersionArn } = input;
  const one = found(lambda, context, FunctionName, Qualifier);
  const { reference, qualifier } = one;
  if (one.version === undefined) assertChangeable(one);
  const { configuration } = one.version?.value.deployed ?? one.entry.value.wanted;
  if (configuration.Runtime === undefined) throw invalidParameter("Runtime management is for functions whose PackageType is Zip.");
  checkArn(UpdateRuntimeOn, RuntimeVersionArn, runtimeVersionArn(reference.region, configuration.Runtime));
  const record: RuntimeManagementRecord = { UpdateRuntimeOn, ...(RuntimeVersionArn === undefined ? {} : { RuntimeVersionArn }) };
  await writeBeside(lambda, { key: runtimeManagementKey(reference, qualifier), value: record }, () => {
    const { entry, version } = found(lambda, context, FunctionName, Qualifier);
    return version === undefined ? [entry] : [entry, version];
  });
  return describe(reference, qualifier, record);
}

/** A server has one build of each runtime, so that is the only one that can be asked for. */
function checkArn(mode: client.UpdateRuntimeOn, given: string | undefined, present: string): void {
  if (mode !== "Manual" && given !== undefined)
    throw invalidParameter(`RuntimeVersionArn can only be specified when UpdateRuntimeOn is Manual, not ${mode}.`);
  if (mode === "Manual" && given === undefined) throw invalidParameter("RuntimeVersionArn is required when UpdateRuntimeOn is Manual.");
  if (given !== undefined && given !== present)
    throw invalidParameter(
      `The runtime version ${given} does not exist or is not one of the function's runtime. This server has ${present}.`,
    );
}

const describe = (reference: FunctionReference, qualifier: string, record: RuntimeManagementRecord) => ({
  ...record,
  FunctionArn: functionArn({ ...reference, qualifier }),
});
