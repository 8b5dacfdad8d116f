// Which service a request is for: the scope that it was signed for, else what its path and headers give away.
import type { Query } from "./protocol.ts";
import type { WireRequest } from "./request.ts";
import { credentialScope } from "./signature-claim.ts";

const BY_TARGET: ReadonlyMap<string, string> = new Map([
  ["AWSEvents", "events"],
  ["AmazonSQS", "sqs"],
  ["AmazonEC2ContainerRegistry_V20150921", "ecr"],
  ["Logs_20140328", "logs"],
  ["GraniteServiceVersion20100801", "monitoring"],
]);
const BY_VERSION: ReadonlyMap<string, string> = new Map([
  ["2010-05-08", "iam"],
  ["2010-08-01", "monitoring"],
  ["2011-06-15", "sts"],
  ["2012-11-05", "sqs"],
  ["2010-03-31", "sns"],
]);
/** Links in notifications: they name no version. */
const BY_ACTION: ReadonlyMap<string, string> = new Map([
  ["ConfirmSubscription", "sns"],
  ["Unsubscribe", "sns"],
]);
const LAMBDA_PATH = /^\/20\d\d-\d\d-\d\d\//;
const FORM = "application/x-www-form-urlencoded";

function unsignedService({ headers, rawPath }: WireRequest, query: Query): string {
  const target = headers.get("x-amz-target");
  if (target !== undefined) return BY_TARGET.get(target.slice(0, target.indexOf("."))) ?? "";
  const [, service, name] = rawPath.split("/", 4);
  if (headers.has("smithy-protocol") && service === "service") return BY_TARGET.get(name ?? "") ?? "";
  const action = query.get("Action")?.[0];
  if (action !== undefined) return BY_VERSION.get(query.get("Version")?.[0] ?? "") ?? BY_ACTION.get(action) ?? "";
  // Without a signature only STS takes forms: AssumeRoleWithWebIdentity and its like.
  if (headers.get("content-type")?.startsWith(FORM) === true) return "sts";
  return LAMBDA_PATH.test(rawPath) ? "lambda" : "s3";
}

/** The signing name; `isSigned` says whether the request carries a signature at all, right or wrong. */
export function serviceNameOf(request: WireRequest, query: Query): { name: string; isSigned: boolean } {
  const isSigned = request.headers.has("authorization") || query.has("X-Amz-Signature") || query.has("X-Amz-Credential");
  return { name: credentialScope(request)?.service ?? unsignedService(request, query), isSigned };
}
