// Stored records of EventBridge Scheduler, their names and ARNs, and what its operations share.
import type { ActionAfterCompletion, FlexibleTimeWindow, ScheduleState, Target } from "@aws-sdk/client-scheduler";
import { pageOf } from "../../aws/page.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Deliveries } from "../../deliveries.ts";
import { StorageError, type Effects, type Entry, type Key, type MetaStore, type Timers } from "../../store/storage.ts";
import type { View } from "../../store/view.ts";
import { conflict, validation } from "./faults.ts";

export const GROUP_KIND = "scheduler.group";
export const SCHEDULE_KIND = "scheduler.schedule";
export const DEFAULT_GROUP = "default";

export interface GroupRecord {
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly clientToken?: string;
}

export interface ScheduleRecord {
  readonly expression: string;
  readonly zone: string;
  readonly startMs?: number;
  readonly endMs?: number;
  readonly description?: string;
  readonly state: ScheduleState;
  readonly target: Target;
  readonly window: FlexibleTimeWindow;
  readonly afterCompletion: ActionAfterCompletion;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  /** A rate counts from here. */
  readonly anchorMs: number;
  /** Of the last change: timers of the one before know others. */
  readonly generation: string;
  readonly clientToken?: string;
}

export interface SchedulerDeps {
  readonly meta: MetaStore;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly log: Log;
  readonly deliveries: Deliveries;
  readonly supportsTarget: (arn: string) => boolean;
  /** Whether the role trusts the Scheduler. */
  readonly canAssume: (roleArn: string) => boolean;
}

export interface SchedulerParts extends SchedulerDeps {
  readonly groups: View<GroupRecord>;
  readonly schedules: View<ScheduleRecord>;
}

export interface Place {
  readonly account: string;
  readonly region: string;
}

export interface ScheduleName extends Place {
  readonly group: string;
  readonly name: string;
}

export const groupArn = ({ account, region }: Place, name: string): string =>
  `arn:aws:scheduler:${region}:${account}:schedule-group/${name}`;
export const scheduleArn = ({ account, region, group, name }: ScheduleName): string =>
  `arn:aws:scheduler:${region}:${account}:schedule/${group}/${name}`;

export const groupKey = ({ account, region }: Place, id: string): Key => ({ account, region, kind: GROUP_KIND, id });
/** Names have no slash. */
export const scheduleKey = ({ account, region, group, name }: ScheduleName): Key => ({
  account,
  region,
  kind: SCHEDULE_KIND,
  id: `${group}/${name}`,
});

export function scheduleNameOf({ account, region, id }: Key): ScheduleName {
  const [group = "", name = ""] = id.split("/");
  return { account, region, group, name };
}

/** Everybody has a default group; it has a record once it has tags. */
export function findGroup({ groups }: Pick<SchedulerParts, "groups">, { account, region }: Place, name: string): GroupRecord | undefined {
  const found = groups.get(account, region, name)?.value;
  return found ?? (name === DEFAULT_GROUP ? { createdAtMs: 0, modifiedAtMs: 0, tags: {} } : undefined);
}

export function findSchedule(
  { schedules }: SchedulerParts,
  { account, region, group, name }: ScheduleName,
): Entry<ScheduleRecord> | undefined {
  return schedules.get(account, region, `${group}/${name}`);
}

/** Writes what must be as it was read, or throws ConflictException. */
export async function apply({ timers }: SchedulerDeps, effects: Effects, what: string): Promise<void> {
  try {
    await timers.acknowledge([], effects);
  } catch (cause) {
    if (!(cause instanceof StorageError && cause.failure === "Conflict")) throw cause;
    throw conflict(`${what} is being modified by another request.`);
  }
}

const PAGE_MAX = 100;

/** One page of a list that is in order of the ids; `list` tells its tokens from others'. */
export function page<T>(
  list: string,
  { NextToken, MaxResults = PAGE_MAX }: { readonly NextToken?: string | undefined; readonly MaxResults?: number | undefined },
  idOf: (item: T) => string,
  items: readonly T[],
): { readonly found: readonly T[]; readonly more: { readonly NextToken?: string } } {
  const made = pageOf(list, items, idOf, { marker: NextToken, max: MaxResults });
  if (made === undefined) throw validation("Invalid NextToken.");
  return { found: made.found, more: made.next === undefined ? {} : { NextToken: made.next } };
}
