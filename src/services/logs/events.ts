// Log events: put, get from one stream, filter over a group.
import type { InputLogEvent, RejectedLogEventsInfo } from "@aws-sdk/client-cloudwatch-logs";
import type * as client from "@aws-sdk/client-cloudwatch-logs";
import type { Context, Operations } from "../../aws/operations.ts";
import type { LogQuery, StoredLogEvent } from "../../store/log-sink.ts";
import { filterPattern, type Matches } from "./filter-pattern.ts";
import { existingGroup, groupNamedIn, invalid, noSuchStream, type LogsDeps } from "./model.ts";

// PutLogEvents: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
const BATCH_BYTES_MAX = 1_048_576;
const EVENT_OVERHEAD_BYTES = 26;
const TOO_OLD_MS = 14 * 86_400_000;
const TOO_NEW_MS = 2 * 3_600_000;
const SPAN_MS_MAX = 86_400_000;
const PAGE_EVENTS = 10_000;
/** One call reads at most this many events before it answers with what it found and a token, as AWS does. */
const SCANNED_EVENTS_MAX = 100_000;

export function logEvents(deps: LogsDeps) {
  return {
    PutLogEvents: (context, input) => putLogEvents(deps, context, input),
    GetLogEvents: (context, input) => getLogEvents(deps, context, input),
    FilterLogEvents: (context, input) => filterLogEvents(deps, context, input),
  } satisfies Pick<Operations<typeof client>, "PutLogEvents" | "GetLogEvents" | "FilterLogEvents">;
}

async function putLogEvents(deps: LogsDeps, context: Context, input: client.PutLogEventsCommandInput) {
  const { logGroupName: group = "", logStreamName: stream = "", logEvents: events = [] } = input;
  await existingGroup(deps, context, group);
  const streams = await deps.logs.streams(context.account, context.region, group);
  if (!streams.some((info) => info.stream === stream)) throw noSuchStream();
  checkBatch(events);
  const { accepted, rejected } = withinTime(events, deps.clock.now());
  const stored = accepted.map((event) => ({ timestampMs: event.timestamp ?? 0, message: event.message ?? "" }));
  await deps.logs.put({ account: context.account, region: context.region, group, stream }, stored);
  return { nextSequenceToken: "1", ...(rejected === undefined ? {} : { rejectedLogEventsInfo: rejected }) };
}

function checkBatch(events: readonly InputLogEvent[]): void {
  let bytes = 0;
  let beforeMs = 0;
  for (const { timestamp = 0, message = "" } of events) {
    if (timestamp < beforeMs) throw invalid("Log events in a single PutLogEvents request must be in chronological order.");
    beforeMs = timestamp;
    bytes += Buffer.byteLength(message) + EVENT_OVERHEAD_BYTES;
  }
  if (bytes > BATCH_BYTES_MAX) throw invalid(`Upload too large: ${bytes} bytes exceeds limit of ${BATCH_BYTES_MAX}`);
  if (beforeMs - (events[0]?.timestamp ?? 0) > SPAN_MS_MAX)
    throw invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");
}

/** Events are in order of time, so what is too old is a head and what is too new is a tail. */
function withinTime(
  events: readonly InputLogEvent[],
  nowMs: number,
): { accepted: readonly InputLogEvent[]; rejected?: RejectedLogEventsInfo } {
  const start = events.findIndex(({ timestamp = 0 }) => timestamp >= nowMs - TOO_OLD_MS);
  const from = start === -1 ? events.length : start;
  const end = events.findIndex(({ timestamp = 0 }) => timestamp > nowMs + TOO_NEW_MS);
  const to = end === -1 ? events.length : end;
  if (from === 0 && to === events.length) return { accepted: events };
  const rejected = {
    ...(from > 0 ? { tooOldLogEventEndIndex: from } : {}),
    ...(to < events.length ? { tooNewLogEventStartIndex: to } : {}),
  };
  return { accepted: events.slice(from, to), rejected };
}

const outputEvent = (event: StoredLogEvent) => ({
  timestamp: event.timestampMs,
  message: event.message,
  ingestionTime: event.ingestedAtMs,
});

