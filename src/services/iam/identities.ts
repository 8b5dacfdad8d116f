// Who stands behind an access key, and what they may do: answered from memory for every request.
import type { AssumableRole, Caller, CallerPolicies, Credential, CredentialLookup, Identities, Roles } from "../../aws/identity.ts";
import { parseArn } from "../../aws/arn.ts";
import type { PolicyDocument } from "../../aws/policy.ts";
import { openSession, type Session } from "../../aws/sealed-session.ts";
import { awsManagedPolicy } from "./aws-managed-policies.ts";
import type { Iam, PolicyHolder, PolicyRecord, PrincipalRecord, RoleRecord, UserRecord } from "./model.ts";
import { roleArn } from "./roles.ts";
import { userArn } from "./users.ts";

/** A key pair that needs no IAM user: the install's own, and `test`/`test` where that is accepted. */
export interface RootKey {
  readonly account: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const SESSIONS_KEPT_MAX = 10_000;
/** In the place of a session policy that was deleted: it bounds to nothing, and does not stop bounding. */
const NOTHING: PolicyDocument = { Version: "2012-10-17", Statement: [] };

const rootCaller = (account: string, accessKeyId: string): Caller => ({
  kind: "root",
  account,
  arn: `arn:aws:iam::${account}:root`,
  userId: account,
  accessKeyId,
});

const lastPart = (arn: string) => arn.slice(arn.lastIndexOf("/") + 1);

function callerOf({ account, accessKeyId, role, user, session }: Session): Caller {
  if (role !== undefined) {
    const arn = `arn:aws:sts::${account}:assumed-role/${role.name}/${role.sessionName}`;
    return { kind: "assumed-role", account, arn, userId: `${role.id}:${role.sessionName}`, accessKeyId, roleArn: role.arn, session };
  }
  if (user !== undefined) return { kind: "user", account, arn: user.arn, userId: user.id, accessKeyId, session };
  return { ...rootCaller(account, accessKeyId), session };
}

function userCredential(iam: Iam, accessKeyId: string): Credential | undefined {
  const found = iam.accessKeysById.get(accessKeyId);
  if (found?.value.isActive !== true) return undefined;
  const { account } = found.key;
  const { user: name, secretAccessKey } = found.value;
  const user = iam.users.get(account, "", name)?.value;
  if (user === undefined) return undefined;
  return { secretAccessKey, caller: { kind: "user", account, arn: userArn(account, user, name), userId: user.id, accessKeyId } };
}

/** Opened once each: a token does not change what it says. */
function sessions(sealingKey: Uint8Array): (accessKeyId: string, token: string) => CredentialLookup {
  const kept = new Map<string, Credential>();
  return (accessKeyId, token) => {
    const known = kept.get(token);
    if (known !== undefined) return known.caller.accessKeyId === accessKeyId ? known : "token-invalid";
    const session = openSession(token, sealingKey);
    if (session === undefined || session.accessKeyId !== accessKeyId) return "token-invalid";
    const { secretAccessKey, expiresMs } = session;
    const credential: Credential = { secretAccessKey, caller: callerOf(session), expiresMs };
    const [oldest] = kept.keys();
    if (kept.size >= SESSIONS_KEPT_MAX && oldest !== undefined) kept.delete(oldest);
    kept.set(token, credential);
    return credential;
  };
}

/** The record whose policies count: those of a role or user that is gone leave its sessions without rights. */
function principalOf(iam: Iam, caller: Caller): PrincipalRecord | undefined {
  if (caller.kind === "user") {
    const user = iam.users.get(caller.account, "", lastPart(caller.arn))?.value;
    return user?.id === caller.userId ? user : undefined;
  }
  if (caller.kind !== "assumed-role" || caller.roleArn === undefined) return undefined;
  const role = iam.roles.get(caller.account, "", lastPart(caller.roleArn))?.value;
  // One of the same name that was made later is another one.
  return role !== undefined && caller.userId.startsWith(`${role.id}:`) ? role : undefined;
}

/** A principal and, of a user, its groups. */
function holdersOf(iam: Iam, account: string, record: PrincipalRecord | undefined): readonly PolicyHolder[] {
  if (record === undefined) return [];
  const { groups = [] } = record as UserRecord;
  return [record, ...groups.flatMap((name) => iam.groups.get(account, "", name)?.value ?? [])];
}

/** Records are replaced and never changed, so what was parsed of one holds as long as it does. */
function parsedPolicies(iam: Iam) {
  const inline = new WeakMap<PolicyHolder, readonly PolicyDocument[]>();
  const managed = new WeakMap<PolicyRecord, PolicyDocument>();
  const managedDocument = (account: string, arn: string): PolicyDocument | undefined => {
    const ofAws = awsManagedPolicy(arn);
    if (ofAws !== undefined) return ofAws.document;
    const name = lastPart(arn);
    const record = iam.policies.get(account, "", name)?.value;
    if (record === undefined || arn !== `arn:aws:iam::${account}:policy${record.path}${name}`) return undefined;
    const known = managed.get(record);
    if (known !== undefined) return known;
    const text = record.versions.find(({ id }) => id === record.defaultVersion)?.document;
    if (text === undefined) return undefined;
    const document = JSON.parse(text) as PolicyDocument;
    managed.set(record, document);
    return document;
  };
  const inlineDocuments = (record: PolicyHolder): readonly PolicyDocument[] => {
    let documents = inline.get(record);
    if (documents === undefined) {
      documents = Object.values(record.inline).map((text) => JSON.parse(text) as PolicyDocument);
      inline.set(record, documents);
    }
    return documents;
  };
  return {
    managedDocument,
    documentsOf(account: string, record: PolicyHolder): readonly PolicyDocument[] {
      const own = inlineDocuments(record);
      return record.attached.length === 0 ? own : [...own, ...record.attached.flatMap((arn) => managedDocument(account, arn) ?? [])];
    },
  };
}

/** The answers that the wire and STS need. `sealingKey` is 32 bytes. */
export function identities(iam: Iam, sealingKey: Uint8Array, rootKeys: readonly RootKey[]): { identities: Identities; roles: Roles } {
  const roots = new Map(
    rootKeys.map(({ account, accessKeyId, secretAccessKey }) => [
      accessKeyId,
      { secretAccessKey, caller: rootCaller(account, accessKeyId) },
    ]),
  );
  const temporary = sessions(sealingKey);
  const parsed = parsedPolicies(iam);
  return {
    identities: {
      credential(accessKeyId, sessionToken) {
        if (sessionToken !== undefined) return temporary(accessKeyId, sessionToken);
        const found = roots.get(accessKeyId) ?? userCredential(iam, accessKeyId);
        return found ?? (accessKeyId.startsWith("ASIA") ? "token-missing" : "unknown-key");
      },
      policies(caller): CallerPolicies {
        const record = principalOf(iam, caller);
        const identity = holdersOf(iam, caller.account, record).flatMap((holder) => parsed.documentsOf(caller.account, holder));
        const { policies = [], policyArns = [], tags: sessionTags = {} } = caller.session ?? {};
        const session = [...policies, ...policyArns.map((arn) => parsed.managedDocument(caller.account, arn) ?? NOTHING)];
        return { identity, session, tags: { ...record?.tags, ...sessionTags } };
      },
    },
    roles: {
      role: (arn) => assumableRole(iam, arn),
      managedPolicy: (account, arn) => parsed.managedDocument(account, arn),
    },
  };
}

const trusts = new WeakMap<RoleRecord, PolicyDocument>();

function trustOf(record: RoleRecord): PolicyDocument {
  let trust = trusts.get(record);
  if (trust === undefined) trusts.set(record, (trust = JSON.parse(record.trust) as PolicyDocument));
  return trust;
}

/** Of any account: the ARN must be the role's own, path included. */
function assumableRole(iam: Iam, arn: string): AssumableRole | undefined {
  const account = parseArn(arn)?.account ?? "";
  const name = lastPart(arn);
  const record = iam.roles.get(account, "", name)?.value;
  if (record === undefined || roleArn(account, record, name) !== arn) return undefined;
  const { id, sessionSecondsMax, tags } = record;
  return { arn, account, name, id, trust: trustOf(record), sessionSecondsMax, tags };
}
