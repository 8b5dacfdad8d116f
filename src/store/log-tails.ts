// Who follows which log group right now: shared by the LogSink drivers.
import type { LogEvent, LogStreamName } from "./log-sink.ts";

type Seen = (stream: string, events: readonly LogEvent[]) => void;

interface LogTails {
  follow(account: string, region: string, group: string, seen: Seen): { stop(): void };
  publish(name: LogStreamName, events: readonly LogEvent[]): void;
}

const keyOf = (account: string, region: string, group: string) => `${account}\0${region}\0${group}`;

export function logTails(): LogTails {
  const followers = new Map<string, Set<Seen>>();
  return {
    follow(account, region, group, seen) {
      const key = keyOf(account, region, group);
      const present = followers.get(key) ?? new Set<Seen>();
      followers.set(key, present.add(seen));
      return {
        stop() {
          present.delete(seen);
          if (present.size === 0 && followers.get(key) === present) followers.delete(key);
        },
      };
    },
    publish(name, events) {
      // The usual case is that nobody follows: then an invoke pays for one lookup in an empty map.
      if (followers.size === 0) return;
      for (const seen of followers.get(keyOf(name.account, name.region, name.group)) ?? []) seen(name.stream, events);
    },
  };
}
