// How many bytes of request bodies the server holds at a time, over all connections: beyond it requests are refused, to be tried again.
import { CommonFault } from "./fault.ts";

/** What one request holds. */
export interface HeldBytes {
  /** Throws CommonFault 503 when there is no room for so many more. */
  take(bytes: number): void;
  release(): void;
}

interface BodyBudget {
  hold(): HeldBytes;
}

const busy = () =>
  new CommonFault("ServiceUnavailableException", "The server is receiving too many requests with large bodies. Please try again.", 503);

export function bodyBudget(bytesMax: number): BodyBudget {
  let total = 0;
  return {
    hold() {
      let held = 0;
      return {
        take(bytes) {
          if (total + bytes > bytesMax) throw busy();
          total += bytes;
          held += bytes;
        },
        release() {
          total -= held;
          held = 0;
        },
      };
    },
  };
}
