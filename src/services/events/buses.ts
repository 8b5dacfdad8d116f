// Event buses: made, changed, shown, deleted. The one called default is always there.
import type * as client from "@aws-sdk/client-eventbridge";
import type { Context, Operations } from "../../aws/operations.ts";
import { alreadyExists, invalidParameter, tooMany, validation } from "./faults.ts";
import {
  busArn,
  busKey,
  busNameOf,
  changeRecord,
  DEFAULT_BUS,
  existingBus,
  page,
  present,
  rulesOf,
  type BusName,
  type BusRecord,
  type EventsParts,
} from "./model.ts";
import { checkTags, tagsOf } from "./tags.ts";

/** https://docs.aws.amazon.com/general/latest/gr/ev.html */
const BUSES_MAX = 100;

type Settings = Pick<client.CreateEventBusCommandInput, "Description" | "DeadLetterConfig" | "LogConfig" | "KmsKeyIdentifier">;

function settingsOf({ Description: description, DeadLetterConfig: letters, LogConfig: logConfig, KmsKeyIdentifier: key = "" }: Settings) {
  if (key !== "") throw invalidParameter("KmsKeyIdentifier", "Lambent does not encrypt with keys of KMS. See docs/compatibility.md.");
  return {
    ...(description === undefined ? {} : { description }),
    ...(letters?.Arn === undefined ? {} : { deadLetterArn: letters.Arn }),
    ...(logConfig === undefined ? {} : { logConfig: logConfig as BusRecord["logConfig"] & {} }),
  } satisfies Partial<BusRecord>;
}

const shown = ({ description, deadLetterArn, logConfig }: BusRecord) => ({
  ...(description === undefined ? {} : { Description: description }),
  ...(deadLetterArn === undefined ? {} : { DeadLetterConfig: { Arn: deadLetterArn } }),
  ...(logConfig === undefined ? {} : { LogConfig: { ...logConfig } }),
});

const described = (bus: BusName, { policy, createdAtMs, modifiedAtMs }: BusRecord) => ({
  Name: bus.name,
  Arn: busArn(bus),
  ...(policy === undefined ? {} : { Policy: policy }),
  ...(createdAtMs === 0 ? {} : { CreationTime: new Date(createdAtMs), LastModifiedTime: new Date(modifiedAtMs) }),
});

function checkNew(parts: EventsParts, { account, region, name }: BusName, input: client.CreateEventBusCommandInput): void {
  if (input.EventSourceName !== undefined)
    throw invalidParameter("EventSourceName", "Lambent has no partner event sources. See docs/compatibility.md.");
  if (name.includes("/")) throw validation("Event bus name must not contain '/'.");
  if (name.startsWith("aws.")) throw validation("Event bus name must not start with 'aws.'.");
  if (parts.buses.list(account, region, { limit: BUSES_MAX }).length >= BUSES_MAX) throw tooMany();
}

export function buses(parts: EventsParts) {
  const { meta, clock } = parts;
  return {
    async CreateEventBus(context, input) {
      const bus = { account: context.account, region: context.region, name: input.Name ?? "" };
      if (bus.name === DEFAULT_BUS) throw alreadyExists("Event bus", bus.name);
      checkNew(parts, bus, input);
      const tags = tagsOf(input.Tags);
      checkTags(tags);
      const nowMs = clock.now();
      const record: BusRecord = { createdAtMs: nowMs, modifiedAtMs: nowMs, ...settingsOf(input), tags };
      await changeRecord<BusRecord>(parts, busKey(bus), (before) => {
        if (before !== undefined) throw alreadyExists("Event bus", bus.name);
        return record;
      });
      return { EventBusArn: busArn(bus), ...shown(record) };
    },

    async UpdateEventBus(context, input) {
      const bus = existingBus(parts, context, input.Name);
      const settings = settingsOf(input);
      const nowMs = clock.now();
      let record: BusRecord = bus.record;
      await changeRecord<BusRecord>(
        parts,
        busKey(bus),
        (before) => (record = { ...present(parts, bus, before), ...settings, modifiedAtMs: nowMs }),
      );
      return { Arn: busArn(bus), Name: bus.name, ...shown(record) };
    },

    DescribeEventBus(context, { Name }) {
      const bus = existingBus(parts, context, Name);
      return { ...described(bus, bus.record), ...shown(bus.record) };
    },

    ListEventBuses: (context, input) => listBuses(parts, context, input),

    /** One that is not there is as good as deleted. */
    async DeleteEventBus(context, { Name = "" }) {
      const bus = busNameOf(context, Name);
      if (bus.name === DEFAULT_BUS) throw validation("Cannot delete event bus default.");
      if (rulesOf(parts, bus).length > 0) throw validation("Event bus can't be deleted since it has rules.");
      await meta.write([{ key: busKey(bus) }]);
      return {};
    },
  } satisfies Pick<
    Operations<typeof client>,
    "CreateEventBus" | "UpdateEventBus" | "DescribeEventBus" | "ListEventBuses" | "DeleteEventBus"
  >;
}

function listBuses(parts: EventsParts, context: Context, input: client.ListEventBusesCommandInput) {
  const { account, region } = context;
  const { NamePrefix: prefix = "" } = input;
  const names = new Set([DEFAULT_BUS, ...parts.buses.list(account, region, { limit: Infinity }).map(({ key }) => key.id)]);
  const sorted = [...names].filter((name) => name.startsWith(prefix)).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const { found, more } = page(`buses ${prefix}`, input, (name) => name, sorted);
  return {
    EventBuses: found.map((name) => {
      const bus = existingBus(parts, context, name);
      const { description } = bus.record;
      return { ...described(bus, bus.record), ...(description === undefined ? {} : { Description: description }) };
    }),
    ...more,
  };
}
