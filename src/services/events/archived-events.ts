// The events in archives: written with what else follows from an event, read by replays, removed when they are too old.
import type { Log } from "../../base/log.ts";
import { TimerWorkers, type Firing } from "../../store/timer-workers.ts";
import type { ClaimedTimer, Entry, Key, Timer, Write } from "../../store/storage.ts";
import { View } from "../../store/view.ts";
import { eventOf, type BusEvent } from "./bus-event.ts";
import { busArn, type BusName, type EventsDeps, type Place } from "./model.ts";
import { patternOf } from "./patterns.ts";

export const ARCHIVE_KIND = "events.archive";
const EVENT_KIND = "events.archived";
const SIZE_KIND = "events.archive-size";
const SWEEP_GROUP = "events.archive-sweep";
const SWEEP_INTERVAL_MS = 3_600_000;
const DAY_MS = 86_400_000;
const BATCH = 500;

export interface ArchiveRecord {
  /** Where its events are: a name of its own, so that an archive made again does not see those of the one before. */
  readonly store: string;
  readonly createdAtMs: number;
  /** ARN of the bus. */
  readonly source: string;
  readonly description?: string;
  readonly pattern?: string;
  /** 0: for ever. */
  readonly retentionDays: number;
}

export interface ArchiveSize {
  readonly events: number;
  /** Of their JSON. */
  readonly bytes: number;
}

interface ArchivedEvent {
  readonly text: string;
  readonly ingestedAtMs: number;
}

export interface Archives {
  readonly view: View<ArchiveRecord>;
  /** Into each archive of the bus that wants it. */
  copiesOf(bus: BusName, event: BusEvent): Write[];
  /** Of an archive, in order, behind the id, ingested from the one time on and before the other. */
  read(
    place: Place,
    archive: ArchiveRecord,
    range: { after?: string; fromMs: number; toMs: number; limit: number },
  ): Promise<readonly { readonly id: string; readonly event: BusEvent }[]>;
  /** One for each archive, in order. */
  sizesOf(place: Place, archives: readonly ArchiveRecord[]): Promise<readonly ArchiveSize[]>;
  /** Removes what is too old, or everything once the archive is gone. */
  sweep(place: Place, store: string): Timer;
  wake(): void;
  begin(): void;
  stop(): Promise<void>;
}

const padded = (ms: number) => String(Math.max(0, Math.floor(ms))).padStart(15, "0");
/** In order of time. */
const eventId = (store: string, { ingestedAtMs, id }: BusEvent) => `${store}/${padded(ingestedAtMs)}/${id}`;

export async function openArchives(deps: EventsDeps): Promise<Archives> {
  const view = await View.open<ArchiveRecord>(deps.meta, ARCHIVE_KIND);
  const list = (place: Place, store: string, after: string | undefined, limit: number): Promise<readonly Entry<ArchivedEvent>[]> =>
    deps.meta.list<ArchivedEvent>({
      ...placeOf(place),
      kind: EVENT_KIND,
      prefix: `${store}/`,
      limit,
      ...(after === undefined ? {} : { after }),
    });
  let workers: TimerWorkers | undefined;
  return {
    view,
    copiesOf(bus, event) {
      const source = busArn(bus);
      return view
        .list(bus.account, bus.region, { limit: Infinity })
        .filter(({ value }) => value.source === source && patternOf(value)?.matches(event.value) !== false)
        .flatMap(({ value }) => [
          { key: eventKey(bus, eventId(value.store, event)), value: archived(event) },
          { key: sizeKey(bus, value.store), add: sizeOf([archived(event)]) },
        ]);
    },
    async read(place, { store }, { after, fromMs, toMs, limit }) {
      const found = await list(place, store, after ?? `${store}/${padded(fromMs)}`, limit);
      return found
        .filter(({ value }) => value.ingestedAtMs < toMs)
        .map(({ key, value }) => ({ id: key.id, event: eventOf(value.text, value.ingestedAtMs) }));
    },
    async sizesOf(place, archives) {
      const found = await deps.meta.get<ArchiveSize>(archives.map(({ store }) => sizeKey(place, store)));
      // What an archive held before totals were kept is not in them, and is taken off when it is removed.
      return found.map((entry) => ({ events: Math.max(0, entry?.value.events ?? 0), bytes: Math.max(0, entry?.value.bytes ?? 0) }));
    },
    sweep: (place, store) => sweepTimer(place, store, deps.clock.now()),
    wake: () => workers?.wake(),
    begin() {
      const { timers, clock, log } = deps;
      workers = new TimerWorkers({ timers, clock, log, group: SWEEP_GROUP, fire: (timer) => sweep(deps, view, timer, list) });
    },
    async stop() {
      await workers?.stop();
      view.close();
    },
  };
}

const placeOf = ({ account, region }: Place): Place => ({ account, region });
const eventKey = (place: Place, id: string): Key => ({ ...placeOf(place), kind: EVENT_KIND, id });
const sizeKey = (place: Place, store: string): Key => ({ ...placeOf(place), kind: SIZE_KIND, id: store });
const sizeOf = (events: readonly ArchivedEvent[]) => ({
  events: events.length,
  bytes: events.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0),
});
const archived = ({ text, ingestedAtMs }: BusEvent): ArchivedEvent => ({ text, ingestedAtMs });

interface Sweep extends Place {
  readonly store: string;
}

const sweepTimer = (place: Place, store: string, dueAtMs: number): Timer => ({
  group: SWEEP_GROUP,
  id: store,
  dueAtMs,
  body: Buffer.from(JSON.stringify({ ...placeOf(place), store } satisfies Sweep)),
});

async function sweep(
  { clock }: EventsDeps & { readonly log: Log },
  view: View<ArchiveRecord>,
  { body }: ClaimedTimer,
  list: (place: Place, store: string, after: undefined, limit: number) => Promise<readonly Entry<ArchivedEvent>[]>,
): Promise<Firing> {
  const place = JSON.parse(Buffer.from(body).toString()) as Sweep;
  const archive = view.list(place.account, place.region, { limit: Infinity }).find(({ value }) => value.store === place.store)?.value;
  const days = archive?.retentionDays ?? 0;
  const untilMs = archive === undefined ? Infinity : days === 0 ? -Infinity : clock.now() - days * DAY_MS;
  const old = (await list(place, place.store, undefined, BATCH)).filter(({ value }) => value.ingestedAtMs < untilMs);
  const nextMs = old.length === BATCH ? clock.now() : clock.now() + SWEEP_INTERVAL_MS;
  const isOver = archive === undefined && old.length < BATCH;
  const removed = sizeOf(old.map(({ value }) => value));
  const key = sizeKey(place, place.store);
  const size = isOver ? [{ key }] : old.length === 0 ? [] : [{ key, add: { events: -removed.events, bytes: -removed.bytes } }];
  const timers = isOver ? [] : [sweepTimer(place, place.store, nextMs)];
  return { effects: { writes: [...old.map((entry) => ({ key: entry.key })), ...size], timers } };
}
