// AWS Lambda: all of its operations, and the work behind them: completing updates, retiring environments, cleaning up.
import * as client from "@aws-sdk/client-lambda";
import type { ServiceDefinition } from "../aws/definition.ts";
import { notBuilt, type Operations } from "../aws/operations.ts";
import { limits } from "../limits.ts";
import type { Invoker } from "../pool/invocation.ts";
import type { Key } from "../store/storage.ts";
import { View } from "../store/view.ts";
import { access } from "./access.ts";
import { account } from "./account.ts";
import { backgroundWork } from "./background.ts";
import { code } from "./code.ts";
import { deploymentKey } from "./deployments.ts";
import { functions } from "./functions.ts";
import { invocations } from "./invocations.ts";
import { FUNCTION_KIND, isPending, isUpdating, type FunctionRecord, type Lambda, type LambdaDeps } from "./model.ts";
import { functionArn } from "./names.ts";
import { PackageReferences } from "./package-references.ts";
import { Packages } from "./packages.ts";
import { completeSoon } from "./states.ts";
import { tags } from "./tags.ts";

const COLLECT_INTERVAL_MS = 3_600_000;
/** Longer than an invocation may take: none runs any more on what has been unused for so long. */
const UNUSED_PACKAGE_MS = 3_600_000;
const HERE = process.arch === "arm64" ? "arm64" : "x86_64";

const NOT_BUILT = {
  AddLayerVersionPermission: notBuilt,
  AddPermission: notBuilt,
  CheckpointDurableExecution: notBuilt,
  CreateAlias: notBuilt,
  CreateCapacityProvider: notBuilt,
  CreateCodeSigningConfig: notBuilt,
  CreateEventSourceMapping: notBuilt,
  CreateFunctionUrlConfig: notBuilt,
  DeleteAlias: notBuilt,
  DeleteCapacityProvider: notBuilt,
  DeleteCodeSigningConfig: notBuilt,
  DeleteEventSourceMapping: notBuilt,
  DeleteFunctionCodeSigningConfig: notBuilt,
  DeleteFunctionConcurrency: notBuilt,
  DeleteFunctionEventInvokeConfig: notBuilt,
  DeleteFunctionUrlConfig: notBuilt,
  DeleteLayerVersion: notBuilt,
  DeleteProvisionedConcurrencyConfig: notBuilt,
  DeleteResourcePolicy: notBuilt,
  GetAlias: notBuilt,
  GetCapacityProvider: notBuilt,
  GetCodeSigningConfig: notBuilt,
  GetDurableExecution: notBuilt,
  GetDurableExecutionHistory: notBuilt,
  GetDurableExecutionState: notBuilt,
  GetEventSourceMapping: notBuilt,
  GetFunctionCodeSigningConfig: notBuilt,
  GetFunctionConcurrency: notBuilt,
  GetFunctionEventInvokeConfig: notBuilt,
  GetFunctionRecursionConfig: notBuilt,
  GetFunctionScalingConfig: notBuilt,
  GetFunctionUrlConfig: notBuilt,
  GetLayerVersionByArn: notBuilt,
  GetLayerVersion: notBuilt,
  GetLayerVersionPolicy: notBuilt,
  GetPolicy: notBuilt,
  GetProvisionedConcurrencyConfig: notBuilt,
  GetResourcePolicy: notBuilt,
  GetRuntimeManagementConfig: notBuilt,
  InvokeAsync: notBuilt,
  ListAliases: notBuilt,
  ListCapacityProviders: notBuilt,
  ListCodeSigningConfigs: notBuilt,
  ListDurableExecutionsByFunction: notBuilt,
  ListEventSourceMappings: notBuilt,
  ListFunctionEventInvokeConfigs: notBuilt,
  ListFunctionUrlConfigs: notBuilt,
  ListFunctionVersionsByCapacityProvider: notBuilt,
  ListFunctionsByCodeSigningConfig: notBuilt,
  ListLayerVersions: notBuilt,
  ListLayers: notBuilt,
  ListProvisionedConcurrencyConfigs: notBuilt,
  ListVersionsByFunction: notBuilt,
  PublishLayerVersion: notBuilt,
  PublishVersion: notBuilt,
  PutFunctionCodeSigningConfig: notBuilt,
  PutFunctionConcurrency: notBuilt,
  PutFunctionEventInvokeConfig: notBuilt,
  PutFunctionRecursionConfig: notBuilt,
  PutFunctionScalingConfig: notBuilt,
  PutProvisionedConcurrencyConfig: notBuilt,
  PutResourcePolicy: notBuilt,
  PutRuntimeManagementConfig: notBuilt,
  RemoveLayerVersionPermission: notBuilt,
  RemovePermission: notBuilt,
  SendDurableExecutionCallbackFailure: notBuilt,
  SendDurableExecutionCallbackHeartbeat: notBuilt,
  SendDurableExecutionCallbackSuccess: notBuilt,
  StopDurableExecution: notBuilt,
  UpdateAlias: notBuilt,
  UpdateCapacityProvider: notBuilt,
  UpdateCodeSigningConfig: notBuilt,
  UpdateEventSourceMapping: notBuilt,
  UpdateFunctionEventInvokeConfig: notBuilt,
  UpdateFunctionUrlConfig: notBuilt,
} as const;

