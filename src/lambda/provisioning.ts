// Keeps the data plane at what is configured as provisioned concurrency: when the server starts, and when anything of it changes.
import type { ProvisionedConcurrencyStatusEnum } from "@aws-sdk/client-lambda";
import { backoffMs } from "../base/backoff.ts";
import type { Timer } from "../base/clock.ts";
import type { Deployment } from "../pool/invocation.ts";
import { aliasOf, type AliasRecord } from "./alias-records.ts";
import { provisionedConfigsOf, provisionedOf, qualifierOf } from "./concurrency-records.ts";
import { deploymentKey } from "./deployments.ts";
import type { Lambda, ReadyDeployment } from "./model.ts";
import type { FunctionReference } from "./names.ts";
import { versionOf } from "./version-records.ts";

interface Progress {
  /** Initialised. */
  readonly allocated: number;
  readonly status: ProvisionedConcurrencyStatusEnum;
  /** Why it failed; it is tried again all the same. */
  readonly reason?: string;
}

type Place = Pick<FunctionReference, "account" | "region" | "name">;
type Deps = Pick<Lambda, "provisioned" | "aliases" | "versions" | "functions" | "invoker" | "clock" | "log">;

/** As on AWS; until then it is in progress. */
const INIT_FAILURES_MAX = 6;
const RETRY_MS = { first: 1000, max: 30_000 } as const;

/** A function that has something provisioned, or had. */
interface Line {
  readonly place: Place;
  /** What the data plane was told, by version. */
  readonly told: Map<string, { readonly deployment: Deployment; readonly count: number }>;
  /** Why it could not be told, by version. */
  readonly problems: Map<string, string>;
  work: Promise<void> | undefined;
  isStale: boolean;
  failures: number;
  retry: Timer | undefined;
}

export class Provisioning {
  readonly #deps: Deps;
  readonly #ready: ReadyDeployment;
  readonly #lines = new Map<string, Line>();
  #isStopped = false;

  constructor(deps: Deps, ready: ReadyDeployment) {
    this.#deps = deps;
    this.#ready = ready;
  }

