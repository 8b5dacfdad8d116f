// What S3 tells of a change of an object: one event for each configuration that wants it, in the shape that AWS gives it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
import type { Context } from "../../aws/operations.ts";
import { requestId } from "../../base/id.ts";
import type { Delivery } from "../../deliveries.ts";
import { hostId } from "../../aws/rest-xml.ts";
import type { Entry } from "../../store/storage.ts";
import { bucketArn, ownerOf, type BucketRecord, type Notification } from "./model.ts";

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

/** To be enqueued in the transaction that changes the object. */
export function deliveriesOf(context: Context, bucket: Entry<BucketRecord>, event: ObjectEvent, nowMs: number): Delivery[] {
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
  // So that a function which writes into the bucket that calls it is recognised as a loop.
  ...(traceHeader === undefined ? {} : { traceHeader }),
});

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
        ...(sequence === undefined ? {} : { sequencer: sequence.toString(16).toUpperCase().padStart(18, "0") }),
      },
    },
  };
}
