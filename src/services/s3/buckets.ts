// Buckets: create, head, list, delete, and where they are.
import type * as client from "@aws-sdk/client-s3";
import { CommonFault } from "../../aws/fault.ts";
import type { Context, Input, Output } from "../../aws/operations.ts";
import { StorageError, type Entry } from "../../store/storage.ts";
import { existingBucket, invalidBucketName, isBucketName } from "./bucket-lookup.ts";
import { pageSize } from "./description.ts";
import { busy, invalidArgument, noSuchBucket, notImplementedHeader } from "./faults.ts";
import {
  bucketArn,
  bucketKey,
  OBJECT,
  ownerOf,
  rangeOf,
  UPLOAD,
  VERSION,
  type BucketRecord,
  type S3Store,
  type UploadRecord,
} from "./model.ts";
import { BUCKET_TAGS_MAX, checkedTags } from "./tags.ts";

type Client = typeof client;

const BUCKETS_MAX = 10_000;
const TRIES_MAX = 100;
const UPLOADS_PAGE = 100;

const bucketNotEmpty = (name: string) =>
  new CommonFault("BucketNotEmpty", "The bucket you tried to delete is not empty", 409, { BucketName: name });

/** New buckets keep the public out until their owner says otherwise, as AWS's do since April 2023. */
const NO_PUBLIC_ACCESS = { BlockPublicAcls: true, IgnorePublicAcls: true, BlockPublicPolicy: true, RestrictPublicBuckets: true };

/** Where a bucket goes: us-east-1 makes buckets anywhere, every other region only in itself. */
function regionFor(context: Context, constraint: string | undefined): string {
  if (context.region === "us-east-1") {
    if (constraint === "us-east-1" || constraint === "")
      throw new CommonFault("InvalidLocationConstraint", "The specified location-constraint is not valid", 400, {
        LocationConstraint: constraint,
      });
    return constraint === "EU" ? "eu-west-1" : (constraint ?? "us-east-1");
  }
  const region = constraint === "EU" ? "eu-west-1" : constraint;
  if (region !== context.region)
    throw new CommonFault(
      "IllegalLocationConstraintException",
      `The ${region ?? "unspecified"} location constraint is incompatible for the region specific endpoint this request was sent to.`,
      400,
    );
  return region;
}

function checkCreate(input: Input<Client, "CreateBucket">): void {
  if (input.ObjectLockEnabledForBucket === true) throw notImplementedHeader("x-amz-bucket-object-lock-enabled");
  if (input.ObjectOwnership !== undefined && input.ObjectOwnership !== "BucketOwnerEnforced")
    throw notImplementedHeader("x-amz-object-ownership");
  if (input.BucketNamespace !== undefined && input.BucketNamespace !== "global") throw notImplementedHeader("x-amz-bucket-namespace");
  const { Location, Bucket } = input.CreateBucketConfiguration ?? {};
  if (Location !== undefined || Bucket !== undefined)
    throw new CommonFault("NotImplemented", "Directory buckets are not implemented.", 501);
}

/** Outside of us-east-1 a bucket can't be created twice, not even by its owner. */
function existsAlready(context: Context, name: string, { account }: BucketRecord): Output<Client, "CreateBucket"> {
  if (account !== context.account)
    throw new CommonFault(
      "BucketAlreadyExists",
      "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
      409,
      { BucketName: name },
    );
  if (context.region === "us-east-1") return { Location: `/${name}` };
  throw new CommonFault(
    "BucketAlreadyOwnedByYou",
    "Your previous request to create the named bucket succeeded and you already own it.",
    409,
    { BucketName: name },
  );
}

async function createBucket(
  store: S3Store,
  context: Context,
  input: Input<Client, "CreateBucket">,
): Promise<Output<Client, "CreateBucket">> {
  const name = input.Bucket ?? "";
  checkCreate(input);
  if (!isBucketName(name)) throw invalidBucketName(name);
  const configuration = input.CreateBucketConfiguration;
  const region = regionFor(context, configuration?.LocationConstraint);
  const tags = configuration?.Tags === undefined ? undefined : checkedTags(configuration.Tags, BUCKET_TAGS_MAX);
  const existing = store.buckets.get("", "", name);
  if (existing !== undefined) return existsAlready(context, name, existing.value);
  const record: BucketRecord = {
    account: context.account,
    region,
    createdAtMs: store.clock.now(),
    publicAccess: NO_PUBLIC_ACCESS,
    ownership: "BucketOwnerEnforced",
    ...(tags === undefined ? {} : { tags }),
  };
  try {
    await store.records.write([{ key: bucketKey(name), value: record, expect: "absent" }]);
  } catch (cause) {
    const [winner] = await store.meta.get<BucketRecord>([bucketKey(name)]);
    if (cause instanceof StorageError && cause.failure === "Conflict" && winner !== undefined)
      return existsAlready(context, name, winner.value);
    throw cause;
  }
  const Location = context.region === "us-east-1" ? `/${name}` : `${context.endpoint}/${name}`;
  return { Location, BucketArn: bucketArn(name) };
}

