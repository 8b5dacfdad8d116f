// Log groups: create, describe, delete, retention, tags.
import {
  OperationAbortedException$,
  ResourceAlreadyExistsException$,
  TooManyTagsException$,
  type LogGroup,
} from "@aws-sdk/client-cloudwatch-logs";
import type * as client from "@aws-sdk/client-cloudwatch-logs";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { StorageError } from "../../store/storage.ts";
import {
  existingGroup,
  GROUP_KIND,
  groupArn,
  groupKey,
  groupNameOf,
  invalid,
  isOwn,
  nameBefore,
  ownGroupName,
  tokenAfter,
  type LogGroupRecord,
  type LogsDeps,
} from "./model.ts";

/** PutRetentionPolicy's documented values. */
const RETENTION_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
const PAGE_GROUPS = 50;

const TAGS_MAX = 50;

const TOO_MANY_TAGS = `A log group can have no more than ${TAGS_MAX} tags.`;

type Names =
  | "CreateLogGroup"
  | "DeleteLogGroup"
  | "DescribeLogGroups"
  | "PutRetentionPolicy"
  | "DeleteRetentionPolicy"
  | "ListTagsForResource"
  | "TagResource"
  | "UntagResource"
  | "ListTagsLogGroup"
  | "TagLogGroup"
  | "UntagLogGroup";

export function logGroups(deps: LogsDeps) {
  const change = async (context: Context, name: string, edit: (record: LogGroupRecord) => LogGroupRecord) => {
    const { record, revision } = await existingGroup(deps, context, name);
    const write = { key: groupKey(context, name), value: edit(record), expect: revision };
    await deps.meta.write([write]).catch((error: unknown) => {
      if (isConflict(error))
        throw new Fault(OperationAbortedException$, "Multiple concurrent requests to update the same resource were in conflict.");
      throw error;
    });
  };
  const setTags = (context: Context, name: string, tags: Readonly<Record<string, string>> = {}, refusal: () => Fault) =>
    change(context, name, (record) => {
      const all = { ...record.tags, ...tags };
      if (Object.keys(all).length > TAGS_MAX) throw refusal();
      return { ...record, tags: all };
    });
  const removeTags = (context: Context, name: string, keys: readonly string[] = []) =>
    change(context, name, (record) => ({
      ...record,
      tags: Object.fromEntries(Object.entries(record.tags).filter(([key]) => !keys.includes(key))),
    }));
  return {
    async CreateLogGroup(context, { logGroupName = "", tags = {}, logGroupClass = "STANDARD", kmsKeyId, deletionProtectionEnabled }) {
      if (kmsKeyId !== undefined) throw invalid("Lambent does not encrypt log groups with keys of KMS: leave out kmsKeyId.");
      if (deletionProtectionEnabled === true) throw invalid("Lambent does not have deletion protection of log groups.");
      const present = await existingGroup(deps, context, logGroupName).catch(ignoreMissing);
      if (present !== undefined) throw alreadyExists();
      const value: LogGroupRecord = { createdAtMs: deps.clock.now(), tags, logGroupClass };
      await deps.meta.write([{ key: groupKey(context, logGroupName), value, expect: "absent" }]).catch((error: unknown) => {
        throw isConflict(error) ? alreadyExists() : error;
      });
      return {};
    },
    async DeleteLogGroup(context, { logGroupName = "" }) {
      await existingGroup(deps, context, logGroupName);
      await deps.meta.write([{ key: groupKey(context, logGroupName) }]);
      await deps.logs.deleteGroup(context.account, context.region, logGroupName);
      return {};
    },
    DescribeLogGroups: (context, input) => describeLogGroups(deps, context, input),
    async PutRetentionPolicy(context, { logGroupName = "", retentionInDays = 0 }) {
      if (!RETENTION_DAYS.includes(retentionInDays))
        throw invalid(
          `1 validation error detected: Value '${retentionInDays}' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [${RETENTION_DAYS.join(", ")}]`,
        );
      await change(context, logGroupName, (record) => ({ ...record, retentionInDays }));
      return {};
    },
    async DeleteRetentionPolicy(context, { logGroupName = "" }) {
      await change(context, logGroupName, ({ retentionInDays: _gone, ...record }) => record);
      return {};
    },
    ListTagsForResource: async (context, { resourceArn = "" }) => ({
      tags: { ...(await existingGroup(deps, context, ownGroupName(context, resourceArn))).record.tags },
    }),
    async TagResource(context, { resourceArn = "", tags }) {
      const refusal = () => new Fault(TooManyTagsException$, TOO_MANY_TAGS, { resourceName: resourceArn });
      await setTags(context, ownGroupName(context, resourceArn), tags, refusal);
      return {};
    },
    async UntagResource(context, { resourceArn = "", tagKeys }) {
      await removeTags(context, ownGroupName(context, resourceArn), tagKeys);
      return {};
    },
    ListTagsLogGroup: async (context, { logGroupName = "" }) => ({
      tags: { ...(await existingGroup(deps, context, logGroupName)).record.tags },
    }),
    async TagLogGroup(context, { logGroupName = "", tags }) {
      await setTags(context, logGroupName, tags, () => invalid(TOO_MANY_TAGS));
      return {};
    },
    UntagLogGroup: async (context, { logGroupName = "", tags }) => (await removeTags(context, logGroupName, tags), {}),
  } satisfies Pick<Operations<typeof client>, Names>;
}

