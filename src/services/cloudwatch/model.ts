// What the operations of CloudWatch share, and its errors.
import {
  InvalidParameterCombinationException$,
  InvalidParameterValueException$,
  MissingRequiredParameterException$,
} from "@aws-sdk/client-cloudwatch";
import { Fault } from "../../aws/fault.ts";
import type { Context } from "../../aws/operations.ts";
import type { Clock } from "../../base/clock.ts";
import { inOrder, TIERS, type Dimension, type MetricName, type MetricStore } from "../../store/metric-store.ts";

export interface CloudWatch {
  readonly metrics: MetricStore;
  readonly clock: Clock;
  /** Resolves when what was recorded so far can be queried. */
  readonly flush: () => Promise<void>;
}

export const invalidValue = (message: string) => new Fault(InvalidParameterValueException$, message);
export const invalidCombination = (message: string) => new Fault(InvalidParameterCombinationException$, message);
export const missing = (name: string) => new Fault(MissingRequiredParameterException$, `The parameter ${name} is required.`);

interface Named {
  readonly Namespace?: string | undefined;
  readonly MetricName?: string | undefined;
  readonly Dimensions?: readonly { readonly Name?: string | undefined; readonly Value?: string | undefined }[] | undefined;
}

/** `path`: what the request calls the dimensions, for errors. Throws MissingRequiredParameter and InvalidParameterValue. */
export function metricName(
  { account, region }: Context,
  { Namespace = "", MetricName = "", Dimensions = [] }: Named,
  path: string,
): MetricName {
  const dimensions = Dimensions.map(({ Name, Value }, index): Dimension => {
    if (Name === undefined) throw missing(`${path}.member.${index + 1}.Name`);
    if (Value === undefined) throw missing(`${path}.member.${index + 1}.Value`);
    return { Name, Value };
  });
  if (new Set(dimensions.map(({ Name }) => Name)).size < dimensions.length)
    throw invalidValue(`The parameter ${path} must not name a dimension twice.`);
  const texts = [Namespace, MetricName, ...dimensions.flatMap(({ Name, Value }) => [Name, Value])];
  if (!texts.every((text) => text.isWellFormed() && !/\p{Cc}/u.test(text)))
    throw invalidValue(`The parameter ${path} has a character that is not allowed.`);
  return { account, region, namespace: Namespace, name: MetricName, dimensions: inOrder(dimensions) };
}

/** 1, 5, 10, 20, 30 or whole minutes. */
export function checkPeriod(seconds: number | undefined, name: string): number {
  if (seconds === undefined) throw missing(name);
  if (seconds > 86_400) throw invalidValue(`The parameter ${name} must be less than or equal to 86400.`);
  if (seconds % 60 !== 0 && ![1, 5, 10, 20, 30].includes(seconds))
    throw invalidValue(`The parameter ${name} must be 1, 5, 10, 20, 30, or any multiple of 60.`);
  return seconds * 1000;
}

export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Throws for what is no span of time. */
export function timeRange(from: Date | undefined, to: Date | undefined): Range {
  if (from === undefined) throw missing("StartTime");
  if (to === undefined) throw missing("EndTime");
  if (from.getTime() >= to.getTime()) throw invalidValue("The parameter StartTime must be less than the parameter EndTime.");
  return { fromMs: from.getTime(), toMs: to.getTime() };
}

/** The start as CloudWatch rounds it: to the precision in which data of that age is kept. Undefined: the period is finer than that. */
export function roundedStart(nowMs: number, fromMs: number, periodMs: number): number | undefined {
  const tier = TIERS.find(({ keptMs }) => nowMs - fromMs <= keptMs) ?? TIERS.at(-1);
  const keptMs = (tier?.seconds ?? 1) * 1000;
  if (periodMs % keptMs !== 0) return undefined;
  const stepMs = keptMs === 1000 ? Math.min(periodMs, 60_000) : keptMs;
  return Math.floor(fromMs / stepMs) * stepMs;
}
