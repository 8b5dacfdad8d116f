// Stored records of EventBridge, their names and ARNs, and what its operations share.
import type { Target } from "@aws-sdk/client-eventbridge";
import { parseArn } from "../../aws/arn.ts";
import type { Context } from "../../aws/operations.ts";
import { pageOf } from "../../aws/page.ts";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Deliveries } from "../../deliveries.ts";
import { StorageError, type DurableQueue, type Entry, type Key, type MetaStore, type Timer, type Timers } from "../../store/storage.ts";
import type { View } from "../../store/view.ts";
import { invalidParameter, noSuchBus, noSuchRule } from "./faults.ts";

export const BUS_KIND = "events.bus";
export const RULE_KIND = "events.rule";

export type Tags = Readonly<Record<string, string>>;

export interface BusRecord {
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  readonly description?: string;
  /** JSON. */
  readonly policy?: string;
  readonly deadLetterArn?: string;
  readonly logConfig?: { readonly IncludeDetail?: "NONE" | "FULL"; readonly Level?: "OFF" | "ERROR" | "INFO" | "TRACE" };
  readonly tags: Tags;
}

export type RuleState = "ENABLED" | "DISABLED" | "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";

export interface RuleRecord {
  readonly createdAtMs: number;
  readonly pattern?: string;
  readonly schedule?: string;
  /** Its schedule's rate counts from here. */
  readonly anchorMs: number;
  readonly state: RuleState;
  readonly description?: string;
  readonly roleArn?: string;
  readonly tags: Tags;
  /** As they were given, in order of their first PutTargets. */
  readonly targets: readonly Target[];
}

export interface EventsDeps {
  readonly meta: MetaStore;
  readonly queue: DurableQueue;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly log: Log;
  readonly deliveries: Deliveries;
  readonly supportsTarget: (arn: string) => boolean;
}

export interface EventsParts extends EventsDeps {
  readonly buses: View<BusRecord>;
  readonly rules: View<RuleRecord>;
}

export interface Place {
  readonly account: string;
  readonly region: string;
}

export interface BusName extends Place {
  readonly name: string;
}

export interface RuleName extends Place {
  readonly bus: string;
  readonly name: string;
}

export const DEFAULT_BUS = "default";

const arn = ({ account, region }: Place, resource: string) => `arn:aws:events:${region}:${account}:${resource}`;
export const busArn = (bus: BusName): string => arn(bus, `event-bus/${bus.name}`);
/** Rules of the default bus do not name it. */
export const ruleArn = (rule: RuleName): string =>
  arn(rule, rule.bus === DEFAULT_BUS ? `rule/${rule.name}` : `rule/${rule.bus}/${rule.name}`);
export const archiveArn = (place: Place, name: string): string => arn(place, `archive/${name}`);
export const replayArn = (place: Place, name: string): string => arn(place, `replay/${name}`);

export const busKey = ({ account, region, name }: BusName): Key => ({ account, region, kind: BUS_KIND, id: name });
/** Names of buses and rules have no slash. */
export const ruleKey = ({ account, region, bus, name }: RuleName): Key => ({ account, region, kind: RULE_KIND, id: `${bus}/${name}` });

const ruleNameOf = ({ account, region, id }: Key): RuleName => {
  const [bus = "", name = ""] = id.split("/");
  return { account, region, bus, name };
};

