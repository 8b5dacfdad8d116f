// Signs a request of the CLI to Lambent's own API, which no AWS client knows.
import { createHash } from "node:crypto";
import {
  ALGORITHM,
  basicFormat,
  canonicalPath,
  canonicalQuery,
  derivedKey,
  queryPairs,
  scopeText,
  signatureOf,
} from "./canonical-request.ts";

interface ToSign {
  readonly method: string;
  readonly url: URL;
  readonly body: string;
  readonly region: string;
  readonly service: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };
  readonly nowMs: number;
}

/** The headers that make it a signed one. */
export function signedHeaders({ method, url, body, region, service, credentials, nowMs }: ToSign): Record<string, string> {
  const date = basicFormat(nowMs);
  const scope = { day: date.slice(0, 8), region, service };
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const headers: Record<string, string> = {
    "x-amz-date": date,
    ...(sessionToken === undefined ? {} : { "x-amz-security-token": sessionToken }),
  };
  const named = Object.entries({ host: url.host, ...headers });
  const names = named.map(([name]) => name).join(";");
  const canonical = [
    method,
    canonicalPath(url.pathname, service),
    canonicalQuery(queryPairs(url.search.slice(1))),
    ...named.map(([name, value]) => `${name}:${value}`),
    "",
    names,
    createHash("sha256").update(body).digest("hex"),
  ].join("\n");
  const signature = signatureOf(derivedKey(secretAccessKey, scope), date, scopeText(scope), canonical);
  return {
    ...headers,
    authorization: `${ALGORITHM} Credential=${accessKeyId}/${scopeText(scope)}, SignedHeaders=${names}, Signature=${signature}`,
  };
}