const alreadyExists = () => new Fault(ResourceAlreadyExistsException$, "The specified log group already exists");
const isConflict = (error: unknown) => error instanceof StorageError && error.failure === "Conflict";

function ignoreMissing(error: unknown): undefined {
  if (error instanceof Fault && error.name === "ResourceNotFoundException") return undefined;
  throw error;
}

async function describeLogGroups(deps: LogsDeps, context: Context, input: client.DescribeLogGroupsCommandInput) {
  const { logGroupNamePrefix = "", logGroupNamePattern = "", logGroupIdentifiers, nextToken, limit = PAGE_GROUPS, logGroupClass } = input;
  if (input.accountIdentifiers !== undefined || input.includeLinkedAccounts === true)
    throw invalid("Lambent has no linked monitoring accounts.");
  if (input.logGroupNamePrefix !== undefined && input.logGroupNamePattern !== undefined)
    throw invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
  const records = new Map<string, LogGroupRecord>();
  for (const name of await deps.logs.groups(context.account, context.region)) {
    const found = await existingGroup(deps, context, name).catch(ignoreMissing);
    if (found !== undefined) records.set(name, found.record);
  }
  const stored = await deps.meta.list<LogGroupRecord>({
    account: context.account,
    region: context.region,
    kind: GROUP_KIND,
    limit: 100_000,
  });
  for (const entry of stored) records.set(entry.key.id, entry.value);
  const wanted = logGroupIdentifiers?.filter((identifier) => isOwn(context, identifier)).map(groupNameOf);
  const names = [...records.keys()]
    .filter((name) => name.startsWith(logGroupNamePrefix) && name.toLowerCase().includes(logGroupNamePattern.toLowerCase()))
    .filter(
      (name) =>
        (wanted === undefined || wanted.includes(name)) &&
        (logGroupClass === undefined || records.get(name)?.logGroupClass === logGroupClass),
    )
    .toSorted();
  const after = names.filter((name) => name > nameBefore(nextToken));
  const page = after.slice(0, limit);
  const described = await Promise.all(page.map((name) => describe(deps, context, name, records.get(name))));
  return { logGroups: described, ...(after.length > page.length ? { nextToken: tokenAfter(page.at(-1) ?? "") } : {}) };
}

async function describe(deps: LogsDeps, context: Context, name: string, record: LogGroupRecord | undefined): Promise<LogGroup> {
  const arn = groupArn(context, name);
  return {
    logGroupName: name,
    creationTime: record?.createdAtMs ?? 0,
    metricFilterCount: 0,
    arn: `${arn}:*`,
    logGroupArn: arn,
    storedBytes: await deps.logs.storedBytes(context.account, context.region, name),
    logGroupClass: record?.logGroupClass ?? "STANDARD",
    ...(record?.retentionInDays === undefined ? {} : { retentionInDays: record.retentionInDays }),
  };
}
