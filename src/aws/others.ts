// Members of a structure that the model does not have: a client of a newer API sent them. What an operation keeps of them it returns the same way.

export const OTHERS: unique symbol = Symbol("members that the model does not have");

/** By name; values are JSON as it came. */
export interface WithOthers {
  readonly [OTHERS]?: Readonly<Record<string, unknown>>;
}
