// Reserved concurrency: what a function may run at once, and nobody else in its account and region.
import { InvalidParameterValueException$ } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { limits } from "../limits.ts";
import type { Invoker } from "../pool/invocation.ts";
import { StorageError, type Key } from "../store/storage.ts";
import { conflict, notFound, notForVersions } from "./faults.ts";
import { functionKey, type Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";

/** When the function is changed by somebody else in between. */
const TRIES_MAX = 10;

export const RESERVATION_KIND = "lambda.reserved-concurrency";

export interface ReservationRecord {
  readonly ReservedConcurrentExecutions: number;
}

type Place = Pick<FunctionReference, "account" | "region" | "name">;
type Reservations = Pick<Lambda, "reservations">;

export const reservationKey = (place: Place): Key => ({ ...functionKey(place, place.name), kind: RESERVATION_KIND });

/** Undefined: nothing is reserved. 0: the function is switched off. */
export const reservedOf = ({ reservations }: Reservations, { account, region, name }: Place): number | undefined =>
  reservations.get(account, region, name)?.value.ReservedConcurrentExecutions;

/** Of an account in a region. */
export function reservedTotal({ reservations }: Reservations, { account, region }: Pick<Context, "account" | "region">): number {
  const all = reservations.list(account, region, { limit: Infinity });
  return all.reduce((sum, { value }) => sum + value.ReservedConcurrentExecutions, 0);
}

/** The data plane counts by what it was told last. */
export function tellReservation(invoker: Invoker, { account, region, id: name }: Key, record: ReservationRecord | undefined): void {
  invoker.reserve({ account, region, functionArn: functionArn({ account, region, name }) }, record?.ReservedConcurrentExecutions);
}

type Names = "PutFunctionConcurrency" | "GetFunctionConcurrency" | "DeleteFunctionConcurrency";

export function concurrency(lambda: Lambda) {
  return {
    PutFunctionConcurrency: (context, input) => putConcurrency(lambda, context, input),
    GetFunctionConcurrency(context, { FunctionName = "" }) {
      const reserved = reservedOf(lambda, existing(lambda, context, FunctionName));
      return reserved === undefined ? {} : { ReservedConcurrentExecutions: reserved };
    },
    async DeleteFunctionConcurrency(context, { FunctionName = "" }) {
      await lambda.meta.write([{ key: reservationKey(existing(lambda, context, FunctionName)) }]);
      return {};
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

function existing(lambda: Lambda, context: Context, name: string): FunctionReference {
  const reference = functionReference(context, name);
  if (reference.qualifier !== undefined && reference.qualifier !== "$LATEST") throw notForVersions();
  if (lambda.functions.get(reference.account, reference.region, reference.name) === undefined) throw functionNotFound(reference);
  return reference;
}

const functionNotFound = (reference: FunctionReference) =>
  notFound(`Function not found: ${functionArn({ ...reference, qualifier: "$LATEST" })}`);

async function putConcurrency(lambda: Lambda, context: Context, input: client.PutFunctionConcurrencyCommandInput) {
  const { FunctionName = "", ReservedConcurrentExecutions = 0 } = input;
  const reference = existing(lambda, context, FunctionName);
  const others = reservedTotal(lambda, reference) - (reservedOf(lambda, reference) ?? 0);
  // AWS sends this one without a Type.
  if (lambda.accountConcurrency - others - ReservedConcurrentExecutions < limits.unreservedConcurrencyMin)
    throw new Fault(
      InvalidParameterValueException$,
      `Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [${limits.unreservedConcurrencyMin}].`,
    );
  const record: ReservationRecord = { ReservedConcurrentExecutions };
  await writeWhileThere(lambda, reference, record);
  return record;
}

/** None must be left of a function that is deleted meanwhile; its other changes don't matter. */
async function writeWhileThere(lambda: Lambda, reference: FunctionReference, value: ReservationRecord): Promise<void> {
  const { account, region, name } = reference;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const entry = lambda.functions.get(account, region, name);
    if (entry === undefined) throw functionNotFound(reference);
    try {
      return void (await lambda.meta.write([
        { key: reservationKey(reference), value },
        { key: entry.key, keep: true, expect: entry.revision },
      ]));
    } catch (cause) {
      if (!(cause instanceof StorageError && cause.failure === "Conflict")) throw cause;
    }
  }
  throw conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${functionArn(reference)}`);
}
