// Tags and ACLs of objects: settings that change without a new version.
import type * as client from "@aws-sdk/client-s3";
import type { Context, Input, Output } from "../../aws/operations.ts";
import type { Tag } from "@aws-sdk/client-s3";
import { StorageError } from "../../store/storage.ts";
import { existingBucket } from "./bucket-lookup.ts";
import { aclsNotSupported, busy, methodNotAllowed, noSuchKey, noSuchVersion } from "./faults.ts";
import { isDeleteMarker, ownerOf, type S3Store } from "./model.ts";
import { deliveriesOf } from "./object-events.ts";
import { findObject, versionMember } from "./objects.ts";
import { checkedTags, OBJECT_TAGS_MAX } from "./tags.ts";
import { find } from "./versions.ts";

type Client = typeof client;
type Named = {
  readonly Bucket?: string | undefined;
  readonly Key?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly ExpectedBucketOwner?: string | undefined;
};

const TRIES_MAX = 100;

async function setTags(
  store: S3Store,
  context: Context,
  input: Named,
  tags: readonly Tag[],
  event: "Put" | "Delete",
): Promise<{ VersionId?: string }> {
  const key = input.Key ?? "";
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const bucket = existingBucket(store, input);
    const { name } = bucket;
    const found = await find(store, name, key, input.VersionId);
    if ("hiddenBy" in found) throw input.VersionId === undefined ? noSuchKey(key) : noSuchVersion(key, input.VersionId);
    const { entry } = found;
    if (isDeleteMarker(entry.value)) throw methodNotAllowed("PUT", "DeleteMarker");
    const { etag, versionId } = entry.value;
    const told = { name: `ObjectTagging:${event}`, key, etag, versionId } as const;
    const messages = store.deliveries.messagesOf(deliveriesOf(context, bucket, told, store.clock.now()));
    try {
      const unchanged = { key: bucket.key, expect: bucket.revision, keep: true } as const;
      await store.records.write([unchanged, { key: entry.key, value: { ...entry.value, tags }, expect: entry.revision }], messages);
      store.deliveries.wake(messages);
      return versionMember(store, name, entry.value.versionId);
    } catch (cause) {
      if (!(cause instanceof StorageError && cause.failure === "Conflict")) throw cause;
    }
  }
  throw busy();
}

export function objectTags(store: S3Store) {
  const existing = (context: Context, input: Named) => {
    const { name } = existingBucket(store, input);
    return findObject(store, { Bucket: name, Key: input.Key ?? "", VersionId: input.VersionId }, context, "GET");
  };
  return {
    async GetObjectTagging(context: Context, input: Input<Client, "GetObjectTagging">): Promise<Output<Client, "GetObjectTagging">> {
      const { tags, versionId } = await existing(context, input);
      return { TagSet: [...tags], ...versionMember(store, input.Bucket ?? "", versionId) };
    },
    PutObjectTagging: (context: Context, input: Input<Client, "PutObjectTagging">) =>
      setTags(store, context, input, checkedTags(input.Tagging?.TagSet, OBJECT_TAGS_MAX), "Put"),
    DeleteObjectTagging: (context: Context, input: Input<Client, "DeleteObjectTagging">) => setTags(store, context, input, [], "Delete"),
    async GetObjectAcl(context: Context, input: Input<Client, "GetObjectAcl">): Promise<Output<Client, "GetObjectAcl">> {
      const owner = ownerOf(existingBucket(store, input).value.account);
      await existing(context, input);
      return { Owner: owner, Grants: [{ Grantee: { ...owner, Type: "CanonicalUser" }, Permission: "FULL_CONTROL" }] };
    },
    async PutObjectAcl(context: Context, input: Input<Client, "PutObjectAcl">): Promise<Output<Client, "PutObjectAcl">> {
      await existing(context, input);
      if (input.AccessControlPolicy !== undefined) throw aclsNotSupported();
      return {};
    },
  };
}
