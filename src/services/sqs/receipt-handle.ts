// Receipt handles: opaque to clients, they name the mailbox and the claim.
import { invalidHandle, missingParameter } from "./faults.ts";

const FORM = /^([\w-]{1,64})\/(\d{1,16}\.[0-9a-f-]{36})$/;

export const handleOf = (mailbox: string, token: string): string => Buffer.from(`${mailbox}/${token}`).toString("base64");

/** The claim's token. Throws ReceiptHandleIsInvalid for handles that this mailbox has not given. */
export function tokenOf(mailbox: string, handle: string | undefined): string {
  if (handle === undefined || handle === "") throw missingParameter("ReceiptHandle");
  const [, of, token] = FORM.exec(Buffer.from(handle, "base64").toString("latin1")) ?? [];
  if (token === undefined || of !== mailbox || handleOf(mailbox, token) !== handle) throw invalidHandle(handle);
  return token;
}
