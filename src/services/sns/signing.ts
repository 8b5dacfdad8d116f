// What notifications are signed with: a key pair that the first of them makes, and its certificate under the URL that they name.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
import { createHash, createPrivateKey, generateKeyPair, sign, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import type { MetaStore } from "../../store/storage.ts";
import { selfSigned } from "./certificate.ts";
import { written } from "./model.ts";

/** 1 is SHA-1, which is what receivers of today know; 2 is SHA-256. */
export type SignatureVersion = "1" | "2";

export interface Signing {
  /** Base64. */
  sign(version: SignatureVersion, text: string): Promise<string>;
  /** Path of the certificate. */
  path(): Promise<string>;
  /** PEM; undefined for paths that no notification has named. */
  certificate(path: string): Promise<string> | undefined;
}

interface SigningKey {
  readonly key: KeyObject;
  readonly certificate: string;
  readonly path: string;
}

/** Not a name that a bucket can have. */
const PATH = /^\/SimpleNotificationService-[0-9a-f]{32}\.pem$/;
const KEY = { account: "", region: "", kind: "sns.signing-key", id: "1" };
const generated = promisify(generateKeyPair);
const signed = promisify(sign);

async function storedKey(meta: MetaStore): Promise<string> {
  const [present] = await meta.get<{ pem: string }>([KEY]);
  if (present !== undefined) return present.value.pem;
  const { privateKey } = await generated("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  // Somebody made one at the same time: it is theirs.
  return (await written(meta, [{ key: KEY, value: { pem }, expect: "absent" }], 1)) ? pem : await storedKey(meta);
}

export function signing(meta: MetaStore): Signing {
  let loading: Promise<SigningKey> | undefined;
  const load = async (): Promise<SigningKey> => {
    const key = createPrivateKey(await storedKey(meta));
    const certificate = selfSigned(key, "sns.amazonaws.com");
    const path = `/SimpleNotificationService-${createHash("sha256").update(certificate).digest("hex").slice(0, 32)}.pem`;
    return { key, certificate, path };
  };
  const loaded = () => {
    // A store that fails is asked again by the next notification.
    loading ??= load().catch((cause: unknown) => {
      loading = undefined;
      throw cause;
    });
    return loading;
  };
  return {
    async sign(version, text) {
      const { key } = await loaded();
      const signature = await signed(version === "1" ? "sha1" : "sha256", Buffer.from(text), key);
      return signature.toString("base64");
    },
    path: async () => (await loaded()).path,
    certificate(path) {
      if (!PATH.test(path)) return undefined;
      return loaded().then((own) => own.certificate);
    },
  };
}
