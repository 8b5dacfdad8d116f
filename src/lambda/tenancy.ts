// Tenant isolation: environments of such a function serve one tenant each, so every invocation names its tenant.
// https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation.html
import type { Deployment } from "../pool/invocation.ts";
import { invalidParameter } from "./faults.ts";
import type { Configuration, Deployed } from "./model.ts";

const isolatesTenants = ({ TenantIsolationMode }: Configuration): boolean => TenantIsolationMode === "PER_TENANT";

/** Throws when a tenant is named and should not be, or the other way round. */
export function checkTenant({ configuration }: Deployed, tenantId: string | undefined): void {
  if (isolatesTenants(configuration) && tenantId === undefined)
    throw invalidParameter(
      "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again.",
    );
  if (!isolatesTenants(configuration) && tenantId !== undefined)
    throw invalidParameter(
      "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try again.",
    );
}

export const deploymentFor = (deployment: Deployment, tenantId: string | undefined): Deployment =>
  tenantId === undefined ? deployment : { ...deployment, tenantId };

/** What AWS does not offer for functions that isolate tenants. */
export function refuseForTenants(configuration: Configuration, feature: string): void {
  if (isolatesTenants(configuration))
    throw invalidParameter(`${feature} is not supported for functions with tenant isolation mode enabled.`);
}
