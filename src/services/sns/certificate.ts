// A self-signed X.509 certificate for an RSA key, in just the DER that it needs: Node can't make any. The same key gives the same certificate.
// https://datatracker.ietf.org/doc/html/rfc5280#section-4.1
import { createHash, createPublicKey, sign, type KeyObject } from "node:crypto";

const TAG = {
  integer: 0x02,
  bits: 0x03,
  nothing: 0x05,
  name: 0x06,
  text: 0x0c,
  utcTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
};
/** 1.2.840.113549.1.1.11 and 2.5.4.3. */
const SHA256_WITH_RSA = Buffer.from("2a864886f70d01010b", "hex");
const COMMON_NAME = Buffer.from("550403", "hex");
/** Of the key, not of a moment: whoever checks dates finds them good. */
const VALID_FROM = "200101000000Z";
const VALID_TO = "20991231235959Z";

function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => element(TAG.sequence, ...parts);

export function selfSigned(key: KeyObject, commonName: string): string {
  const publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
  const algorithm = sequence(element(TAG.name, SHA256_WITH_RSA), element(TAG.nothing));
  const name = sequence(element(TAG.set, sequence(element(TAG.name, COMMON_NAME), element(TAG.text, Buffer.from(commonName)))));
  // Positive, whatever the first bit of the digest.
  const serial = Buffer.concat([Buffer.from([1]), createHash("sha256").update(publicKey).digest().subarray(0, 15)]);
  const body = sequence(
    element(TAG.version, element(TAG.integer, Buffer.from([2]))),
    element(TAG.integer, serial),
    algorithm,
    name,
    sequence(element(TAG.utcTime, Buffer.from(VALID_FROM)), element(TAG.time, Buffer.from(VALID_TO))),
    name,
    publicKey,
  );
  const signature = element(TAG.bits, Buffer.from([0]), sign("sha256", body, key));
  const base64 = sequence(body, algorithm, signature).toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{1,64}/g, "$&\n")}-----END CERTIFICATE-----\n`;
}
