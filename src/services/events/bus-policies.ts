// Policies of event buses: who else may put events on them.
import type * as client from "@aws-sdk/client-eventbridge";
import type { Operations } from "../../aws/operations.ts";
import { parsePolicy, type PolicyDocument, type PolicyStatement } from "../../aws/policy.ts";
import { notFound, policyTooLong, validation } from "./faults.ts";
import { busArn, busKey, changeRecord, existingBus, present, type BusName, type BusRecord, type EventsParts } from "./model.ts";

const POLICY_BYTES_MAX = 10_240;

const parsed = new WeakMap<BusRecord, PolicyDocument>();

/** Parsed once for each state of the bus. */
export function policyOf(record: BusRecord): PolicyDocument | undefined {
  if (record.policy === undefined) return undefined;
  const known = parsed.get(record);
  if (known !== undefined) return known;
  const policy = parsePolicy(record.policy);
  if ("malformed" in policy) throw new Error(`a stored bus policy is malformed: ${policy.malformed}`);
  parsed.set(record, policy);
  return policy;
}

function statementsOf(record: BusRecord): readonly PolicyStatement[] {
  const statements = policyOf(record)?.Statement ?? [];
  return Array.isArray(statements) ? (statements as readonly PolicyStatement[]) : [statements as PolicyStatement];
}

function withPolicy({ policy: _policy, ...record }: BusRecord, policy: string | undefined, nowMs: number): BusRecord {
  if (policy !== undefined && Buffer.byteLength(policy) > POLICY_BYTES_MAX) throw policyTooLong();
  return { ...record, modifiedAtMs: nowMs, ...(policy === undefined ? {} : { policy }) };
}

const textOf = (statements: readonly PolicyStatement[]) =>
  statements.length === 0 ? undefined : JSON.stringify({ Version: "2012-10-17", Statement: statements });

function statementOf(bus: BusName, input: client.PutPermissionCommandInput): PolicyStatement {
  const { Action: action, Principal: principal, StatementId: id, Condition: condition } = input;
  for (const [name, value] of Object.entries({ Action: action, Principal: principal, StatementId: id }))
    if (value === undefined) throw validation(`Parameter ${name} must be specified.`);
  const { Type = "", Key = "", Value = "" } = condition ?? {};
  return {
    Sid: id ?? "",
    Effect: "Allow",
    Principal: principal === "*" ? "*" : { AWS: `arn:aws:iam::${principal}:root` },
    Action: action ?? "",
    Resource: busArn(bus),
    ...(condition === undefined ? {} : { Condition: { [Type]: { [Key]: Value } } }),
  };
}

function checkPolicy(text: string): void {
  const problem = parsePolicy(text);
  if ("malformed" in problem) throw validation(`Parameter Policy is not valid. Reason: ${problem.malformed}`);
}

export function busPolicies(parts: EventsParts) {
  const { clock } = parts;
  const change = async (bus: BusName, edit: (record: BusRecord) => string | undefined) => {
    await changeRecord<BusRecord>(parts, busKey(bus), (before) => {
      const record = present(parts, bus, before);
      return withPolicy(record, edit(record), clock.now());
    });
    return {};
  };
  return {
    async PutPermission(context, input) {
      const bus = existingBus(parts, context, input.EventBusName);
      const { Policy: whole } = input;
      if (whole !== undefined) {
        checkPolicy(whole);
        return await change(bus, () => whole);
      }
      const statement = statementOf(bus, input);
      checkPolicy(textOf([statement]) ?? "");
      return await change(bus, (record) => textOf([...statementsOf(record).filter(({ Sid }) => Sid !== statement.Sid), statement]));
    },

    async RemovePermission(context, { EventBusName, StatementId: id, RemoveAllPermissions: isAll = false }) {
      const bus = existingBus(parts, context, EventBusName);
      if (isAll) return await change(bus, () => undefined);
      if (id === undefined) throw validation("Parameter StatementId must be specified.");
      return await change(bus, (record) => {
        const statements = statementsOf(record);
        if (statements.length === 0) throw notFound("EventBus does not have a policy.");
        const kept = statements.filter(({ Sid }) => Sid !== id);
        if (kept.length === statements.length) throw notFound("Statement with the provided id does not exist.");
        return textOf(kept);
      });
    },
  } satisfies Pick<Operations<typeof client>, "PutPermission" | "RemovePermission">;
}
