// Replays: events of an archive once more on their bus, in batches, each one transaction with how far the replay has come.
import type * as client from "@aws-sdk/client-eventbridge";
import type { Context, Operations } from "../../aws/operations.ts";
import type { ClaimedTimer, Entry, Key, NewMessage, Timer } from "../../store/storage.ts";
import { TimerWorkers, type Firing } from "../../store/timer-workers.ts";
import type { View } from "../../store/view.ts";
import type { Archives } from "./archived-events.ts";
import { replayed, type BusEvent } from "./bus-event.ts";
import { consequencesOf, type Consequences } from "./dispatch.ts";
import { alreadyExists, illegalState, invalidParameter, notFound } from "./faults.ts";
import { archiveArn, busNameOf, changeRecord, existingBus, page, replayArn, type EventsParts, type Place } from "./model.ts";

export const REPLAY_KIND = "events.replay";
const GROUP = "events.replay";
/** After its end. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html */
const KEPT_MS = 90 * 86_400_000;
/** What one transaction replays: so many events, fewer when their deliveries are large, but one at least. */
const BATCH = { events: 100, bytes: 8 * 2 ** 20 };

export interface ReplayRecord {
  readonly description?: string;
  /** ARN of the archive; its name and the name of its events' place. */
  readonly source: string;
  readonly archive: string;
  readonly store: string;
  /** ARN of the bus, and of those of its rules that get the events; empty: all. */
  readonly destination: string;
  readonly filterArns: readonly string[];
  readonly fromMs: number;
  readonly toMs: number;
  readonly state: "STARTING" | "RUNNING" | "CANCELLING" | "COMPLETED" | "CANCELLED" | "FAILED";
  readonly stateReason?: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly lastReplayedMs?: number;
  /** The last event that was replayed. */
  readonly after?: string;
}

export type ReplayParts = EventsParts & { readonly archives: Archives; readonly replays: View<ReplayRecord> };

const replayKey = ({ account, region }: Place, id: string): Key => ({ account, region, kind: REPLAY_KIND, id });
const noSuchReplay = (name: string) => notFound(`Replay ${name} does not exist.`);

interface Batch extends Place {
  readonly name: string;
}

function timerOf({ account, region }: Place, name: string, dueAtMs: number): Timer {
  const body = Buffer.from(JSON.stringify({ account, region, name } satisfies Batch));
  return { group: GROUP, id: `${account}/${region}/${name}`, dueAtMs, body };
}

export function replayWorkers(parts: ReplayParts): TimerWorkers {
  const { timers, clock, log } = parts;
  return new TimerWorkers({ timers, clock, log, group: GROUP, fire: (timer) => replayBatch(parts, timer) });
}

async function replayBatch(parts: ReplayParts, { body }: ClaimedTimer): Promise<Firing> {
  const batch = JSON.parse(Buffer.from(body).toString()) as Batch;
  const key = replayKey(batch, batch.name);
  const [entry] = await parts.meta.get<ReplayRecord>([key]);
  if (entry === undefined) return { effects: {} };
  const nowMs = parts.clock.now();
  const write = (value: ReplayRecord) => ({ key, value, expect: entry.revision });
  const replay = entry.value;
  if (replay.endedAtMs !== undefined) return removal(batch, entry, replay.endedAtMs + KEPT_MS, nowMs);
  const end = (state: ReplayRecord["state"], more: Partial<ReplayRecord> = {}): Firing => ({
    effects: {
      writes: [write({ ...replay, state, endedAtMs: nowMs, ...more })],
      timers: [timerOf(batch, batch.name, nowMs + KEPT_MS)],
    },
  });
  if (replay.state === "CANCELLING") return end("CANCELLED");
  const archive = parts.archives.view.get(batch.account, batch.region, replay.archive)?.value;
  if (archive?.store !== replay.store) return end("FAILED", { stateReason: "The archive was deleted." });
  const { fromMs, toMs, after, destination, filterArns } = replay;
  const found = await parts.archives.read(batch, archive, { fromMs, toMs, limit: BATCH.events, ...(after === undefined ? {} : { after }) });
  if (found.length === 0) return end("COMPLETED");
  const bus = busNameOf(batch, destination);
  const isMeant = ({ arn }: { readonly arn: string }) => filterArns.length === 0 || filterArns.includes(arn);
  const { messages, last } = messagesOf(parts, found, (event) => consequencesOf(parts, bus, replayed(event, batch.name, nowMs), isMeant));
  return {
    effects: {
      enqueue: messages,
      writes: [write({ ...replay, state: "RUNNING", ...last })],
      timers: [timerOf(batch, batch.name, nowMs)],
    },
    settled: () => parts.deliveries.wake(messages),
  };
}

/** A timer comes early when the clock was set back. */
function removal(batch: Batch, { key, revision }: Entry<ReplayRecord>, atMs: number, nowMs: number): Firing {
  if (nowMs < atMs) return { effects: { timers: [timerOf(batch, batch.name, atMs)] } };
  return { effects: { writes: [{ key, expect: revision }] } };
}

