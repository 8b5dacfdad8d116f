// Finding and changing the records of functions.
import type { Context } from "../aws/operations.ts";
import { StorageError } from "../store/storage.ts";
import { conflict, notFound, revisionMismatch } from "./faults.ts";
import { isPending, isUpdating, type FunctionEntry, type FunctionRecord, type Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";

export interface Found {
  readonly reference: FunctionReference;
  readonly entry: FunctionEntry;
}

/** The function that a name means; versions and aliases other than `$LATEST` are not there yet, so they are not found. */
export function findVersion(
  lambda: Pick<Lambda, "functions">,
  context: Pick<Context, "account" | "region">,
  name: string,
  qualifier?: string,
): Found {
  const reference = functionReference(context, name, qualifier);
  const entry = lambda.functions.get(reference.account, reference.region, reference.name);
  const isThere = reference.qualifier === undefined || reference.qualifier === "$LATEST";
  if (entry === undefined || !isThere) throw notFound(`Function not found: ${functionArn(reference)}`);
  return { reference, entry };
}

/** The same for operations on the function itself: they ignore a `$LATEST` and know no other qualifier. */
export function findFunction(lambda: Lambda, context: Context, name: string): Found {
  const { reference, entry } = findVersion(lambda, context, name);
  const { qualifier: _latest, ...unqualified } = reference;
  return { reference: unqualified, entry };
}

const updateInProgress = (reference: FunctionReference) =>
  conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${functionArn(reference)}`);

/** Throws when the function is being made or updated, or is no longer what the caller thinks. */
export function assertChangeable({ reference, entry }: Found, expectedRevisionId?: string): void {
  if (isPending(entry.value))
    throw conflict(
      `The operation cannot be performed at this time. The resource ${functionArn(reference)} is currently in the following state: 'Pending'. StateReasonCode: 'Creating'`,
    );
  if (isUpdating(entry.value)) throw updateInProgress(reference);
  if (expectedRevisionId !== undefined && expectedRevisionId !== entry.value.revisionId) throw revisionMismatch();
}

/** Replaces the record that was found; somebody else's change since then is a conflict that the caller may try again. */
export async function changeFunction(lambda: Lambda, { reference, entry }: Found, record: FunctionRecord): Promise<void> {
  try {
    await lambda.meta.write([{ key: entry.key, value: record, expect: entry.revision }]);
  } catch (error) {
    if (error instanceof StorageError && error.failure === "Conflict") throw updateInProgress(reference);
    throw error;
  }
  if (isUpdating(record)) lambda.complete(entry.key);
}
