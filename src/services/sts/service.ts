// STS: who is calling, and temporary credentials.
import * as client from "@aws-sdk/client-sts";
import { notImplemented } from "../../aws/common-faults.ts";
import type { ServiceDefinition } from "../../aws/definition.ts";
import { CommonFault } from "../../aws/fault.ts";
import type { Caller, Roles } from "../../aws/identity.ts";
import { notBuilt, type Context, type Operations } from "../../aws/operations.ts";
import { trusts } from "../../aws/policy.ts";
import type { Clock } from "../../base/clock.ts";
import { assumableRole, assumeRoleAccess, durationSeconds, sessionOf } from "./assume-role.ts";
import { ownSession, plainSession, roleSession, type TemporaryCredentials } from "./sessions.ts";

const SERVICE_SECONDS = 3600;
const OWN_SECONDS = 43_200;
const ROOT_SECONDS_MAX = 3600;

interface StsDeps {
  readonly clock: Clock;
  /** 32 bytes. */
  readonly sealingKey: Uint8Array;
  readonly roles: Roles;
}

function described({ accessKeyId, secretAccessKey, sessionToken, expiresMs }: TemporaryCredentials): client.Credentials {
  return { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken, Expiration: new Date(expiresMs) };
}

/** Who may assume the role is decided by `access`, before. */
function assumeRole({ clock, roles, sealingKey }: StsDeps, context: Context, input: client.AssumeRoleCommandInput) {
  const { RoleArn = "", RoleSessionName = "", DurationSeconds } = input;
  const role = assumableRole(roles, context, RoleArn);
  const nowMs = clock.now();
  const { session, ...packed } = sessionOf(roles, role, context, input, nowMs);
  const expiresMs = nowMs + durationSeconds(role, context, DurationSeconds) * 1000;
  return {
    Credentials: described(roleSession(role, RoleSessionName, expiresMs, session, sealingKey)),
    AssumedRoleUser: {
      AssumedRoleId: `${role.id}:${RoleSessionName}`,
      Arn: `arn:aws:sts::${role.account}:assumed-role/${role.name}/${RoleSessionName}`,
    },
    ...packed,
    ...(session.sourceIdentity === undefined ? {} : { SourceIdentity: session.sourceIdentity }),
  };
}

function getSessionToken({ clock, sealingKey }: StsDeps, { caller }: Context, input: client.GetSessionTokenCommandInput) {
  const { DurationSeconds, SerialNumber, TokenCode } = input;
  if (SerialNumber !== undefined || TokenCode !== undefined)
    throw new CommonFault("AccessDeniedException", "MultiFactorAuthentication failed: Lambent has no MFA devices.", 403);
  if (input.MinimumSessionTokenSize !== undefined) throw notImplemented("MinimumSessionTokenSize of GetSessionToken");
  if (caller.session !== undefined || (caller.kind !== "root" && caller.kind !== "user"))
    throw new CommonFault("AccessDeniedException", "Cannot call GetSessionToken with session credentials", 403);
  const nowMs = clock.now();
  // AWS shortens the root's sessions without a word.
  const seconds =
    caller.kind === "root" ? Math.min(DurationSeconds ?? ROOT_SECONDS_MAX, ROOT_SECONDS_MAX) : (DurationSeconds ?? OWN_SECONDS);
  return { Credentials: described(ownSession(caller, nowMs + seconds * 1000, nowMs, sealingKey)) };
}

function operationsOf(deps: StsDeps) {
  return {
    GetCallerIdentity: ({ caller, account }) => ({ UserId: caller.userId, Account: account, Arn: caller.arn }),
    AssumeRole: (context, input) => assumeRole(deps, context, input),
    GetSessionToken: (context, input) => getSessionToken(deps, context, input),
    AssumeRoleWithSAML: notBuilt,
    AssumeRoleWithWebIdentity: notBuilt,
    AssumeRoot: notBuilt,
    DecodeAuthorizationMessage: notBuilt,
    GetAccessKeyInfo: notBuilt,
    GetDelegatedAccessToken: notBuilt,
    GetFederationToken: notBuilt,
    GetScopedCredentials: notBuilt,
    GetWebIdentityToken: notBuilt,
  } satisfies Operations<typeof client>;
}

export interface StsService {
  readonly definition: ServiceDefinition;
  readonly operations: ReturnType<typeof operationsOf>;
  /**
   * Credentials for a service that acts for a function: its role must trust the service. The session is named after the function; a
   * one-letter name gets a suffix, because STS wants two letters at least (seen on AWS).
   */
  assumeAsService(
    roleArn: string,
    sessionName: string,
    servicePrincipal: string,
    seconds?: number,
  ): TemporaryCredentials | "no-such-role" | "not-trusted";
}

export function stsService(deps: StsDeps): StsService {
  const { clock, roles, sealingKey } = deps;
  const operations = operationsOf(deps);
  return {
    operations,
    definition: {
      name: "sts",
      client,
      clientClass: "STSClient",
      operations,
      constraints: "sts",
      // They come with a token instead of a signature.
      anonymous: new Set(["AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"]),
      // The others need no permission: they tell or give the caller only what is the caller's own.
      access: (operation, context, input) => (operation === "AssumeRole" ? assumeRoleAccess(roles, context, input as never) : []),
    },
    assumeAsService(roleArn, sessionName, servicePrincipal, seconds = SERVICE_SECONDS) {
      const role = roles.role(roleArn);
      if (role === undefined) return "no-such-role";
      const caller: Caller = { kind: "service", account: role.account, arn: servicePrincipal, userId: servicePrincipal, accessKeyId: "" };
      if (!trusts(role.trust, caller, "sts:AssumeRole", new Map([["aws:sourceaccount", [role.account]]]))) return "not-trusted";
      const name = sessionName.length < 2 ? `${sessionName}@lambda_function` : sessionName;
      const nowMs = clock.now();
      return roleSession(role, name, nowMs + seconds * 1000, plainSession(nowMs), sealingKey);
    },
  };
}