/** From a name or an ARN, which may be another account's or region's. */
export function busNameOf({ account, region }: Place, given = DEFAULT_BUS): BusName {
  const parsed = parseArn(given);
  if (parsed === undefined) return { account, region, name: given };
  return { account: parsed.account, region: parsed.region, name: parsed.resource.replace(/^event-bus\//, "") };
}

export function ruleNameOfArn(text: string): RuleName | undefined {
  const parsed = parseArn(text);
  const [, bus = DEFAULT_BUS, name = ""] = /^rule\/(?:([^/]+)\/)?([^/]+)$/.exec(parsed?.resource ?? "") ?? [];
  if (parsed?.service !== "events" || name === "") return undefined;
  return { account: parsed.account, region: parsed.region, bus, name };
}

/** Everybody has a default bus; it has a record once something of it was changed. */
export function findBus({ buses }: Pick<EventsParts, "buses">, name: BusName): BusRecord | undefined {
  const found = buses.get(name.account, name.region, name.name)?.value;
  return found ?? (name.name === DEFAULT_BUS ? { createdAtMs: 0, modifiedAtMs: 0, tags: {} } : undefined);
}

/** Throws ResourceNotFoundException. */
export function existingBus(parts: EventsParts, context: Context, given: string | undefined): BusName & { readonly record: BusRecord } {
  const name = busNameOf(context, given);
  const record = findBus(parts, name);
  if (record === undefined) throw noSuchBus(name.name);
  return { ...name, record };
}

/** What a change begins with; the default bus may have no record. */
export function present(parts: Pick<EventsParts, "buses">, bus: BusName, record: BusRecord | undefined): BusRecord {
  const found = record ?? (bus.name === DEFAULT_BUS ? findBus(parts, bus) : undefined);
  if (found === undefined) throw noSuchBus(bus.name);
  return found;
}

export interface Rule extends RuleName {
  readonly arn: string;
  readonly record: RuleRecord;
}

const asRule = ({ key, value }: Entry<RuleRecord>): Rule => {
  const name = ruleNameOf(key);
  return { ...name, arn: ruleArn(name), record: value };
};

export function findRule({ rules }: EventsParts, { account, region, bus, name }: RuleName): Rule | undefined {
  const entry = rules.get(account, region, `${bus}/${name}`);
  return entry === undefined ? undefined : asRule(entry);
}

/** Throws ResourceNotFoundException, also for the bus. */
export function existingRule(parts: EventsParts, context: Context, name: string, bus: string | undefined): Rule {
  const found = existingBus(parts, context, bus);
  const rule = findRule(parts, { account: found.account, region: found.region, bus: found.name, name });
  if (rule === undefined) throw noSuchRule(name, found.name);
  return rule;
}

export const rulesOf = ({ rules }: EventsParts, { account, region, name }: BusName): Rule[] =>
  rules.list(account, region, { prefix: `${name}/`, limit: Infinity }).map(asRule);

const TRIES_MAX = 20;

/**
 * Changes what the record is now, again if somebody else was faster, in one transaction with the timers that it needs; `edit` throws the
 * fault for one that is not there.
 */
export async function changeRecord<T>(
  { meta, timers }: Pick<EventsDeps, "meta" | "timers">,
  key: Key,
  edit: (record: T | undefined) => T | undefined,
  timersOf: (record: T) => readonly Timer[] = () => [],
): Promise<void> {
  for (let tries = 1; ; tries++) {
    const [entry] = await meta.get<T>([key]);
    const value = edit(entry?.value);
    const write = { key, ...(value === undefined ? {} : { value }), expect: entry?.revision ?? ("absent" as const) };
    try {
      return await timers.acknowledge([], { writes: [write], timers: value === undefined ? [] : timersOf(value) });
    } catch (cause) {
      if (!(cause instanceof StorageError && cause.failure === "Conflict") || tries === TRIES_MAX) throw cause;
    }
  }
}

const PAGE_MAX = 100;

/** One page of a list that is in order of the ids; `list` tells its tokens from others'. */
export function page<T>(
  list: string,
  { NextToken, Limit = PAGE_MAX }: { readonly NextToken?: string | undefined; readonly Limit?: number | undefined },
  idOf: (item: T) => string,
  items: readonly T[],
): { readonly found: readonly T[]; readonly more: { readonly NextToken?: string } } {
  const made = pageOf(list, items, idOf, { marker: NextToken, max: Limit });
  if (made === undefined) throw invalidParameter("NextToken", "It is not a token of this list.");
  return { found: made.found, more: made.next === undefined ? {} : { NextToken: made.next } };
}
