// What a receiver does with what it got: DeleteMessage, ChangeMessageVisibility and their batches.
import { MessageNotInflight$, type BatchResultErrorEntry } from "@aws-sdk/client-sqs";
import type * as client from "@aws-sdk/client-sqs";
import { Fault } from "../../aws/fault.ts";
import type { Operations } from "../../aws/operations.ts";
import type { Hiding, Removal } from "../../store/mailboxes.ts";
import { attempted, checkEntries, failedEntry } from "./batch.ts";
import { invalidParameter, invalidValue, missingParameter } from "./faults.ts";
import { existingQueue, type Queue, type SqsParts } from "./model.ts";
import { tokenOf } from "./receipt-handle.ts";
import { checkVisibility, VISIBILITY_SECONDS_MAX } from "./receiving.ts";

/** Deleting what is gone succeeds; in a standard queue so does a handle that is not the last one, without deleting anything. */
function checkRemoval({ isFifo }: Queue, handle: string, removal: Removal): void {
  if (isFifo && (removal === "stale" || removal === "over")) throw invalidValue(handle, "ReceiptHandle", "The receipt handle has expired.");
}

function checkHiding(handle: string, hiding: Hiding): void {
  if (hiding === "gone")
    throw invalidValue(handle, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.");
  if (hiding === "stale") throw new Fault(MessageNotInflight$, "The message referred to isn't in flight.");
  if (hiding === "beyond")
    throw invalidParameter(
      `Value for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [${VISIBILITY_SECONDS_MAX} seconds].`,
    );
}

interface Entry {
  readonly Id: string | undefined;
  readonly ReceiptHandle: string | undefined;
}

/** One call of the store for all entries that are well-formed, and each entry's own answer. */
async function settleAll<E extends Entry, C, A>(
  entries: readonly E[],
  prepare: (entry: E) => C,
  settle: (claims: readonly C[]) => Promise<readonly A[]>,
  check: (handle: string, answer: A) => void,
): Promise<{ Successful: { Id: string }[]; Failed: BatchResultErrorEntry[] }> {
  const prepared = entries.map((entry) => ({ entry, ...attempted(entry.Id ?? "", () => prepare(entry)) }));
  const good = prepared.filter((one) => "value" in one);
  const answers = good.length === 0 ? [] : await settle(good.map(({ value }) => value));
  const Failed = prepared.flatMap((one) => ("failure" in one ? [one.failure] : []));
  const Successful: { Id: string }[] = [];
  for (const [index, { entry }] of good.entries()) {
    const Id = entry.Id ?? "";
    try {
      check(entry.ReceiptHandle ?? "", answers[index] as A);
      Successful.push({ Id });
    } catch (cause) {
      Failed.push(failedEntry(Id, cause));
    }
  }
  return { Successful, Failed };
}

/** An empty list of failures is left out. */
const answered = ({ Successful, Failed }: { Successful: { Id: string }[]; Failed: BatchResultErrorEntry[] }) => ({
  Successful,
  Failed: Failed.length === 0 ? undefined : Failed,
});

const TOTAL_MS = VISIBILITY_SECONDS_MAX * 1000;

export function settling(parts: SqsParts) {
  const { mailboxes } = parts;
  const claimOf = (mailbox: string, handle: string | undefined, seconds: number | undefined) => {
    if (seconds === undefined) throw missingParameter("VisibilityTimeout");
    checkVisibility(seconds);
    return { token: tokenOf(mailbox, handle), visibilityMs: seconds * 1000 };
  };

  return {
    async DeleteMessage(context, { QueueUrl, ReceiptHandle = "" }) {
      const queue = existingQueue(parts, context, QueueUrl);
      const { mailbox } = queue.record;
      const [removal = "gone"] = await mailboxes.remove(mailbox, [tokenOf(mailbox, ReceiptHandle)]);
      checkRemoval(queue, ReceiptHandle, removal);
      return {};
    },

    async DeleteMessageBatch(context, { QueueUrl, Entries = [] }) {
      const queue = existingQueue(parts, context, QueueUrl);
      const { mailbox } = queue.record;
      checkEntries(Entries, "DeleteMessageBatchRequestEntry");
      const result = await settleAll(
        Entries,
        ({ ReceiptHandle }) => tokenOf(mailbox, ReceiptHandle),
        (tokens) => mailboxes.remove(mailbox, tokens),
        (handle, removal) => checkRemoval(queue, handle, removal),
      );
      return answered(result);
    },

    async ChangeMessageVisibility(context, { QueueUrl, ReceiptHandle = "", VisibilityTimeout }) {
      const { mailbox } = existingQueue(parts, context, QueueUrl).record;
      const [hiding = "gone"] = await mailboxes.hide(mailbox, [claimOf(mailbox, ReceiptHandle, VisibilityTimeout)], TOTAL_MS);
      checkHiding(ReceiptHandle, hiding);
      return {};
    },

    async ChangeMessageVisibilityBatch(context, { QueueUrl, Entries = [] }) {
      const { mailbox } = existingQueue(parts, context, QueueUrl).record;
      checkEntries(Entries, "ChangeMessageVisibilityBatchRequestEntry");
      const result = await settleAll(
        Entries,
        ({ ReceiptHandle, VisibilityTimeout }) => claimOf(mailbox, ReceiptHandle, VisibilityTimeout),
        (claims) => mailboxes.hide(mailbox, claims, TOTAL_MS),
        checkHiding,
      );
      return answered(result);
    },
  } satisfies Pick<
    Operations<typeof client>,
    "DeleteMessage" | "DeleteMessageBatch" | "ChangeMessageVisibility" | "ChangeMessageVisibilityBatch"
  >;
}
