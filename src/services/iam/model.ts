// Stored records of IAM (a global service: the region of its keys is empty), and what its operations share.
import { randomBytes } from "node:crypto";
import type * as client from "@aws-sdk/client-iam";
import {
  ConcurrentModificationException$,
  DeleteConflictException$,
  EntityAlreadyExistsException$,
  InvalidInputException$,
  LimitExceededException$,
  MalformedPolicyDocumentException$,
  NoSuchEntityException$,
} from "@aws-sdk/client-iam";
import { CommonFault, Fault } from "../../aws/fault.ts";
import type { Context } from "../../aws/operations.ts";
import { decodeMarker, encodeMarker } from "../../aws/page.ts";
import { parsePolicy, type PolicyDocument } from "../../aws/policy.ts";
import type { Clock } from "../../base/clock.ts";
import { StorageError, type Entry, type Key, type MetaStore, type Write } from "../../store/storage.ts";
import type { View } from "../../store/view.ts";

export const USER_KIND = "iam.user";
export const GROUP_KIND = "iam.group";
export const ROLE_KIND = "iam.role";
export const POLICY_KIND = "iam.policy";
export const ACCESS_KEY_KIND = "iam.access-key";

/** What has policies. Their texts are kept as they were given. */
export interface PolicyHolder {
  readonly id: string;
  readonly path: string;
  readonly createdAtMs: number;
  readonly inline: Readonly<Record<string, string>>;
  /** ARNs of managed policies. */
  readonly attached: readonly string[];
}

export type GroupRecord = PolicyHolder;

/** What users and roles have in common. */
export interface PrincipalRecord extends PolicyHolder {
  readonly tags: Readonly<Record<string, string>>;
}

export interface UserRecord extends PrincipalRecord {
  /** Names, in order; absent: none. */
  readonly groups?: readonly string[];
}

export interface RoleRecord extends PrincipalRecord {
  readonly trust: string;
  readonly description?: string;
  readonly sessionSecondsMax: number;
}

export interface PolicyRecord {
  readonly id: string;
  readonly path: string;
  readonly description?: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly defaultVersion: string;
  readonly nextVersion: number;
  readonly versions: readonly { readonly id: string; readonly document: string; readonly createdAtMs: number }[];
  readonly tags: Readonly<Record<string, string>>;
}

export interface AccessKeyRecord {
  readonly user: string;
  readonly secretAccessKey: string;
  readonly isActive: boolean;
  readonly createdAtMs: number;
}

export interface Iam {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly users: View<UserRecord>;
  readonly groups: View<GroupRecord>;
  readonly roles: View<RoleRecord>;
  readonly policies: View<PolicyRecord>;
  readonly accessKeys: View<AccessKeyRecord>;
  /** Access keys of all accounts: of a request, only the key is known at first. */
  readonly accessKeysById: ReadonlyMap<string, Entry<AccessKeyRecord>>;
}

export const iamKey = (context: Pick<Context, "account">, kind: string, id: string): Key => ({
  account: context.account,
  region: "",
  kind,
  id,
});

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Text in the letters of AWS's unique ids, five bits of each byte. */
export const idLetters = (bytes: Uint8Array): string => Array.from(bytes, (byte) => ALPHABET[byte % ALPHABET.length]).join("");

/** `AROA`, `AIDA`, `AKIA`, `ANPA`, … and random letters, as AWS's unique ids look. */
export const uniqueId = (prefix: string, letters: number): string => prefix + idLetters(randomBytes(letters));

export const noSuchEntity = (message: string) => new Fault(NoSuchEntityException$, message);
export const alreadyExists = (message: string) => new Fault(EntityAlreadyExistsException$, message);
export const invalidInput = (message: string) => new Fault(InvalidInputException$, message);
export const limitExceeded = (message: string) => new Fault(LimitExceededException$, message);
export const deleteConflict = (message: string) => new Fault(DeleteConflictException$, message);
const malformedPolicy = (message: string) => new Fault(MalformedPolicyDocumentException$, message);

/** A policy that can be evaluated; throws MalformedPolicyDocument. */
export function checkedPolicy(text: string, kind: "identity" | "trust" | "resource"): PolicyDocument {
  const parsed = parsePolicy(text, kind);
  if ("malformed" in parsed) throw malformedPolicy(parsed.malformed);
  return parsed;
}

/** What counts against IAM's quotas: white space does not. */
export const policyLength = (text: string): number => text.replaceAll(/\s/g, "").length;

/** IAM answers with policy documents in RFC 3986 percent-encoding. */
export const encodedPolicy = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

interface PageInput {
  readonly Marker?: string | undefined;
  readonly MaxItems?: number | undefined;
}

