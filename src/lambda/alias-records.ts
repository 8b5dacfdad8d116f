// Stored aliases, and where the requests to one go.
import type { Entry, Key } from "../store/storage.ts";
import type { Lambda } from "./model.ts";
import type { FunctionReference } from "./names.ts";

export const ALIAS_KIND = "lambda.alias";

export interface AliasRecord {
  /** `$LATEST` or a number. */
  readonly FunctionVersion: string;
  readonly Description: string;
  /** Shares from 0 to 1, by version; what is left is `FunctionVersion`'s. One at most. */
  readonly weights?: Readonly<Record<string, number>>;
  readonly revisionId: string;
}

type Place = Pick<FunctionReference, "account" | "region" | "name">;
type Aliases = Pick<Lambda, "aliases">;

export const aliasKey = ({ account, region, name }: Place, alias: string): Key => ({
  account,
  region,
  kind: ALIAS_KIND,
  id: `${name}/${alias}`,
});

/** Of changes to where a function's aliases point, and to what they could point to. */
export const aliasTurn = ({ account, region, name }: Place): string => `aliases/${account}/${region}/${name}`;

export const aliasOf = ({ aliases }: Aliases, { account, region, name }: Place, alias: string): Entry<AliasRecord> | undefined =>
  aliases.get(account, region, `${name}/${alias}`);

export const aliasesOf = ({ aliases }: Aliases, { account, region, name }: Place, after?: string, limit = Infinity): Entry<AliasRecord>[] =>
  aliases.list(account, region, { prefix: `${name}/`, limit, ...(after === undefined ? {} : { after }) });

/** The version that this request goes to; `chance` is from 0 up to 1. */
export function routedVersion({ FunctionVersion, weights = {} }: AliasRecord, chance: number): string {
  const [other] = Object.entries(weights);
  return other !== undefined && chance < other[1] ? other[0] : FunctionVersion;
}
