// What runs when a name is invoked: which state of which version, and its code in place. Reads memory only when the code is there.
import { aliasOf, routedVersion } from "./alias-records.ts";
import { deploymentCache, type Runnable } from "./deployments.ts";
import { conflict, notFound } from "./faults.ts";
import { ensureLayers } from "./function-layers.ts";
import type { Lambda, ReadyDeployment } from "./model.ts";
import { functionArn, type FunctionReference } from "./names.ts";
import { checkTenant, deploymentFor } from "./tenancy.ts";
import { isVersionPending, versionOf } from "./version-records.ts";

type Records = Pick<Lambda, "functions" | "versions" | "aliases" | "chance">;

export function readyDeployments(lambda: Records & Pick<Lambda, "packages">): ReadyDeployment {
  const deploymentOf = deploymentCache(lambda);
  return async (reference, tenantId) => {
    const runnable = runnableOf(lambda, reference);
    const { deployed } = runnable;
    checkTenant(deployed, tenantId);
    if (!lambda.packages.hasCode(deployed.code)) await lambda.packages.ensureCode(deployed.code);
    await ensureLayers(lambda, deployed.configuration);
    return deploymentFor(deploymentOf(reference, runnable), tenantId);
  };
}

/** Of a function that is being updated, what was there before; of an alias, a version by its share. Throws AWS's faults. */
export function runnableOf(lambda: Records, reference: FunctionReference): Runnable {
  const { account, region, name, qualifier = "$LATEST" } = reference;
  const entry = lambda.functions.get(account, region, name);
  const alias = aliasOf(lambda, reference, qualifier);
  const version = alias === undefined ? qualifier : routedVersion(alias.value, alias.value.weights === undefined ? 0 : lambda.chance());
  if (version === "$LATEST" && entry !== undefined) return { deployed: entry.value.running ?? pending(), version };
  const published = versionOf(lambda, reference, version);
  if (entry === undefined || published === undefined) throw notFound(`Function not found: ${functionArn({ ...reference, qualifier })}`);
  return { deployed: isVersionPending(entry.value, published.value) ? pending() : published.value.deployed, version };
}

function pending(): never {
  throw conflict("The operation cannot be performed at this time. The function is currently in the following state: Pending");
}
