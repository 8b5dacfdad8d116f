import assert from "node:assert/strict";
import { createSign, createVerify, generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { selfSigned } from "./certificate.ts";

test("the certificate is one of the key, signed by it, and the same each time", () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = selfSigned(privateKey, "sns.amazonaws.com");
  assert.equal(selfSigned(privateKey, "sns.amazonaws.com"), pem);
  const certificate = new X509Certificate(pem);
  assert.ok(certificate.verify(publicKey) && certificate.checkPrivateKey(privateKey));
  assert.deepEqual([certificate.subject, certificate.issuer], ["CN=sns.amazonaws.com", "CN=sns.amazonaws.com"]);
  assert.deepEqual([certificate.validFrom, certificate.validTo], ["Jan  1 00:00:00 2020 GMT", "Dec 31 23:59:59 2099 GMT"]);
  const signature = createSign("RSA-SHA1").update("text").sign(privateKey);
  assert.ok(createVerify("RSA-SHA1").update("text").verify(pem, signature));
});