/** `f/` reads on, `b/` reads back, from the event behind the slash. */
const streamToken = (direction: "f" | "b", cursor: LogQuery["cursor"]) => `${direction}/${cursor?.timestampMs ?? 0}:${cursor?.id ?? ""}`;

function cursorOf(text: string): NonNullable<LogQuery["cursor"]> {
  const match = /^(\d{1,16}):(\d{56})$/.exec(text);
  if (match === null) throw invalid("The specified nextToken is invalid.");
  return { timestampMs: Number(match[1]), id: match[2] ?? "" };
}

async function getLogEvents(deps: LogsDeps, context: Context, input: client.GetLogEventsCommandInput) {
  const group = groupNamedIn(context, input);
  const { logStreamName: stream = "", startTime, endTime, limit = PAGE_EVENTS, startFromHead = false, nextToken } = input;
  await existingGroup(deps, context, group);
  const streams = await deps.logs.streams(context.account, context.region, group);
  if (!streams.some((info) => info.stream === stream)) throw noSuchStream();
  const isBackwards = nextToken === undefined ? !startFromHead : nextToken.startsWith("b/");
  const emptyCursor = nextToken !== undefined && /^[fb]\/0:$/.test(nextToken);
  const cursor = nextToken === undefined || emptyCursor ? undefined : cursorOf(nextToken.slice(2));
  const found = await deps.logs.query({
    account: context.account,
    region: context.region,
    group,
    streams: [stream],
    backwards: isBackwards,
    limit,
    ...(startTime === undefined ? {} : { fromMs: startTime }),
    ...(endTime === undefined ? {} : { toMs: endTime }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const events = isBackwards ? found.toReversed() : found;
  // At an end the token stays what it was: that is how readers know (API_GetLogEvents).
  const nextForwardToken = streamToken("f", events.at(-1) ?? cursor);
  const nextBackwardToken = streamToken("b", events[0] ?? cursor);
  return { events: events.map(outputEvent), nextForwardToken, nextBackwardToken };
}

function matcher(pattern: string | undefined): Matches {
  const matches = filterPattern(pattern ?? "");
  if (matches === undefined)
    throw invalid("Lambent filters text patterns only: JSON, column and regular expression patterns are not built yet.");
  return matches;
}

async function filterLogEvents(deps: LogsDeps, context: Context, input: client.FilterLogEventsCommandInput) {
  const group = groupNamedIn(context, input);
  const { logStreamNames, logStreamNamePrefix, startTime, endTime, limit = PAGE_EVENTS, nextToken } = input;
  if (logStreamNames !== undefined && logStreamNamePrefix !== undefined)
    throw invalid("logStreamNamePrefix and logStreamNames cannot be specified together");
  const matches = matcher(input.filterPattern);
  await existingGroup(deps, context, group);
  let cursor = nextToken === undefined ? undefined : cursorOf(nextToken);
  const events: StoredLogEvent[] = [];
  let isEnd = false;
  for (let scanned = 0; events.length < limit && scanned < SCANNED_EVENTS_MAX && !isEnd;) {
    const page = await deps.logs.query({
      account: context.account,
      region: context.region,
      group,
      limit: Math.min(PAGE_EVENTS, limit - events.length + 1),
      ...(logStreamNames === undefined ? {} : { streams: logStreamNames }),
      ...(logStreamNamePrefix === undefined ? {} : { streamPrefix: logStreamNamePrefix }),
      ...(startTime === undefined ? {} : { fromMs: startTime }),
      ...(endTime === undefined ? {} : { toMs: endTime + 1 }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    isEnd = page.length === 0;
    scanned += page.length;
    for (const event of page) {
      if (events.length === limit) break;
      cursor = event;
      if (matches(event.message)) events.push(event);
    }
    if (events.length === limit) break;
  }
  return {
    events: events.map((event) => ({ ...outputEvent(event), logStreamName: event.stream, eventId: event.id })),
    searchedLogStreams: [],
    ...(isEnd || cursor === undefined ? {} : { nextToken: `${cursor.timestampMs}:${cursor.id}` }),
  };
}
