// What clients wanted and what they were told, in a file that is synced line by line: the truth that survives every server.
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from "node:fs";

/** `refused`: a client's error, which no crash may cause. */
export type Step = "intent" | "ack" | "refused";

/**
 * `what` and `id` name the thing: `fifo` `a/17` is message 17 of group a. A change of the control plane has its number in `detail`, a refusal
 * its reason.
 */
export interface Line {
  readonly what: string;
  readonly step: Step;
  readonly id: string;
  readonly detail?: string | number;
}

export interface Ledger {
  write(what: string, step: Step, id: string, detail?: string | number): void;
  close(): void;
}

export function openLedger(path: string): Ledger {
  const file = openSync(path, "a", 0o600);
  return {
    write(what, step, id, detail) {
      writeSync(file, `${JSON.stringify({ what, step, id, ...(detail === undefined ? {} : { detail }) } satisfies Line)}\n`);
      fdatasyncSync(file);
    },
    close: () => closeSync(file),
  };
}

export function readLedger(path: string): readonly Line[] {
  const text = readFileSync(path, "utf8").trimEnd();
  return text === "" ? [] : text.split("\n").map((line) => JSON.parse(line) as Line);
}

/** How many clients were told yes. */
export const acknowledgedIn = (lines: readonly Line[]) => lines.filter(({ step }) => step === "ack").length;
