// Deletions and their client tokens: the same request once more is answered as the first one was, although nothing is there any more.
import type { Place } from "./model.ts";

const KEPT_MAX = 1000;

export interface Forgotten {
  has(place: Place, what: string, token: string | undefined): boolean;
  add(place: Place, what: string, token: string | undefined): void;
}

/** The last thousand, in memory: a client repeats its request within seconds. */
export function forgotten(): Forgotten {
  const kept = new Set<string>();
  const idOf = ({ account, region }: Place, what: string, token: string) => `${account}/${region}/${what}/${token}`;
  return {
    has: (place, what, token) => token !== undefined && kept.has(idOf(place, what, token)),
    add(place, what, token) {
      if (token === undefined) return;
      kept.add(idOf(place, what, token));
      const [oldest] = kept;
      if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
    },
  };
}
