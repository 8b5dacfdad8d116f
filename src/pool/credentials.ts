// Temporary credentials of roles, fetched once and used for all environments until they are half as old as they may become.
import type { Clock } from "../base/clock.ts";
import type { RoleCredentials } from "./invocation.ts";

const ENTRIES_MAX = 2000;

interface Entry {
  readonly credentials: Promise<RoleCredentials>;
  /** Known when they have arrived; until then everybody waits for the same ones. */
  freshUntilMs: number;
}

export type CredentialSource = (roleArn: string, functionName: string) => Promise<RoleCredentials>;

/** Rejects as the source does; a failure is not remembered. */
export function cachedCredentials(source: CredentialSource, clock: Clock): CredentialSource {
  const entries = new Map<string, Entry>();
  const fetch = (name: string, roleArn: string, functionName: string): Entry => {
    const startedMs = clock.now();
    const entry: Entry = { credentials: source(roleArn, functionName), freshUntilMs: Infinity };
    entry.credentials.then(
      ({ expiresMs }) => (entry.freshUntilMs = startedMs + (expiresMs - startedMs) / 2),
      () => entries.get(name) === entry && entries.delete(name),
    );
    return entry;
  };
  return (roleArn, functionName) => {
    // The session is named after the function, so that functions of one role have credentials of their own.
    const name = `${roleArn}\0${functionName}`;
    const known = entries.get(name);
    if (known !== undefined && clock.now() < known.freshUntilMs) return known.credentials;
    const entry = fetch(name, roleArn, functionName);
    entries.delete(name);
    entries.set(name, entry);
    const [oldest] = entries.keys();
    if (entries.size > ENTRIES_MAX && oldest !== undefined) entries.delete(oldest);
    return entry.credentials;
  };
}
