// Stored versions of functions, and the record of a new one: numbers rise, and are never used again.
import { createHash } from "node:crypto";
import { requestId } from "../base/id.ts";
import type { Entry, Key, Write } from "../store/storage.ts";
import { assertStorage } from "./account.ts";
import { functionKey, VERSION_COUNTER_KIND, type Deployed, type FunctionRecord, type Lambda } from "./model.ts";

export const VERSION_KIND = "lambda.version";

/** A function as it was when it was published: it does not change any more. */
export interface VersionRecord {
  readonly number: number;
  readonly deployed: Deployed;
  /** The state of `$LATEST` that it is a copy of: the version can be used when that runs. */
  readonly sourceId: string;
  /** Of that state's configuration and code: what has not changed since is not published again. */
  readonly sourceSha256: string;
  readonly revisionId: string;
  readonly lastModifiedMs: number;
}

export type VersionEntry = Entry<VersionRecord>;

interface Place {
  readonly account: string;
  readonly region: string;
  readonly name: string;
}

const DIGITS = 15;

/** Ids sort as the numbers do; a function's name has no slash. */
const versionKey = ({ account, region, name }: Place, number: number): Key => ({
  account,
  region,
  kind: VERSION_KIND,
  id: `${name}/${String(number).padStart(DIGITS, "0")}`,
});

type Versions = Pick<Lambda, "versions">;

export const versionsOf = ({ versions }: Versions, { account, region, name }: Place, after?: string, limit = Infinity): VersionEntry[] =>
  versions.list(account, region, { prefix: `${name}/`, limit, ...(after === undefined ? {} : { after }) });

export function versionOf({ versions }: Versions, place: Place, number: string): VersionEntry | undefined {
  if (!/^\d{1,15}$/.test(number)) return undefined;
  const { account, region, id } = versionKey(place, Number(number));
  return versions.get(account, region, id);
}

/** Of a function that was made or updated together with its publication. */
export const isVersionPending = (record: FunctionRecord, version: VersionRecord): boolean =>
  version.sourceId === record.wanted.id && record.running?.id !== record.wanted.id;

function sha256Of({ configuration, code }: Deployed): string {
  const members = Object.entries(configuration).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([members, code.sha256]))
    .digest("hex");
}

/** The version that the last publication made, when `$LATEST` is still the same. */
export function alreadyPublished(lambda: Versions, place: Place, wanted: Deployed): VersionEntry | undefined {
  const last = versionsOf(lambda, place).at(-1);
  return last?.value.sourceSha256 === sha256Of(wanted) ? last : undefined;
}

/** A new version, and what is to be written in one transaction with the function. `Description` replaces the function's. Counts as storage. */
export async function newVersion(
  lambda: Pick<Lambda, "meta" | "clock" | "usage">,
  place: Place,
  wanted: Deployed,
  Description?: string,
): Promise<{ readonly version: VersionRecord; readonly writes: readonly Write[] }> {
  assertStorage(lambda, place, wanted.code.bytes);
  const counterKey: Key = { ...functionKey(place, place.name), kind: VERSION_COUNTER_KIND };
  const [counter] = await lambda.meta.get<{ readonly next: number }>([counterKey]);
  const number = counter?.value.next ?? 1;
  const configuration = Description === undefined ? wanted.configuration : { ...wanted.configuration, Description };
  const version: VersionRecord = {
    number,
    deployed: { configuration, code: wanted.code, id: requestId() },
    sourceId: wanted.id,
    sourceSha256: sha256Of(wanted),
    revisionId: requestId(),
    lastModifiedMs: lambda.clock.now(),
  };
  return {
    version,
    writes: [
      { key: counterKey, value: { next: number + 1 }, expect: counter?.revision ?? "absent" },
      { key: versionKey(place, number), value: version, expect: "absent" },
    ],
  };
}
