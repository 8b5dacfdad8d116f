// STS: who is calling, and temporary credentials.
import * as client from "@aws-sdk/client-sts";
import { MalformedPolicyDocumentException$, PackedPolicyTooLargeException$ } from "@aws-sdk/client-sts";
import type { AccessNeed, ServiceDefinition } from "../../aws/definition.ts";
import { CommonFault, Fault } from "../../aws/fault.ts";
import type { AssumableRole, Caller, Roles } from "../../aws/identity.ts";
import { notBuilt, type Context, type Operations } from "../../aws/operations.ts";
import { evaluate, parsePolicy, trusts, type PolicyDocument } from "../../aws/policy.ts";
import type { Clock } from "../../base/clock.ts";
import { ownSession, roleSession, type TemporaryCredentials } from "./sessions.ts";

const ROLE_SECONDS = 3600;
/** A session of a session lives an hour at most ("role chaining"). */
const CHAINED_SECONDS_MAX = 3600;
const OWN_SECONDS = 43_200;
const ROOT_SECONDS_MAX = 3600;
const SESSION_POLICIES_MAX = 10;

export interface StsDeps {
  readonly clock: Clock;
  readonly sealingKey: Uint8Array;
  readonly roles: Roles;
  readonly policiesOf: (caller: Caller) => { readonly identity: readonly PolicyDocument[]; readonly session: readonly PolicyDocument[] };
}

type AssumeRoleInput = client.AssumeRoleCommandInput;

const denied = (context: Context, resource: string) =>
  new CommonFault(
    "AccessDeniedException",
    `User: ${context.caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${resource}`,
    403,
  );

function described({ accessKeyId, secretAccessKey, sessionToken, expiresMs }: TemporaryCredentials): client.Credentials {
  return { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken, Expiration: new Date(expiresMs) };
}

function sessionPolicies(deps: StsDeps, role: AssumableRole, { Policy, PolicyArns = [] }: AssumeRoleInput): PolicyDocument[] {
  if (PolicyArns.length > SESSION_POLICIES_MAX) throw new Fault(PackedPolicyTooLargeException$, "Too many managed policies.");
  const found: PolicyDocument[] = [];
  if (Policy !== undefined) {
    const parsed = parsePolicy(Policy);
    if ("malformed" in parsed) throw new Fault(MalformedPolicyDocumentException$, parsed.malformed);
    found.push(parsed);
  }
  for (const { arn = "" } of PolicyArns) {
    const document = deps.roles.managedPolicy(role.account, arn);
    if (document === undefined) throw new Fault(MalformedPolicyDocumentException$, `Policy ${arn} does not exist.`);
    found.push(document);
  }
  return found;
}

/** The trust policy decides; where it names only the account, the caller's own policies must allow it too. */
function mayAssume(deps: StsDeps, context: Context, role: AssumableRole, input: AssumeRoleInput): boolean {
  const conditions = new Map<string, readonly string[]>([
    ["aws:principalarn", [context.caller.roleArn ?? context.caller.arn]],
    ["aws:principalaccount", [context.caller.account]],
    ["sts:rolesessionname", [input.RoleSessionName ?? ""]],
    ...(input.ExternalId === undefined ? [] : [["sts:externalid", [input.ExternalId]] as const]),
  ]);
  const need = { action: "sts:AssumeRole", resource: role.arn, resourcePolicy: role.trust };
  // The root of an account may assume a role that trusts the account, as its users with the right policy may.
  return trusts(role.trust, context.caller, "sts:AssumeRole", conditions) || evaluateWithAccount(deps, context.caller, need, conditions);
}

function evaluateWithAccount(deps: StsDeps, caller: Caller, need: AccessNeed, conditions: ReadonlyMap<string, readonly string[]>): boolean {
  const account: Caller = { ...caller, kind: "root", arn: `arn:aws:iam::${caller.account}:root` };
  if (!trusts(need.resourcePolicy ?? { Statement: [] }, account, need.action, conditions)) return false;
  if (caller.kind === "root") return true;
  const { identity, session } = deps.policiesOf(caller);
  return evaluate({ caller, need: { action: need.action, resource: need.resource, owner: caller.account }, identity, session, conditions })
    .allowed;
}

