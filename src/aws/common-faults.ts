// Faults that every service has, under the names and texts that each protocol gives them.
import type { ProtocolName, ServiceModel } from "./model.ts";
import type { WireFault } from "./wire-fault.ts";
import { CommonFault } from "./fault.ts";

interface Renamed {
  readonly code: string;
  readonly status?: number;
  readonly message?: string;
}

// The names of the JSON protocols stand on the left: they are what the rest of the wire throws.
const QUERY: ReadonlyMap<string, Renamed> = new Map([
  ["MissingAuthenticationTokenException", { code: "MissingAuthenticationToken", message: "Request is missing Authentication Token" }],
  ["UnrecognizedClientException", { code: "InvalidClientTokenId" }],
  ["InvalidSignatureException", { code: "SignatureDoesNotMatch" }],
  ["IncompleteSignatureException", { code: "IncompleteSignature" }],
  ["ExpiredTokenException", { code: "ExpiredToken" }],
  ["AccessDeniedException", { code: "AccessDenied" }],
  ["RequestEntityTooLargeException", { code: "RequestEntityTooLarge" }],
  ["ServiceUnavailableException", { code: "ServiceUnavailable" }],
  ["InvalidParameterValueException", { code: "InvalidParameterValue" }],
  ["MissingRequiredParameterException", { code: "MissingParameter" }],
  ["ValidationException", { code: "ValidationError" }],
]);

/** The older JSON protocols have one status for whatever is wrong with a request (CommonErrors of DynamoDB, CloudWatch Logs, SQS). */
const JSON_RPC: ReadonlyMap<string, Renamed> = new Map(
  [
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "IncompleteSignatureException",
    "ExpiredTokenException",
    "AccessDeniedException",
    "UnknownOperationException",
  ].map((code) => [code, { code, status: 400 }]),
);

const S3: ReadonlyMap<string, Renamed> = new Map([
  ["MissingAuthenticationTokenException", { code: "AccessDenied", status: 403, message: "Access Denied" }],
  [
    "UnrecognizedClientException",
    { code: "InvalidAccessKeyId", status: 403, message: "The AWS Access Key Id you provided does not exist in our records." },
  ],
  ["InvalidSignatureException", { code: "SignatureDoesNotMatch", status: 403 }],
  ["IncompleteSignatureException", { code: "AuthorizationHeaderMalformed", status: 400 }],
  ["ExpiredTokenException", { code: "ExpiredToken", status: 400, message: "The provided token has expired." }],
  ["AccessDeniedException", { code: "AccessDenied", status: 403 }],
  ["RequestEntityTooLargeException", { code: "MaxMessageLengthExceeded", status: 400, message: "Your request was too big." }],
  ["SerializationException", { code: "InvalidRequest", status: 400 }],
  ["NotImplementedException", { code: "NotImplemented", status: 501 }],
  ["ServiceUnavailableException", { code: "SlowDown", status: 503, message: "Please reduce your request rate." }],
]);

const RENAMED: Readonly<Partial<Record<ProtocolName, ReadonlyMap<string, Renamed>>>> = {
  query: QUERY,
  "json-1.0": JSON_RPC,
  "json-1.1": JSON_RPC,
  "rest-xml": S3,
};

/** The fault as this protocol names it; faults that the service's model has stay as they are. */
export function inProtocol(protocol: ProtocolName, fault: WireFault): WireFault {
  const renamed = fault.model === undefined ? RENAMED[protocol]?.get(fault.code) : undefined;
  return renamed === undefined ? fault : { ...fault, ...renamed };
}

/** The fault's name in the query protocol. */
export const queryCodeOf = (fault: WireFault): string => fault.model?.queryCode ?? QUERY.get(fault.code)?.code ?? fault.code;

export function unknownOperation(protocol: ProtocolName, action: string): CommonFault {
  if (protocol === "query") return new CommonFault("InvalidAction", `Could not find operation ${action} for the requested version`, 400);
  if (protocol === "rest-xml")
    return new CommonFault("MethodNotAllowed", "The specified method is not allowed against this resource.", 405);
  return new CommonFault("UnknownOperationException", "The requested operation is not recognized by the service.", 404);
}

/** What Lambent does not have yet is refused by name, never answered with something that looks like success. */
export function notImplemented(what: string, about?: string): CommonFault {
  const because = about === undefined ? "" : `, which is about ${about}`;
  return new CommonFault("NotImplementedException", `Lambent does not implement ${what}${because}.`, 501);
}

/** What the caller sees of a bug: no more than that there was one. */
export function internalFault(model: Pick<ServiceModel, "protocol" | "name">): WireFault {
  const message = "We encountered an internal error. Please try again.";
  if (model.protocol === "rest-xml") return { code: "InternalError", status: 500, message, members: {} };
  if (model.protocol === "rest-json") return { code: "ServiceException", status: 500, message, members: { Type: "Service" } };
  return { code: "InternalFailure", status: 500, message, members: {} };
}

export function tooLarge(action: string, bytesMax: number): CommonFault {
  // IAM's name of the operation is the one that AWS's sentence has.
  const name = action === "Invoke" ? "InvokeFunction" : action;
  return new CommonFault("RequestEntityTooLargeException", `Request must be smaller than ${bytesMax} bytes for the ${name} operation`, 413);
}
