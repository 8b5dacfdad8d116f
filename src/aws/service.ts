// One AWS request, from its head to its answer: route → authenticate → decode → authorise → validate → operation → encode.
import type { Log, LogFields } from "../base/log.ts";
import { anonymousSigner, authenticate, type AuthenticateOptions, type Signer } from "./authenticate.ts";
import { authorise } from "./authorise.ts";
import { bodyBudget, type HeldBytes } from "./body-budget.ts";
import { inProtocol, internalFault, notImplemented, unknownOperation } from "./common-faults.ts";
import type { ServiceDefinition } from "./definition.ts";
import { CommonFault } from "./fault.ts";
import { guessedModel, ownProtocol, serviceLoader, type LoadedService } from "./load-service.ts";
import type { Context } from "./operations.ts";
import type { Query } from "./protocol.ts";
import { receiveBody } from "./receive.ts";
import { parseQuery, type WireRequest, type WireResponse } from "./request.ts";
import type { Route } from "./router.ts";
import { Malformed } from "./scalar.ts";
import { serviceNameOf } from "./service-name.ts";
import { knownFault, type WireFault } from "./wire-fault.ts";

/** Of services that requests are signed for under another name. */
const IAM_NAMES: Readonly<Record<string, string>> = { monitoring: "cloudwatch" };

export interface ServicesOptions extends AuthenticateOptions {
  /** By SigV4 signing name; each is loaded at its first request. */
  readonly services: ReadonlyMap<string, () => Promise<ServiceDefinition>>;
  readonly log: Log;
  /** Bytes of request bodies held at a time, over all connections; streams are not counted. Absent: 256 MiB. */
  readonly bodyBytesMax?: number;
}

interface Services {
  /** Never rejects: whatever goes wrong becomes a response in the protocol of the request. */
  handle(request: WireRequest): Promise<WireResponse>;
}

/** How far a request has come: for the shape of its error and for the log. */
interface Progress {
  service?: LoadedService;
  context?: Context;
  operation: string;
  refusal?: WireFault;
}

/** What the log has of every request; what is undefined is left out. The time is that until the answer begins. */
function described({ id }: WireRequest, progress: Progress, { status }: WireResponse, tookMs: number): LogFields {
  const { service, operation, context, refusal } = progress;
  return {
    service: service?.definition.name,
    operation,
    status,
    ms: Math.round(tookMs * 100) / 100,
    requestId: id,
    caller: context?.caller.arn,
    code: refusal?.code,
    reason: refusal?.message,
  };
}

type Perform = (context: Context, input: unknown) => unknown;

const BODY_BYTES_MAX = 256 * 2 ** 20;
const NO_QUERY: Query = new Map();

function asFault<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof Malformed) throw new CommonFault("SerializationException", cause.message, 400, {}, { cause });
    throw cause;
  }
}

function contextOf(request: WireRequest, { caller, region }: Signer): Context {
  const { id: requestId, endpoint, signal } = request;
  const traceHeader = request.headers.get("x-amzn-trace-id");
  const context = {
    requestId,
    account: caller.account,
    region,
    caller,
    endpoint,
    signal,
    ...(request.sourceIp === undefined ? {} : { sourceIp: request.sourceIp }),
    responseHeaders: new Map<string, string>(),
    denied: new Map<string, string>(),
  };
  return traceHeader === undefined ? context : { ...context, traceHeader };
}

const queryOf = ({ rawQuery }: WireRequest): Query => (rawQuery === "" ? NO_QUERY : parseQuery(rawQuery));

/** The query as far as it can be read: a service must be found even for a request that is refused for its query. */
function lenientQuery(request: WireRequest): Query {
  try {
    return queryOf(request);
  } catch (cause) {
    if (cause instanceof Malformed) return NO_QUERY;
    throw cause;
  }
}

/** Forms name their operation in the body; all others are known by now. */
function routeOf(service: LoadedService, early: Route | undefined, request: WireRequest, query: Query, bytes: Uint8Array): Route {
  if (early !== undefined) return early;
  const { action, route } = service.routeByForm(request, query, bytes);
  if (route === undefined) throw unknownOperation(service.modelOf(request).protocol, action);
  return route;
}

