// Stored records of Lambda, and what its operations share.
import type * as client from "@aws-sdk/client-lambda";
import type { Readable } from "node:stream";
import type { Deliverer } from "../aws/deliver.ts";
import type { Context } from "../aws/operations.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Recorder } from "../base/metrics.ts";
import type { Turns } from "../base/turns.ts";
import type { Deliveries } from "../deliveries.ts";
import type { FailedEvents } from "../failed-events.ts";
import type { AsyncInvocations } from "../pool/async.ts";
import type { Deployment, Invoker } from "../pool/invocation.ts";
import type { BlobStore } from "../store/blob-store.ts";
import type { DurableQueue, Entry, Key, MetaStore } from "../store/storage.ts";
import type { View } from "../store/view.ts";
import type { CodeUsage } from "./account.ts";
import type { AliasRecord } from "./alias-records.ts";
import type { CodeSigningRecord } from "./code-signing.ts";
import type { ProvisionedRecord, ReservationRecord } from "./concurrency-records.ts";
import type { EventInvokeRecord } from "./event-invoke.ts";
import type { MappingRecord } from "./event-source-mapping-records.ts";
import type { EventSources } from "./event-sources.ts";
import type { FunctionUrlRecord } from "./function-urls.ts";
import type { LayerVersionRecord } from "./layer-records.ts";
import type { LambdaMetrics } from "./invocation-metrics.ts";
import type { NewerMembers } from "./newer-members.ts";
import type { FunctionReference } from "./names.ts";
import type { Packages } from "./packages.ts";
import type { PolicyRecord } from "./permissions.ts";
import type { Provisioning } from "./provisioning.ts";
import type { RuntimeManagementRecord } from "./runtime-management.ts";
import type { VersionRecord } from "./version-records.ts";

export const FUNCTION_KIND = "lambda.function";
/** Version numbers are never used again, not even by a function of the same name that is made later. */
export const VERSION_COUNTER_KIND = "lambda.version-counter";

/** What a function can see of itself and what decides how it runs. Members as in FunctionConfiguration. */
export interface Configuration {
  /** Absent: Zip. */
  readonly PackageType?: "Image";
  /** This and the handler: of packages only. */
  readonly Runtime?: string;
  readonly Role: string;
  readonly Handler?: string;
  /** Of images only: what replaces the image's own. */
  readonly ImageConfig?: client.ImageConfig;
  readonly Description: string;
  readonly Timeout: number;
  readonly MemorySize: number;
  readonly Variables?: Readonly<Record<string, string>>;
  readonly EphemeralStorageSize: number;
  readonly Architecture: "x86_64" | "arm64";
  readonly LoggingConfig: client.LoggingConfig;
  readonly TracingMode: client.TracingMode;
  readonly DeadLetterTargetArn?: string;
  /** In the order in which they are merged; at least one. */
  readonly Layers?: readonly FunctionLayer[];
  /** Set when the function is made, and not changed any more. */
  readonly TenantIsolationMode?: client.TenantIsolationMode;
  /** Absent: none. */
  readonly newer?: NewerMembers;
}

export interface CodePackage {
  /** Lower-case hex SHA-256 of the zip: its name in the blob store. */
  readonly sha256: string;
  readonly bytes: number;
}

/** What a function keeps of its image: the registry may forget it. */
export interface ImageCode {
  readonly ImageUri: string;
  readonly ResolvedImageUri: string;
  /** Names of blobs, the lowest layer first. */
  readonly layers: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly Env: readonly string[];
}

/** Of an image, the name is that of its manifest, and the bytes are none: they are the registry's. */
export interface FunctionCode extends CodePackage {
  readonly image?: ImageCode;
}

/** A layer version as a function keeps it: with its content, since the version may be deleted while the function goes on. */
export interface FunctionLayer extends CodePackage {
  readonly Arn: string;
}

export interface Deployed {
  readonly configuration: Configuration;
  readonly code: FunctionCode;
  /** New with every change: environments of another deployment are never used. */
  readonly id: string;
}

export interface FunctionRecord {
  /** What the API shows. */
  readonly wanted: Deployed;
  /** What invocations use: the former one until an update is complete; absent until the function is active. */
  readonly running?: Deployed;
  readonly revisionId: string;
  readonly lastModifiedMs: number;
  readonly tags: Readonly<Record<string, string>>;
  /** Absent: it is stopped when it calls itself without end. */
  readonly recursiveLoop?: client.RecursiveLoop;
  readonly codeSigningConfigArn?: string;
}

