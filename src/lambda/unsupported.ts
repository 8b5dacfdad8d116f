// Members of the API whose effect Lambent does not have: refused when they are given, or stored and said to be without effect.
//
// The one place that knows them; docs/compatibility.md is written from these tables.
import type * as client from "@aws-sdk/client-lambda";
import { invalidParameter } from "./faults.ts";

type Create = client.CreateFunctionCommandInput;
type UpdateCode = client.UpdateFunctionCodeCommandInput;
type UpdateConfiguration = client.UpdateFunctionConfigurationCommandInput;
type Given = Partial<
  Create & UpdateCode & UpdateConfiguration & Pick<client.PublishVersionCommandInput, "PublishTo"> & client.PublishLayerVersionCommandInput
>;

const CREATE = "CreateFunction";
const CODE = "UpdateFunctionCode";
const CONFIGURATION = "UpdateFunctionConfiguration";
const PUBLISH = "PublishVersion";

interface RefusedMember {
  readonly member: string;
  readonly operations: readonly string[];
  readonly isGiven: (given: Given) => boolean;
}

/** How deployment tools say "none". */
export const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === "" ||
  (Array.isArray(value) ? value.length === 0 : typeof value === "object" && value !== null && Object.values(value).every(isEmpty));

/** Given with content they are refused; the empty forms are accepted. */
export const REFUSED_MEMBERS: readonly RefusedMember[] = [
  { member: "PublishTo", operations: [CREATE, CODE, PUBLISH], isGiven: ({ PublishTo }) => PublishTo !== undefined },
  { member: "Code.SourceKMSKeyArn", operations: [CREATE], isGiven: ({ Code }) => !isEmpty(Code?.SourceKMSKeyArn) },
  { member: "SourceKMSKeyArn", operations: [CODE], isGiven: ({ SourceKMSKeyArn }) => !isEmpty(SourceKMSKeyArn) },
  {
    member: "Code.S3ObjectStorageMode REFERENCE",
    operations: [CREATE],
    isGiven: ({ Code }) => Code?.S3ObjectStorageMode === "REFERENCE",
  },
  {
    member: "S3ObjectStorageMode REFERENCE",
    operations: [CODE],
    isGiven: ({ S3ObjectStorageMode }) => S3ObjectStorageMode === "REFERENCE",
  },
  {
    member: "Content.S3ObjectStorageMode REFERENCE",
    operations: ["PublishLayerVersion"],
    isGiven: ({ Content }) => Content?.S3ObjectStorageMode === "REFERENCE",
  },
  {
    member: "VpcConfig",
    operations: [CREATE, CONFIGURATION],
    isGiven: ({ VpcConfig }) => !isEmpty({ ...VpcConfig, Ipv6AllowedForDualStack: undefined }),
  },
  { member: "FileSystemConfigs", operations: [CREATE, CONFIGURATION], isGiven: ({ FileSystemConfigs }) => !isEmpty(FileSystemConfigs) },
  {
    member: "SnapStart PublishedVersions",
    operations: [CREATE, CONFIGURATION],
    isGiven: ({ SnapStart }) => SnapStart?.ApplyOn === "PublishedVersions",
  },
  {
    member: "CapacityProviderConfig",
    operations: [CREATE, CONFIGURATION],
    isGiven: ({ CapacityProviderConfig }) => CapacityProviderConfig !== undefined,
  },
  { member: "DurableConfig", operations: [CREATE, CONFIGURATION], isGiven: ({ DurableConfig }) => DurableConfig !== undefined },
  // Accepting a key would promise an encryption that does not take place.
  { member: "KMSKeyArn", operations: [CREATE, CONFIGURATION], isGiven: ({ KMSKeyArn }) => !isEmpty(KMSKeyArn) },
];

export const MEMBERS_WITHOUT_EFFECT: readonly { readonly member: string; readonly operations: readonly string[]; readonly what: string }[] =
  [
    {
      member: "UpdateRuntimeOn",
      operations: ["PutRuntimeManagementConfig"],
      what: "stored and returned; a server's runtimes change only when its operator installs others, whatever the mode",
    },
  ];

/** Throws for the first member that is given and not honoured. */
export function refuseUnsupported(given: Given): void {
  for (const { member, isGiven } of REFUSED_MEMBERS)
    if (isGiven(given)) throw invalidParameter(`Lambent does not support ${member} yet: leave it out. See docs/compatibility.md.`);
}
