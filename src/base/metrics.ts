// Numbers about what happens, told as it happens: the interface between those who know them and those who keep them.

/** One number over time. Made once and told many times: it is known by its identity. */
export interface Series {
  readonly account: string;
  readonly region: string;
  /** `AWS/Lambda` */
  readonly namespace: string;
  readonly name: string;
  readonly unit: "Count" | "Milliseconds" | "None";
  /** It counts for each of these; `{}` is everything of the account together. */
  readonly dimensions: readonly Readonly<Record<string, string>>[];
}

export interface Recorder {
  /** Takes memory only, never waits and never throws: for the path of an invocation. */
  record(series: Series, value: number): void;
}
