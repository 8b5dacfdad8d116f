// Identities from a fixed list: the driver for tests and benches.
import type { Credential, Identities } from "./identity.ts";
import type { PolicyDocument } from "./policy.ts";

export interface FixedIdentity extends Credential {
  readonly sessionToken?: string;
  readonly identityPolicies?: readonly PolicyDocument[];
  readonly sessionPolicies?: readonly PolicyDocument[];
}

export function memoryIdentities(identities: readonly FixedIdentity[]): Identities {
  const byKey = new Map(identities.map((identity) => [identity.caller.accessKeyId, identity]));
  return {
    credential(accessKeyId, sessionToken) {
      const found = byKey.get(accessKeyId);
      if (found === undefined) return "unknown-key";
      if (found.sessionToken === sessionToken) return found;
      return sessionToken === undefined ? "token-missing" : "token-invalid";
    },
    policies(caller) {
      const found = byKey.get(caller.accessKeyId);
      return { identity: found?.identityPolicies ?? [], session: found?.sessionPolicies ?? [] };
    },
  };
}
