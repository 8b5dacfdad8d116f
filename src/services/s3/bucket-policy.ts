// Bucket policies: what they may say, whether they let the public in, and what the public access block makes of them.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
import { CommonFault } from "../../aws/fault.ts";
import type { Context } from "../../aws/operations.ts";
import { parsePolicy, type PolicyDocument, type PolicyStatement } from "../../aws/policy.ts";
import { matchesWildcard } from "../../aws/policy-pattern.ts";
import { accessDenied } from "./faults.ts";
import { bucketArn, type BucketRecord } from "./model.ts";

const malformedPolicy = (message: string) => new CommonFault("MalformedPolicy", message, 400);

/** Keys that, compared with fixed values, keep the public out although the principal is everyone. */
const NARROWING = new Set([
  "aws:principalaccount",
  "aws:principalarn",
  "aws:principalorgid",
  "aws:principalorgpaths",
  "aws:sourceaccount",
  "aws:sourcearn",
  "aws:sourceip",
  "aws:sourceorgid",
  "aws:sourcevpc",
  "aws:sourcevpce",
  "aws:userid",
  "s3:dataaccesspointaccount",
  "s3:dataaccesspointarn",
]);
const FIXING = /^(?:ForAnyValue:)?(?:StringEquals|StringLike|StringEqualsIgnoreCase|ArnEquals|ArnLike|IpAddress)$/;

const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];

/** A network so wide that it is as good as everywhere is no restriction: AWS draws the line at /8 and /32. */
function isFixed(operator: string, value: string): boolean {
  if (!operator.endsWith("IpAddress")) return !/[*?]|\$\{/.test(value);
  const [network = "", bits] = value.split("/");
  return Number(bits ?? 128) >= (network.includes(":") ? 32 : 8);
}

function isNarrowed({ Condition = {} }: PolicyStatement): boolean {
  return Object.entries(Condition).some(
    ([operator, keys]) =>
      FIXING.test(operator) &&
      Object.entries(keys).some(
        ([key, values]) => NARROWING.has(key.toLowerCase()) && listOf(values).every((value) => isFixed(operator, String(value))),
      ),
  );
}

function isForEveryone({ Principal, NotPrincipal }: PolicyStatement): boolean {
  if (NotPrincipal !== undefined || Principal === "*") return true;
  return listOf(Principal?.["AWS"]).includes("*");
}

/** Whether any statement lets everyone in. */
export function isPublic(policy: PolicyDocument): boolean {
  return listOf(policy.Statement).some((statement) => statement.Effect === "Allow" && isForEveryone(statement) && !isNarrowed(statement));
}

function checkStatement(bucket: string, statement: PolicyStatement): void {
  if (statement.Principal === undefined && statement.NotPrincipal === undefined) throw malformedPolicy("Missing required field Principal");
  const resources = listOf(statement.Resource ?? statement.NotResource);
  if (resources.length === 0) throw malformedPolicy("Missing required field Resource");
  const arn = bucketArn(bucket);
  for (const resource of resources) {
    const slash = resource.indexOf("/");
    if (!matchesWildcard(slash === -1 ? resource : resource.slice(0, slash), arn)) throw malformedPolicy("Policy has invalid resource");
  }
  for (const action of listOf(statement.Action ?? statement.NotAction))
    if (action !== "*" && !action.toLowerCase().startsWith("s3:")) throw malformedPolicy("Policy has invalid action");
}

/** Throws MalformedPolicy; AccessDenied for a public policy where these are blocked. */
export function checkPolicy(context: Context, bucketName: string, bucket: BucketRecord, text: string): void {
  const policy = parsePolicy(text);
  if ("malformed" in policy) throw malformedPolicy(policy.malformed);
  for (const statement of listOf(policy.Statement)) checkStatement(bucketName, statement);
  if (bucket.publicAccess?.BlockPublicPolicy === true && isPublic(policy))
    throw accessDenied(
      `User: ${context.caller.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "${bucketArn(bucketName)}" because public policies are blocked by the BlockPublicPolicy block public access setting.`,
    );
}

const parsed = new WeakMap<BucketRecord, PolicyDocument>();

/** The policy as a document; parsed once for each state of the bucket. */
export function policyOf(bucket: BucketRecord): PolicyDocument | undefined {
  if (bucket.policy === undefined) return undefined;
  const known = parsed.get(bucket);
  if (known !== undefined) return known;
  const policy = parsePolicy(bucket.policy);
  if ("malformed" in policy) throw new Error(`a stored bucket policy is malformed: ${policy.malformed}`);
  parsed.set(bucket, policy);
  return policy;
}

/** What of the policy holds for this caller: a restricted bucket's public policy lets in its own account and services alone. */
export function policyFor(context: Context, bucket: BucketRecord): PolicyDocument | undefined {
  const policy = policyOf(bucket);
  if (policy === undefined || bucket.publicAccess?.RestrictPublicBuckets !== true || !isPublic(policy)) return policy;
  const { kind, account } = context.caller;
  if (kind === "service" || (kind !== "anonymous" && account === bucket.account)) return policy;
  return { ...policy, Statement: listOf(policy.Statement).filter(({ Effect }) => Effect === "Deny") };
}
