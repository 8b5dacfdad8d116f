// Archives: which events of a bus are kept, and for how long.
import type * as client from "@aws-sdk/client-eventbridge";
import type { Context, Operations } from "../../aws/operations.ts";
import { requestId } from "../../base/id.ts";
import type { Entry, Key } from "../../store/storage.ts";
import { ARCHIVE_KIND, type ArchiveRecord, type Archives, type ArchiveSize } from "./archived-events.ts";
import { alreadyExists, invalidParameter, noSuchBus, notFound } from "./faults.ts";
import { archiveArn, busArn, busNameOf, changeRecord, findBus, page, type EventsParts, type Place } from "./model.ts";
import { readPattern } from "./patterns.ts";

type Parts = EventsParts & { readonly archives: Archives };

const archiveKey = ({ account, region }: Place, id: string): Key => ({ account, region, kind: ARCHIVE_KIND, id });
const noSuchArchive = (name: string) => notFound(`Archive ${name} does not exist.`);

function checkSettings({ EventPattern: pattern = "", KmsKeyIdentifier: key = "" }: client.UpdateArchiveCommandInput): void {
  if (key !== "") throw invalidParameter("KmsKeyIdentifier", "Lambent does not encrypt with keys of KMS. See docs/compatibility.md.");
  if (pattern !== "") readPattern(pattern);
}

function sourceOf(parts: Parts, context: Context, arn: string): string {
  const bus = busNameOf(context, arn);
  if (findBus(parts, bus) === undefined) throw noSuchBus(bus.name);
  return busArn(bus);
}

const stateOf = ({ createdAtMs }: ArchiveRecord) => ({ State: "ENABLED" as const, CreationTime: new Date(createdAtMs) });

const sizeMembers = ({ events, bytes }: ArchiveSize = { events: 0, bytes: 0 }) => ({ EventCount: events, SizeBytes: bytes });

/** What is given replaces what was; an empty pattern is none. */
function merged(before: ArchiveRecord, given: client.UpdateArchiveCommandInput): ArchiveRecord {
  const { pattern: oldPattern, description: oldDescription, ...rest } = before;
  const pattern = given.EventPattern ?? oldPattern ?? "";
  const description = given.Description ?? oldDescription;
  return {
    ...rest,
    retentionDays: given.RetentionDays ?? before.retentionDays,
    ...(pattern === "" ? {} : { pattern }),
    ...(description === undefined ? {} : { description }),
  };
}

export function archives(parts: Parts) {
  const find = ({ account, region }: Context, name: string): ArchiveRecord => {
    const found = parts.archives.view.get(account, region, name);
    if (found === undefined) throw noSuchArchive(name);
    return found.value;
  };
  return {
    CreateArchive: (context, input) => createArchive(parts, context, input),

    async UpdateArchive(context, input) {
      const { ArchiveName: name = "" } = input;
      checkSettings(input);
      let record = find(context, name);
      await changeRecord<ArchiveRecord>(parts, archiveKey(context, name), (before) => {
        if (before === undefined) throw noSuchArchive(name);
        return (record = merged(before, input));
      });
      return { ArchiveArn: archiveArn(context, name), ...stateOf(record) };
    },

    async DescribeArchive(context, { ArchiveName: name = "" }) {
      const record = find(context, name);
      const { source, description, pattern, retentionDays } = record;
      const [size] = await parts.archives.sizesOf(context, [record]);
      return {
        ArchiveArn: archiveArn(context, name),
        ArchiveName: name,
        EventSourceArn: source,
        ...(description === undefined ? {} : { Description: description }),
        ...(pattern === undefined ? {} : { EventPattern: pattern }),
        ...stateOf(record),
        RetentionDays: retentionDays,
        ...sizeMembers(size),
      };
    },

    async ListArchives(context, input) {
      const { NamePrefix: prefix = "", EventSourceArn: source, State: state = "ENABLED" } = input;
      if (source !== undefined) sourceOf(parts, context, source);
      const all = parts.archives.view
        .list(context.account, context.region, { prefix, limit: Infinity })
        .filter(({ value }) => state === "ENABLED" && (source === undefined || value.source === source));
      const { found, more } = page(`archives ${prefix} ${source ?? ""}`, input, ({ key }) => key.id, all);
      const sizes = await parts.archives.sizesOf(
        context,
        found.map(({ value }) => value),
      );
      const describe = ({ key, value }: Entry<ArchiveRecord>, at: number) => ({
        ArchiveName: key.id,
        EventSourceArn: value.source,
        ...stateOf(value),
        RetentionDays: value.retentionDays,
        ...sizeMembers(sizes[at]),
      });
      return { Archives: found.map(describe), ...more };
    },

    async DeleteArchive(context, { ArchiveName: name = "" }) {
      const { store } = find(context, name);
      await parts.timers.acknowledge([], {
        writes: [{ key: archiveKey(context, name) }],
        timers: [parts.archives.sweep(context, store)],
      });
      parts.archives.wake();
      return {};
    },
  } satisfies Pick<Operations<typeof client>, "CreateArchive" | "UpdateArchive" | "DescribeArchive" | "ListArchives" | "DeleteArchive">;
}

async function createArchive(parts: Parts, context: Context, input: client.CreateArchiveCommandInput) {
  const { ArchiveName: name = "", EventSourceArn: source = "" } = input;
  checkSettings(input);
  const base = { store: requestId(), createdAtMs: parts.clock.now(), source: sourceOf(parts, context, source), retentionDays: 0 };
  const record = merged(base, input);
  const edit = (before: ArchiveRecord | undefined) => {
    if (before !== undefined) throw alreadyExists("Archive", name);
    return record;
  };
  await changeRecord<ArchiveRecord>(parts, archiveKey(context, name), edit, () => [parts.archives.sweep(context, record.store)]);
  return { ArchiveArn: archiveArn(context, name), ...stateOf(record) };
}
