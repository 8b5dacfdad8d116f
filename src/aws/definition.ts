// What a service hands to the wire: its official client (for schemas and types), its operations, and what IAM checks.
import type { Context, Refused } from "./operations.ts";
import type { PolicyDocument } from "./policy.ts";

/** One thing that the caller must be allowed to do; a request may need several. */
export interface AccessNeed {
  /** `lambda:InvokeFunction` */
  readonly action: string;
  /** Full ARN, or `*` where the action has no resource. */
  readonly resource: string;
  /** Account that owns the resource, where its ARN does not say so (S3). */
  readonly owner?: string;
  /** Policy attached to the resource itself, when it has one. */
  readonly resourcePolicy?: PolicyDocument;
  /** The resource policy must allow, whoever asks, as a role's trust policy must; elsewhere an identity policy of the account suffices. */
  readonly needsResourcePolicy?: true;
  /**
   * The part of the request that this need is about, where each stands for itself (a key of DeleteObjects): a denial refuses that part alone,
   * which the operation finds in `Context.denied`.
   */
  readonly part?: string;
  /** Looked up only when a policy asks for them. */
  readonly conditions?: () => ConditionKeys;
}

/** Condition keys beyond the global ones, by name: `lambda:FunctionArn`. */
export type ConditionKeys = Readonly<Record<string, string | readonly string[]>>;

type Untyped = (context: never, input: never) => unknown;

export interface ServiceDefinition {
  /** SigV4 signing name: `lambda`, `s3`, `logs`, `iam`, `sts`. */
  readonly name: string;
  /** The official client's module namespace: all that `@aws-sdk/client-lambda` exports. */
  readonly client: Readonly<Record<string, unknown>>;
  /** Name of the client class in it: `LambdaClient`. */
  readonly clientClass: string;
  /** The object that `satisfies Operations<typeof client>`. */
  readonly operations: Readonly<Record<string, Untyped | symbol | Refused>>;
  /** Length, pattern, range and enum constraints: file name in src/aws/constraints. */
  readonly constraints: string;
  /**
   * What IAM must allow for the operation, from its decoded but not yet validated input (members may be missing or malformed).
   * An empty list means that any authenticated caller may call it (sts:GetCallerIdentity).
   */
  access(
    operation: string,
    context: Context,
    input: Readonly<Record<string, unknown>>,
  ): readonly AccessNeed[] | Promise<readonly AccessNeed[]>;
  /** The service's own fault for a required member that is missing; absent: the sentence that most services have. */
  readonly missing?: (member: string) => Error;
  /** Codes that common faults have in this service alone, by their own: SNS answers AuthorizationError where others deny access. */
  readonly faultCodes?: Readonly<Record<string, string>>;
  /** A JSON service that takes forms and answers them in XML as well, as it did before (SQS); its errors keep their older names beside the new ones. */
  readonly query?: {
    readonly xmlNamespace: string;
    /** Members that a form leaves to the path of its URL. */
    readonly membersOf: (rawPath: string) => Readonly<Record<string, string>>;
  };
  /** Operations that may be called without a signature (S3 objects under a public policy). */
  readonly anonymous?: ReadonlySet<string>;
  /** Operations of a REST API in JSON that keep what a newer client sends beside the members of the model, in `OTHERS` of their input. */
  readonly keepsOthers?: ReadonlySet<string>;
  /**
   * How long a request body may be, in bytes; streaming bodies are not counted here. Absent: 1 MiB.
   * Larger ones get 413 RequestEntityTooLargeException with AWS's text.
   */
  bodyBytesMax?(operation: string): number;
  /** Throws CommonFault when a body that was read whole is not what its own headers (by lower-case name) say of it. */
  checkBody?(operation: string, headers: ReadonlyMap<string, string>, bytes: Uint8Array): void;
}
