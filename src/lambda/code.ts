// A function's code: where it comes from, and its update.
import type { Readable } from "node:stream";
import type * as client from "@aws-sdk/client-lambda";
import { CommonFault, Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { requestId } from "../base/id.ts";
import { assertStorage } from "./account.ts";
import { assertDeployable } from "./code-signing.ts";
import { describeFunction, describeVersion } from "./configuration.ts";
import { invalidParameter } from "./faults.ts";
import { prepareLayers } from "./function-layers.ts";
import { imageCode } from "./images.ts";
import type { CodePackage, Configuration, FunctionCode, FunctionRecord, Lambda } from "./model.ts";
import { assertChangeable, changeFunction, findFunction } from "./records.ts";
import { refuseUnsupported } from "./unsupported.ts";
import { alreadyPublished, newVersion } from "./version-records.ts";

export function code(lambda: Lambda) {
  return {
    UpdateFunctionCode: (context, input) => updateFunctionCode(lambda, context, input),
  } satisfies Pick<Operations<typeof client>, "UpdateFunctionCode">;
}

async function updateFunctionCode(lambda: Lambda, context: Context, input: client.UpdateFunctionCodeCommandInput) {
  const found = findFunction(lambda, context, input.FunctionName ?? "");
  refuseUnsupported(input);
  assertChangeable(found, input.RevisionId);
  assertDeployable(lambda, found.reference, found.entry.value.codeSigningConfigArn);
  const before = found.entry.value;
  const Architecture = input.Architectures?.[0] ?? before.wanted.configuration.Architecture;
  const configuration = { ...before.wanted.configuration, Architecture };
  const uploaded = await functionCode(lambda, context, configuration, input, "updating");
  await prepareLayers(lambda, configuration, uploaded);
  if (input.DryRun === true) return describeFunction(found.reference, before);
  const record: FunctionRecord = {
    ...before,
    wanted: {
      configuration,
      code: uploaded,
      id: requestId(),
    },
    revisionId: requestId(),
    lastModifiedMs: lambda.clock.now(),
  };
  if (input.Publish !== true) {
    await changeFunction(lambda, found, record);
    return describeFunction(found.reference, record);
  }
  const known = alreadyPublished(lambda, found.reference, record.wanted);
  const { version, writes } =
    known === undefined ? await newVersion(lambda, found.reference, record.wanted) : { version: known.value, writes: [] };
  await changeFunction(lambda, found, record, writes);
  return describeVersion(found.reference, record, version);
}

type Sources = Omit<client.FunctionCode, "S3ObjectStorageMode">;

/** Of a function to be made. */
export const newFunctionCode = (lambda: Lambda, context: Context, configuration: Configuration, given: Sources): Promise<FunctionCode> =>
  functionCode(lambda, context, configuration, given, "creating");

async function functionCode(
  lambda: Lambda,
  context: Context,
  { PackageType, Architecture }: Configuration,
  given: Sources,
  doing: "creating" | "updating",
): Promise<FunctionCode> {
  const { ImageUri, ZipFile, S3Bucket, S3Key, S3ObjectVersion } = given;
  if (PackageType === "Image") {
    if (ImageUri === undefined || [ZipFile, S3Bucket, S3Key, S3ObjectVersion].some((one) => one !== undefined))
      throw invalidParameter(`Please provide ImageUri when ${doing} a function with packageType Image.`);
    return await imageCode(lambda, context, ImageUri, Architecture);
  }
  if (ImageUri !== undefined) throw invalidParameter(`Please don't provide ImageUri when ${doing} a function with packageType Zip.`);
  return await codeOf(lambda, context, given);
}

export function codeLocation(
  lambda: Pick<Lambda, "codeUrl">,
  context: Context,
  { sha256, image }: FunctionCode,
): client.FunctionCodeLocation {
  if (image === undefined) return { RepositoryType: "S3", Location: lambda.codeUrl(context, sha256) };
  return { RepositoryType: "ECR", ImageUri: image.ImageUri, ResolvedImageUri: image.ResolvedImageUri };
}

/** Of a function or a layer: exactly one of ZipFile and S3Bucket with S3Key. */
export async function codeOf(lambda: Lambda, context: Context, given: client.FunctionCode): Promise<CodePackage> {
  const { ZipFile, S3Bucket, S3Key, S3ObjectVersion } = given;
  const isFromS3 = S3Bucket !== undefined || S3Key !== undefined || S3ObjectVersion !== undefined;
  if (ZipFile !== undefined && isFromS3)
    throw invalidParameter("Please do not provide other FunctionCode parameters when providing a ZipFile.");
  if (ZipFile !== undefined) return withinStorage(lambda, context, await lambda.packages.add(ZipFile));
  if (S3Bucket === undefined || S3Key === undefined) throw invalidParameter("Please provide a source for function code.");
  const body = await objectBody(lambda, context, S3Bucket, S3Key, S3ObjectVersion);
  return withinStorage(lambda, context, await lambda.packages.addStream(body));
}

/** What is refused stays a blob that nothing refers to, which the collector removes. */
function withinStorage(lambda: Lambda, context: Context, added: CodePackage): CodePackage {
  assertStorage(lambda, context, added.bytes);
  return added;
}

async function objectBody(lambda: Lambda, context: Context, bucket: string, key: string, version: string | undefined): Promise<Readable> {
  try {
    return (await lambda.getObject(context, bucket, key, version)).body;
  } catch (cause) {
    if (!(cause instanceof Fault) && !(cause instanceof CommonFault)) throw cause;
    throw invalidParameter(`Error occurred while GetObject. S3 Error Code: ${cause.name}. S3 Error Message: ${cause.message}`, { cause });
  }
}
