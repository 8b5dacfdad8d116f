// Who signed a request, and what they may do: the interface that services/iam implements for the wire.
import type { PolicyDocument } from "./policy.ts";

export interface Caller {
  readonly kind: "root" | "user" | "assumed-role" | "service" | "anonymous";
  /** Twelve digits. */
  readonly account: string;
  /** `arn:aws:iam::…:user/x`, `arn:aws:sts::…:assumed-role/role/session`, … */
  readonly arn: string;
  /** What `GetCallerIdentity` calls UserId: `AIDA…`, `AROA…:session`, or the account. */
  readonly userId: string;
  /** Empty for services and anonymous callers. */
  readonly accessKeyId: string;
  /** ARN of the role behind an assumed-role session. */
  readonly roleArn?: string;
  /** Present for temporary credentials. */
  readonly session?: CallerSession;
}

/** What temporary credentials carry besides whose they are; fixed when they are made. */
export interface CallerSession {
  /** Wall time in ms: `aws:TokenIssueTime`. */
  readonly issuedMs: number;
  /** They bound what the identity may do. */
  readonly policies: readonly PolicyDocument[];
  /** Managed policies that bound it too, as they are at the time of a request. */
  readonly policyArns: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  /** Tags that a session made with this one inherits. */
  readonly transitiveTagKeys: readonly string[];
  readonly sourceIdentity?: string;
}

/** A secret and the identity that it proves. */
export interface Credential {
  readonly secretAccessKey: string;
  readonly caller: Caller;
  /** Wall time in ms after which the credential is refused; absent for long-lived keys. */
  readonly expiresMs?: number;
}

export type CredentialLookup = Credential | "unknown-key" | "token-missing" | "token-invalid";

/** Implemented by services/iam; called once per request, so it answers from memory. */
export interface Identities {
  /** Finds the secret behind an access key id; the session token must belong to the key. */
  credential(accessKeyId: string, sessionToken: string | undefined): CredentialLookup;
  policies(caller: Caller): CallerPolicies;
}

export interface CallerPolicies {
  /** Own, group and, for a session, its role's. */
  readonly identity: readonly PolicyDocument[];
  /** They bound the identity's; none: no bounds. */
  readonly session: readonly PolicyDocument[];
  /** `aws:PrincipalTag/…`: of the user or role, with the session's before them. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A role as STS sees it. */
export interface AssumableRole {
  readonly arn: string;
  readonly account: string;
  readonly name: string;
  /** `AROA…` */
  readonly id: string;
  readonly trust: PolicyDocument;
  readonly sessionSecondsMax: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** Implemented by services/iam for services/sts. */
export interface Roles {
  role(arn: string): AssumableRole | undefined;
  /** A managed policy of AWS or of the account, for session policies. */
  managedPolicy(account: string, arn: string): PolicyDocument | undefined;
}
