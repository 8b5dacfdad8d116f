// Random choices that are the same again for the same seed.

export interface SeededRandom {
  /** From 0 to 1. */
  next(): number;
  /** A whole number from 0 on. */
  below(limit: number): number;
  chance(share: number): boolean;
  of<T>(all: readonly T[]): T | undefined;
}

/** mulberry32. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return { next, below, chance: (share) => next() < share, of: (all) => all[below(all.length)] };
}
