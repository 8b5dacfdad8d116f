// Whether IAM allows a request: the policies of its caller and of its resources, under the conditions of this moment.
import type { Clock } from "../base/clock.ts";
import type { AccessNeed } from "./definition.ts";
import { CommonFault } from "./fault.ts";
import type { Caller, CallerPolicies, Identities } from "./identity.ts";
import type { Context } from "./operations.ts";
import { evaluate, resourceAccount } from "./policy.ts";
import type { WireRequest } from "./request.ts";

const PRINCIPAL_TYPES: Readonly<Record<Exclude<Caller["kind"], "anonymous">, string>> = {
  root: "Account",
  user: "User",
  "assumed-role": "AssumedRole",
  service: "Service",
};

const NO_POLICIES: CallerPolicies = { identity: [], session: [] };

const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/;

/** Nobody can overhear what does not leave the machine: loopback, a function's sandbox, what one service does in another. */
const isSecure = (endpoint: string, sourceIp: string | undefined): boolean =>
  endpoint.startsWith("https:") || sourceIp === undefined || LOOPBACK.test(sourceIp);

/** The keys that every request has and those of the need; by lower-case name, because IAM compares names without case. */
function conditionsOf(
  request: WireRequest | undefined,
  context: Context,
  need: AccessNeed,
  tags: CallerPolicies["tags"],
  nowMs: number,
): Map<string, string[]> {
  const { caller } = context;
  const conditions = new Map<string, string[]>([
    ["aws:currenttime", [new Date(nowMs).toISOString()]],
    ["aws:epochtime", [String(Math.floor(nowMs / 1000))]],
    ["aws:securetransport", [String(isSecure(context.endpoint, request?.sourceIp))]],
    ["aws:requestedregion", [context.region]],
    ["aws:resourceaccount", [resourceAccount({ caller, need })]],
  ]);
  if (request?.sourceIp !== undefined) conditions.set("aws:sourceip", [request.sourceIp]);
  const userAgent = request?.headers.get("user-agent");
  if (userAgent !== undefined) conditions.set("aws:useragent", [userAgent]);
  if (caller.kind !== "anonymous") {
    conditions.set("aws:principalaccount", [caller.account]);
    conditions.set("aws:principalarn", [caller.roleArn ?? caller.arn]);
    conditions.set("aws:userid", [caller.userId]);
    conditions.set("aws:principaltype", [PRINCIPAL_TYPES[caller.kind]]);
  }
  if (caller.kind === "user") conditions.set("aws:username", [caller.arn.slice(caller.arn.lastIndexOf("/") + 1)]);
  if (caller.session !== undefined) conditions.set("aws:tokenissuetime", [new Date(caller.session.issuedMs).toISOString()]);
  if (caller.session?.sourceIdentity !== undefined) conditions.set("aws:sourceidentity", [caller.session.sourceIdentity]);
  for (const [name, value] of Object.entries(tags ?? {})) conditions.set(`aws:principaltag/${name.toLowerCase()}`, [value]);
  for (const [name, value] of Object.entries(need.conditions?.() ?? {}))
    conditions.set(name.toLowerCase(), typeof value === "string" ? [value] : [...value]);
  return conditions;
}

/**
 * Throws CommonFault with AWS's sentence for the first need that is not met, unless it stands for a part of the request. Without a request for what one service does for the caller in
 * another: then the keys of the connection are absent.
 */
export function authorise(
  request: WireRequest | undefined,
  context: Context,
  needs: readonly AccessNeed[],
  { identities, clock }: { readonly identities: Identities; readonly clock: Clock },
): void {
  if (needs.length === 0) return;
  const { caller } = context;
  const { identity, session, tags } = caller.kind === "anonymous" ? NO_POLICIES : identities.policies(caller);
  for (const need of needs) {
    const conditions = () => conditionsOf(request, context, need, tags, clock.now());
    const decision = evaluate({ caller, need, identity, session, conditions });
    if (decision.allowed) continue;
    if (need.part === undefined || context.denied === undefined) throw new CommonFault("AccessDeniedException", decision.message, 403);
    context.denied.set(need.part, decision.message);
  }
}
