// Names of blobs become paths: nothing but a SHA-256 may get there.
const SHA256 = /^[0-9a-f]{64}$/;

export function checkBlobName(sha256: string): void {
  if (!SHA256.test(sha256)) throw new RangeError("a blob's name is a SHA-256 in lower-case hex");
}
