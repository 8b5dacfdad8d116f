// Who sent a request: the one place where signatures are verified, or found to be unnecessary.
import type { Clock } from "../base/clock.ts";
import { sha256Hex } from "./body.ts";
import { CommonFault } from "./fault.ts";
import type { Caller, Identities } from "./identity.ts";
import type { WireRequest } from "./request.ts";
import { verifySignature, type VerifiedSignature } from "./signature.ts";

/** Who sent the request, and what its signature says about the body. */
export type Signer = Pick<VerifiedSignature, "caller" | "region" | "payload">;

export interface AuthenticateOptions {
  readonly identities: Identities;
  readonly clock: Clock;
  /** Account and region of requests without a signature, where an operation allows them. */
  readonly account: string;
  readonly region: string;
}

const EMPTY_SHA256 = sha256Hex(Buffer.alloc(0));
const ANONYMOUS: Omit<Caller, "account"> = { kind: "anonymous", arn: "", userId: "anonymous", accessKeyId: "" };

/**
 * `bytes` is the body as it was sent; absent for streams, whose digest is known at their end. `service` is the one that will answer.
 * Throws CommonFault.
 */
export function authenticate(request: WireRequest, service: string, bytes: Uint8Array | undefined, options: AuthenticateOptions): Signer {
  const { method, rawPath, rawQuery, headers } = request;
  const bodySha256 = bytes === undefined ? undefined : () => (bytes.length === 0 ? EMPTY_SHA256 : sha256Hex(bytes));
  const verified = verifySignature({ method, rawPath, rawQuery, headers, bodySha256 }, options.identities, options.clock.now());
  // A signature for one service is no signature for another: S3's need not cover the body.
  if (verified.service !== service)
    throw new CommonFault("InvalidSignatureException", `Credential should be scoped to correct service: '${service}'.`, 403);
  return verified;
}

export function anonymousSigner(options: AuthenticateOptions): Signer {
  return { caller: { ...ANONYMOUS, account: options.account }, region: options.region, payload: { kind: "unsigned" } };
}
