// The versions of a key: finding one, putting a new one on top, deleting one. Every change is one transaction.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
import type { Context } from "../../aws/operations.ts";
import { StorageError, type Entry, type Key, type Write } from "../../store/storage.ts";
import { uploadIdOf } from "./content.ts";
import { busy, invalidArgument, noSuchBucket, operationAborted } from "./faults.ts";
import {
  bucketKey,
  headKey,
  isDeleteMarker,
  newVersionId,
  nextSequence,
  objectKey,
  rangeOf,
  sequenceOf,
  VERSION,
  versionKey,
  wholeSeconds,
  type BucketRecord,
  type Content,
  type DeleteMarkerRecord,
  type HeadRecord,
  type ObjectRecord,
  type S3Store,
  type VersionRecord,
} from "./model.ts";
import { DELETE_MARKER, effectsOf, type ObjectEvent, type ObjectEventName } from "./object-events.ts";

/** Each try loses only to another change of the same key, so this many changes at once get through. */
const TRIES_MAX = 500;

/** A key as it is now. */
export interface KeyState {
  readonly bucketName: string;
  readonly key: string;
  readonly bucket: Entry<BucketRecord>;
  /** What GET without a version id finds. */
  readonly live: Entry<ObjectRecord> | undefined;
  readonly head: Entry<HeadRecord> | undefined;
}

interface KeyChange<R> {
  readonly writes: readonly Write[];
  /** Content that no record refers to any more. */
  readonly dropped: readonly Content[];
  readonly result: R;
  /** What notifications tell of it. */
  readonly event: Omit<ObjectEvent, "key">;
}

async function stateOf(store: S3Store, bucketName: string, key: string): Promise<KeyState> {
  const keys: Key[] = [bucketKey(bucketName), objectKey(bucketName, key), headKey(bucketName, key)];
  const [bucket, live, head] = await store.meta.get<unknown>(keys);
  if (bucket === undefined) throw noSuchBucket(bucketName);
  return {
    bucketName,
    key,
    bucket: bucket as Entry<BucketRecord>,
    live: live as Entry<ObjectRecord> | undefined,
    head: head as Entry<HeadRecord> | undefined,
  };
}

/** Applies what `plan` makes of the key's state; plans again when something else has changed it meanwhile. */
export async function changeKey<R>(
  store: S3Store,
  context: Context,
  bucketName: string,
  key: string,
  plan: (state: KeyState) => KeyChange<R> | Promise<KeyChange<R>>,
): Promise<R> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const state = await stateOf(store, bucketName, key);
    if (state.bucket.value.isBeingDeleted === true) throw operationAborted();
    const { writes, dropped, result, event } = await plan(state);
    const { bucket } = state;
    const told = effectsOf(store, context, bucket, { ...event, key });
    try {
      // The bucket must still be there, with the same versioning and notifications.
      if (writes.length + told.messages.length + told.writes.length > 0)
        await store.records.write([{ key: bucket.key, expect: bucket.revision, keep: true }, ...writes, ...told.writes], told.messages);
    } catch (cause) {
      if (cause instanceof StorageError && cause.failure === "Conflict") continue;
      throw cause;
    }
    store.deliveries.wake(told.messages);
    for (const content of dropped) {
      const uploadId = uploadIdOf(content);
      if (uploadId !== undefined) await store.records.removeParts(uploadId);
    }
    return result;
  }
  throw busy();
}

const expectOf = (entry: Entry | undefined) => entry?.revision ?? ("absent" as const);

/** The new state of the key's head; `undefined` removes it. */
function headWrite(state: KeyState, head: HeadRecord | undefined): Write {
  const write = { key: headKey(state.bucketName, state.key), expect: expectOf(state.head) };
  return head === undefined ? write : { ...write, value: head };
}

const sequenceAfter = (store: S3Store, { live, head }: KeyState) =>
  nextSequence(store.clock.now(), Math.max(live?.value.sequence ?? 0, head?.value.sequence ?? 0));

const newHead = (sequence: number, nullSequence: number | undefined): HeadRecord =>
  nullSequence === undefined ? { sequence } : { sequence, nullSequence };

