// Waits for event.ms milliseconds, then tells how much time is left.
import { setTimeout as delay } from "node:timers/promises";

export const handler = async ({ ms }, context) => {
  await delay(ms);
  return { leftMs: context.getRemainingTimeInMillis() };
};
