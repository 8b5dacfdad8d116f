// What a call in the database's thread can fail with, besides faults of the store: a refusal that the interface promises, or damage.
import type { StorageFailure } from "../storage.ts";

export class Refusal extends Error {
  readonly failure: StorageFailure;
  constructor(failure: StorageFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

/** A row that is not what was written: the store serves nothing more. */
export class Damage extends Error {}