const contentOf = (record: VersionRecord | undefined): readonly Content[] =>
  record === undefined || isDeleteMarker(record) ? [] : [record.content];

/** Takes the live object off the top: among the versions, or away where a new `null` version replaces it. */
async function displace(
  store: S3Store,
  state: KeyState,
): Promise<{ writes: Write[]; dropped: Content[]; nullSequence: number | undefined }> {
  const { bucketName, key, bucket, live, head } = state;
  const replacesNull = bucket.value.versioning !== "Enabled";
  const nullSequence = head?.value.nullSequence;
  const writes: Write[] = [];
  const dropped: Content[] = [];
  if (live !== undefined && replacesNull && live.value.versionId === "null") dropped.push(live.value.content);
  else if (live !== undefined) writes.push({ key: versionKey(bucketName, key, live.value.sequence), value: live.value, expect: "absent" });
  if (replacesNull && nullSequence !== undefined) {
    const at = versionKey(bucketName, key, nullSequence);
    const [replaced] = await store.meta.get<VersionRecord>([at]);
    writes.push({ key: at });
    dropped.push(...contentOf(replaced?.value));
    return { writes, dropped, nullSequence: undefined };
  }
  const isNullBelow = live?.value.versionId === "null" && !replacesNull;
  return { writes, dropped, nullSequence: isNullBelow ? live.value.sequence : nullSequence };
}

export type NewObject = Omit<ObjectRecord, "versionId" | "sequence" | "modifiedAtMs">;

/** The object becomes the live version of its key. */
export async function put(store: S3Store, state: KeyState, object: NewObject, name: ObjectEventName): Promise<KeyChange<ObjectRecord>> {
  const { bucketName, key, bucket, live } = state;
  const { versioning } = bucket.value;
  const sequence = sequenceAfter(store, state);
  const versionId = versioning === "Enabled" ? newVersionId(sequence) : "null";
  const result: ObjectRecord = { ...object, versionId, sequence, modifiedAtMs: wholeSeconds(store.clock.now()) };
  const { writes, dropped, nullSequence } = await displace(store, state);
  writes.push({ key: objectKey(bucketName, key), value: result, expect: expectOf(live) });
  if (versioning !== undefined) writes.push(headWrite(state, newHead(sequence, nullSequence)));
  const event = { name, bytes: object.bytes, etag: object.etag, versionId, sequence };
  return { writes, dropped, result, event };
}

interface Deleted {
  readonly isDeleteMarker: boolean;
  /** Absent where the bucket has never had versions. */
  readonly versionId?: string;
}

/** DELETE without a version id: the object goes, or a delete marker comes on top of it. */
export async function remove(store: S3Store, state: KeyState): Promise<KeyChange<Deleted>> {
  const { bucketName, key, bucket, live } = state;
  const { versioning } = bucket.value;
  const object = { key: objectKey(bucketName, key), expect: expectOf(live) };
  const sequence = sequenceAfter(store, state);
  if (versioning === undefined) {
    const event = { name: "ObjectRemoved:Delete", sequence } as const;
    const [writes, dropped] = live === undefined ? [[], []] : [[object], [live.value.content]];
    return { writes, dropped, result: { isDeleteMarker: false }, event };
  }
  const isNull = versioning === "Suspended";
  const versionId = isNull ? "null" : newVersionId(sequence);
  const marker: DeleteMarkerRecord = { isDeleteMarker: true, versionId, sequence, modifiedAtMs: wholeSeconds(store.clock.now()) };
  const { writes, dropped, nullSequence } = await displace(store, state);
  if (live === undefined) writes.push({ ...object, keep: true });
  else writes.push(object);
  writes.push({ key: versionKey(bucketName, key, sequence), value: marker });
  writes.push(headWrite(state, newHead(sequence, isNull ? sequence : nullSequence)));
  return { writes, dropped, result: { isDeleteMarker: true, versionId }, event: { ...DELETE_MARKER, versionId, sequence } };
}

