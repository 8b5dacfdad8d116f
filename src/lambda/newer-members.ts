// Members of functions that a newer API than this version's has: kept and returned as they came, so that tools see what they sent; no effect.
import { OTHERS, type WithOthers } from "../aws/others.ts";
import { invalidParameter } from "./faults.ts";

export type NewerMembers = Readonly<Record<string, unknown>>;

/** Operations that keep them; all others refuse them. */
export const KEEPING_OPERATIONS: ReadonlySet<string> = new Set(["CreateFunction", "UpdateFunctionConfiguration"]);

const BYTES_MAX = 4096;

/** What is not given stays as it is. Undefined when there are none. */
export function newerMembersOf({ [OTHERS]: given }: WithOthers, before: NewerMembers | undefined): NewerMembers | undefined {
  if (given === undefined) return before;
  const merged = { ...before, ...given };
  if (Buffer.byteLength(JSON.stringify(merged)) > BYTES_MAX)
    throw invalidParameter(
      `Lambent does not know ${Object.keys(given).join(", ")}, and keeps at most ${BYTES_MAX} bytes of such members. See docs/compatibility.md.`,
    );
  return merged;
}
