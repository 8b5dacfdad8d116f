// AWS Lambda: all of its operations, and the work behind them: completing updates, retiring environments, cleaning up.
import * as client from "@aws-sdk/client-lambda";
import type { ServiceDefinition } from "../aws/definition.ts";
import { notBuilt, type Operations } from "../aws/operations.ts";
import type { Delivery } from "../deliveries.ts";
import { limits } from "../limits.ts";
import type { AsyncInvocations } from "../pool/async.ts";
import type { Invoker } from "../pool/invocation.ts";
import type { Key, MetaStore } from "../store/storage.ts";
import { View } from "../store/view.ts";
import { accessOf } from "./access.ts";
import { ALIAS_KIND, type AliasRecord } from "./alias-records.ts";
import { aliases } from "./aliases.ts";
import { account } from "./account.ts";
import { startAsyncInvocations } from "./async-invocations.ts";
import { backgroundWork } from "./background.ts";
import { code } from "./code.ts";
import { concurrency, RESERVATION_KIND, tellReservation, type ReservationRecord } from "./concurrency.ts";
import { deploymentKey, recheckingInvoker } from "./deployments.ts";
import { EVENT_INVOKE_KIND, eventInvoke, type EventInvokeRecord } from "./event-invoke.ts";
import { functions } from "./functions.ts";
import { invocations } from "./invocations.ts";
import { countingInvoker, LambdaMetrics } from "./invocation-metrics.ts";
import { FUNCTION_KIND, isPending, isUpdating, type FunctionRecord, type Lambda, type LambdaDeps } from "./model.ts";
import { PackageReferences, packagesOfFunction, packagesOfVersion } from "./package-references.ts";
import { Packages } from "./packages.ts";
import { permissions, POLICY_KIND, type PolicyRecord } from "./permissions.ts";
import { readyDeployments } from "./ready.ts";
import { recursion } from "./recursion.ts";
import { completeSoon } from "./states.ts";
import { tags } from "./tags.ts";
import { VERSION_KIND, type VersionRecord } from "./version-records.ts";
import { versions } from "./versions.ts";

const COLLECT_INTERVAL_MS = 3_600_000;
/** Longer than an invocation may take: none runs any more on what has been unused for so long. */
const UNUSED_PACKAGE_MS = 3_600_000;
const HERE = process.arch === "arm64" ? "arm64" : "x86_64";

const NOT_BUILT = {
  AddLayerVersionPermission: notBuilt,
  CheckpointDurableExecution: notBuilt,
  CreateCapacityProvider: notBuilt,
  CreateCodeSigningConfig: notBuilt,
  CreateEventSourceMapping: notBuilt,
  CreateFunctionUrlConfig: notBuilt,
  DeleteCapacityProvider: notBuilt,
  DeleteCodeSigningConfig: notBuilt,
  DeleteEventSourceMapping: notBuilt,
  DeleteFunctionCodeSigningConfig: notBuilt,
  DeleteFunctionUrlConfig: notBuilt,
  DeleteLayerVersion: notBuilt,
  DeleteProvisionedConcurrencyConfig: notBuilt,
  DeleteResourcePolicy: notBuilt,
  GetCapacityProvider: notBuilt,
  GetCodeSigningConfig: notBuilt,
  GetDurableExecution: notBuilt,
  GetDurableExecutionHistory: notBuilt,
  GetDurableExecutionState: notBuilt,
  GetEventSourceMapping: notBuilt,
  GetFunctionCodeSigningConfig: notBuilt,
  GetFunctionScalingConfig: notBuilt,
  GetFunctionUrlConfig: notBuilt,
  GetLayerVersionByArn: notBuilt,
  GetLayerVersion: notBuilt,
  GetLayerVersionPolicy: notBuilt,
  GetProvisionedConcurrencyConfig: notBuilt,
  GetResourcePolicy: notBuilt,
  GetRuntimeManagementConfig: notBuilt,
  ListCapacityProviders: notBuilt,
  ListCodeSigningConfigs: notBuilt,
  ListDurableExecutionsByFunction: notBuilt,
  ListEventSourceMappings: notBuilt,
  ListFunctionUrlConfigs: notBuilt,
  ListFunctionVersionsByCapacityProvider: notBuilt,
  ListFunctionsByCodeSigningConfig: notBuilt,
  ListLayerVersions: notBuilt,
  ListLayers: notBuilt,
  ListProvisionedConcurrencyConfigs: notBuilt,
  PublishLayerVersion: notBuilt,
  PutFunctionCodeSigningConfig: notBuilt,
  PutFunctionScalingConfig: notBuilt,
  PutProvisionedConcurrencyConfig: notBuilt,
  PutResourcePolicy: notBuilt,
  PutRuntimeManagementConfig: notBuilt,
  RemoveLayerVersionPermission: notBuilt,
  SendDurableExecutionCallbackFailure: notBuilt,
  SendDurableExecutionCallbackHeartbeat: notBuilt,
  SendDurableExecutionCallbackSuccess: notBuilt,
  StopDurableExecution: notBuilt,
  UpdateCapacityProvider: notBuilt,
  UpdateCodeSigningConfig: notBuilt,
  UpdateEventSourceMapping: notBuilt,
  UpdateFunctionUrlConfig: notBuilt,
} as const;

