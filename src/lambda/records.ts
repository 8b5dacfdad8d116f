// Finding and changing the records of functions.
import type { Context } from "../aws/operations.ts";
import { StorageError, type Entry, type Write } from "../store/storage.ts";
import { aliasOf } from "./alias-records.ts";
import { conflict, notFound, revisionMismatch } from "./faults.ts";
import { isPending, isUpdating, type FunctionEntry, type FunctionRecord, type Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";
import { versionOf, type VersionEntry } from "./version-records.ts";

interface Found {
  readonly reference: FunctionReference;
  readonly entry: FunctionEntry;
}

export interface FoundVersion extends Found {
  /** Absent: `$LATEST`. */
  readonly version?: VersionEntry;
}

type Records = Pick<Lambda, "functions" | "versions" | "aliases">;

/** What a name means: `$LATEST`, a version, or the version that an alias points to (the first of two). */
export function findVersion(lambda: Records, context: Pick<Context, "account" | "region">, name: string, qualifier?: string): FoundVersion {
  const reference = functionReference(context, name, qualifier);
  const entry = lambda.functions.get(reference.account, reference.region, reference.name);
  const { qualifier: given = "$LATEST" } = reference;
  const wanted = aliasOf(lambda, reference, given)?.value.FunctionVersion ?? given;
  const version = versionOf(lambda, reference, wanted);
  if (entry === undefined || (version === undefined && wanted !== "$LATEST"))
    throw notFound(`Function not found: ${functionArn(reference)}`);
  return { reference, entry, ...(version === undefined ? {} : { version }) };
}

/** What is named: the function, the version, and the alias that points to it. */
export function entriesOf(lambda: Records, { reference, entry, version }: FoundVersion): readonly Entry[] {
  const alias = reference.qualifier === undefined ? undefined : aliasOf(lambda, reference, reference.qualifier);
  return [entry, version, alias].filter((one) => one !== undefined);
}

/** Others who want it to stay are not in the way. */
export const stillThere = ({ key, revision }: Entry): Write => ({ key, keep: true, expect: revision });

/** For operations on the function itself: they ignore a `$LATEST` and know no other qualifier. */
export function findFunction(lambda: Lambda, context: Context, name: string): Found {
  const { qualifier, ...reference } = functionReference(context, name);
  const entry = lambda.functions.get(reference.account, reference.region, reference.name);
  const isFunction = qualifier === undefined || qualifier === "$LATEST";
  if (entry === undefined || !isFunction)
    throw notFound(`Function not found: ${functionArn(qualifier === undefined ? reference : { ...reference, qualifier })}`);
  return { reference, entry };
}

const updateInProgress = (arn: string) =>
  conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${arn}`);

const isConflict = (error: unknown) => error instanceof StorageError && error.failure === "Conflict";
/** Enough for many who change the same thing at once. */
const TRIES_MAX = 100;

/** Does the work anew when somebody else has changed in between what it read: nobody's change is lost. */
export async function retryConflicts<T>(arn: string, work: () => Promise<T>): Promise<T> {
  for (let tries = 0; tries < TRIES_MAX; tries++)
    try {
      return await work();
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  throw updateInProgress(arn);
}

/** Throws when the function is being made or updated, or is no longer what the caller thinks. */
export function assertChangeable({ reference, entry }: Found, expectedRevisionId?: string): void {
  if (isPending(entry.value))
    throw conflict(
      `The operation cannot be performed at this time. The resource ${functionArn(reference)} is currently in the following state: 'Pending'. StateReasonCode: 'Creating'`,
    );
  if (isUpdating(entry.value)) throw updateInProgress(functionArn(reference));
  if (expectedRevisionId !== undefined && expectedRevisionId !== entry.value.revisionId) throw revisionMismatch();
}

/**
 * Writes what belongs to other records while those are there, so that none is left behind by what is being deleted; their other changes
 * don't matter. `find` gives them, the function first, and throws when they are gone.
 */
export async function writeBeside(lambda: Pick<Lambda, "meta">, write: Write, find: () => readonly Entry[]): Promise<void> {
  const { account, region } = write.key;
  await retryConflicts(functionArn({ account, region, name: find()[0]?.key.id ?? "" }), async () => {
    await lambda.meta.write([write, ...find().map(stillThere)]);
  });
}

/**
 * Replaces the record that was found, together with `more`; somebody else's change since then is a conflict that the caller may try
 * again.
 */
export async function changeFunction(
  lambda: Lambda,
  { reference, entry }: Found,
  record: FunctionRecord,
  more: readonly Write[] = [],
): Promise<void> {
  try {
    await lambda.meta.write([{ key: entry.key, value: record, expect: entry.revision }, ...more]);
  } catch (error) {
    if (isConflict(error)) throw updateInProgress(functionArn(reference));
    throw error;
  }
  if (isUpdating(record)) lambda.complete(entry.key);
}
