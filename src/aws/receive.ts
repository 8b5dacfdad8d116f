// The body of a request, authenticated before anything of it is interpreted: whole, or as a checked stream.
import type { Readable } from "node:stream";
import type { Signer } from "./authenticate.ts";
import type { HeldBytes } from "./body-budget.ts";
import { checkedSha256, EMPTY, readBytes, through, unpack } from "./body.ts";
import { chunkedDecoder, type ChunkedContent } from "./chunked.ts";
import { tooLarge } from "./common-faults.ts";
import type { ServiceDefinition } from "./definition.ts";
import { CommonFault } from "./fault.ts";
import type { OperationModel } from "./model.ts";
import type { WireRequest } from "./request.ts";
interface Received {
  /** The request with the headers that the operation should see: those of the content, not of its framing. */
  readonly request: WireRequest;
  readonly bytes: Buffer;
  readonly stream: Readable | undefined;
  readonly signer: Signer;
}

/** `bytes` is the body as it was sent, absent for streams. Throws CommonFault. */
type Authenticate = (bytes?: Uint8Array) => Signer;

const BODY_BYTES_MAX = 2 ** 20;

/** Only S3 streams: elsewhere the signature covers the digest of the whole body, which must be there to be verified. */
function takesStream(operation: OperationModel | undefined, signingName: string): boolean {
  if (signingName !== "s3") return false;
  const payload = operation?.input?.members.find(({ binding }) => binding.place === "payload");
  return payload?.isStreaming === true;
}

const codingsOf = (request: WireRequest) =>
  (request.headers.get("content-encoding") ?? "").split(",").map((one) => one.trim().toLowerCase());

function usesChunks(request: WireRequest, signingName: string): boolean {
  if (signingName !== "s3") return false;
  const isStreaming = request.headers.get("x-amz-content-sha256")?.startsWith("STREAMING-") === true;
  if (!isStreaming && codingsOf(request).includes("aws-chunked"))
    throw new CommonFault("InvalidRequest", "The aws-chunked coding needs an x-amz-content-sha256 that begins with STREAMING-.", 400);
  return isStreaming;
}

/** `aws-chunked` frames the content without being a part of it, so neither it nor the framed length is the object's. */
function contentHeaders(request: WireRequest): WireRequest {
  const headers = new Map(request.headers);
  const codings = codingsOf(request).filter((one) => one !== "aws-chunked" && one !== "");
  const decodedLength = headers.get("x-amz-decoded-content-length");
  if (codings.length === 0) headers.delete("content-encoding");
  else headers.set("content-encoding", codings.join(","));
  if (decodedLength === undefined) headers.delete("content-length");
  else headers.set("content-length", decodedLength);
  return { ...request, headers };
}

function chunkedContent({ headers }: WireRequest): ChunkedContent {
  const length = headers.get("x-amz-decoded-content-length");
  if (length === undefined) throw new CommonFault("MissingContentLength", "You must provide the Content-Length HTTP header.", 411);
  if (!/^\d{1,15}$/.test(length)) throw new CommonFault("InvalidArgument", "The x-amz-decoded-content-length is not a number.", 400);
  const announced = headers.get("x-amz-trailer")?.toLowerCase().split(",");
  return { bytes: Number(length), trailers: new Set(announced?.map((one) => one.trim())) };
}

function checkedStream(request: WireRequest, payload: Signer["payload"]): Readable {
  if (payload.kind === "streaming") return through(request.body(), chunkedDecoder(payload, chunkedContent(request)));
  return payload.kind === "signed" ? through(request.body(), checkedSha256(payload.sha256)) : request.body();
}

async function unpacked(request: WireRequest, bytes: Buffer, bytesMax: number, limit: () => CommonFault, held: HeldBytes): Promise<Buffer> {
  const [coding = "", ...others] = codingsOf(request);
  if (others.length > 0 || (coding !== "" && coding !== "identity" && coding !== "gzip"))
    throw new CommonFault("SerializationException", "The Content-Encoding is not one that this service understands.", 415);
  if (coding !== "gzip" || bytes.length === 0) return bytes;
  const content = await unpack(bytes, bytesMax, limit);
  held.take(content.length);
  return content;
}

/** Streams are handed on as they come; everything else is read whole, within the operation's bound. Throws CommonFault. */
export async function receiveBody(
  request: WireRequest,
  definition: Pick<ServiceDefinition, "name" | "bodyBytesMax" | "checkBody">,
  operation: OperationModel | undefined,
  authenticate: Authenticate,
  held: HeldBytes,
): Promise<Received> {
  const name = operation?.name ?? "";
  const isChunked = usesChunks(request, definition.name);
  const isStream = takesStream(operation, definition.name);
  const signerOfStream = isChunked || isStream ? authenticate() : undefined;
  const content = isChunked ? contentHeaders(request) : request;
  const checked = signerOfStream === undefined ? undefined : checkedStream(request, signerOfStream.payload);
  if (signerOfStream !== undefined && isStream) return { request: content, bytes: EMPTY, stream: checked, signer: signerOfStream };
  const bytesMax = definition.bodyBytesMax?.(name) ?? BODY_BYTES_MAX;
  const limit = () => tooLarge(name, bytesMax);
  if (Number(content.headers.get("content-length") ?? 0) > bytesMax) throw limit();
  const whole = isChunked ? undefined : request.whole;
  if (whole !== undefined) held.take(whole.length);
  const raw = whole ?? (content.hasBody ? await readBytes(checked ?? request.body(), bytesMax, limit, held) : EMPTY);
  const signer = signerOfStream ?? authenticate(raw);
  definition.checkBody?.(name, content.headers, raw);
  const bytes = content.headers.has("content-encoding") ? await unpacked(content, raw, bytesMax, limit, held) : raw;
  return { request: content, bytes, stream: undefined, signer };
}