function asNamedBy(service: LoadedService | undefined, fault: WireFault | undefined): WireFault | undefined {
  const code = fault?.model === undefined ? service?.definition.faultCodes?.[fault?.code ?? ""] : undefined;
  return fault === undefined || code === undefined ? fault : { ...fault, code };
}

/** Headers that an operation set besides its output; those of a fault as well: S3 says there whether it met a delete marker. */
function withHeaders(response: WireResponse, context: Context | undefined): WireResponse {
  for (const [header, value] of context?.responseHeaders ?? []) response.headers[header] = value;
  return response;
}

export function awsServices(options: ServicesOptions): Services {
  const load = serviceLoader(options.services);
  const budget = bodyBudget(options.bodyBytesMax ?? BODY_BYTES_MAX);

  const answer = async (request: WireRequest, progress: Progress, held: HeldBytes): Promise<WireResponse> => {
    const { name, isSigned } = serviceNameOf(request, lenientQuery(request));
    const service = await load(name);
    if (service === undefined) throw notImplemented(`the service "${name}" (see docs/compatibility.md)`);
    progress.service = service;
    const { definition } = service;
    const query = asFault(() => queryOf(request));
    const early = asFault(() => service.routeByHead(request, query));
    progress.operation = early?.operation.name ?? "";

    const authenticated = (bytes?: Uint8Array) => {
      // What an unsigned form asks for may be read at once: there is no signature that it could break.
      const allowed = isSigned
        ? undefined
        : (early ?? service.routeByForm(request, query, bytes ?? new Uint8Array()).route)?.operation.name;
      if (allowed !== undefined && definition.anonymous?.has(allowed) === true) return anonymousSigner(options);
      return authenticate(request, name, bytes, options);
    };
    const received = await receiveBody(request, definition, early?.operation, authenticated, held);
    const { operation, labels } = routeOf(service, early, request, query, received.bytes);
    progress.operation = operation.name;
    const perform = definition.operations[operation.name];
    if (typeof perform !== "function")
      throw notImplemented(`${IAM_NAMES[name] ?? name}:${operation.name}`, typeof perform === "object" ? perform.about : undefined);

    const protocol = service.protocolOf(request);
    const { bytes, stream } = received;
    const keepsOthers = definition.keepsOthers?.has(operation.name) === true;
    const input = protocol.decode(operation, { request: received.request, query, labels, bytes, stream, keepsOthers });
    const context = contextOf(request, received.signer);
    progress.context = context;
    authorise(request, context, await definition.access(operation.name, context, input), options);
    service.validate(operation, input);
    const output = await (perform as Perform)(context, input);
    const response = protocol.encode(operation, (output ?? {}) as Record<string, unknown>, request.id);
    for (const [header, value] of context.responseHeaders ?? []) response.headers[header] = value;
    return response;
  };

  const fail = (request: WireRequest, progress: Progress, cause: unknown): WireResponse => {
    const { service, context, operation } = progress;
    const fault = asNamedBy(service, knownFault(cause));
    const query = lenientQuery(request);
    const model = service?.modelOf(request) ?? guessedModel(serviceNameOf(request, query).name, request, query);
    progress.refusal = fault ?? internalFault(model);
    if (fault === undefined) options.log.error("request failed", { requestId: request.id, service: model.name, operation, cause });
    const protocol = service?.protocolOf(request) ?? ownProtocol(model);
    return withHeaders(protocol.encodeFault(inProtocol(model.protocol, progress.refusal), request.id), context);
  };

  return {
    async handle(request) {
      const progress: Progress = { operation: "" };
      const held = budget.hold();
      const startedMs = options.clock.monotonic();
      let response: WireResponse;
      try {
        response = await answer(request, progress, held);
      } catch (cause) {
        response = fail(request, progress, cause);
      } finally {
        held.release();
      }
      options.log.info("request", described(request, progress, response, options.clock.monotonic() - startedMs));
      return response;
    },
  };
}
