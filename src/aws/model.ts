// An official client module read as a server's model: operations, errors and protocol settings.
import type { StaticErrorSchema } from "@smithy/types";
import { structureShape, type Member, type StructureShape } from "./shape.ts";
import { NormalizedSchema } from "./smithy.ts";

export type ProtocolName = "rest-json" | "rest-xml" | "json-1.0" | "json-1.1" | "query";

export interface OperationModel {
  readonly name: string;
  /** REST protocols only: method, URI template with its literal query, status of success. */
  readonly http?: { readonly method: string; readonly uri: string; readonly status: number };
  /** Absent: the operation takes nothing. */
  readonly input?: StructureShape;
  readonly output?: StructureShape;
}

export interface ErrorModel {
  /** Name of the error shape, which most protocols send as the code. */
  readonly code: string;
  readonly status: number;
  /** Code and status of the query protocol, where they differ. */
  readonly queryCode: string;
  readonly queryStatus: number;
  readonly shape: StructureShape;
  /** `message`, `Message` or nothing: how this error spells it. */
  readonly messageMember?: Member;
}

export interface ServiceModel {
  /** SigV4 signing name. */
  readonly name: string;
  readonly protocol: ProtocolName;
  /** `com.amazonaws.lambda` */
  readonly namespace: string;
  /** Prefix of X-Amz-Target, and the service's name in rpc-v2-cbor paths. */
  readonly target: string;
  readonly xmlNamespace: string;
  readonly operations: ReadonlyMap<string, OperationModel>;
  /** Errors have the names of the query protocol beside their own, in `x-amzn-query-error`. */
  readonly hasQueryErrors?: true;
}

const PROTOCOLS: Readonly<Record<string, ProtocolName>> = {
  "aws.protocols#restJson1": "rest-json",
  "aws.protocols#restXml": "rest-xml",
  "aws.protocols#awsJson1_0": "json-1.0",
  "aws.protocols#awsJson1_1": "json-1.1",
  "aws.protocols#awsQuery": "query",
};

interface ClientConfig {
  readonly protocol: { getShapeId(): string };
  readonly protocolSettings: { defaultNamespace: string; serviceTarget?: string; xmlNamespace?: string };
}
type ClientClass = new (config: object) => { readonly config: ClientConfig; destroy(): void };
type OperationTuple = readonly [kind: 9, namespace: string, name: string, traits: unknown, input: unknown, output: unknown];

const isOperation = (value: unknown): value is OperationTuple => Array.isArray(value) && value[0] === 9;

function optionalStructure(ref: unknown): StructureShape | undefined {
  const schema = NormalizedSchema.of(ref as Parameters<typeof NormalizedSchema.of>[0]);
  return schema.isUnitSchema() ? undefined : structureShape(schema);
}

function operationModel(tuple: OperationTuple): OperationModel {
  const traits = tuple[3] as { http?: [string, string, number] } | 0;
  const http = typeof traits === "object" ? traits.http : undefined;
  const unfolded: { input?: { shape: StructureShape | undefined }; output?: { shape: StructureShape | undefined } } = {};
  // Unfolded at first use: a client module has hundreds of operations, a process needs a few.
  return {
    name: tuple[2],
    ...(http === undefined ? {} : { http: { method: http[0], uri: http[1], status: http[2] } }),
    get input() {
      return (unfolded.input ??= { shape: optionalStructure(tuple[4]) }).shape;
    },
    get output() {
      return (unfolded.output ??= { shape: optionalStructure(tuple[5]) }).shape;
    },
  } as OperationModel;
}

/** Reads the model off the module; a throw-away client instance is the only place that has the protocol settings at run time. */
export function serviceModel(name: string, client: Readonly<Record<string, unknown>>, clientClass: string): ServiceModel {
  const Client = client[clientClass] as ClientClass;
  const instance = new Client({ region: "us-east-1", credentials: { accessKeyId: "unused", secretAccessKey: "unused" } });
  const { protocol, protocolSettings: settings } = instance.config;
  instance.destroy();
  const protocolName = PROTOCOLS[protocol.getShapeId()];
  if (protocolName === undefined) throw new Error(`${clientClass} speaks ${protocol.getShapeId()}, which has no codec`);
  const operations = new Map<string, OperationModel>();
  for (const value of Object.values(client)) if (isOperation(value)) operations.set(value[2], operationModel(value));
  return {
    name,
    protocol: protocolName,
    namespace: settings.defaultNamespace,
    target: settings.serviceTarget ?? "",
    xmlNamespace: settings.xmlNamespace ?? "",
    operations,
  };
}

const errors = new WeakMap<StaticErrorSchema, ErrorModel>();

export function errorModel(schema: StaticErrorSchema): ErrorModel {
  const known = errors.get(schema);
  if (known !== undefined) return known;
  const normalized = NormalizedSchema.of(schema);
  const traits = normalized.getMergedTraits() as { error?: string; httpError?: number; awsQueryError?: [string, number] };
  const shape = structureShape(normalized);
  const status = traits.httpError ?? (traits.error === "server" ? 500 : 400);
  const messageMember = shape.members.find((member) => member.name.toLowerCase() === "message");
  const model: ErrorModel = {
    code: schema[2],
    status,
    queryCode: traits.awsQueryError?.[0] ?? schema[2],
    queryStatus: traits.awsQueryError?.[1] ?? status,
    shape,
    ...(messageMember === undefined ? {} : { messageMember }),
  };
  errors.set(schema, model);
  return model;
}
