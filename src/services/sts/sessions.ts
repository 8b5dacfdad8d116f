// Making sessions: keys of their own, sealed together with who they are.
import { randomBytes } from "node:crypto";
import type { AssumableRole, Caller, CallerSession } from "../../aws/identity.ts";
import { sealSession, type Session } from "../../aws/sealed-session.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export interface TemporaryCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresMs: number;
}

/** A session that nothing bounds and nothing describes. */
export const plainSession = (issuedMs: number): CallerSession => ({
  issuedMs,
  policies: [],
  policyArns: [],
  tags: {},
  transitiveTagKeys: [],
});

function seal(session: Omit<Session, "accessKeyId" | "secretAccessKey">, sealingKey: Uint8Array): TemporaryCredentials {
  const accessKeyId = `ASIA${Array.from(randomBytes(16), (byte) => ALPHABET[byte % ALPHABET.length]).join("")}`;
  const secretAccessKey = randomBytes(30).toString("base64");
  const sessionToken = sealSession({ ...session, accessKeyId, secretAccessKey }, sealingKey);
  return { accessKeyId, secretAccessKey, sessionToken, expiresMs: session.expiresMs };
}

export function roleSession(
  { account, arn, name, id }: AssumableRole,
  sessionName: string,
  expiresMs: number,
  session: CallerSession,
  sealingKey: Uint8Array,
): TemporaryCredentials {
  return seal({ account, expiresMs, role: { arn, name, id, sessionName }, session }, sealingKey);
}

/** For a user, or for the root of an account. */
export function ownSession(caller: Caller, expiresMs: number, issuedMs: number, sealingKey: Uint8Array): TemporaryCredentials {
  const user = caller.kind === "user" ? { user: { arn: caller.arn, id: caller.userId } } : {};
  return seal({ account: caller.account, expiresMs, session: plainSession(issuedMs), ...user }, sealingKey);
}