/** Of as many of the events as have room in a transaction; and how far that is. */
function messagesOf(
  { deliveries }: ReplayParts,
  found: Awaited<ReturnType<Archives["read"]>>,
  consequences: (event: BusEvent) => Consequences,
) {
  const messages: NewMessage[] = [];
  let last: Pick<ReplayRecord, "after" | "lastReplayedMs"> = {};
  let bytes = 0;
  for (const { id, event } of found) {
    const more = deliveries.messagesOf([...consequences(event).deliveries]);
    messages.push(...more);
    last = { after: id, lastReplayedMs: event.ingestedAtMs };
    bytes += more.reduce((sum, { body }) => sum + body.byteLength, 0);
    if (bytes >= BATCH.bytes) break;
  }
  return { messages, last };
}

const at = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms));

function summaryOf(name: string, replay: ReplayRecord) {
  const { state, stateReason, source, fromMs, toMs, lastReplayedMs, startedAtMs, endedAtMs } = replay;
  return {
    ReplayName: name,
    EventSourceArn: source,
    State: state,
    ...(stateReason === undefined ? {} : { StateReason: stateReason }),
    EventStartTime: new Date(fromMs),
    EventEndTime: new Date(toMs),
    ...(lastReplayedMs === undefined ? {} : { EventLastReplayedTime: at(lastReplayedMs) }),
    ReplayStartTime: new Date(startedAtMs),
    ...(endedAtMs === undefined ? {} : { ReplayEndTime: at(endedAtMs) }),
  };
}

function checkedStart(parts: ReplayParts, context: Context, input: client.StartReplayCommandInput): ReplayRecord {
  const { EventSourceArn: source = "", EventStartTime: from, EventEndTime: to, Destination: destination, Description: description } = input;
  const archive = source.split(":archive/")[1] ?? "";
  const found = parts.archives.view.get(context.account, context.region, archive)?.value;
  if (found === undefined || source !== archiveArn(context, archive))
    throw invalidParameter("EventSourceArn", `Archive ${archive} does not exist.`);
  existingBus(parts, context, destination?.Arn);
  if (destination?.Arn !== found.source) throw invalidParameter("Destination.Arn", "Cross event bus replay is not permitted.");
  const [fromMs, toMs] = [from?.getTime() ?? 0, to?.getTime() ?? 0];
  if (fromMs >= toMs) throw invalidParameter("EventEndTime", "EventStartTime must be before EventEndTime.");
  return {
    ...(description === undefined ? {} : { description }),
    source,
    archive,
    store: found.store,
    destination: found.source,
    filterArns: destination.FilterArns ?? [],
    fromMs,
    toMs,
    state: "STARTING",
    startedAtMs: parts.clock.now(),
  };
}

export function replays(parts: ReplayParts, wake: () => void) {
  const find = ({ account, region }: Context, name: string): ReplayRecord => {
    const found = parts.replays.get(account, region, name);
    if (found === undefined) throw noSuchReplay(name);
    return found.value;
  };
  return {
    async StartReplay(context, input) {
      const { ReplayName: name = "" } = input;
      const record = checkedStart(parts, context, input);
      await changeRecord<ReplayRecord>(
        parts,
        replayKey(context, name),
        (before) => {
          if (before !== undefined) throw alreadyExists("Replay", name);
          return record;
        },
        () => [timerOf(context, name, record.startedAtMs)],
      );
      wake();
      return { ReplayArn: replayArn(context, name), State: record.state, ReplayStartTime: new Date(record.startedAtMs) };
    },

    async CancelReplay(context, { ReplayName: name = "" }) {
      find(context, name);
      await changeRecord<ReplayRecord>(parts, replayKey(context, name), (before) => {
        if (before === undefined) throw noSuchReplay(name);
        if (before.state !== "STARTING" && before.state !== "RUNNING")
          throw illegalState(`Replay ${name} is not in a valid state for this operation.`);
        return { ...before, state: "CANCELLING" };
      });
      wake();
      return { ReplayArn: replayArn(context, name), State: "CANCELLING" as const };
    },

    DescribeReplay(context, { ReplayName: name = "" }) {
      const replay = find(context, name);
      const { description, destination, filterArns } = replay;
      return {
        ReplayArn: replayArn(context, name),
        ...summaryOf(name, replay),
        ...(description === undefined ? {} : { Description: description }),
        Destination: { Arn: destination, FilterArns: [...filterArns] },
      };
    },

    ListReplays(context, input) {
      const { NamePrefix: prefix = "", State: state, EventSourceArn: source } = input;
      const all = parts.replays
        .list(context.account, context.region, { prefix, limit: Infinity })
        .filter(({ value }) => (state === undefined || value.state === state) && (source === undefined || value.source === source));
      const { found, more } = page(`replays ${prefix} ${state ?? ""} ${source ?? ""}`, input, ({ key }) => key.id, all);
      return { Replays: found.map(({ key, value }: Entry<ReplayRecord>) => summaryOf(key.id, value)), ...more };
    },
  } satisfies Pick<Operations<typeof client>, "StartReplay" | "CancelReplay" | "DescribeReplay" | "ListReplays">;
}