/** Applies `change` to the bucket as it is now; throws NoSuchBucket. */
export async function changeBucket(store: S3Store, name: string, change: (bucket: BucketRecord) => BucketRecord): Promise<void> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const [entry] = await store.meta.get<BucketRecord>([bucketKey(name)]);
    if (entry === undefined) throw noSuchBucket(name);
    try {
      await store.records.write([{ key: entry.key, value: change(entry.value), expect: entry.revision }]);
      return;
    } catch (cause) {
      if (!(cause instanceof StorageError && cause.failure === "Conflict")) throw cause;
    }
  }
  throw busy();
}

async function isEmpty(store: S3Store, name: string): Promise<boolean> {
  const kinds = await Promise.all([OBJECT, VERSION].map((kind) => store.meta.list({ ...rangeOf(kind), prefix: `${name}\0`, limit: 1 })));
  return kinds.every((found) => found.length === 0);
}

async function removeUploads(store: S3Store, name: string): Promise<void> {
  for (;;) {
    const uploads = await store.meta.list<UploadRecord>({ ...rangeOf(UPLOAD), prefix: `${name}\0`, limit: UPLOADS_PAGE });
    if (uploads.length === 0) return;
    await store.records.write(uploads.map(({ key }) => ({ key })));
    for (const { value } of uploads) await store.records.removeParts(value.uploadId);
  }
}

/**
 * Every write of an object expects its bucket at one revision and not being deleted. So once the bucket is marked nothing can be added,
 * and what is found then is all there is. `false`: something else has changed the bucket.
 */
async function deleteMarked(store: S3Store, { key, value, revision }: Entry<BucketRecord>): Promise<boolean> {
  try {
    const [marked = revision] = await store.records.write([{ key, value: { ...value, isBeingDeleted: true }, expect: revision }]);
    if (!(await isEmpty(store, key.id))) {
      const { isBeingDeleted: _over, ...kept } = value;
      await store.records.write([{ key, value: kept, expect: marked }]);
      throw bucketNotEmpty(key.id);
    }
    await removeUploads(store, key.id);
    await store.records.write([{ key, expect: marked }]);
    return true;
  } catch (cause) {
    if (cause instanceof StorageError && cause.failure === "Conflict") return false;
    throw cause;
  }
}

async function deleteBucket(store: S3Store, input: Input<Client, "DeleteBucket">): Promise<object> {
  const { name } = existingBucket(store, input);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const [entry] = await store.meta.get<BucketRecord>([bucketKey(name)]);
    if (entry === undefined) throw noSuchBucket(name);
    if (!(await isEmpty(store, name))) throw bucketNotEmpty(name);
    if (await deleteMarked(store, entry)) return {};
  }
  throw busy();
}

/** For the start: a deletion that a crash cut off has not happened. */
export async function unmarkBuckets(store: S3Store): Promise<void> {
  for (const { key, value } of store.buckets.all())
    if (value.isBeingDeleted === true) await changeBucket(store, key.id, ({ isBeingDeleted: _over, ...kept }) => kept);
}

function listBuckets(store: S3Store, context: Context, input: Input<Client, "ListBuckets">): Output<Client, "ListBuckets"> {
  const { Prefix = "", BucketRegion, ContinuationToken } = input;
  if (input.MaxBuckets !== undefined && (input.MaxBuckets < 1 || input.MaxBuckets > BUCKETS_MAX))
    throw invalidArgument(`Argument max-buckets must be an integer between 1 and ${BUCKETS_MAX}`, "max-buckets", input.MaxBuckets);
  const limit = pageSize(input.MaxBuckets, "max-buckets", BUCKETS_MAX);
  const after = ContinuationToken === undefined ? "" : Buffer.from(ContinuationToken, "base64url").toString();
  const found = store.buckets
    .list("", "", { prefix: Prefix, after, limit: Number.POSITIVE_INFINITY })
    .filter(({ value }) => value.account === context.account && (BucketRegion === undefined || value.region === BucketRegion));
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    Buckets: page.map(({ key, value }) => ({
      Name: key.id,
      CreationDate: new Date(value.createdAtMs),
      BucketRegion: value.region,
      BucketArn: bucketArn(key.id),
    })),
    Owner: ownerOf(context.account),
    ...(input.Prefix === undefined ? {} : { Prefix }),
    ...(found.length > limit && last !== undefined ? { ContinuationToken: Buffer.from(last.key.id).toString("base64url") } : {}),
  };
}

export function bucketOperations(store: S3Store) {
  return {
    CreateBucket: (context: Context, input: Input<Client, "CreateBucket">) => createBucket(store, context, input),
    DeleteBucket: (_context: Context, input: Input<Client, "DeleteBucket">) => deleteBucket(store, input),
    ListBuckets: (context: Context, input: Input<Client, "ListBuckets">) => listBuckets(store, context, input),
    HeadBucket(_context: Context, input: Input<Client, "HeadBucket">): Output<Client, "HeadBucket"> {
      const { name, value } = existingBucket(store, input);
      return { BucketRegion: value.region, BucketArn: bucketArn(name), AccessPointAlias: false };
    },
    GetBucketLocation(_context: Context, input: Input<Client, "GetBucketLocation">): Output<Client, "GetBucketLocation"> {
      const { region } = existingBucket(store, input).value;
      // us-east-1 is told by an empty element.
      return region === "us-east-1" ? {} : { LocationConstraint: region as client.BucketLocationConstraint };
    },
  };
}
