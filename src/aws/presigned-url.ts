// URLs that carry their own signature: whoever has one may do this one thing until it expires.
import { ALGORITHM, basicFormat, canonicalQuery, derivedKey, scopeText, signatureOf, type Pair } from "./canonical-request.ts";

interface PresignedGet {
  /** `http://localhost:4566` */
  readonly endpoint: string;
  /** Percent-encoded already. */
  readonly path: string;
  readonly region: string;
  readonly service: string;
  readonly credential: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };
  readonly nowMs: number;
  /** 1 to 604,800. */
  readonly expiresSeconds: number;
}

export function presignedGet({ endpoint, path, region, service, credential, nowMs, expiresSeconds }: PresignedGet): string {
  const date = basicFormat(nowMs);
  const scope = { day: date.slice(0, 8), region, service };
  const pairs: Pair[] = [
    ["X-Amz-Algorithm", ALGORITHM],
    ["X-Amz-Credential", `${credential.accessKeyId}/${scopeText(scope)}`],
    ["X-Amz-Date", date],
    ["X-Amz-Expires", String(expiresSeconds)],
    ["X-Amz-SignedHeaders", "host"],
    ...(credential.sessionToken === undefined ? [] : [["X-Amz-Security-Token", credential.sessionToken] as const]),
  ];
  const query = canonicalQuery(pairs);
  const canonical = `GET\n${path}\n${query}\nhost:${new URL(endpoint).host}\n\nhost\nUNSIGNED-PAYLOAD`;
  const signature = signatureOf(derivedKey(credential.secretAccessKey, scope), date, scopeText(scope), canonical);
  return `${endpoint}${path}?${query}&X-Amz-Signature=${signature}`;
}
