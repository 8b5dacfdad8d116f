// IAM: its operations, and what IAM checks for each. Global: the region of a request does not matter.
import * as client from "@aws-sdk/client-iam";
import type { ServiceDefinition } from "../../aws/definition.ts";
import type { Identities, Roles } from "../../aws/identity.ts";
import { notBuilt, type Operations } from "../../aws/operations.ts";
import type { Clock } from "../../base/clock.ts";
import type { Entry, MetaStore } from "../../store/storage.ts";
import { View } from "../../store/view.ts";
import { accessKeys } from "./access-keys.ts";
import { accessOf } from "./access.ts";
import { groups } from "./groups.ts";
import { identities, type RootKey } from "./identities.ts";
import {
  ACCESS_KEY_KIND,
  GROUP_KIND,
  POLICY_KIND,
  ROLE_KIND,
  USER_KIND,
  type AccessKeyRecord,
  type GroupRecord,
  type Iam,
  type PolicyRecord,
  type RoleRecord,
  type UserRecord,
} from "./model.ts";
import { policies } from "./policies.ts";
import { policyVersions } from "./policy-versions.ts";
import { principalPolicies } from "./principal-policies.ts";
import { roles } from "./roles.ts";
import { serviceLinkedRoles } from "./service-linked-roles.ts";
import { simulations } from "./simulations.ts";
import { users } from "./users.ts";

const NOT_BUILT = {
  AcceptDelegationRequest: notBuilt,
  AcquireRole: notBuilt,
  AddClientIDToOpenIDConnectProvider: notBuilt,
  AddRoleToInstanceProfile: notBuilt,
  AssociateDelegationRequest: notBuilt,
  ChangePassword: notBuilt,
  CreateAccountAlias: notBuilt,
  CreateDelegationRequest: notBuilt,
  CreateInstanceProfile: notBuilt,
  CreateLoginProfile: notBuilt,
  CreateOpenIDConnectProvider: notBuilt,
  CreateSAMLProvider: notBuilt,
  CreateServiceSpecificCredential: notBuilt,
  CreateVirtualMFADevice: notBuilt,
  DeactivateMFADevice: notBuilt,
  DeleteAccountAlias: notBuilt,
  DeleteAccountPasswordPolicy: notBuilt,
  DeleteInstanceProfile: notBuilt,
  DeleteLoginProfile: notBuilt,
  DeleteOpenIDConnectProvider: notBuilt,
  DeleteRolePermissionsBoundary: notBuilt,
  DeleteSAMLProvider: notBuilt,
  DeleteSSHPublicKey: notBuilt,
  DeleteServerCertificate: notBuilt,
  DeleteServiceSpecificCredential: notBuilt,
  DeleteSigningCertificate: notBuilt,
  DeleteUserPermissionsBoundary: notBuilt,
  DeleteVirtualMFADevice: notBuilt,
  DisableOrganizationsRootCredentialsManagement: notBuilt,
  DisableOrganizationsRootSessions: notBuilt,
  DisableOutboundWebIdentityFederation: notBuilt,
  EnableMFADevice: notBuilt,
  EnableOrganizationsRootCredentialsManagement: notBuilt,
  EnableOrganizationsRootSessions: notBuilt,
  EnableOutboundWebIdentityFederation: notBuilt,
  GenerateCredentialReport: notBuilt,
  GenerateOrganizationsAccessReport: notBuilt,
  GenerateServiceLastAccessedDetails: notBuilt,
  GetAccessKeyLastUsed: notBuilt,
  GetAccountAuthorizationDetails: notBuilt,
  GetAccountPasswordPolicy: notBuilt,
  GetAccountProperties: notBuilt,
  GetAccountSummary: notBuilt,
  GetCredentialReport: notBuilt,
  GetDelegationRequest: notBuilt,
  GetHumanReadableSummary: notBuilt,
  GetInstanceProfile: notBuilt,
  GetLoginProfile: notBuilt,
  GetMFADevice: notBuilt,
  GetOpenIDConnectProvider: notBuilt,
  GetOrganizationsAccessReport: notBuilt,
  GetOutboundWebIdentityFederationInfo: notBuilt,
  GetRoleTemplateVersion: notBuilt,
  GetSAMLProvider: notBuilt,
  GetSSHPublicKey: notBuilt,
  GetServerCertificate: notBuilt,
  GetServiceLastAccessedDetails: notBuilt,
  GetServiceLastAccessedDetailsWithEntities: notBuilt,
  ListAccountAliases: notBuilt,
  ListDelegationRequests: notBuilt,
  ListInstanceProfileTags: notBuilt,
  ListInstanceProfiles: notBuilt,
  ListMFADeviceTags: notBuilt,
  ListMFADevices: notBuilt,
  ListOpenIDConnectProviderTags: notBuilt,
  ListOpenIDConnectProviders: notBuilt,
  ListOrganizationsFeatures: notBuilt,
  ListPoliciesGrantingServiceAccess: notBuilt,
  ListSAMLProviderTags: notBuilt,
  ListSAMLProviders: notBuilt,
  ListSSHPublicKeys: notBuilt,
  ListServerCertificateTags: notBuilt,
  ListServerCertificates: notBuilt,
  ListServiceSpecificCredentials: notBuilt,
  ListSigningCertificates: notBuilt,
  ListVirtualMFADevices: notBuilt,
  PutAccountProperties: notBuilt,
  PutRolePermissionsBoundary: notBuilt,
  PutUserPermissionsBoundary: notBuilt,
  RejectDelegationRequest: notBuilt,
  RemoveClientIDFromOpenIDConnectProvider: notBuilt,
  RemoveRoleFromInstanceProfile: notBuilt,
  ResetServiceSpecificCredential: notBuilt,
  ResyncMFADevice: notBuilt,
  SendDelegationToken: notBuilt,
  SetSecurityTokenServicePreferences: notBuilt,
  TagInstanceProfile: notBuilt,
  TagMFADevice: notBuilt,
  TagOpenIDConnectProvider: notBuilt,
  TagSAMLProvider: notBuilt,
  TagServerCertificate: notBuilt,
  UntagInstanceProfile: notBuilt,
  UntagMFADevice: notBuilt,
  UntagOpenIDConnectProvider: notBuilt,
  UntagSAMLProvider: notBuilt,
  UntagServerCertificate: notBuilt,
  UpdateAccountPasswordPolicy: notBuilt,
  UpdateDelegationRequest: notBuilt,
  UpdateLoginProfile: notBuilt,
  UpdateOpenIDConnectProviderThumbprint: notBuilt,
  UpdateSAMLProvider: notBuilt,
  UpdateSSHPublicKey: notBuilt,
  UpdateServerCertificate: notBuilt,
  UpdateServiceSpecificCredential: notBuilt,
  UpdateSigningCertificate: notBuilt,
  UploadSSHPublicKey: notBuilt,
  UploadServerCertificate: notBuilt,
  UploadSigningCertificate: notBuilt,
} as const;

