// Stored reservations and provisioned concurrency of functions, and what they leave of the account's concurrency.
import type { Context } from "../aws/operations.ts";
import type { Invoker } from "../pool/invocation.ts";
import type { Entry, Key } from "../store/storage.ts";
import { functionKey, type Lambda } from "./model.ts";
import { functionArn, type FunctionReference } from "./names.ts";

export const RESERVATION_KIND = "lambda.reserved-concurrency";
export const PROVISIONED_KIND = "lambda.provisioned-concurrency";

export interface ReservationRecord {
  readonly ReservedConcurrentExecutions: number;
}

/** Of an alias or a version. */
export interface ProvisionedRecord {
  readonly requested: number;
  readonly lastModifiedMs: number;
}

type Place = Pick<FunctionReference, "account" | "region" | "name">;
type Scope = Pick<Context, "account" | "region">;
type Reservations = Pick<Lambda, "reservations">;
type Provisioned = Pick<Lambda, "provisioned">;

/** Whose turn it is when concurrency is given away. */
export const scopeOf = ({ account, region }: Scope): string => `${account}/${region}`;

export const reservationKey = (place: Place): Key => ({ ...functionKey(place, place.name), kind: RESERVATION_KIND });

/** Undefined: nothing is reserved. 0: the function is switched off. */
export const reservedOf = ({ reservations }: Reservations, { account, region, name }: Place): number | undefined =>
  reservations.get(account, region, name)?.value.ReservedConcurrentExecutions;

/** The data plane counts by what it was told last. */
export function tellReservation(invoker: Invoker, { account, region, id: name }: Key, record: ReservationRecord | undefined): void {
  invoker.reserve({ account, region, functionArn: functionArn({ account, region, name }) }, record?.ReservedConcurrentExecutions);
}

/** A function's name has no slash. */
export const provisionedKey = ({ account, region, name }: Place, qualifier: string): Key => ({
  account,
  region,
  kind: PROVISIONED_KIND,
  id: `${name}/${qualifier}`,
});

export const provisionedOf = ({ provisioned }: Provisioned, { account, region, name }: Place, qualifier: string) =>
  provisioned.get(account, region, `${name}/${qualifier}`);

export const provisionedConfigsOf = (
  { provisioned }: Provisioned,
  { account, region, name }: Place,
  after?: string,
  limit = Infinity,
): Entry<ProvisionedRecord>[] =>
  provisioned.list(account, region, { prefix: `${name}/`, limit, ...(after === undefined ? {} : { after }) });

export const qualifierOf = ({ key }: Entry<ProvisionedRecord>): string => key.id.slice(key.id.indexOf("/") + 1);

/** Of all aliases and versions of a function. */
export const provisionedTotal = (lambda: Provisioned, place: Place): number =>
  provisionedConfigsOf(lambda, place).reduce((sum, { value }) => sum + value.requested, 0);

/** What functions that have nothing for themselves share. What is provisioned within a reservation is in that already. */
export function unreservedConcurrency(
  lambda: Reservations & Provisioned & Pick<Lambda, "accountConcurrency">,
  { account, region }: Scope,
): number {
  const all = { limit: Infinity };
  const reserved = lambda.reservations.list(account, region, all).reduce((sum, { value }) => sum + value.ReservedConcurrentExecutions, 0);
  const provisioned = lambda.provisioned
    .list(account, region, all)
    .filter(({ key }) => lambda.reservations.get(account, region, key.id.slice(0, key.id.indexOf("/"))) === undefined)
    .reduce((sum, { value }) => sum + value.requested, 0);
  return lambda.accountConcurrency - reserved - provisioned;
}
