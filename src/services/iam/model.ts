// Stored records of IAM (a global service: the region of its keys is empty), and what its operations share.
import { randomBytes } from "node:crypto";
import type * as client from "@aws-sdk/client-iam";
import {
  EntityAlreadyExistsException$,
  InvalidInputException$,
  LimitExceededException$,
  MalformedPolicyDocumentException$,
  NoSuchEntityException$,
} from "@aws-sdk/client-iam";
import { Fault } from "../../aws/fault.ts";
import type { Context } from "../../aws/operations.ts";
import { parsePolicy, type PolicyDocument } from "../../aws/policy.ts";
import type { Clock } from "../../base/clock.ts";
import { StorageError, type Entry, type Key, type MetaStore } from "../../store/storage.ts";
import type { View } from "../../store/view.ts";

export const USER_KIND = "iam.user";
export const ROLE_KIND = "iam.role";
export const POLICY_KIND = "iam.policy";
export const ACCESS_KEY_KIND = "iam.access-key";

/** What users and roles have in common. Policy texts are kept as they were given. */
export interface PrincipalRecord {
  readonly id: string;
  readonly path: string;
  readonly createdAtMs: number;
  readonly inline: Readonly<Record<string, string>>;
  /** ARNs of managed policies. */
  readonly attached: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
}

export type UserRecord = PrincipalRecord;

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
  readonly roles: View<RoleRecord>;
  readonly policies: View<PolicyRecord>;
  readonly accessKeys: View<AccessKeyRecord>;
}

export const iamKey = (context: Pick<Context, "account">, kind: string, id: string): Key => ({
  account: context.account,
  region: "",
  kind,
  id,
});

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** `AROA`, `AIDA`, `AKIA`, `ANPA`, … and random letters, as AWS's unique ids look. */
export const uniqueId = (prefix: string, letters: number): string =>
  prefix + Array.from(randomBytes(letters), (byte) => ALPHABET[byte % ALPHABET.length]).join("");

export const noSuchEntity = (message: string) => new Fault(NoSuchEntityException$, message);
export const alreadyExists = (message: string) => new Fault(EntityAlreadyExistsException$, message);
export const invalidInput = (message: string) => new Fault(InvalidInputException$, message);
export const limitExceeded = (message: string) => new Fault(LimitExceededException$, message);

/** A policy that can be evaluated, or IAM's refusal. Clients may send it percent-encoded. */
export function checkedPolicy(text: string): PolicyDocument {
  const parsed = parsePolicy(text);
  if ("malformed" in parsed) throw new Fault(MalformedPolicyDocumentException$, parsed.malformed);
  return parsed;
}

/** IAM answers with policy documents in RFC 3986 percent-encoding. */
export const encodedPolicy = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

export const tagList = (tags: Readonly<Record<string, string>>): client.Tag[] =>
  Object.entries(tags).map(([Key_, Value]) => ({ Key: Key_, Value }));
export const tagRecord = (tags: readonly client.Tag[] | undefined): Record<string, string> =>
  Object.fromEntries((tags ?? []).map(({ Key: name = "", Value = "" }) => [name, Value]));

/** A page of a list by name; the marker is the last name of the page before. */
export function page<T>(
  entries: readonly Entry<T>[],
  input: { readonly Marker?: string | undefined; readonly MaxItems?: number | undefined; readonly PathPrefix?: string | undefined },
  pathOf: (value: T) => string,
) {
  const limit = input.MaxItems ?? 100;
  const after = input.Marker === undefined ? "" : Buffer.from(input.Marker, "base64url").toString("utf8");
  const wanted = entries.filter((entry) => entry.key.id > after && pathOf(entry.value).startsWith(input.PathPrefix ?? "/"));
  const found = wanted.slice(0, limit);
  const IsTruncated = wanted.length > found.length;
  const last = found.at(-1)?.key.id ?? "";
  return { found, more: { IsTruncated, ...(IsTruncated ? { Marker: Buffer.from(last).toString("base64url") } : {}) } };
}

/** Changes a record under compare-and-set; a change in between is tried again, because IAM's writes are independent of one another. */
export async function change<T>(iam: Iam, find: () => Entry<T>, edit: (value: T) => T): Promise<T> {
  for (let tries = 0; ; tries++) {
    const entry = find();
    const value = edit(entry.value);
    try {
      await iam.meta.write([{ key: entry.key, value, expect: entry.revision }]);
      return value;
    } catch (error) {
      if (!(error instanceof StorageError) || error.failure !== "Conflict" || tries >= 20) throw error;
    }
  }
}

/** Writes a new record, or throws `exists`. */
export async function create(iam: Iam, key: Key, value: unknown, exists: () => Fault): Promise<void> {
  try {
    await iam.meta.write([{ key, value, expect: "absent" }]);
  } catch (error) {
    if (error instanceof StorageError && error.failure === "Conflict") throw exists();
    throw error;
  }
}
