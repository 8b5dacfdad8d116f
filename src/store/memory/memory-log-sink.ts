// The LogSink that forgets: for tests and for servers that keep nothing.
import type { Clock } from "../../base/clock.ts";
import { eventId, orderOf, type LogEvent, type LogQuery, type LogSink, type LogStreamName, type StoredLogEvent } from "../log-sink.ts";
import { logTails } from "../log-tails.ts";

interface Stream {
  readonly createdAtMs: number;
  events: StoredLogEvent[];
}

const groupKey = (account: string, region: string, group: string) => JSON.stringify([account, region, group]);

function isWanted(query: LogQuery, event: StoredLogEvent): boolean {
  if (query.streams !== undefined && !query.streams.includes(event.stream)) return false;
  if (query.streamPrefix !== undefined && !event.stream.startsWith(query.streamPrefix)) return false;
  if (query.fromMs !== undefined && event.timestampMs < query.fromMs) return false;
  if (query.toMs !== undefined && event.timestampMs >= query.toMs) return false;
  if (query.cursor === undefined) return true;
  const order = orderOf(event, query.cursor);
  return query.backwards === true ? order < 0 : order > 0;
}

export function memoryLogSink(options: { clock: Clock }): LogSink {
  const groups = new Map<string, Map<string, Stream>>();
  const tails = logTails();
  let sequence = 0;
  const streamOf = (name: LogStreamName): Stream => {
    const key = groupKey(name.account, name.region, name.group);
    const streams = groups.get(key) ?? new Map<string, Stream>();
    groups.set(key, streams);
    const stream = streams.get(name.stream) ?? { createdAtMs: options.clock.now(), events: [] };
    streams.set(name.stream, stream);
    return stream;
  };
  const streamsOf = (account: string, region: string, group: string) =>
    groups.get(groupKey(account, region, group)) ?? new Map<string, Stream>();
  const append = (name: LogStreamName, events: readonly LogEvent[]) => {
    const stream = streamOf(name);
    for (const event of events)
      stream.events.push({
        ...event,
        stream: name.stream,
        ingestedAtMs: options.clock.now(),
        id: eventId(event.timestampMs, ++sequence),
      });
    tails.publish(name, events);
  };
  return {
    append,
    put: (name, events) => Promise.resolve(append(name, events)),
    flush: () => Promise.resolve(),
    query(query) {
      const all = [...streamsOf(query.account, query.region, query.group).values()].flatMap((stream) => stream.events);
      const wanted = all.filter((event) => isWanted(query, event)).toSorted(orderOf);
      return Promise.resolve(query.backwards === true ? wanted.toReversed().slice(0, query.limit) : wanted.slice(0, query.limit));
    },
    streams(account, region, group) {
      return Promise.resolve(
        [...streamsOf(account, region, group)].map(([stream, { createdAtMs, events }]) => {
          if (events.length === 0) return { stream, createdAtMs };
          const times = events.map((event) => event.timestampMs);
          const lastIngestedMs = events.at(-1)?.ingestedAtMs ?? createdAtMs;
          return { stream, createdAtMs, firstEventMs: Math.min(...times), lastEventMs: Math.max(...times), lastIngestedMs };
        }),
      );
    },
    createStream(name) {
      if (streamsOf(name.account, name.region, name.group).has(name.stream)) return Promise.resolve("exists");
      streamOf(name);
      return Promise.resolve("created");
    },
    deleteStream: (name) => Promise.resolve(void streamsOf(name.account, name.region, name.group).delete(name.stream)),
    deleteGroup: (account, region, group) => Promise.resolve(void groups.delete(groupKey(account, region, group))),
    groups(account, region) {
      const names = [...groups.keys()].map((key) => JSON.parse(key) as [string, string, string]);
      return Promise.resolve(names.filter(([a, r]) => a === account && r === region).map(([, , group]) => group));
    },
    storedBytes(account, region, group) {
      let bytes = 0;
      for (const stream of streamsOf(account, region, group).values())
        for (const event of stream.events) bytes += Buffer.byteLength(event.message);
      return Promise.resolve(bytes);
    },
    expire(account, region, group, beforeMs) {
      for (const stream of streamsOf(account, region, group).values())
        stream.events = stream.events.filter((event) => event.timestampMs >= beforeMs);
      return Promise.resolve();
    },
    tail: (account, region, group, seen) => tails.follow(account, region, group, seen),
    close: () => Promise.resolve(),
  };
}
