// From a function's record to what the data plane needs to run it.
import type { Deployment, Invoker } from "../pool/invocation.ts";
import { IMAGE_RUNTIME } from "../pool/invocation.ts";
import { layersTree } from "./function-layers.ts";
import { imageSettings } from "./images.ts";
import type { Deployed, Lambda } from "./model.ts";
import { functionArn, type FunctionReference } from "./names.ts";

/** What is to run: a state of `$LATEST`, or a version. */
export interface Runnable {
  readonly deployed: Deployed;
  /** `$LATEST` or a number. */
  readonly version: string;
}

export const deploymentKey = ({ account, region, name }: FunctionReference, { deployed, version }: Runnable): string =>
  `${account}/${region}/${name}/${version}/${deployed.id}`;

/** One Deployment for each deployed state: the warm path should not build objects anew. */
export function deploymentCache({ packages }: Pick<Lambda, "packages">): (reference: FunctionReference, runnable: Runnable) => Deployment {
  const cache = new WeakMap<Deployed, Deployment>();
  return (reference, runnable) => {
    const { deployed } = runnable;
    const known = cache.get(deployed);
    if (known !== undefined) return known;
    const tree = layersTree(deployed.configuration);
    const made = {
      ...deploymentOf(reference, runnable, packages.pathOfCode(deployed.code)),
      ...(tree === undefined ? {} : { layersDirectory: packages.pathOf(tree) }),
    };
    cache.set(deployed, made);
    return made;
  };
}

/** After a sandbox could not be made, its code is looked at again: somebody may have removed the directory. */
export function recheckingInvoker(invoker: Invoker, packages: Pick<Lambda["packages"], "recheck">): Invoker {
  return {
    async invoke(deployment, request) {
      const outcome = await invoker.invoke(deployment, request);
      if (outcome.kind === "unavailable" && outcome.code === "sandbox-failed") {
        await packages.recheck(deployment.codeDirectory);
        if (deployment.layersDirectory !== undefined) await packages.recheck(deployment.layersDirectory);
      }
      return outcome;
    },
    expect: (deployment) => invoker.expect(deployment),
    retire: (keys) => invoker.retire(keys),
    reserve: (owner, limit) => invoker.reserve(owner, limit),
    provision: (deployment, count) => invoker.provision(deployment, count),
    provisioned: (key) => invoker.provisioned(key),
    concurrency: (account, region) => invoker.concurrency(account, region),
    running: (owner) => invoker.running(owner),
  };
}

function deploymentOf(reference: FunctionReference, runnable: Runnable, codeDirectory: string): Deployment {
  const { account, region, name } = reference;
  const { configuration, code } = runnable.deployed;
  const image = code.image === undefined ? undefined : imageSettings(code.image, configuration.ImageConfig);
  const { LogFormat = "Text", LogGroup = `/aws/lambda/${name}`, ApplicationLogLevel, SystemLogLevel } = configuration.LoggingConfig;
  return {
    key: deploymentKey(reference, runnable),
    account,
    region,
    functionName: name,
    version: runnable.version,
    functionArn: functionArn({ account, region, name }),
    runtime: configuration.Runtime ?? IMAGE_RUNTIME,
    handler: configuration.Handler ?? image?.command[0] ?? "",
    codeDirectory,
    ...(image === undefined ? {} : { image }),
    memoryMiB: configuration.MemorySize,
    timeoutMs: configuration.Timeout * 1000,
    ephemeralStorageMiB: configuration.EphemeralStorageSize,
    architecture: configuration.Architecture,
    variables: configuration.Variables ?? {},
    roleArn: configuration.Role,
    ...(configuration.TracingMode === "Active" ? { isTraced: true } : {}),
    logging: {
      format: LogFormat,
      group: LogGroup,
      ...(ApplicationLogLevel === undefined ? {} : { applicationLevel: ApplicationLogLevel }),
      ...(SystemLogLevel === undefined ? {} : { systemLevel: SystemLogLevel }),
    },
  };
}