/** The version under an id among those that are not live. */
async function olderVersion(store: S3Store, state: KeyState, versionId: string): Promise<Entry<VersionRecord> | undefined> {
  const sequence = versionId === "null" ? state.head?.value.nullSequence : sequenceOf(versionId);
  if (sequence === undefined) return undefined;
  const [found] = await store.meta.get<VersionRecord>([versionKey(state.bucketName, state.key, sequence)]);
  return found?.value.versionId === versionId ? found : undefined;
}

/** Newest first. */
const newest = (store: S3Store, { bucketName, key }: KeyState, limit: number) =>
  store.meta.list<VersionRecord>({ ...rangeOf(VERSION), prefix: `${bucketName}\0${key}\0`, limit });

/** What is live when the version above `next` has gone: `next`, which leaves the others, unless it is a delete marker. */
function succeed({ bucketName, key, live }: KeyState, next: Entry<VersionRecord> | undefined): Write[] {
  const object = { key: objectKey(bucketName, key), expect: expectOf(live) };
  if (next === undefined || isDeleteMarker(next.value)) return live === undefined ? [] : [object];
  return [
    { key: next.key, expect: next.revision },
    { ...object, value: next.value },
  ];
}

/** DELETE of one version, for good; the newest one left becomes what GET finds. */
export async function removeVersion(store: S3Store, state: KeyState, versionId: string): Promise<KeyChange<Deleted>> {
  const { live, head } = state;
  const event = { name: "ObjectRemoved:Delete", versionId, sequence: sequenceAfter(store, state) } as const;
  if (live?.value.versionId === versionId) {
    const [next] = head === undefined ? [] : await newest(store, state, 1);
    const writes = succeed(state, next);
    if (head !== undefined) writes.push(headWrite(state, next === undefined ? undefined : headAfter(head.value, next)));
    return { writes, dropped: [live.value.content], result: { isDeleteMarker: false, versionId }, event };
  }
  const found = await olderVersion(store, state, versionId);
  // Deleting what is not there succeeds.
  if (found === undefined || head === undefined) return { writes: [], dropped: [], result: { isDeleteMarker: false, versionId }, event };
  const result = { isDeleteMarker: isDeleteMarker(found.value), versionId };
  const writes: Write[] = [{ key: found.key, expect: found.revision }];
  const dropped = contentOf(found.value);
  const [first, second] = await newest(store, state, 2);
  const isTop = live === undefined && first?.key.id === found.key.id;
  if (isTop) writes.push(...succeed(state, second));
  const rest = found.value.versionId === "null" ? newHead(head.value.sequence, undefined) : head.value;
  const isLast = isTop && second === undefined;
  writes.push(headWrite(state, isLast ? undefined : isTop ? headAfter(rest, second) : rest));
  return { writes, dropped, result, event };
}

/** The head when `promoted` may have become live: a live `null` version is not among the others. */
function headAfter(head: HeadRecord, promoted: Entry<VersionRecord> | undefined): HeadRecord {
  const isLiveNull = promoted !== undefined && promoted.value.versionId === "null" && !isDeleteMarker(promoted.value);
  return isLiveNull ? newHead(head.sequence, undefined) : head;
}

/** What a read finds: a version, or where there is none, whether a delete marker hides it. */
type Found = { readonly entry: Entry<VersionRecord> } | { readonly hiddenBy: "nothing" | "delete-marker" };

/** Throws CommonFault for what no version id looks like. */
export function checkVersionId(versionId: string | undefined): void {
  if (versionId !== undefined && versionId !== "null" && sequenceOf(versionId) === undefined)
    throw invalidArgument("Invalid version id specified", "versionId", versionId);
}

export async function find(store: S3Store, bucketName: string, key: string, versionId: string | undefined): Promise<Found> {
  checkVersionId(versionId);
  const state = await stateOf(store, bucketName, key);
  if (versionId === undefined) {
    if (state.live !== undefined) return { entry: state.live };
    return { hiddenBy: state.head === undefined ? "nothing" : "delete-marker" };
  }
  if (state.live?.value.versionId === versionId) return { entry: state.live };
  const entry = await olderVersion(store, state, versionId);
  return entry === undefined ? { hiddenBy: "nothing" } : { entry };
}
