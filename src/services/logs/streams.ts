// Log streams: create, describe, delete.
import { ResourceAlreadyExistsException$, type LogStream } from "@aws-sdk/client-cloudwatch-logs";
import type * as client from "@aws-sdk/client-cloudwatch-logs";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import type { LogStreamInfo } from "../../store/log-sink.ts";
import { existingGroup, groupArn, groupNamedIn, invalid, nameBefore, noSuchStream, tokenAfter, type LogsDeps } from "./model.ts";

const PAGE_STREAMS = 50;

const streamName = (context: Context, group: string, stream: string) => ({
  account: context.account,
  region: context.region,
  group,
  stream,
});

export function logStreams(deps: LogsDeps) {
  return {
    async CreateLogStream(context, { logGroupName = "", logStreamName = "" }) {
      await existingGroup(deps, context, logGroupName);
      const made = await deps.logs.createStream(streamName(context, logGroupName, logStreamName));
      if (made === "exists") throw new Fault(ResourceAlreadyExistsException$, "The specified log stream already exists");
      return {};
    },
    async DeleteLogStream(context, { logGroupName = "", logStreamName = "" }) {
      await existingGroup(deps, context, logGroupName);
      const streams = await deps.logs.streams(context.account, context.region, logGroupName);
      if (!streams.some(({ stream }) => stream === logStreamName)) throw noSuchStream();
      await deps.logs.deleteStream(streamName(context, logGroupName, logStreamName));
      return {};
    },
    async DescribeLogStreams(context, input) {
      const group = groupNamedIn(context, input);
      const { logStreamNamePrefix = "", orderBy = "LogStreamName", descending = false, nextToken, limit = PAGE_STREAMS } = input;
      if (orderBy === "LastEventTime" && logStreamNamePrefix !== "")
        throw invalid("Cannot order by LastEventTime with a logStreamNamePrefix.");
      await existingGroup(deps, context, group);
      const streams = await deps.logs.streams(context.account, context.region, group);
      const sortKey = (info: LogStreamInfo) =>
        (orderBy === "LogStreamName" ? "" : String(info.lastEventMs ?? 0).padStart(16, "0")) + info.stream;
      const sorted = streams
        .filter(({ stream }) => stream.startsWith(logStreamNamePrefix))
        .map((info) => ({ info, key: sortKey(info) }))
        .toSorted((a, b) => (a.key < b.key ? -1 : 1) * (descending ? -1 : 1));
      const last = nameBefore(nextToken);
      const after = nextToken === undefined ? sorted : sorted.filter(({ key }) => (descending ? key < last : key > last));
      const page = after.slice(0, limit);
      const described = page.map(({ info }) => describe(context, group, info));
      return { logStreams: described, ...(after.length > page.length ? { nextToken: tokenAfter(page.at(-1)?.key ?? "") } : {}) };
    },
  } satisfies Pick<Operations<typeof client>, "CreateLogStream" | "DeleteLogStream" | "DescribeLogStreams">;
}

function describe(context: Context, group: string, info: LogStreamInfo): LogStream {
  return {
    logStreamName: info.stream,
    creationTime: info.createdAtMs,
    arn: `${groupArn(context, group)}:log-stream:${info.stream}`,
    storedBytes: 0, // AWS has answered 0 since 2019: the number is kept per group
    uploadSequenceToken: "1",
    ...(info.firstEventMs === undefined ? {} : { firstEventTimestamp: info.firstEventMs }),
    ...(info.lastEventMs === undefined ? {} : { lastEventTimestamp: info.lastEventMs }),
    ...(info.lastIngestedMs === undefined ? {} : { lastIngestionTime: info.lastIngestedMs }),
  };
}