  /** Something of this function may have changed. Returns at once. */
  changed({ account, region, name }: Place): void {
    const place = { account, region, name };
    const id = `${account}/${region}/${name}`;
    let line = this.#lines.get(id);
    if (line === undefined && provisionedConfigsOf(this.#deps, place, undefined, 1).length === 0) return;
    line ??= { place, told: new Map(), problems: new Map(), work: undefined, isStale: false, failures: 0, retry: undefined };
    this.#lines.set(id, line);
    this.#update(line);
  }

  /** Of one configuration: of what its versions have, no more than it asks for. */
  progressOf(place: Place, qualifier: string): Progress {
    const requested = provisionedOf(this.#deps, place, qualifier)?.value.requested ?? 0;
    const found = sharesOf(this.#deps, place, qualifier, requested).map(([version, count]) => this.#progressOf(place, version, count));
    const allocated = found.reduce((sum, one) => sum + one.allocated, 0);
    if (allocated >= requested) return { allocated, status: "READY" };
    const reason = found.find((one) => one.reason !== undefined)?.reason;
    return reason === undefined ? { allocated, status: "IN_PROGRESS" } : { allocated, status: "FAILED", reason };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const { retry } of this.#lines.values()) retry?.cancel();
    await Promise.all([...this.#lines.values()].flatMap(({ work }) => work ?? []));
  }

  #progressOf(place: Place, version: string, count: number): { readonly allocated: number; readonly reason?: string } {
    const untold = this.#lines.get(`${place.account}/${place.region}/${place.name}`)?.problems.get(version);
    const deployed = versionOf(this.#deps, place, version)?.value.deployed;
    const kept = deployed === undefined ? undefined : this.#deps.invoker.provisioned(deploymentKey(place, { deployed, version }));
    const allocated = Math.min(count, kept?.allocated ?? 0);
    if (untold !== undefined) return { allocated, reason: untold };
    const problem = kept?.problem;
    if (problem === undefined || problem.failures < INIT_FAILURES_MAX) return { allocated };
    return { allocated, reason: problem.kind === "init" ? "FUNCTION_ERROR_INIT_FAILURE" : problem.message };
  }

  #update(line: Line): void {
    line.isStale = true;
    line.retry?.cancel();
    line.retry = undefined;
    line.work ??= this.#work(line).finally(() => this.#onDone(line));
  }

  async #work(line: Line): Promise<void> {
    while (line.isStale && !this.#isStopped) {
      line.isStale = false;
      // One change comes as several, of configurations, aliases and versions.
      await Promise.resolve();
      const wanted = wantedOf(this.#deps, line.place);
      this.#release(line, wanted);
      // What becomes less makes room for what becomes more.
      const more = ([version, count]: [string, number]) => count - (line.told.get(version)?.count ?? 0);
      for (const [version, count] of [...wanted].toSorted((a, b) => more(a) - more(b))) await this.#tell(line, version, count);
    }
  }

  #onDone(line: Line): void {
    line.work = undefined;
    if (this.#isStopped) return;
    if (line.isStale) return this.#update(line);
    const { account, region, name } = line.place;
    if (line.told.size === 0 && line.problems.size === 0) this.#lines.delete(`${account}/${region}/${name}`);
    else this.#retryLater(line);
  }

  #release({ told, problems }: Line, wanted: ReadonlyMap<string, number>): void {
    for (const version of problems.keys()) if (!wanted.has(version)) problems.delete(version);
    for (const [version, { deployment }] of told) {
      if (wanted.has(version)) continue;
      this.#deps.invoker.provision(deployment, 0);
      told.delete(version);
    }
  }

  async #tell(line: Line, version: string, count: number): Promise<void> {
    const { place, told, problems } = line;
    try {
      const deployment = told.get(version)?.deployment ?? (await this.#ready({ ...place, qualifier: version }));
      // What has changed meanwhile is looked at again.
      if (line.isStale || this.#isStopped) return;
      if (!this.#deps.invoker.provision(deployment, count)) return void problems.set(version, NO_ROOM);
      told.set(version, { deployment, count });
      problems.delete(version);
    } catch (cause) {
      problems.set(version, cause instanceof Error ? cause.message : String(cause));
      this.#deps.log.warn("provisioned concurrency could not be set up yet", { function: place.name, version, cause });
    }
  }

  #retryLater(line: Line): void {
    line.failures = line.problems.size === 0 ? 0 : line.failures + 1;
    if (line.failures > 0)
      line.retry = this.#deps.clock.after(backoffMs(line.failures, RETRY_MS.first, RETRY_MS.max), () => this.#update(line));
  }
}

const NO_ROOM = "This server has no room for so many execution environments: see docs/invocation.md.";

/** By version, of all configurations of a function. */
function wantedOf(lambda: Deps, place: Place): Map<string, number> {
  const wanted = new Map<string, number>();
  for (const entry of provisionedConfigsOf(lambda, place))
    for (const [version, count] of sharesOf(lambda, place, qualifierOf(entry), entry.value.requested))
      if (versionOf(lambda, place, version) !== undefined) wanted.set(version, (wanted.get(version) ?? 0) + count);
  return wanted;
}

/** Which versions it is for: of an alias with weights, both, by their weights. None has a share of 0. */
function sharesOf(lambda: Deps, place: Place, qualifier: string, requested: number): [version: string, count: number][] {
  const alias = aliasOf(lambda, place, qualifier)?.value;
  return alias === undefined ? [[qualifier, requested]] : weightedShares(alias, requested);
}

function weightedShares({ FunctionVersion, weights = {} }: AliasRecord, requested: number): [version: string, count: number][] {
  const [other] = Object.entries(weights);
  if (other === undefined) return [[FunctionVersion, requested]];
  const [version, weight] = other;
  const count = Math.round(requested * weight);
  const shares: [string, number][] = [
    [FunctionVersion, requested - count],
    [version, count],
  ];
  return shares.filter(([, share]) => share > 0);
}
