import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { derivedKey } from "./canonical-request.ts";
import { chunkedDecoder, type ChunkedContent, type ChunkedDecoder } from "./chunked.ts";
import { CommonFault } from "./fault.ts";
import type { SignedPayload } from "./signature.ts";

type Streaming = Extract<SignedPayload, { kind: "streaming" }>;

// The published example: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
const SCOPE = "20130524/us-east-1/s3/aws4_request";
const SEED = {
  signingKey: derivedKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", { day: "20130524", region: "us-east-1", service: "s3" }),
  signature: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
  date: "20130524T000000Z",
  scope: SCOPE,
};
const SIGNED: Streaming = { kind: "streaming", signed: true, trailer: false, seed: SEED };
const SIGNED_TRAILER: Streaming = { ...SIGNED, trailer: true };
const UNSIGNED_TRAILER: Streaming = { ...SIGNED, signed: false, trailer: true };
const CHUNK_1 = `10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n${"a".repeat(65_536)}\r\n`;
const CHUNK_2 = `400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n${"a".repeat(1024)}\r\n`;
const CHUNK_3 = "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n";
const EXAMPLE = `${CHUNK_1}${CHUNK_2}${CHUNK_3}\r\n`;

interface Decoded {
  readonly content: Buffer;
  readonly decoder: ChunkedDecoder;
}

async function decode(payload: Streaming, encoded: string | Buffer, content: ChunkedContent = {}, pieceBytes = 5_000): Promise<Decoded> {
  const bytes = Buffer.from(encoded as string, "latin1");
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  const decoder = chunkedDecoder(payload, content);
  const decoded: Buffer[] = [];
  await pipeline(Readable.from(pieces), decoder, async (source: AsyncIterable<Buffer>) => {
    for await (const piece of source) decoded.push(piece);
  });
  return { content: Buffer.concat(decoded), decoder };
}