function operationsOf(lambda: Lambda) {
  return {
    ...functions(lambda),
    ...code(lambda),
    ...invocations(lambda),
    ...tags(lambda),
    ...account(lambda),
    ...NOT_BUILT,
  } satisfies Operations<typeof client>;
}

function bodyBytesMax(operation: string): number {
  if (operation === "Invoke" || operation === "InvokeWithResponseStream") return limits.invokePayloadBytesMax;
  return operation === "CreateFunction" || operation === "UpdateFunctionCode" ? limits.createFunctionBodyBytesMax : 2 ** 20;
}

export interface LambdaService {
  readonly definition: ServiceDefinition;
  readonly operations: ReturnType<typeof operationsOf>;
  /** Whether a function's code is this blob: for who cleans up the blob store. */
  isReferenced(sha256: string): boolean;
  stop(): Promise<void>;
}

export async function lambdaService(deps: LambdaDeps): Promise<LambdaService> {
  const { meta, invoker, clock } = deps;
  const packages = await Packages.open(deps.blobs, deps.packagesDirectory);
  const background = backgroundWork(deps);
  const references = new PackageReferences();
  const complete = (key: Key) => completeSoon(deps, background, key);
  const known = new Map<string, FunctionRecord>();
  const view = await View.open<FunctionRecord>(meta, FUNCTION_KIND, (key, entry) => {
    const name = functionArn({ account: key.account, region: key.region, name: key.id });
    const before = known.get(name);
    references.change(before, entry?.value);
    retireFormer(invoker, key, before, entry?.value);
    if (entry === undefined) known.delete(name);
    else known.set(name, entry.value);
  });
  const isReferenced = (sha256: string) => references.has(sha256);
  // Nothing runs yet, so what nobody refers to can go at once.
  await packages.collect(isReferenced, clock.monotonic(), 0);
  for (const { key, value } of view.all()) if (isPending(value) || isUpdating(value)) complete(key);
  background.every(COLLECT_INTERVAL_MS, () => packages.collect(isReferenced, clock.monotonic(), UNUSED_PACKAGE_MS));
  const operations = operationsOf({ ...deps, architecture: deps.architecture ?? HERE, packages, functions: view, complete });
  return {
    definition: { name: "lambda", client, clientClass: "LambdaClient", operations, constraints: "lambda", access, bodyBytesMax },
    operations,
    isReferenced,
    async stop() {
      view.close();
      await background.stop();
    },
  };
}

/** Environments of what no longer runs finish what they are doing, and are not used again. */
function retireFormer(invoker: Invoker, key: Key, before: FunctionRecord | undefined, after: FunctionRecord | undefined): void {
  const running = before?.running;
  if (running === undefined || after?.running?.id === running.id) return;
  invoker.retire([deploymentKey({ account: key.account, region: key.region, name: key.id }, running)]);
}