function durationOf(role: AssumableRole, context: Context, given: number | undefined): number {
  const seconds = given ?? Math.min(ROLE_SECONDS, role.sessionSecondsMax);
  if (seconds > role.sessionSecondsMax)
    throw new CommonFault("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", 400);
  if (context.caller.kind === "assumed-role" && seconds > CHAINED_SECONDS_MAX)
    throw new CommonFault(
      "ValidationError",
      "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
      400,
    );
  return seconds;
}

function operationsOf(deps: StsDeps) {
  return {
    GetCallerIdentity: ({ caller, account }) => ({ UserId: caller.userId, Account: account, Arn: caller.arn }),
    AssumeRole(context, input) {
      const { RoleArn = "", RoleSessionName = "", DurationSeconds, SerialNumber, TokenCode } = input;
      if (SerialNumber !== undefined || TokenCode !== undefined)
        throw new CommonFault("AccessDeniedException", "MultiFactorAuthentication failed: Lambent has no MFA devices.", 403);
      const role = deps.roles.role(RoleArn);
      if (role === undefined || !mayAssume(deps, context, role, input)) throw denied(context, RoleArn);
      const expiresMs = deps.clock.now() + durationOf(role, context, DurationSeconds) * 1000;
      const credentials = roleSession(role, RoleSessionName, expiresMs, sessionPolicies(deps, role, input), deps.sealingKey);
      return {
        Credentials: described(credentials),
        AssumedRoleUser: {
          AssumedRoleId: `${role.id}:${RoleSessionName}`,
          Arn: `arn:aws:sts::${role.account}:assumed-role/${role.name}/${RoleSessionName}`,
        },
      };
    },
    GetSessionToken(context, { DurationSeconds, SerialNumber, TokenCode }) {
      if (SerialNumber !== undefined || TokenCode !== undefined)
        throw new CommonFault("AccessDeniedException", "MultiFactorAuthentication failed: Lambent has no MFA devices.", 403);
      const { caller } = context;
      if (caller.kind !== "root" && caller.kind !== "user")
        throw new CommonFault("AccessDeniedException", "Cannot call GetSessionToken with session credentials", 403);
      const seconds =
        caller.kind === "root" ? Math.min(DurationSeconds ?? ROOT_SECONDS_MAX, ROOT_SECONDS_MAX) : (DurationSeconds ?? OWN_SECONDS);
      return { Credentials: described(ownSession(caller, deps.clock.now() + seconds * 1000, deps.sealingKey)) };
    },
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
  /**
   * Credentials for a service that acts for a function: its role must trust the service. The session is named after the function; a
   * one-letter name gets a suffix, because STS wants two letters at least (seen on AWS).
   */
  assumeAsService(roleArn: string, sessionName: string, service: string): TemporaryCredentials | "no-such-role" | "not-trusted";
}

/** AssumeRole is decided by the trust policy, in the operation; the others need no permission. */
const access = (): readonly AccessNeed[] => [];

export function stsService(deps: StsDeps): StsService {
  const operations = operationsOf(deps);
  return {
    definition: { name: "sts", client, clientClass: "STSClient", operations, constraints: "sts", access },
    assumeAsService(roleArn, sessionName, service) {
      const role = deps.roles.role(roleArn);
      if (role === undefined) return "no-such-role";
      const caller: Caller = { kind: "service", account: role.account, arn: service, userId: service, accessKeyId: "" };
      if (!trusts(role.trust, caller, "sts:AssumeRole", new Map([["aws:sourceaccount", [role.account]]]))) return "not-trusted";
      const name = sessionName.length < 2 ? `${sessionName}@lambda_function` : sessionName;
      return roleSession(role, name, deps.clock.now() + ROLE_SECONDS * 1000, [], deps.sealingKey);
    },
  };
}
