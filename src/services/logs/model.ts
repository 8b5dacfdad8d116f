// Stored records of CloudWatch Logs, and what its operations share.
import {
  InvalidParameterException$,
  OperationAbortedException$,
  ResourceNotFoundException$,
  type LogGroupClass,
} from "@aws-sdk/client-cloudwatch-logs";
import type { Context } from "../../aws/operations.ts";
import { Fault } from "../../aws/fault.ts";
import type { Clock } from "../../base/clock.ts";
import type { LogSink } from "../../store/log-sink.ts";
import { StorageError, type Key, type MetaStore } from "../../store/storage.ts";

/** A group that somebody created or set up; groups that only functions wrote to have no record. */
export interface LogGroupRecord {
  readonly createdAtMs: number;
  readonly retentionInDays?: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly logGroupClass: LogGroupClass;
}

export interface LogsDeps {
  readonly meta: MetaStore;
  readonly logs: LogSink;
  readonly clock: Clock;
}

export const GROUP_KIND = "logs.group";

export const groupKey = (context: Context, name: string): Key => ({
  account: context.account,
  region: context.region,
  kind: GROUP_KIND,
  id: name,
});

export const groupArn = (context: Context, name: string): string => `arn:aws:logs:${context.region}:${context.account}:log-group:${name}`;

/** A group's name from a name or an ARN (`…:log-group:NAME` or `…:log-group:NAME:*`). */
export const groupNameOf = (identifier: string): string =>
  /^arn:[^:]*:logs:[^:]*:[^:]*:log-group:([^:]+)/.exec(identifier)?.[1] ?? identifier;

const ARN = /^arn:[^:]*:logs:([^:]*):([^:]*):log-group:/;

/** Groups of other accounts and regions are not to be had here, whatever their names are. */
export function isOwn({ account, region }: Context, identifier: string): boolean {
  const match = ARN.exec(identifier);
  return match === null || (match[1] === region && match[2] === account);
}

/** Throws ResourceNotFoundException for an ARN of elsewhere. */
export function ownGroupName(context: Context, identifier: string): string {
  if (!isOwn(context, identifier)) throw noSuchGroup();
  return groupNameOf(identifier);
}

/** Of the operations that take one of the two. */
export function groupNamedIn(
  context: Context,
  { logGroupName, logGroupIdentifier }: { readonly logGroupName?: string | undefined; readonly logGroupIdentifier?: string | undefined },
): string {
  const identifier = logGroupName ?? logGroupIdentifier;
  if (identifier === undefined || (logGroupName !== undefined && logGroupIdentifier !== undefined))
    throw invalid("You must include either logGroupName or logGroupIdentifier, but not both.");
  return ownGroupName(context, identifier);
}

/** The group's record, or an empty one for a group that only functions wrote to. */
export async function existingGroup(
  deps: LogsDeps,
  context: Context,
  name: string,
): Promise<{ record: LogGroupRecord; revision: number | "absent" }> {
  const [entry] = await deps.meta.get<LogGroupRecord>([groupKey(context, name)]);
  if (entry !== undefined) return { record: entry.value, revision: entry.revision };
  const streams = await deps.logs.streams(context.account, context.region, name);
  if (streams.length === 0) throw noSuchGroup();
  const createdAtMs = Math.min(...streams.map((stream) => stream.createdAtMs));
  return { record: { createdAtMs, tags: {}, logGroupClass: "STANDARD" }, revision: "absent" };
}

export const isConflict = (error: unknown): boolean => error instanceof StorageError && error.failure === "Conflict";

/** Throws OperationAbortedException when somebody else has changed the group meanwhile. */
export async function changeGroup(
  deps: LogsDeps,
  context: Context,
  name: string,
  edit: (record: LogGroupRecord) => LogGroupRecord,
): Promise<void> {
  const { record, revision } = await existingGroup(deps, context, name);
  const write = { key: groupKey(context, name), value: edit(record), expect: revision };
  await deps.meta.write([write]).catch((error: unknown) => {
    if (isConflict(error))
      throw new Fault(OperationAbortedException$, "Multiple concurrent requests to update the same resource were in conflict.");
    throw error;
  });
}

export const invalid = (message: string) => new Fault(InvalidParameterException$, message);
const noSuchGroup = () => new Fault(ResourceNotFoundException$, "The specified log group does not exist.");
export const noSuchStream = () => new Fault(ResourceNotFoundException$, "The specified log stream does not exist.");

/** Tokens are the name after which the next page begins; a broken one begins at the end and finds nothing. */
export const tokenAfter = (name: string): string => Buffer.from(name).toString("base64url");
export const nameBefore = (token: string | undefined): string => (token === undefined ? "" : Buffer.from(token, "base64url").toString());
