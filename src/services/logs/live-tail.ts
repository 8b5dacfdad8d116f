// StartLiveTail: an event stream of what is being appended, about once a second, at most 500 events each time.
import type { LiveTailSessionLogEvent, StartLiveTailResponseStream } from "@aws-sdk/client-cloudwatch-logs";
import type * as client from "@aws-sdk/client-cloudwatch-logs";
import type { Context, Operations } from "../../aws/operations.ts";
import { sleep } from "../../base/clock.ts";
import { requestId } from "../../base/id.ts";
import { filterPattern } from "./filter-pattern.ts";
import { existingGroup, groupArn, invalid, ownGroupName, type LogsDeps } from "./model.ts";

const UPDATE_INTERVAL_MS = 250;
const EVENTS_PER_UPDATE_MAX = 500;
/** AWS ends a session after three hours. */
const SESSION_MS_MAX = 3 * 3_600_000;

type Input = client.StartLiveTailCommandInput;

export function liveTail(deps: LogsDeps) {
  return {
    async StartLiveTail(context, input) {
      const matches = filterPattern(input.logEventFilterPattern ?? "");
      if (matches === undefined)
        throw invalid("Lambent filters text patterns only: JSON, column and regular expression patterns are not built yet.");
      const groups = (input.logGroupIdentifiers ?? []).map((identifier) => ownGroupName(context, identifier));
      for (const group of groups) await existingGroup(deps, context, group);
      return { responseStream: session(deps, context, input, groups, matches) };
    },
  } satisfies Pick<Operations<typeof client>, "StartLiveTail">;
}

async function* session(
  deps: LogsDeps,
  context: Context,
  input: Input,
  groups: readonly string[],
  matches: (message: string) => boolean,
): AsyncGenerator<StartLiveTailResponseStream> {
  const waiting: LiveTailSessionLogEvent[] = [];
  let isSampled = false;
  const follow = (group: string) =>
    deps.logs.tail(context.account, context.region, group, (stream, events) => {
      if (!isWantedStream(input, stream)) return;
      for (const { timestampMs, message } of events) {
        if (!matches(message)) continue;
        if (waiting.length >= EVENTS_PER_UPDATE_MAX) isSampled = true;
        else
          waiting.push({
            logGroupIdentifier: groupArn(context, group).replace(/^arn:aws:logs:[^:]*:(\d+):log-group:/, "$1:"),
            logStreamName: stream,
            message,
            timestamp: timestampMs,
            ingestionTime: deps.clock.now(),
          });
      }
    });
  const tails = groups.map(follow);
  try {
    const endMs = deps.clock.monotonic() + SESSION_MS_MAX;
    yield { sessionStart: { requestId: context.requestId, sessionId: requestId(), ...input } };
    while (!context.signal.aborted && deps.clock.monotonic() < endMs) {
      yield { sessionUpdate: { sessionMetadata: { sampled: isSampled }, sessionResults: waiting.splice(0) } };
      isSampled = false;
      await sleep(deps.clock, UPDATE_INTERVAL_MS, context.signal).catch(() => undefined); // the signal ends the loop
    }
  } finally {
    for (const tail of tails) tail.stop();
  }
}

function isWantedStream(input: Input, stream: string): boolean {
  const { logStreamNames, logStreamNamePrefixes } = input;
  if (logStreamNames === undefined && logStreamNamePrefixes === undefined) return true;
  return (logStreamNames ?? []).includes(stream) || (logStreamNamePrefixes ?? []).some((prefix) => stream.startsWith(prefix));
}