function operationsOf(lambda: Lambda) {
  return {
    ...functions(lambda),
    ...code(lambda),
    ...versions(lambda),
    ...aliases(lambda),
    ...invocations(lambda),
    ...eventInvoke(lambda),
    ...permissions(lambda),
    ...concurrency(lambda),
    ...recursion(lambda),
    ...tags(lambda),
    ...account(lambda),
    ...NOT_BUILT,
  } satisfies Operations<typeof client>;
}

function bodyBytesMax(operation: string): number {
  if (operation === "Invoke" || operation === "InvokeWithResponseStream") return limits.invokePayloadBytesMax;
  if (operation === "InvokeAsync") return limits.invokeAsyncBytesMax;
  return operation === "CreateFunction" || operation === "UpdateFunctionCode" ? limits.createFunctionBodyBytesMax : 2 ** 20;
}

export interface LambdaService {
  readonly definition: ServiceDefinition;
  readonly operations: ReturnType<typeof operationsOf>;
  /** Whether a function's code is this blob: for who cleans up the blob store. */
  isReferenced(sha256: string): boolean;
  /** Result of an event that did not arrive; `sourceArn` is the function's. */
  deliveryFailed(sourceArn: string, purpose: Delivery["purpose"]): void;
  /** Messages of events that somebody else has put into the queue. */
  wake: AsyncInvocations["wake"];
  /** No more events are taken from the queue; what has begun goes on. */
  pause(): void;
  stop(): Promise<void>;
}

export async function lambdaService(deps: LambdaDeps): Promise<LambdaService> {
  const { invoker, clock } = deps;
  const packages = await Packages.open(deps.blobs, deps.packagesDirectory);
  const background = backgroundWork(deps);
  const references = new PackageReferences();
  const complete = (key: Key) => completeSoon(deps, background, key);
  const records = await openRecords(deps, references);
  const isReferenced = (sha256: string) => references.has(sha256);
  // Nothing runs yet, so what nobody refers to can go at once.
  await packages.collect(isReferenced, clock.monotonic(), 0);
  for (const { key, value } of records.functions.all()) if (isPending(value) || isUpdating(value)) complete(key);
  background.every(COLLECT_INTERVAL_MS, () => packages.collect(isReferenced, clock.monotonic(), UNUSED_PACKAGE_MS));
  const metrics = new LambdaMetrics(deps.recorder);
  const counting = countingInvoker(recheckingInvoker(invoker, packages), metrics);
  const base = {
    ...deps,
    ...records,
    invoker: counting,
    metrics,
    architecture: deps.architecture ?? HERE,
    packages,
    chance: deps.chance ?? Math.random,
    complete,
  };
  const ready = readyDeployments(base);
  const events = startAsyncInvocations(base, ready);
  const operations = operationsOf({ ...base, ready, events });
  return {
    definition: {
      name: "lambda",
      client,
      clientClass: "LambdaClient",
      operations,
      constraints: "lambda",
      access: accessOf(records),
      bodyBytesMax,
    },
    operations,
    isReferenced,
    deliveryFailed(sourceArn, purpose) {
      if (purpose === "destination") metrics.event("DestinationDeliveryFailures", sourceArn, 1);
      if (purpose === "dead-letter") metrics.event("DeadLetterErrors", sourceArn, 1);
    },
    wake: (messages) => events.wake(messages),
    pause: () => events.pause(),
    async stop() {
      await events.stop();
      for (const view of Object.values(records)) view.close();
      await background.stop();
    },
  };
}

async function openRecords({ meta, invoker }: LambdaDeps, references: PackageReferences) {
  return {
    functions: await openTracked<FunctionRecord>(meta, FUNCTION_KIND, (key, before, after) => {
      references.change(packagesOfFunction(before), packagesOfFunction(after));
      retireFormer(invoker, key, before, after);
    }),
    versions: await openTracked<VersionRecord>(meta, VERSION_KIND, (key, before, after) => {
      references.change(packagesOfVersion(before), packagesOfVersion(after));
      if (before !== undefined && after === undefined) retireVersion(invoker, key, before);
    }),
    aliases: await View.open<AliasRecord>(meta, ALIAS_KIND),
    eventInvokeConfigs: await View.open<EventInvokeRecord>(meta, EVENT_INVOKE_KIND),
    policies: await View.open<PolicyRecord>(meta, POLICY_KIND),
    reservations: await View.open<ReservationRecord>(meta, RESERVATION_KIND, (key, entry) => tellReservation(invoker, key, entry?.value)),
  };
}

/** Environments of what no longer runs finish what they are doing, and are not used again. */
function retireFormer(invoker: Invoker, key: Key, before: FunctionRecord | undefined, after: FunctionRecord | undefined): void {
  const running = before?.running;
  if (running === undefined || after?.running?.id === running.id) return;
  invoker.retire([deploymentKey({ account: key.account, region: key.region, name: key.id }, { deployed: running, version: "$LATEST" })]);
}

function retireVersion(invoker: Invoker, key: Key, { deployed, number }: VersionRecord): void {
  const place = { account: key.account, region: key.region, name: key.id.slice(0, key.id.indexOf("/")) };
  invoker.retire([deploymentKey(place, { deployed, version: String(number) })]);
}

/** A view that tells what each record was before it changed. */
async function openTracked<T>(meta: MetaStore, kind: string, changed: (key: Key, before: T | undefined, after: T | undefined) => void) {
  const known = new Map<string, T>();
  return await View.open<T>(meta, kind, (key, entry) => {
    const name = `${key.account}/${key.region}/${key.id}`;
    changed(key, known.get(name), entry?.value);
    if (entry === undefined) known.delete(name);
    else known.set(name, entry.value);
  });
}
