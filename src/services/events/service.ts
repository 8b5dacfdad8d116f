// Amazon EventBridge: buses, rules and their targets, schedules, archives and replays.
import * as client from "@aws-sdk/client-eventbridge";
import type { ServiceDefinition } from "../../aws/definition.ts";
import { notBuilt, type Operations } from "../../aws/operations.ts";
import { View } from "../../store/view.ts";
import type { TimerWorkers } from "../../store/timer-workers.ts";
import { accessOf } from "./access.ts";
import { openArchives } from "./archived-events.ts";
import { archives } from "./archives.ts";
import { newEvent, type EventMembers } from "./bus-event.ts";
import { busPolicies } from "./bus-policies.ts";
import { buses } from "./buses.ts";
import { consequencesOf, settle } from "./dispatch.ts";
import { BUS_KIND, DEFAULT_BUS, RULE_KIND, type BusRecord, type EventsDeps, type RuleRecord } from "./model.ts";
import { patterns } from "./patterns.ts";
import { EVENTS_BYTES_MAX, putEvents } from "./put-events.ts";
import { REPLAY_KIND, replays, replayWorkers, type ReplayParts, type ReplayRecord } from "./replays.ts";
import { ruleSchedules } from "./rule-schedules.ts";
import { rules } from "./rules.ts";
import { tags } from "./tags.ts";
import { targets } from "./targets.ts";

const NOT_BUILT = {
  ActivateEventSource: notBuilt,
  CreateApiDestination: notBuilt,
  CreateConnection: notBuilt,
  CreateEndpoint: notBuilt,
  CreatePartnerEventSource: notBuilt,
  DeactivateEventSource: notBuilt,
  DeauthorizeConnection: notBuilt,
  DeleteApiDestination: notBuilt,
  DeleteConnection: notBuilt,
  DeleteEndpoint: notBuilt,
  DeletePartnerEventSource: notBuilt,
  DescribeApiDestination: notBuilt,
  DescribeConnection: notBuilt,
  DescribeEndpoint: notBuilt,
  DescribeEventSource: notBuilt,
  DescribePartnerEventSource: notBuilt,
  ListApiDestinations: notBuilt,
  ListConnections: notBuilt,
  ListEndpoints: notBuilt,
  ListEventSources: notBuilt,
  ListPartnerEventSourceAccounts: notBuilt,
  ListPartnerEventSources: notBuilt,
  PutPartnerEvents: notBuilt,
  UpdateApiDestination: notBuilt,
  UpdateConnection: notBuilt,
  UpdateEndpoint: notBuilt,
} as const;

function operationsOf(parts: ReplayParts, wakeReplays: () => void) {
  return {
    ...buses(parts),
    ...busPolicies(parts),
    ...rules(parts),
    ...targets(parts),
    ...patterns,
    ...putEvents(parts),
    ...archives(parts),
    ...replays(parts, wakeReplays),
    ...tags(parts),
    ...NOT_BUILT,
  } satisfies Operations<typeof client>;
}

export interface EventsService {
  readonly definition: ServiceDefinition;
  /** Of AWS's own services, on the account's default bus (sources that begin with `aws.`); resolves when it is durable. */
  emit(members: Omit<EventMembers, "timeMs">): Promise<void>;
  /** Schedules fire and replays go on; before that they only become durable. */
  begin(): void;
  /** Nothing more fires; resolves when what was begun has ended. */
  stop(): Promise<void>;
}

export async function eventsService(deps: EventsDeps): Promise<EventsService> {
  const parts: ReplayParts = {
    ...deps,
    buses: await View.open<BusRecord>(deps.meta, BUS_KIND),
    rules: await View.open<RuleRecord>(deps.meta, RULE_KIND),
    replays: await View.open<ReplayRecord>(deps.meta, REPLAY_KIND),
    archives: await openArchives(deps),
  };
  let workers: { readonly schedules: TimerWorkers; readonly replays: TimerWorkers } | undefined;
  return {
    definition: {
      name: "events",
      client,
      clientClass: "EventBridgeClient",
      operations: operationsOf(parts, () => workers?.replays.wake()),
      constraints: "events",
      access: accessOf(parts),
      // JSON in JSON: escapes can make it six times as much.
      bodyBytesMax: (operation) => (operation === "PutEvents" ? 6 * EVENTS_BYTES_MAX + 65_536 : 2 ** 20),
    },
    async emit(members) {
      const nowMs = deps.clock.now();
      const bus = { account: members.account, region: members.region, name: DEFAULT_BUS };
      await settle(parts, [consequencesOf(parts, bus, newEvent({ ...members, timeMs: nowMs }, nowMs))]);
    },
    begin() {
      parts.archives.begin();
      workers = { schedules: ruleSchedules(parts), replays: replayWorkers(parts) };
    },
    async stop() {
      await workers?.schedules.stop();
      await workers?.replays.stop();
      await parts.archives.stop();
      for (const view of [parts.buses, parts.rules, parts.replays]) view.close();
    },
  };
}
