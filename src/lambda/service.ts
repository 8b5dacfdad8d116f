// AWS Lambda: all of its operations, and the work behind them: completing updates, retiring environments, cleaning up.
import * as client from "@aws-sdk/client-lambda";
import type { ServiceDefinition } from "../aws/definition.ts";
import type { Operations } from "../aws/operations.ts";
import type { Delivery } from "../deliveries.ts";
import { limits } from "../limits.ts";
import type { AsyncInvocations } from "../pool/async.ts";
import type { Invoker } from "../pool/invocation.ts";
import { Turns } from "../base/turns.ts";
import type { Key } from "../store/storage.ts";
import { View } from "../store/view.ts";
import { accessOf } from "./access.ts";
import { ALIAS_KIND, type AliasRecord } from "./alias-records.ts";
import { aliases } from "./aliases.ts";
import { account, CodeUsage, usedBy } from "./account.ts";
import { startAsyncInvocations } from "./async-invocations.ts";
import { backgroundWork } from "./background.ts";
import { code } from "./code.ts";
import { CODE_SIGNING_KIND, codeSigning, type CodeSigningRecord } from "./code-signing.ts";
import { MAPPING_KIND, type MappingRecord } from "./event-source-mapping-records.ts";
import { eventSourceMappings } from "./event-source-mappings.ts";
import { FUNCTION_URL_KIND, foundUrl, urls, type FoundUrl, type FunctionUrlRecord } from "./function-urls.ts";
import {
  PROVISIONED_KIND,
  RESERVATION_KIND,
  tellReservation,
  type ProvisionedRecord,
  type ReservationRecord,
} from "./concurrency-records.ts";
import { concurrency } from "./concurrency.ts";
import { deploymentKey, recheckingInvoker } from "./deployments.ts";
import { EVENT_INVOKE_KIND, eventInvoke, type EventInvokeRecord } from "./event-invoke.ts";
import { functionScaling } from "./function-scaling.ts";
import { functions } from "./functions.ts";
import { invocations } from "./invocations.ts";
import { layerPermissions } from "./layer-permissions.ts";
import { LAYER_VERSION_KIND, type LayerVersionRecord } from "./layer-records.ts";
import { layers } from "./layers.ts";
import { countingInvoker, LambdaMetrics } from "./invocation-metrics.ts";
import { tracingInvoker } from "./invocation-segments.ts";
import { KEEPING_OPERATIONS } from "./newer-members.ts";
import { FUNCTION_KIND, isPending, isUpdating, type FunctionRecord, type Lambda, type LambdaDeps, type ReadyDeployment } from "./model.ts";
import { PackageReferences, packagesOfFunction, packagesOfLayer, packagesOfVersion } from "./package-references.ts";
import { Packages } from "./packages.ts";
import { permissions, POLICY_KIND, type PolicyRecord } from "./permissions.ts";
import { provisionedConcurrency } from "./provisioned-concurrency.ts";
import { Provisioning } from "./provisioning.ts";
import { readyDeployments } from "./ready.ts";
import { recursion } from "./recursion.ts";
import { Sampler } from "./sampling.ts";
import { resourcePolicies } from "./resource-policies.ts";
import { REFUSED_OPERATIONS } from "./refused-operations.ts";
import { runtimeManagement, RUNTIME_MANAGEMENT_KIND, type RuntimeManagementRecord } from "./runtime-management.ts";
import { completeSoon } from "./states.ts";
import { tags } from "./tags.ts";
import { VERSION_KIND, type VersionRecord } from "./version-records.ts";
import { versions } from "./versions.ts";

const COLLECT_INTERVAL_MS = 3_600_000;
/** Longer than an invocation may take: none runs any more on what has been unused for so long. */
const UNUSED_PACKAGE_MS = 3_600_000;

