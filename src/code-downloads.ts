// The URLs in answers of GetFunction and GetLayerVersion: presigned GETs of objects in a bucket that only stands for packages and layers.
import { NoSuchKey$, type GetObjectCommandInput, type GetObjectCommandOutput } from "@aws-sdk/client-s3";
import type { Readable } from "node:stream";
import type { ServiceDefinition } from "./aws/definition.ts";
import { Fault } from "./aws/fault.ts";
import type { Context } from "./aws/operations.ts";
import { presignedGet } from "./aws/presigned-url.ts";
import type { Clock } from "./base/clock.ts";
import type { InstallKeys } from "./install-keys.ts";
import type { BlobStore } from "./store/blob-store.ts";

/** Not a name that a bucket can have. */
const BUCKET = "_lambda-code";

type GetObject = (
  context: Context,
  input: GetObjectCommandInput,
) => Promise<Omit<GetObjectCommandOutput, "$metadata" | "Body"> & { readonly Body?: Readable }>;

export interface CodeDownloads {
  urlOf(context: Context, sha256: string): string;
  /** S3 with the packages beside its own objects. */
  within(s3: ServiceDefinition): ServiceDefinition;
}

export function codeDownloads(deps: { blobs: BlobStore; clock: Clock; keys: InstallKeys; validSeconds: number }): CodeDownloads {
  const getPackage: GetObject = async (_context, { Key = "" }) => {
    const Body = /^[0-9a-f]{64}$/.test(Key) ? await deps.blobs.read(Key) : undefined;
    if (Body === undefined) throw new Fault(NoSuchKey$, "The specified key does not exist.", { Key });
    return { Body, ContentType: "application/zip" };
  };
  return {
    urlOf({ endpoint, region }, sha256) {
      const { clock, keys, validSeconds } = deps;
      return presignedGet({
        endpoint,
        path: `/${BUCKET}/${sha256}`,
        region,
        service: "s3",
        credential: keys,
        nowMs: clock.now(),
        expiresSeconds: validSeconds,
      });
    },
    within(s3) {
      const ordinary = s3.operations["GetObject"] as unknown as GetObject;
      const GetObject: GetObject = (context, input) => (input.Bucket === BUCKET ? getPackage(context, input) : ordinary(context, input));
      return { ...s3, operations: { ...s3.operations, GetObject } };
    },
  };
}
