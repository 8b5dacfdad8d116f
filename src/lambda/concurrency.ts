// Reserved concurrency: what a function may run at once, and nobody else in its account and region.
import { InvalidParameterValueException$ } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { limits } from "../limits.ts";
import {
  provisionedTotal,
  reservationKey,
  reservedOf,
  scopeOf,
  unreservedConcurrency,
  type ReservationRecord,
} from "./concurrency-records.ts";
import { notFound, notForVersions } from "./faults.ts";
import type { FunctionEntry, Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";
import { writeBeside } from "./records.ts";

type Names = "PutFunctionConcurrency" | "GetFunctionConcurrency" | "DeleteFunctionConcurrency";

export function concurrency(lambda: Lambda) {
  return {
    PutFunctionConcurrency: (context, input) => putConcurrency(lambda, context, input),
    GetFunctionConcurrency(context, { FunctionName = "" }) {
      const { reference } = existing(lambda, context, FunctionName);
      const reserved = reservedOf(lambda, reference);
      return reserved === undefined ? {} : { ReservedConcurrentExecutions: reserved };
    },
    async DeleteFunctionConcurrency(context, { FunctionName = "" }) {
      await lambda.meta.write([{ key: reservationKey(existing(lambda, context, FunctionName).reference) }]);
      return {};
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

function existing(lambda: Lambda, context: Context, name: string): { reference: FunctionReference; entry: FunctionEntry } {
  const reference = functionReference(context, name);
  if (reference.qualifier !== undefined && reference.qualifier !== "$LATEST") throw notForVersions();
  const entry = lambda.functions.get(reference.account, reference.region, reference.name);
  if (entry === undefined) throw notFound(`Function not found: ${functionArn({ ...reference, qualifier: "$LATEST" })}`);
  return { reference, entry };
}

/** One at a time in an account: what is left is checked against what is stored. */
async function putConcurrency(lambda: Lambda, context: Context, input: client.PutFunctionConcurrencyCommandInput) {
  const { FunctionName = "", ReservedConcurrentExecutions = 0 } = input;
  const { reference } = existing(lambda, context, FunctionName);
  const record: ReservationRecord = { ReservedConcurrentExecutions };
  return await lambda.turns.run(scopeOf(reference), async () => {
    checkReservation(lambda, reference, ReservedConcurrentExecutions);
    await writeBeside(lambda, { key: reservationKey(reference), value: record }, () => [existing(lambda, context, FunctionName).entry]);
    return record;
  });
}

// AWS sends both without a Type.
function checkReservation(lambda: Lambda, reference: FunctionReference, wanted: number): void {
  const provisioned = provisionedTotal(lambda, reference);
  if (wanted < provisioned)
    throw new Fault(
      InvalidParameterValueException$,
      ` ReservedConcurrentExecutions  ${wanted} should not be lower than function's total provisioned concurrency [${provisioned}].`,
    );
  const others = unreservedConcurrency(lambda, reference) + (reservedOf(lambda, reference) ?? provisioned);
  if (others - wanted < limits.unreservedConcurrencyMin)
    throw new Fault(
      InvalidParameterValueException$,
      `Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [${limits.unreservedConcurrencyMin}].`,
    );
}
