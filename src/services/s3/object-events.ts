// What S3 tells of a change of an object: one event for each configuration that wants it and one for the event bus, in AWS's shapes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
import type { Caller } from "../../aws/identity.ts";
import type { Context } from "../../aws/operations.ts";
import { requestId } from "../../base/id.ts";
import type { Delivery } from "../../deliveries.ts";
import { hostId } from "../../aws/rest-xml.ts";
import type { Entry } from "../../store/storage.ts";
import { bucketArn, ownerOf, type BucketRecord, type Effects, type Notification, type OwnEvent, type S3Store } from "./model.ts";

export type ObjectEventName =
  | "ObjectCreated:Put"
  | "ObjectCreated:Copy"
  | "ObjectCreated:CompleteMultipartUpload"
  | "ObjectRemoved:Delete"
  | "ObjectRemoved:DeleteMarkerCreated"
  | "ObjectTagging:Put"
  | "ObjectTagging:Delete";

export interface ObjectEvent {
  readonly name: ObjectEventName;
  readonly key: string;
  readonly bytes?: number;
  readonly etag?: string;
  /** `null` is none. */
  readonly versionId?: string;
  /** Rises with each change of the key; absent where the event has none. */
  readonly sequence?: number;
}

/** MD5 of nothing. */
const EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e";
export const DELETE_MARKER = { name: "ObjectRemoved:DeleteMarkerCreated", etag: EMPTY_ETAG } as const;

/** As a form encodes it, but for the slashes. */
const encodedKey = (key: string): string =>
  encodeURIComponent(key)
    .replaceAll("%20", "+")
    .replaceAll("%2F", "/")
    .replaceAll(/[!'()~]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

/** `s3:ObjectCreated:*` covers all that begin so. */
export const covers = (pattern: string, name: string): boolean =>
  pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;

function isWanted({ events, prefix = "", suffix = "" }: Notification, { name, key }: ObjectEvent): boolean {
  return key.startsWith(prefix) && key.endsWith(suffix) && events.some((pattern) => covers(pattern, `s3:${name}`));
}

/** For the transaction that changes the object. */
export function effectsOf(store: S3Store, context: Context, bucket: Entry<BucketRecord>, event: ObjectEvent): Effects {
  const messages = store.deliveries.messagesOf(deliveriesOf(context, bucket, event, store.clock.now()));
  if (bucket.value.tellsEventBus !== true) return { messages, writes: [] };
  const onBus = store.onDefaultBus(busEvent(context, bucket, event));
  return { messages: [...messages, ...onBus.messages], writes: onBus.writes };
}

function deliveriesOf(context: Context, bucket: Entry<BucketRecord>, event: ObjectEvent, nowMs: number): Delivery[] {
  const wanted = (bucket.value.notifications ?? []).filter((one) => isWanted(one, event));
  return wanted.map(({ id, target }) => ({
    target,
    event: Buffer.from(JSON.stringify({ Records: [record(context, bucket, event, id, nowMs)] })),
    context: deliveryContext(context, bucket),
  }));
}

/** S3 itself sends, for the bucket; who may receive is for the target's policy to say. */
export const deliveryContext = ({ traceHeader }: Context, { key, value }: Entry<BucketRecord>): Delivery["context"] => ({
  id: requestId(),
  account: value.account,
  region: value.region,
  sourceArn: bucketArn(key.id),
  sender: { principal: "s3.amazonaws.com" },
  subject: "Amazon S3 Notification",
  // So that a function which writes into the bucket that calls it is recognised as a loop.
  ...(traceHeader === undefined ? {} : { traceHeader }),
});

const sequencerOf = (sequence: number) => sequence.toString(16).toUpperCase().padStart(18, "0");

function record(context: Context, { key: bucket, value }: Entry<BucketRecord>, event: ObjectEvent, configurationId: string, nowMs: number) {
  const { name, key, bytes, etag, versionId, sequence } = event;
  return {
    eventVersion: name.startsWith("ObjectTagging") ? "2.3" : "2.1",
    eventSource: "aws:s3",
    awsRegion: value.region,
    eventTime: new Date(nowMs).toISOString(),
    eventName: name,
    userIdentity: { principalId: context.caller.kind === "anonymous" ? "Anonymous" : `AWS:${context.caller.userId}` },
    requestParameters: { sourceIPAddress: context.sourceIp ?? "127.0.0.1" },
    responseElements: { "x-amz-request-id": context.requestId, "x-amz-id-2": hostId(context.requestId) },
    s3: {
      s3SchemaVersion: "1.0",
      configurationId,
      bucket: { name: bucket.id, ownerIdentity: { principalId: ownerOf(value.account).ID }, arn: bucketArn(bucket.id) },
      object: {
        key: encodedKey(key),
        ...(bytes === undefined ? {} : { size: bytes }),
        ...(etag === undefined ? {} : { eTag: etag }),
        ...(versionId === undefined || versionId === "null" ? {} : { versionId }),
        ...(sequence === undefined ? {} : { sequencer: sequencerOf(sequence) }),
      },
    },
  };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html */
const ON_BUS: Readonly<Record<ObjectEventName, { readonly detailType: string; readonly reason?: string; readonly deletion?: string }>> = {
  "ObjectCreated:Put": { detailType: "Object Created", reason: "PutObject" },
  "ObjectCreated:Copy": { detailType: "Object Created", reason: "CopyObject" },
  "ObjectCreated:CompleteMultipartUpload": { detailType: "Object Created", reason: "CompleteMultipartUpload" },
  "ObjectRemoved:Delete": { detailType: "Object Deleted", reason: "DeleteObject", deletion: "Permanently Deleted" },
  "ObjectRemoved:DeleteMarkerCreated": { detailType: "Object Deleted", reason: "DeleteObject", deletion: "Delete Marker Created" },
  "ObjectTagging:Put": { detailType: "Object Tags Added" },
  "ObjectTagging:Delete": { detailType: "Object Tags Deleted" },
};

/** An account, or the service that acts for itself. */
function requesterOf({ kind, account, arn }: Caller): string {
  if (kind === "anonymous") return "Anonymous";
  return kind === "service" ? arn : account;
}

function busEvent(
  { caller, requestId: id, sourceIp = "127.0.0.1" }: Context,
  { key, value }: Entry<BucketRecord>,
  event: ObjectEvent,
): OwnEvent {
  const { detailType, reason, deletion } = ON_BUS[event.name];
  const { bytes: size, etag, versionId, sequence } = event;
  const detail = {
    version: "0",
    bucket: { name: key.id },
    // JSON leaves out what is undefined.
    object: {
      key: event.key,
      size,
      etag,
      "version-id": versionId === "null" ? undefined : versionId,
      sequencer: sequence === undefined ? undefined : sequencerOf(sequence),
    },
    "request-id": id,
    requester: requesterOf(caller),
    "source-ip-address": sourceIp,
    reason,
    "deletion-type": deletion,
  };
  const { account, region } = value;
  return { account, region, source: "aws.s3", detailType, resources: [bucketArn(key.id)], detail: JSON.stringify(detail) };
}
