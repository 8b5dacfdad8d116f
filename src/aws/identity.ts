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
  /** Policies that were given when the session was made: they bound what its identity may do. */
  readonly sessionPolicies?: readonly PolicyDocument[];
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
  /** Identity-based policies of the caller (own, group and, for a session, its role's), and the session policies that bound them. */
  policies(caller: Caller): { readonly identity: readonly PolicyDocument[]; readonly session: readonly PolicyDocument[] };
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
}

/** Implemented by services/iam for services/sts. */
export interface Roles {
  role(arn: string): AssumableRole | undefined;
  /** A managed policy of AWS or of the account, for session policies. */
  managedPolicy(account: string, arn: string): PolicyDocument | undefined;
}