function operationsOf(iam: Iam) {
  return {
    ...roles(iam),
    ...serviceLinkedRoles(iam),
    ...users(iam),
    ...groups(iam),
    ...accessKeys(iam),
    ...principalPolicies(iam),
    ...policies(iam),
    ...policyVersions(iam),
    ...simulations(iam),
    ...NOT_BUILT,
  } satisfies Operations<typeof client>;
}

export interface IamService {
  readonly definition: ServiceDefinition;
  readonly operations: ReturnType<typeof operationsOf>;
  readonly identities: Identities;
  readonly roles: Roles;
  stop(): void;
}

async function openIam(meta: MetaStore, clock: Clock): Promise<Iam> {
  const accessKeysById = new Map<string, Entry<AccessKeyRecord>>();
  return {
    meta,
    clock,
    users: await View.open<UserRecord>(meta, USER_KIND),
    groups: await View.open<GroupRecord>(meta, GROUP_KIND),
    roles: await View.open<RoleRecord>(meta, ROLE_KIND),
    policies: await View.open<PolicyRecord>(meta, POLICY_KIND),
    accessKeys: await View.open<AccessKeyRecord>(meta, ACCESS_KEY_KIND, ({ id }, entry) => {
      if (entry === undefined) accessKeysById.delete(id);
      else accessKeysById.set(id, entry);
    }),
    accessKeysById,
  };
}

/** `sealingKey` is 32 bytes; `rootKeys` need no user and may do everything in their account. */
export async function iamService(deps: {
  meta: MetaStore;
  clock: Clock;
  sealingKey: Uint8Array;
  rootKeys: readonly RootKey[];
}): Promise<IamService> {
  const iam = await openIam(deps.meta, deps.clock);
  const operations = operationsOf(iam);
  return {
    definition: { name: "iam", client, clientClass: "IAMClient", operations, constraints: "iam", access: accessOf(iam) },
    operations,
    ...identities(iam, deps.sealingKey, deps.rootKeys),
    stop() {
      for (const view of [iam.users, iam.groups, iam.roles, iam.policies, iam.accessKeys]) view.close();
    },
  };
}
