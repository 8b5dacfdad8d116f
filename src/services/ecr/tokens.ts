// Authorization tokens: the password with which Docker and its kin prove who they are. They carry their caller, sealed; nothing is stored.
import { createHmac } from "node:crypto";
import { CommonFault } from "../../aws/fault.ts";
import type { Caller } from "../../aws/identity.ts";
import { open, seal } from "../../aws/sealed-session.ts";
import type { EcrDeps } from "./model.ts";

/** https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html */
const VALID_MS = 12 * 3_600_000;
const USER = "AWS";

interface Token {
  readonly caller: Caller;
  readonly region: string;
  readonly expiresMs: number;
}

const keyOf = ({ sealingKey }: Pick<EcrDeps, "sealingKey">) => createHmac("sha256", sealingKey).update("ecr authorization token").digest();

/** Base64 of `AWS:password`, as HTTP's Basic scheme takes it. */
export function authorizationToken(
  deps: Pick<EcrDeps, "sealingKey" | "clock">,
  { caller, region }: Pick<Token, "caller" | "region">,
): { readonly token: string; readonly expiresMs: number } {
  const expiresMs = deps.clock.now() + VALID_MS;
  const password = seal({ caller, region, expiresMs } satisfies Token, keyOf(deps));
  return { token: Buffer.from(`${USER}:${password}`).toString("base64"), expiresMs };
}

/** Throws 401 for whoever has no token that is good. */
export function tokenOf(
  { clock, identities, ...deps }: Pick<EcrDeps, "sealingKey" | "clock" | "identities">,
  authorization: string | undefined,
): Token {
  const encoded = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(authorization ?? "")?.[1];
  if (encoded === undefined) throw unauthorized("no basic auth credentials");
  const [user, password = ""] = Buffer.from(encoded, "base64").toString("utf8").split(":", 2);
  const token = user === USER ? (open(password, keyOf(deps)) as Token | undefined) : undefined;
  if (token === undefined) throw unauthorized("The authorization token is not one of this registry's.");
  if (token.expiresMs <= clock.now()) throw unauthorized("Your authorization token has expired. Reauthenticate and try again.");
  // A key that has been taken back takes its tokens along; sessions have no more than their own end.
  const { accessKeyId, kind } = token.caller;
  if (kind !== "assumed-role" && identities.credential(accessKeyId, undefined) === "unknown-key")
    throw unauthorized("The access key behind the authorization token is gone.");
  return token;
}

const unauthorized = (message: string) => new CommonFault("UNAUTHORIZED", message, 401);