export interface LambdaDeps {
  readonly meta: MetaStore;
  /** Of asynchronous invocations. */
  readonly queue: DurableQueue;
  readonly blobs: BlobStore;
  /** Where unpacked packages are kept; a cache that the service may empty. */
  readonly packagesDirectory: string;
  readonly invoker: Invoker;
  readonly sources: EventSources;
  /** Whether there is a way to a destination or dead-letter queue, by its ARN. */
  readonly supportsTarget: Deliverer["supports"];
  /** Whether the function's role may send to it. */
  readonly mayDeliver: Deliverer["mayDeliver"];
  readonly deliveries: Deliveries;
  /** What is written with the end of an event that has failed, so that it can be looked at and run again. */
  readonly keepFailed: FailedEvents["keep"];
  /** Takes the numbers of AWS/Lambda. */
  readonly recorder: Recorder;
  /** Asynchronous invocations that run at once; the rest of the machine is for those who wait for an answer. */
  readonly asyncConcurrency: number;
  readonly clock: Clock;
  /** The time of asynchronous events: the clock's, or faster. */
  readonly pace: Clock;
  readonly log: Log;
  /** S3's GetObject with the caller's own rights; throws S3's faults. */
  readonly getObject: (
    context: Context,
    bucket: string,
    key: string,
    version: string | undefined,
  ) => Promise<{ readonly body: Readable; readonly bytes: number }>;
  /**
   * The image that a URI means in the registry, of several the one for the architecture, with the caller's own rights. Throws what IAM refuses.
   */
  readonly getImage: (
    context: Context,
    uri: string,
    architecture: Configuration["Architecture"],
  ) => Promise<{ readonly sha256: string; readonly image: ImageCode } | "malformed" | "absent" | "unsupported">;
  /** Whether the role exists and its trust policy names Lambda. */
  readonly canAssume: (roleArn: string) => boolean;
  readonly runtimes: { state(runtime: string): "preview" | "active" | "deprecated" | "blocked" | undefined; names(): readonly string[] };
  /** A URL from which the zip can be fetched for ten minutes. */
  readonly codeUrl: (context: Context, sha256: string) => string;
  readonly accountConcurrency: number;
  /** From 0 up to 1: which version of an alias with weights a request goes to. Default: `Math.random`. */
  readonly chance?: () => number;
}

/** What runs now under a name, for this tenant if the function isolates them, with its code in place. Throws AWS's faults. */
export type ReadyDeployment = (reference: FunctionReference, tenantId?: string) => Promise<Deployment>;

/** What the resources of the service work with. */
export interface Lambda extends LambdaDeps {
  readonly chance: () => number;
  readonly functions: View<FunctionRecord>;
  readonly versions: View<VersionRecord>;
  readonly aliases: View<AliasRecord>;
  readonly layerVersions: View<LayerVersionRecord>;
  readonly eventInvokeConfigs: View<EventInvokeRecord>;
  readonly reservations: View<ReservationRecord>;
  readonly provisioned: View<ProvisionedRecord>;
  readonly provisioning: Pick<Provisioning, "progressOf">;
  readonly runtimeManagement: View<RuntimeManagementRecord>;
  /** Of changes that are checked against what others have stored. */
  readonly turns: Turns;
  readonly policies: View<PolicyRecord>;
  readonly mappings: View<MappingRecord>;
  readonly functionUrls: View<FunctionUrlRecord>;
  readonly codeSigningConfigs: View<CodeSigningRecord>;
  readonly packages: Packages;
  readonly usage: CodeUsage;
  readonly ready: ReadyDeployment;
  readonly events: AsyncInvocations;
  readonly metrics: LambdaMetrics;
  /** Completes a function's creation or update soon. */
  readonly complete: (key: Key) => void;
}

export type FunctionEntry = Entry<FunctionRecord>;

export const functionKey = (context: Pick<Context, "account" | "region">, name: string): Key => ({
  account: context.account,
  region: context.region,
  kind: FUNCTION_KIND,
  id: name,
});

export const isPending = (record: FunctionRecord): boolean => record.running === undefined;
export const isUpdating = (record: FunctionRecord): boolean => record.running !== undefined && record.running.id !== record.wanted.id;