function operationsOf(lambda: Lambda) {
  return {
    ...functions(lambda),
    ...code(lambda),
    ...versions(lambda),
    ...aliases(lambda),
    ...invocations(lambda),
    ...eventInvoke(lambda),
    ...permissions(lambda),
    ...layers(lambda),
    ...layerPermissions(lambda),
    ...concurrency(lambda),
    ...provisionedConcurrency(lambda),
    ...runtimeManagement(lambda),
    ...functionScaling(lambda),
    ...recursion(lambda),
    ...resourcePolicies(lambda),
    ...urls(lambda),
    ...eventSourceMappings(lambda),
    ...codeSigning(lambda),
    ...tags(lambda),
    ...account(lambda),
    ...REFUSED_OPERATIONS,
  } satisfies Operations<typeof client>;
}

/** Their bodies hold a zip. */
const WITH_PACKAGE = new Set(["CreateFunction", "UpdateFunctionCode", "PublishLayerVersion"]);

function bodyBytesMax(operation: string): number {
  if (operation === "Invoke" || operation === "InvokeWithResponseStream") return limits.invokePayloadBytesMax;
  if (operation === "InvokeAsync") return limits.invokeAsyncBytesMax;
  return WITH_PACKAGE.has(operation) ? limits.createFunctionBodyBytesMax : 2 ** 20;
}

export interface LambdaService {
  readonly definition: ServiceDefinition;
  readonly operations: ReturnType<typeof operationsOf>;
  /** Whether a function's code or a layer is this blob: for who cleans up the blob store. */
  isReferenced(sha256: string): boolean;
  /** The function URL with this id. */
  findUrl(urlId: string): FoundUrl | undefined;
  /** Result of an event that did not arrive; `sourceArn` is the function's. */
  deliveryFailed(sourceArn: string, purpose: Delivery["purpose"]): void;
  /** Messages of events that somebody else has put into the queue. */
  wake: AsyncInvocations["wake"];
  /** No more events are taken from the queue; what has begun goes on. */
  pause(): void;
  /** Ends its work. Operations still answer, and from what is written meanwhile. */
  stop(): Promise<void>;
  /** When no request can come any more. */
  close(): void;
}

export async function lambdaService(deps: LambdaDeps): Promise<LambdaService> {
  const { invoker, clock } = deps;
  const packages = await Packages.open(deps.blobs, deps.packagesDirectory);
  const background = backgroundWork(deps);
  const references = new PackageReferences();
  const usage = new CodeUsage();
  const late: { provisioning?: Provisioning; ready?: ReadyDeployment } = {};
  // Who has deployed a function invokes it soon. What keeps it from being ready is told to them then.
  const completed = (key: Key) =>
    void late.ready?.(ownerOf(key)).then(
      (deployment) => invoker.expect(deployment),
      () => undefined,
    );
  const complete = (key: Key) => completeSoon({ ...deps, completed }, background, key);
  const urlKeys = new Map<string, Key>();
  const records = await openRecords(deps, { references, usage, urlKeys }, (place) => late.provisioning?.changed(place));
  const isReferenced = (sha256: string) => references.has(sha256);
  // Nothing runs yet, so what nobody refers to can go at once.
  await packages.collect(isReferenced, clock.monotonic(), 0);
  for (const { key, value } of records.functions.all()) if (isPending(value) || isUpdating(value)) complete(key);
  background.every(COLLECT_INTERVAL_MS, () => packages.collect(isReferenced, clock.monotonic(), UNUSED_PACKAGE_MS));
  const metrics = new LambdaMetrics(deps.recorder);
  const counting = countingInvoker(recheckingInvoker(invoker, packages), metrics);
  const chance = deps.chance ?? Math.random;
  const base = {
    ...deps,
    ...records,
    invoker: tracingInvoker(counting, clock, deps.segments),
    metrics,
    packages,
    usage,
    chance,
    sampler: new Sampler(clock, chance),
    complete,
    turns: new Turns(),
  };
  const ready = (late.ready = readyDeployments(base));
  const events = startAsyncInvocations(base, ready);
  const provisioning = (late.provisioning = new Provisioning(base, ready));
  for (const { key } of records.provisioned.all()) provisioning.changed(ownerOf(key));
  const operations = operationsOf({ ...base, ready, events, provisioning });
  return {
    definition: {
      name: "lambda",
      client,
      clientClass: "LambdaClient",
      operations,
      constraints: "lambda",
      access: accessOf(records),
      keepsOthers: KEEPING_OPERATIONS,
      bodyBytesMax,
    },
    operations,
    isReferenced,
    findUrl: (urlId) => foundUrl(records, urlKeys.get(urlId)),
    deliveryFailed(sourceArn, purpose) {
      if (purpose === "destination") metrics.event("DestinationDeliveryFailures", sourceArn, 1);
      if (purpose === "dead-letter") metrics.event("DeadLetterErrors", sourceArn, 1);
    },
    wake: (messages) => events.wake(messages),
    pause: () => events.pause(),
    async stop() {
      await events.stop();
      await provisioning.stop();
      await background.stop();
    },
    close() {
      for (const view of Object.values(records)) view.close();
    },
  };
}

