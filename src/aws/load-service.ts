// A service's definition made ready to answer: its model, its codecs, its routes and its validator.
import { cbor } from "./cbor.ts";
import type { ServiceDefinition } from "./definition.ts";
import { json } from "./json.ts";
import { serviceModel, type OperationModel, type ProtocolName, type ServiceModel } from "./model.ts";
import type { Labels, Protocol, Query } from "./protocol.ts";
import { queryProtocol, readForm } from "./query.ts";
import type { WireRequest } from "./request.ts";
import { restJson } from "./rest-json.ts";
import { restXml } from "./rest-xml.ts";
import { router, type Route } from "./router.ts";
import { readConstraints, validator, type Validate } from "./validate.ts";

export interface LoadedService {
  readonly definition: ServiceDefinition;
  readonly model: ServiceModel;
  /** The protocol of this request: the service's own, or one of those beside it (rpc-v2-cbor, forms). */
  protocolOf(request: WireRequest): Protocol;
  /** The model as this request's protocol has it: for the names of faults. */
  modelOf(request: WireRequest): ServiceModel;
  /** The operation that path, headers and query name; a form names its own in the body. Throws Malformed. */
  routeByHead(request: WireRequest, query: Query): Route | undefined;
  /** The operation that a form names, and the name as it came; throws CommonFault. */
  routeByForm(request: WireRequest, query: Query, bytes: Uint8Array): { action: string; route: Route | undefined };
  readonly validate: Validate;
}

const NO_LABELS: Labels = new Map();

const isCbor = (request: WireRequest) => request.headers.get("smithy-protocol") === "rpc-v2-cbor";

const bringsForm = (request: WireRequest) =>
  !request.headers.has("x-amz-target") && !isCbor(request) && request.headers.get("content-type")?.startsWith("application/json") !== true;

/** Forms for a service whose own protocol is JSON. */
function formsBeside(definition: ServiceDefinition, model: ServiceModel): { model: ServiceModel; protocol: Protocol } | undefined {
  const { query } = definition;
  if (query === undefined) return undefined;
  const queryModel: ServiceModel = { ...model, protocol: "query", xmlNamespace: query.xmlNamespace };
  const forms = queryProtocol(queryModel);
  const decode: Protocol["decode"] = (operation, incoming) => ({
    ...query.membersOf(incoming.request.rawPath),
    ...forms.decode(operation, incoming),
  });
  return { model: queryModel, protocol: { ...forms, decode } };
}

export function ownProtocol(model: ServiceModel): Protocol {
  if (model.protocol === "rest-json") return restJson;
  if (model.protocol === "rest-xml") return restXml(model);
  return model.protocol === "query" ? queryProtocol(model) : json(model);
}

/** Stands in for a service that isn't there, so that its clients can read why. */
export function guessedModel(name: string, request: WireRequest, query: Query): ServiceModel {
  const contentType = request.headers.get("content-type") ?? "";
  const isForm = contentType.startsWith("application/x-www-form-urlencoded") || query.has("Action");
  const isJson = request.headers.has("x-amz-target");
  const protocol: ProtocolName = isJson ? (contentType.endsWith("1.0") ? "json-1.0" : "json-1.1") : isForm ? "query" : "rest-json";
  return { name, protocol: name === "s3" ? "rest-xml" : protocol, namespace: "", target: "", xmlNamespace: "", operations: new Map() };
}

function namedRoute(model: ServiceModel, name: string): Route | undefined {
  const operation: OperationModel | undefined = model.operations.get(name);
  return operation === undefined ? undefined : { operation, labels: NO_LABELS };
}

/** `/service/Name/operation/Operation` */
function cborOperation(request: WireRequest): string {
  const parts = request.rawPath.split("/");
  return parts.at(-2) === "operation" ? (parts.at(-1) ?? "") : "";
}

/** `Target.Operation` */
function targetOperation(request: WireRequest): string {
  const target = request.headers.get("x-amz-target") ?? "";
  return target.slice(target.lastIndexOf(".") + 1);
}

async function loadService(definition: ServiceDefinition): Promise<LoadedService> {
  const model: ServiceModel = {
    ...serviceModel(definition.name, definition.client, definition.clientClass),
    ...(definition.query === undefined ? {} : { hasQueryErrors: true }),
  };
  const forms = formsBeside(definition, model);
  const own = ownProtocol(model);
  const isRest = model.protocol === "rest-json" || model.protocol === "rest-xml";
  const overCbor = cbor(model);
  const routes = isRest ? router(model) : undefined;
  // S3 has no answer for broken constraints in general: its operations know their own codes.
  const validate =
    model.protocol === "rest-xml" ? () => {} : validator(model, await readConstraints(definition.constraints), definition.missing);
  return {
    definition,
    model,
    validate,
    modelOf: (request) => (forms !== undefined && bringsForm(request) ? forms.model : model),
    routeByForm(request, query, bytes) {
      const action =
        model.protocol === "query" || (forms !== undefined && bringsForm(request)) ? (readForm(query, bytes).get("Action")?.[0] ?? "") : "";
      return { action, route: namedRoute(model, action) };
    },
    protocolOf(request) {
      if (!isRest && isCbor(request)) return overCbor;
      return forms !== undefined && bringsForm(request) ? forms.protocol : own;
    },
    routeByHead(request, query) {
      if (routes !== undefined) return routes.match(request, query);
      if (isCbor(request)) return namedRoute(model, cborOperation(request));
      return model.protocol === "query" ? undefined : namedRoute(model, targetOperation(request));
    },
  };
}

/** Loads each service at its first request; one that fails to load is tried again by the next request. */
export function serviceLoader(
  services: ReadonlyMap<string, () => Promise<ServiceDefinition>>,
): (name: string) => Promise<LoadedService> | undefined {
  const loaded = new Map<string, Promise<LoadedService>>();
  return (name) => {
    const known = loaded.get(name);
    const define = services.get(name);
    if (known !== undefined || define === undefined) return known;
    const loading = define().then(loadService);
    loaded.set(name, loading);
    loading.catch(() => loaded.delete(name));
    return loading;
  };
}
