// Who stands behind an access key, and what they may do: answered from memory for every request.
import type { Caller, Credential, CredentialLookup, Identities, Roles } from "../../aws/identity.ts";
import type { PolicyDocument } from "../../aws/policy.ts";
import { openSession, type Session } from "../../aws/sealed-session.ts";
import { parseArn } from "../../aws/arn.ts";
import { awsManagedPolicy } from "./aws-managed-policies.ts";
import type { Iam, PrincipalRecord } from "./model.ts";
import { roleArn } from "./roles.ts";
import { userArn } from "./users.ts";

/** A key pair that needs no IAM user: the install's own, and `test`/`test` where that is accepted. */
export interface RootKey {
  readonly account: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const SESSIONS_MAX = 10_000;

const rootCaller = (account: string, accessKeyId: string): Caller => ({
  kind: "root",
  account,
  arn: `arn:aws:iam::${account}:root`,
  userId: account,
  accessKeyId,
});

export function identities(iam: Iam, sealingKey: Uint8Array, rootKeys: readonly RootKey[]): Identities {
  const roots = new Map(
    rootKeys.map((key) => [key.accessKeyId, { secretAccessKey: key.secretAccessKey, caller: rootCaller(key.account, key.accessKeyId) }]),
  );
  const sessions = new Map<string, Credential>();
  const parsed = new WeakMap<object, readonly PolicyDocument[]>();
  const userKey = (accessKeyId: string): Credential | undefined => {
    // Key ids are unique over all accounts, and there are few of them: the account is not known before the key is found.
    for (const { key, value } of iam.accessKeys.all()) {
      if (key.id !== accessKeyId || !value.isActive) continue;
      const user = iam.users.get(key.account, "", value.user);
      if (user === undefined) return undefined;
      const arn = userArn(key.account, user.value, value.user);
      return {
        secretAccessKey: value.secretAccessKey,
        caller: { kind: "user", account: key.account, arn, userId: user.value.id, accessKeyId },
      };
    }
    return undefined;
  };
  const temporary = (accessKeyId: string, token: string): CredentialLookup => {
    const known = sessions.get(token);
    if (known !== undefined) return known.caller.accessKeyId === accessKeyId ? known : "token-invalid";
    const session = openSession(token, sealingKey);
    if (session === undefined || session.accessKeyId !== accessKeyId) return "token-invalid";
    if (sessions.size >= SESSIONS_MAX) sessions.clear();
    const credential = { secretAccessKey: session.secretAccessKey, caller: sessionCaller(session), expiresMs: session.expiresMs };
    sessions.set(token, credential);
    return credential;
  };
  return {
    credential(accessKeyId, sessionToken) {
      if (sessionToken !== undefined) return temporary(accessKeyId, sessionToken);
      const found = roots.get(accessKeyId) ?? userKey(accessKeyId);
      if (found !== undefined) return found;
      return accessKeyId.startsWith("ASIA") ? "token-missing" : "unknown-key";
    },
    policies(caller) {
      const record = principalOf(iam, caller);
      const identity = record === undefined ? [] : (parsed.get(record) ?? documentsOf(iam, caller.account, record));
      // Managed policies change apart from the record, so only documents of a record without any of the account's are kept.
      if (record !== undefined && record.attached.every((arn) => awsManagedPolicy(arn) !== undefined)) parsed.set(record, identity);
      return { identity, session: caller.sessionPolicies ?? [] };
    },
  };
}

function sessionCaller(session: Session): Caller {
  const { account, accessKeyId, role, user, policies } = session;
  const bounds = policies.length === 0 ? {} : { sessionPolicies: policies };
  if (role !== undefined)
    return {
      kind: "assumed-role",
      account,
      arn: `arn:aws:sts::${account}:assumed-role/${role.name}/${role.sessionName}`,
      userId: `${role.id}:${role.sessionName}`,
      accessKeyId,
      roleArn: role.arn,
      ...bounds,
    };
  if (user !== undefined) return { kind: "user", account, arn: user.arn, userId: user.id, accessKeyId, ...bounds };
  return { ...rootCaller(account, accessKeyId), ...bounds };
}

const lastPart = (arn: string) => arn.slice(arn.lastIndexOf("/") + 1);

/** The record whose policies count; a role that was deleted leaves its sessions without rights. */
function principalOf(iam: Iam, caller: Caller): PrincipalRecord | undefined {
  if (caller.kind === "user") return iam.users.get(caller.account, "", lastPart(caller.arn))?.value;
  if (caller.kind !== "assumed-role" || caller.roleArn === undefined) return undefined;
  const role = iam.roles.get(caller.account, "", lastPart(caller.roleArn))?.value;
  // A role of the same name that was made later is another role.
  return role !== undefined && caller.userId.startsWith(`${role.id}:`) ? role : undefined;
}

function documentsOf(iam: Iam, account: string, record: PrincipalRecord): readonly PolicyDocument[] {
  const inline = Object.values(record.inline).map((text) => JSON.parse(text) as PolicyDocument);
  const attached = record.attached.flatMap((arn) => managedDocument(iam, account, arn) ?? []);
  return [...inline, ...attached];
}

function managedDocument(iam: Iam, account: string, arn: string): PolicyDocument | undefined {
  const managed = awsManagedPolicy(arn);
  if (managed !== undefined) return managed.document;
  const found = iam.policies.get(account, "", lastPart(arn))?.value;
  const version = found?.versions.find((one) => one.id === found.defaultVersion);
  return version === undefined ? undefined : (JSON.parse(version.document) as PolicyDocument);
}

/** Roles as STS needs them: of any account, by ARN. */
export function rolesByArn(iam: Iam): Roles {
  return {
    role(arn) {
      const account = parseArn(arn)?.account ?? "";
      const name = lastPart(arn);
      const entry = iam.roles.get(account, "", name);
      if (entry === undefined || roleArn(account, entry.value, name) !== arn) return undefined;
      const { id, trust, sessionSecondsMax } = entry.value;
      return { arn, account, name, id, trust: JSON.parse(trust) as PolicyDocument, sessionSecondsMax };
    },
    managedPolicy: (account, arn) => managedDocument(iam, account, arn),
  };
}
