// Conditional requests: If-Match and its like for reads, copies and writes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
import { noSuchKey, notImplementedHeader, notModified, preconditionFailed } from "./faults.ts";
import { wholeSeconds, type ObjectRecord } from "./model.ts";

interface ReadConditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: Date | undefined;
  readonly ifUnmodifiedSince?: Date | undefined;
}

function etagMatches(header: string, etag: string): boolean {
  return header
    .split(",")
    .map((one) => one.trim().replace(/^W\//, "").replaceAll('"', ""))
    .some((one) => one === "*" || one === etag);
}

type Verdict = { readonly failed: string } | { readonly unmodified: string } | undefined;

// If-Match overrules If-Unmodified-Since, If-None-Match overrules If-Modified-Since (RFC 9110 section 13.2.2).
function verdictOf(conditions: ReadConditions, { etag, modifiedAtMs }: ObjectRecord): Verdict {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions;
  if (ifMatch !== undefined) {
    if (!etagMatches(ifMatch, etag)) return { failed: "If-Match" };
  } else if (ifUnmodifiedSince !== undefined && modifiedAtMs > wholeSeconds(ifUnmodifiedSince.getTime()))
    return { failed: "If-Unmodified-Since" };
  if (ifNoneMatch !== undefined) return etagMatches(ifNoneMatch, etag) ? { unmodified: "If-None-Match" } : undefined;
  if (ifModifiedSince !== undefined && modifiedAtMs <= wholeSeconds(ifModifiedSince.getTime())) return { unmodified: "If-Modified-Since" };
  return undefined;
}

/** Throws PreconditionFailed, or NotModified (304). */
export function checkRead(conditions: ReadConditions, object: ObjectRecord): void {
  const verdict = verdictOf(conditions, object);
  if (verdict === undefined) return;
  throw "failed" in verdict ? preconditionFailed(verdict.failed) : notModified();
}

/** The same for the source of a copy, where "not modified" is a failure too. */
export function checkCopySource(conditions: ReadConditions, object: ObjectRecord): void {
  const verdict = verdictOf(conditions, object);
  if (verdict === undefined) return;
  throw preconditionFailed(`x-amz-copy-source-${"failed" in verdict ? verdict.failed : verdict.unmodified}`);
}

interface WriteConditions {
  readonly IfMatch?: string | undefined;
  readonly IfNoneMatch?: string | undefined;
}

/** Of the object that is live just when the new one would take its place. Throws CommonFault. */
export function checkWrite(conditions: WriteConditions, key: string, live: ObjectRecord | undefined): void {
  const { IfMatch, IfNoneMatch } = conditions;
  if (IfNoneMatch !== undefined) {
    if (IfNoneMatch.trim() !== "*") throw notImplementedHeader("If-None-Match");
    if (live !== undefined) throw preconditionFailed("If-None-Match");
  }
  if (IfMatch === undefined) return;
  if (live === undefined) throw noSuchKey(key);
  if (!etagMatches(IfMatch, live.etag)) throw preconditionFailed("If-Match");
}

export const isConditional = ({ IfMatch, IfNoneMatch }: WriteConditions): boolean => IfMatch !== undefined || IfNoneMatch !== undefined;
