// The metrics of AWS/Lambda: what every invocation and every asynchronous event adds to them.
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
import type { Recorder, Series } from "../base/metrics.ts";
import type { Deployment, Invoker, Outcome, ProvisionedUse } from "../pool/invocation.ts";
import { readFunctionName } from "./names.ts";

type Place = Pick<Deployment, "account" | "region">;
type EventMetric =
  | "AsyncEventsReceived"
  | "AsyncEventAge"
  | "AsyncEventsDropped"
  | "RecursiveInvocationsDropped"
  | "DeadLetterErrors"
  | "DestinationDeliveryFailures";

/** Different names that were invoked, and are remembered so that nothing is built anew for the next invocation. */
const KNOWN_MAX = 10_000;
const NOWHERE = { account: "", region: "" };

/** What the invocations of one deployment add to when they begin. */
interface DeploymentSeries {
  readonly concurrent: Series;
  readonly unreserved: Series;
  readonly mine: Series;
}

export class LambdaMetrics {
  readonly #recorder: Recorder;
  readonly #known = new Map<string, Map<string, Series>>();
  /** Keys made of long names, for every invocation anew, would show in its time. */
  readonly #ofDeployments = new WeakMap<Deployment, DeploymentSeries>();

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  /** `running`: with this invocation. */
  began(deployment: Deployment, running: ReturnType<Invoker["running"]>): void {
    const { concurrent, unreserved, mine } = this.#ofDeployment(deployment);
    this.#recorder.record(concurrent, running.account);
    this.#recorder.record(unreserved, running.unreserved);
    this.#recorder.record(mine, running.function);
  }

  ended(deployment: Deployment, invokedArn: string, outcome: Outcome): void {
    if (outcome.kind === "unavailable") return;
    const series = this.#of(`${invokedArn} ${deployment.version}`);
    const count = (name: string, value: number) =>
      this.#recorder.record(
        known(series, name, (of) => invocationSeries(deployment, invokedArn, of)),
        value,
      );
    count("Throttles", outcome.kind === "throttled" ? 1 : 0);
    if (outcome.kind === "throttled") return;
    count("Invocations", 1);
    count("Errors", outcome.kind === "failed" ? 1 : 0);
    count("Duration", outcome.report.durationMs);
    for (const [name, value] of ofProvisioned(outcome.provisioned)) count(name, value);
  }

  /** Of events there is no executed version. */
  event(name: EventMetric, invokedArn: string, value: number): void {
    const make = (of: string) => {
      const { account, region, name: FunctionName, qualifier } = readFunctionName(NOWHERE, invokedArn);
      return seriesOf({ account, region }, of, dimensionsOf(FunctionName, qualifier));
    };
    this.#recorder.record(known(this.#of(`event ${invokedArn}`), name, make), value);
  }

  #ofDeployment(deployment: Deployment): DeploymentSeries {
    let found = this.#ofDeployments.get(deployment);
    if (found !== undefined) return found;
    const { account, region, functionName } = deployment;
    const make = (name: string) => seriesOf({ account, region }, name, [{}]);
    const makeMine = (name: string) => seriesOf({ account, region }, name, [{ FunctionName: functionName }]);
    const everything = this.#of(`${account}/${region}`);
    found = {
      concurrent: known(everything, "ConcurrentExecutions", make),
      unreserved: known(everything, "UnreservedConcurrentExecutions", make),
      mine: known(this.#of(`${account}/${region}/${functionName}`), "ConcurrentExecutions", makeMine),
    };
    this.#ofDeployments.set(deployment, found);
    return found;
  }

  #of(what: string): Map<string, Series> {
    let series = this.#known.get(what);
    if (series === undefined) {
      const [oldest] = this.#known.keys();
      if (this.#known.size >= KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
      this.#known.set(what, (series = new Map()));
    }
    return series;
  }
}

/** Only of what has provisioned concurrency. */
function ofProvisioned(use: ProvisionedUse | undefined): readonly (readonly [name: string, value: number])[] {
  if (use === undefined) return [];
  const { isSpillover, busy, count } = use;
  return [
    [isSpillover ? "ProvisionedConcurrencySpilloverInvocations" : "ProvisionedConcurrencyInvocations", 1],
    ["ProvisionedConcurrentExecutions", busy],
    ["ProvisionedConcurrencyUtilization", busy / count],
  ];
}

function known(series: Map<string, Series>, name: string, make: (name: string) => Series): Series {
  let found = series.get(name);
  if (found === undefined) series.set(name, (found = make(name)));
  return found;
}

const seriesOf = ({ account, region }: Place, name: string, dimensions: Series["dimensions"]): Series => ({
  account,
  region,
  namespace: "AWS/Lambda",
  name,
  unit: name === "Duration" || name === "AsyncEventAge" ? "Milliseconds" : "Count",
  dimensions,
});

/** All together, of the function, and of what was invoked: the function, a version or an alias. */
function dimensionsOf(FunctionName: string, qualifier: string | undefined): Series["dimensions"] {
  return [{}, { FunctionName }, { FunctionName, Resource: qualifier === undefined ? FunctionName : `${FunctionName}:${qualifier}` }];
}

function invocationSeries({ account, region, functionName, version }: Deployment, invokedArn: string, name: string): Series {
  const { qualifier } = readFunctionName(NOWHERE, invokedArn);
  const dimensions = dimensionsOf(functionName, qualifier);
  if (qualifier === undefined || qualifier === version) return seriesOf({ account, region }, name, dimensions);
  // Of an alias: which of its two versions it was.
  const ofVersion = { FunctionName: functionName, Resource: `${functionName}:${qualifier}`, ExecutedVersion: version };
  return seriesOf({ account, region }, name, [...dimensions, ofVersion]);
}

/** Counts what passes through; adds no wait. */
export function countingInvoker(invoker: Invoker, metrics: LambdaMetrics): Invoker {
  return {
    async invoke(deployment, request) {
      const outcome = invoker.invoke(deployment, request);
      // The data plane counts it in before it does anything else.
      metrics.began(deployment, invoker.running(deployment));
      const ended = await outcome;
      metrics.ended(deployment, request.invokedArn, ended);
      return ended;
    },
    expect: (deployment) => invoker.expect(deployment),
    retire: (keys) => invoker.retire(keys),
    reserve: (owner, limit) => invoker.reserve(owner, limit),
    concurrency: (account, region) => invoker.concurrency(account, region),
    running: (owner) => invoker.running(owner),
    provision: (deployment, count) => invoker.provision(deployment, count),
    provisioned: (key) => invoker.provisioned(key),
  };
}