/** A page of `items`, which are in order of `idOf`; `list` is the operation's name. */
export function page<T>(list: string, items: readonly T[], idOf: (item: T) => string, { Marker, MaxItems = 100 }: PageInput) {
  const after = Marker === undefined ? undefined : decodeMarker(list, Marker);
  if (Marker !== undefined && after === undefined) throw new CommonFault("ValidationError", "Invalid Marker.", 400);
  const wanted = after === undefined ? items : items.filter((item) => idOf(item) > after);
  const found = wanted.slice(0, MaxItems);
  const last = found.at(-1);
  const IsTruncated = wanted.length > found.length && last !== undefined;
  return { found, more: { IsTruncated, ...(IsTruncated ? { Marker: encodeMarker(list, idOf(last)) } : {}) } };
}

interface NamedInput extends PageInput {
  readonly PathPrefix?: string | undefined;
}

/** A page of the account's users, groups, roles or policies. */
export function pageOf<T extends { readonly path: string }>(list: string, view: View<T>, context: Context, input: NamedInput) {
  const prefix = input.PathPrefix ?? "/";
  const entries = view.list(context.account, "", { limit: Infinity }).filter(({ value }) => value.path.startsWith(prefix));
  return page(list, entries, ({ key }) => key.id, input);
}

const TRIES_MAX = 20;

/**
 * Makes the writes that `plan` finds right for what is there now. If something has changed in between, it is planned again, so that a plan
 * is always carried out on the state that it has seen.
 */
export async function transact<T>(iam: Iam, plan: () => { readonly writes: readonly Write[]; readonly result: T }): Promise<T> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const { writes, result } = plan();
    try {
      await iam.meta.write(writes);
      return result;
    } catch (error) {
      if (!(error instanceof StorageError) || error.failure !== "Conflict") throw error;
    }
  }
  throw new Fault(
    ConcurrentModificationException$,
    "The request was rejected because multiple requests to change this object were submitted simultaneously.",
  );
}

/** Changes one record. */
export async function change<T>(iam: Iam, find: () => Entry<T>, edit: (value: T) => T): Promise<T> {
  return await transact(iam, () => {
    const { key, value, revision } = find();
    const result = edit(value);
    return { writes: [{ key, value: result, expect: revision }], result };
  });
}

/** Moves a record on without changing it: whoever is about to delete it, having found it unused, has to look again. */
export const touch = ({ key, value, revision }: Entry): Write => ({ key, value, expect: revision });

/** Writes a new record, or throws `exists`. Names differ in more than case. */
export async function create<T>(iam: Iam, view: View<T>, key: Key, value: T, exists: () => Fault): Promise<void> {
  const lower = key.id.toLowerCase();
  await transact(iam, () => {
    if (view.list(key.account, "", { limit: Infinity }).some((entry) => entry.key.id.toLowerCase() === lower)) throw exists();
    return { writes: [{ key, value, expect: "absent" }], result: undefined };
  });
}

const TAGS_MAX = 50;

const tagList = (tags: Readonly<Record<string, string>>): client.Tag[] =>
  Object.entries(tags).map(([Key_, Value]) => ({ Key: Key_, Value }));

export const tagMember = (tags: Readonly<Record<string, string>>): { Tags?: client.Tag[] } =>
  Object.keys(tags).length === 0 ? {} : { Tags: tagList(tags) };

/** Keys are compared without case and kept as they were given. Throws InvalidInput and LimitExceeded. */
export function withTags(tags: Readonly<Record<string, string>>, added: readonly client.Tag[] | undefined): Record<string, string> {
  const pairs = (added ?? []).map(({ Key: name = "", Value = "" }) => [name, Value] as const);
  const names = new Set(pairs.map(([name]) => name.toLowerCase()));
  if (names.size < pairs.length) throw invalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.");
  if ([...names].some((name) => name.startsWith("aws:"))) throw invalidInput("Tag keys with the prefix aws: are reserved for AWS.");
  const kept = Object.entries(tags).filter(([name]) => !names.has(name.toLowerCase()));
  if (kept.length + pairs.length > TAGS_MAX) throw limitExceeded("The number of tags has reached the maximum limit.");
  return Object.fromEntries([...kept, ...pairs]);
}

export function withoutTags(tags: Readonly<Record<string, string>>, removed: readonly string[] | undefined): Record<string, string> {
  const names = new Set((removed ?? []).map((name) => name.toLowerCase()));
  return Object.fromEntries(Object.entries(tags).filter(([name]) => !names.has(name.toLowerCase())));
}

interface TagsPageInput extends PageInput {
  readonly tags: Readonly<Record<string, string>>;
}

export function tagPage(list: string, { tags, ...input }: TagsPageInput): { Tags: client.Tag[]; IsTruncated: boolean; Marker?: string } {
  const items = tagList(tags).toSorted((a, b) => ((a.Key ?? "") < (b.Key ?? "") ? -1 : 1));
  const { found, more } = page(list, items, (tag) => tag.Key ?? "", input);
  return { Tags: found, ...more };
}
