// The install's own secrets: the key pair of the account's root, and the key that seals session tokens. Made at the first start.
import { randomBytes } from "node:crypto";
import { open, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { makeDurableDirectory, syncDirectory } from "./base/durable-directory.ts";

export interface InstallKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface InstallSecrets extends InstallKeys {
  /** 32 bytes. */
  readonly sealingKey: Uint8Array;
}

/** The keys that are there can't be used; the message says what to do. */
export class KeysError extends Error {
  override readonly name = "KeysError";
}

const FILE = "keys.json";
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const letters = (count: number) => Array.from(randomBytes(count), (byte) => ALPHABET[byte % ALPHABET.length]).join("");

async function readSecrets(directory: string): Promise<InstallSecrets | undefined> {
  const path = join(directory, FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    const instead = 'run it as their owner, name another directory with --data, or take over its  eval "$(lambent env)"';
    throw new KeysError(`the keys of this installation can't be read: ${path}: ${instead}`, { cause });
  }
  const mode = (await stat(path)).mode & 0o077;
  if (mode !== 0) throw new KeysError(`${path} can be read by others: run  chmod 600 ${path}  and consider new keys`);
  return parseSecrets(text, path);
}

function parseSecrets(text: string, path: string): InstallSecrets {
  try {
    const { accessKeyId, secretAccessKey, sealingKey } = JSON.parse(text) as Readonly<Record<string, string>>;
    if (accessKeyId === undefined || secretAccessKey === undefined || sealingKey === undefined) throw new Error("a key is missing");
    return { accessKeyId, secretAccessKey, sealingKey: Buffer.from(sealingKey, "base64") };
  } catch (cause) {
    throw new KeysError(`${path} is damaged: put it back from a backup, or move it away to have new keys made at the next start`, {
      cause,
    });
  }
}

/** The key pair that `lambent env` prints; `undefined` when no server has been started on this directory. */
export async function readInstallKeys(dataDirectory: string): Promise<InstallKeys | undefined> {
  const secrets = await readSecrets(dataDirectory);
  return secrets === undefined ? undefined : { accessKeyId: secrets.accessKeyId, secretAccessKey: secrets.secretAccessKey };
}

/** Reads the secrets, or makes them: file mode 0600, complete or absent. */
export async function installSecrets(dataDirectory: string): Promise<InstallSecrets> {
  await makeDurableDirectory(dataDirectory);
  const present = await readSecrets(dataDirectory);
  if (present !== undefined) return present;
  const made = {
    accessKeyId: `AKIA${letters(16)}`,
    secretAccessKey: randomBytes(30).toString("base64"),
    sealingKey: randomBytes(32).toString("base64"),
  };
  const temporary = join(dataDirectory, `${FILE}.new`);
  const file = await open(temporary, "w", 0o600);
  await file.writeFile(`${JSON.stringify(made, null, 2)}\n`);
  await file.sync();
  await file.close();
  await rename(temporary, join(dataDirectory, FILE));
  // What is sealed with a key that a power loss takes away could never be opened again.
  await syncDirectory(dataDirectory);
  return { ...made, sealingKey: Buffer.from(made.sealingKey, "base64") };
}
