// Log groups: create, describe, delete, retention.
import { ResourceAlreadyExistsException$, type LogGroup } from "@aws-sdk/client-cloudwatch-logs";
import type * as client from "@aws-sdk/client-cloudwatch-logs";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import {
  changeGroup,
  existingGroup,
  GROUP_KIND,
  groupArn,
  groupKey,
  groupNameOf,
  invalid,
  isConflict,
  isOwn,
  nameBefore,
  tokenAfter,
  type LogGroupRecord,
  type LogsDeps,
} from "./model.ts";

/** PutRetentionPolicy's documented values. */
const RETENTION_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
const PAGE_GROUPS = 50;

type Names = "CreateLogGroup" | "DeleteLogGroup" | "DescribeLogGroups" | "PutRetentionPolicy" | "DeleteRetentionPolicy";

export function logGroups(deps: LogsDeps) {
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
      await changeGroup(deps, context, logGroupName, (record) => ({ ...record, retentionInDays }));
      return {};
    },
    async DeleteRetentionPolicy(context, { logGroupName = "" }) {
      await changeGroup(deps, context, logGroupName, ({ retentionInDays: _gone, ...record }) => record);
      return {};
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

const alreadyExists = () => new Fault(ResourceAlreadyExistsException$, "The specified log group already exists");

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