async function refused(
  payload: Streaming,
  encoded: string,
  code: string,
  content: ChunkedContent = {},
  pieceBytes?: number,
): Promise<void> {
  await assert.rejects(decode(payload, encoded, content, pieceBytes), (error) => {
    assert.ok(error instanceof CommonFault, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

const sha256 = (text: string) => createHash("sha256").update(text, "latin1").digest("hex");
const sign = (kind: string, previous: string, rest: string) =>
  SEED.signingKey.sign(`AWS4-HMAC-SHA256-${kind}\n${SEED.date}\n${SCOPE}\n${previous}\n${rest}`);

/** As a client encodes it. */
function encode(chunks: readonly string[], trailers: readonly string[] = [], signedTrailers = trailers): string {
  let text = "";
  let previous = SEED.signature;
  for (const chunk of [...chunks, ""]) {
    previous = sign("PAYLOAD", previous, `${sha256("")}\n${sha256(chunk)}`);
    text += `${chunk.length.toString(16)};chunk-signature=${previous}\r\n${chunk === "" ? "" : `${chunk}\r\n`}`;
  }
  for (const trailer of trailers) text += `${trailer}\r\n`;
  if (trailers.length > 0)
    text += `x-amz-trailer-signature:${sign("TRAILER", previous, sha256(signedTrailers.map((one) => `${one}\n`).join("")))}\r\n`;
  return `${text}\r\n`;
}

test("AWS's own example is accepted, however it is cut into pieces", async () => {
  for (const pieceBytes of [EXAMPLE.length, 65_536, 1000, 7])
    assert.equal((await decode(SIGNED, EXAMPLE, { bytes: 66_560 }, pieceBytes)).content.toString(), "a".repeat(66_560));
  assert.equal((await decode(SIGNED, encode([]), { bytes: 0 }, 1)).content.length, 0);
});

test("the last empty line may be missing where no trailer is expected", async () => {
  assert.equal((await decode(SIGNED, EXAMPLE.slice(0, -2))).content.length, 66_560);
  await refused(UNSIGNED_TRAILER, "0\r\n", "IncompleteBody");
});

test("every byte of signed content and every signature counts", async () => {
  for (const at of [90, 30_000, 65_620, 65_640, CHUNK_1.length + 40, CHUNK_1.length + 200, EXAMPLE.length - 10]) {
    const changed = EXAMPLE.slice(0, at) + (EXAMPLE[at] === "0" ? "1" : "0") + EXAMPLE.slice(at + 1);
    await assert.rejects(decode(SIGNED, changed), CommonFault, `at ${at}`);
  }
  await refused(SIGNED, EXAMPLE.replace("ad80", "ad81"), "SignatureDoesNotMatch");
  await refused(SIGNED, EXAMPLE.replace("aaaaaa", "aaaaab"), "SignatureDoesNotMatch");
});

test("chunks can't be dropped, swapped or added", async () => {
  await refused(SIGNED, `${CHUNK_1}${CHUNK_3}\r\n`, "SignatureDoesNotMatch");
  await refused(SIGNED, `${CHUNK_2}${CHUNK_1}${CHUNK_3}\r\n`, "SignatureDoesNotMatch");
  await refused(SIGNED, `${CHUNK_1}${CHUNK_1}${CHUNK_2}${CHUNK_3}\r\n`, "SignatureDoesNotMatch");
  await refused(SIGNED, `${EXAMPLE}${EXAMPLE}`, "InvalidRequest");
  await refused(SIGNED, `400\r\n${"a".repeat(1024)}\r\n0\r\n\r\n`, "SignatureDoesNotMatch");
});

test("content that is cut off is told from content that has ended", async () => {
  for (const end of [0, 1, 20, 90, 65_000, CHUNK_1.length - 1, CHUNK_1.length, CHUNK_1.length + 300, EXAMPLE.length - 20])
    await refused(SIGNED, EXAMPLE.slice(0, end), "IncompleteBody");
  await refused(UNSIGNED_TRAILER, "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n", "IncompleteBody");
});

test("content of another length than stated is refused, if possible before it is read", async () => {
  await refused(SIGNED, EXAMPLE, "IncompleteBody", { bytes: 66_561 });
  await refused(SIGNED, EXAMPLE, "IncompleteBody", { bytes: 66_559 });
  await refused(UNSIGNED_TRAILER, "ffffffffff\r\n", "IncompleteBody", { bytes: 5 });
});

test("trailers are handed on, checked where they are signed", async () => {
  const unsigned = "5\r\nhello\r\n0\r\nX-Amz-Checksum-CRC32: NhCmhg== \r\n\r\n";
  const { content, decoder } = await decode(UNSIGNED_TRAILER, unsigned, { trailers: new Set(["x-amz-checksum-crc32"]) }, 1);
  assert.deepEqual([content.toString(), [...decoder.trailers]], ["hello", [["x-amz-checksum-crc32", "NhCmhg=="]]]);
  const signed = encode(["hello"], ["x-amz-checksum-crc32:NhCmhg=="]);
  assert.deepEqual([...(await decode(SIGNED_TRAILER, signed)).decoder.trailers], [["x-amz-checksum-crc32", "NhCmhg=="]]);
  await refused(SIGNED_TRAILER, signed.replace("NhCmhg", "NhCmhh"), "SignatureDoesNotMatch");
  await refused(SIGNED_TRAILER, signed.replace(/x-amz-trailer-signature:.*\r\n/, ""), "SignatureDoesNotMatch");
  await refused(SIGNED_TRAILER, signed.replace("x-amz-checksum-crc32:NhCmhg==\r\n", ""), "SignatureDoesNotMatch");
  await refused(SIGNED_TRAILER, `${signed.slice(0, -2)}x-amz-checksum-sha1:x\r\n\r\n`, "MalformedTrailerError");
  const half = encode(["hello"], ["x-amz-checksum-crc32:NhCmhg==", "x-amz-checksum-sha1:x"], ["x-amz-checksum-crc32:NhCmhg=="]);
  await refused(SIGNED_TRAILER, half, "SignatureDoesNotMatch");
});

const badTrailers: readonly [name: string, payload: Streaming, text: string][] = [
  ["where none is allowed", SIGNED, `${EXAMPLE.slice(0, -2)}a:b\r\n\r\n`],
  ["that was not announced", UNSIGNED_TRAILER, "0\r\nx-amz-checksum-sha1:b\r\n\r\n"],
  ["twice", UNSIGNED_TRAILER, "0\r\nx-amz-checksum-crc32:b\r\nX-Amz-Checksum-Crc32:c\r\n\r\n"],
  ["without a name", UNSIGNED_TRAILER, "0\r\n:b\r\n\r\n"],
  ["without a value", UNSIGNED_TRAILER, "0\r\nb\r\n\r\n"],
  ["with a name that is none", UNSIGNED_TRAILER, "0\r\n__proto__ :b\r\n\r\n"],
  ["with a signature of nothing", UNSIGNED_TRAILER, `0\r\nx-amz-trailer-signature:${"0".repeat(64)}\r\n\r\n`],
];

for (const [name, payload, text] of badTrailers)
  test(`a trailer is refused: ${name}`, () =>
    refused(payload, text, "MalformedTrailerError", { trailers: new Set(["x-amz-checksum-crc32"]) }));

test("only the last chunk may be small", async () => {
  const small = "a".repeat(8191);
  const large = "a".repeat(8192);
  await refused(SIGNED, encode([small, large]), "InvalidChunkSizeError");
  assert.equal((await decode(SIGNED, encode([large, large, small]))).content.length, 2 * 8192 + 8191);
  await refused(UNSIGNED_TRAILER, "1\r\na\r\n1\r\nb\r\n0\r\n\r\n", "InvalidChunkSizeError");
});

const malformed: readonly [name: string, text: string][] = [
  ["no size", "\r\nhello\r\n"],
  ["a size that is no number", "xyz\r\n"],
  ["a signed size", "-5\r\nhello\r\n"],
  ["a size with a prefix", "0x5\r\nhello\r\n"],
  ["a size beyond all numbers", "fffffffffffffffff\r\n"],
  ["an extension that nobody knows", "5;name=value\r\nhello\r\n0\r\n\r\n"],
  ["spaces", "5 \r\nhello\r\n0\r\n\r\n"],
  ["line ends without CR", "5\nhello\n0\n\n"],
  ["a chunk that is longer than it says", "4\r\nhello\r\n0\r\n\r\n"],
  ["content behind the end", "0\r\n\r\nmore"],
  ["a header without end", "0".repeat(300)],
  ["trailers without end", `0\r\n${"a".repeat(9_000)}`],
  ["trailers without number", `0\r\n${Array.from({ length: 2_000 }, (_, index) => `a${index}:b\r\n`).join("")}`],
];

for (const [name, text] of malformed)
  test(`malformed coding is refused: ${name}`, async () => {
    for (const pieceBytes of [1, 3, 100_000]) await refused(UNSIGNED_TRAILER, text, "InvalidRequest", {}, pieceBytes);
  });

test("an unsigned coding has no chunk signatures", async () => {
  await refused(UNSIGNED_TRAILER, encode(["hello"]), "SignatureDoesNotMatch");
});
