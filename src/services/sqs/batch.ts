// Batches: what a list of entries must be like as a whole, and the answer in which some succeed and some fail.
import {
  BatchEntryIdsNotDistinct$,
  EmptyBatchRequest$,
  InvalidBatchEntryId$,
  TooManyEntriesInBatchRequest$,
  type BatchResultErrorEntry,
} from "@aws-sdk/client-sqs";
import { queryCodeOf } from "../../aws/common-faults.ts";
import { Fault } from "../../aws/fault.ts";
import { knownFault } from "../../aws/wire-fault.ts";

const ENTRIES_MAX = 10;
const ID = /^[\w-]{1,80}$/;

/** Throws for what makes the whole batch invalid. */
export function checkEntries(entries: readonly { Id: string | undefined }[] | undefined, member: string): void {
  if (entries === undefined || entries.length === 0)
    throw new Fault(EmptyBatchRequest$, `There should be at least one ${member} in the request.`);
  if (entries.length > ENTRIES_MAX)
    throw new Fault(
      TooManyEntriesInBatchRequest$,
      `Maximum number of entries per request are ${ENTRIES_MAX}. You have sent ${entries.length}.`,
    );
  const seen = new Set<string>();
  for (const { Id = "" } of entries) {
    if (!ID.test(Id))
      throw new Fault(
        InvalidBatchEntryId$,
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
      );
    if (seen.has(Id)) throw new Fault(BatchEntryIdsNotDistinct$, `Id ${Id} repeated.`);
    seen.add(Id);
  }
}

/** A fault as one entry's failure; anything else goes on being thrown. */
export function failedEntry(id: string, cause: unknown): BatchResultErrorEntry {
  const fault = knownFault(cause);
  if (fault === undefined) throw cause;
  return { Id: id, SenderFault: fault.status < 500, Code: queryCodeOf(fault), Message: fault.message };
}

/** The value, or the failure in its place. */
export function attempted<T>(id: string, make: () => T): { readonly value: T } | { readonly failure: BatchResultErrorEntry } {
  try {
    return { value: make() };
  } catch (cause) {
    return { failure: failedEntry(id, cause) };
  }
}