/** The function that a record belongs to: ids begin with its name. */
const ownerOf = (key: Key) => ({ account: key.account, region: key.region, name: key.id.split("/", 1)[0] ?? key.id });

/** `provisions`: what a function has provisioned may have changed. */
async function openRecords(
  { meta, invoker }: LambdaDeps,
  { references, usage, urlKeys }: { readonly references: PackageReferences; readonly usage: CodeUsage; readonly urlKeys: Map<string, Key> },
  provisions: (place: ReturnType<typeof ownerOf>) => void,
) {
  return {
    functions: await View.open<FunctionRecord>(meta, FUNCTION_KIND, (key, after, before) => {
      references.change(packagesOfFunction(before?.value), packagesOfFunction(after?.value));
      usage.change(key, usedBy.function(before?.value), usedBy.function(after?.value));
      retireFormer(invoker, key, before?.value, after?.value);
      provisions(ownerOf(key));
    }),
    versions: await View.open<VersionRecord>(meta, VERSION_KIND, (key, after, before) => {
      references.change(packagesOfVersion(before?.value), packagesOfVersion(after?.value));
      usage.change(key, usedBy.version(before?.value), usedBy.version(after?.value));
      if (before !== undefined && after === undefined) retireVersion(invoker, key, before.value);
    }),
    layerVersions: await View.open<LayerVersionRecord>(meta, LAYER_VERSION_KIND, (key, after, before) => {
      references.change(packagesOfLayer(before?.value), packagesOfLayer(after?.value));
      usage.change(key, usedBy.layer(before?.value), usedBy.layer(after?.value));
    }),
    functionUrls: await View.open<FunctionUrlRecord>(meta, FUNCTION_URL_KIND, (key, after, before) => {
      if (before !== undefined) urlKeys.delete(before.value.urlId);
      if (after !== undefined) urlKeys.set(after.value.urlId, key);
    }),
    mappings: await View.open<MappingRecord>(meta, MAPPING_KIND),
    codeSigningConfigs: await View.open<CodeSigningRecord>(meta, CODE_SIGNING_KIND),
    aliases: await View.open<AliasRecord>(meta, ALIAS_KIND, (key) => provisions(ownerOf(key))),
    eventInvokeConfigs: await View.open<EventInvokeRecord>(meta, EVENT_INVOKE_KIND),
    policies: await View.open<PolicyRecord>(meta, POLICY_KIND),
    provisioned: await View.open<ProvisionedRecord>(meta, PROVISIONED_KIND, (key) => provisions(ownerOf(key))),
    runtimeManagement: await View.open<RuntimeManagementRecord>(meta, RUNTIME_MANAGEMENT_KIND),
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
  invoker.retire([deploymentKey(ownerOf(key), { deployed, version: String(number) })]);
}
