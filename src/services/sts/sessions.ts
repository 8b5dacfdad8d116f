// Making sessions: keys of their own, sealed together with who they are.
import { randomBytes } from "node:crypto";
import type { AssumableRole, Caller } from "../../aws/identity.ts";
import type { PolicyDocument } from "../../aws/policy.ts";
import { sealSession, type Session } from "../../aws/sealed-session.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export interface TemporaryCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresMs: number;
}

function seal(session: Omit<Session, "accessKeyId" | "secretAccessKey">, sealingKey: Uint8Array): TemporaryCredentials {
  const accessKeyId = `ASIA${Array.from(randomBytes(16), (byte) => ALPHABET[byte % ALPHABET.length]).join("")}`;
  const secretAccessKey = randomBytes(30).toString("base64");
  const sessionToken = sealSession({ ...session, accessKeyId, secretAccessKey }, sealingKey);
  return { accessKeyId, secretAccessKey, sessionToken, expiresMs: session.expiresMs };
}

export function roleSession(
  role: AssumableRole,
  sessionName: string,
  expiresMs: number,
  policies: readonly PolicyDocument[],
  sealingKey: Uint8Array,
): TemporaryCredentials {
  const { account, arn, name, id } = role;
  return seal({ account, expiresMs, role: { arn, name, id, sessionName }, policies }, sealingKey);
}

export function ownSession(caller: Caller, expiresMs: number, sealingKey: Uint8Array): TemporaryCredentials {
  const user = caller.kind === "user" ? { user: { arn: caller.arn, id: caller.userId } } : {};
  return seal({ account: caller.account, expiresMs, policies: [], ...user }, sealingKey);
}
