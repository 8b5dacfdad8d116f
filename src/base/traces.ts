// Where segments of traces go that this server makes or takes: whoever makes them knows this, and not what keeps them.

/** Takes a segment without waiting, as metrics are taken. */
export interface SegmentRecorder {
  /** One segment document as X-Ray defines it, in JSON; what is not one is dropped. */
  record(place: { readonly account: string; readonly region: string }, document: string): void;
}
