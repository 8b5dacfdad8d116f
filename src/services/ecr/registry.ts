// The registry that Docker, Podman, Buildah and Skopeo speak to, below /v2/ of the same port.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md
import type { Readable } from "node:stream";
import { authorise } from "../../aws/authorise.ts";
import { byteRange } from "../../aws/byte-range.ts";
import { CommonFault, Fault } from "../../aws/fault.ts";
import type { Context } from "../../aws/operations.ts";
import { parseQuery, type WireRequest, type WireResponse } from "../../aws/request.ts";
import { byteOrder } from "../../store/byte-order.ts";
import { MANIFEST_BYTES_MAX, sha256Of } from "../../images/manifest.ts";
import { needOn } from "./access.ts";
import { invalidManifest, noSuchImage } from "./faults.ts";
import { digestOf, existingRepository, findImage, isRepositoryName, TAG, tagsOf, type Ecr, type RepositoryName } from "./model.ts";
import { deleteImage, deleteTag, hasLayer, indexesOf, putManifest, rememberLayer } from "./push.ts";
import { tokenOf } from "./tokens.ts";
import type { Uploads } from "./uploads.ts";

const VERSION = { "docker-distribution-api-version": "registry/2.0" };
const PAGE_MAX = 1000;
/** `name/manifests/reference` and its like: names have slashes, what follows has none. */
const PATH = /^(.+)\/(manifests|blobs\/uploads|blobs|tags)(?:\/([^/]*))?$/;

/** The specification's codes for the API's errors. */
const CODES: Readonly<Record<string, readonly [status: number, code: string]>> = {
  RepositoryNotFoundException: [404, "NAME_UNKNOWN"],
  ImageNotFoundException: [404, "MANIFEST_UNKNOWN"],
  ImageTagAlreadyExistsException: [400, "TAG_INVALID"],
  ImageDigestDoesNotMatchException: [400, "DIGEST_INVALID"],
  InvalidLayerException: [400, "DIGEST_INVALID"],
  InvalidLayerPartException: [416, "BLOB_UPLOAD_INVALID"],
  InvalidParameterException: [400, "MANIFEST_INVALID"],
  LayersNotFoundException: [404, "MANIFEST_BLOB_UNKNOWN"],
  ReferencedImagesNotFoundException: [404, "MANIFEST_BLOB_UNKNOWN"],
  UploadNotFoundException: [404, "BLOB_UPLOAD_UNKNOWN"],
  AccessDeniedException: [403, "DENIED"],
};

interface Call {
  readonly request: WireRequest;
  readonly context: Context;
  readonly query: ReadonlyMap<string, readonly string[]>;
  readonly name: RepositoryName;
  /** The last part of the path. */
  readonly reference: string;
}

const refusal = (status: number, code: string, message: string): WireResponse => ({
  status,
  headers: { ...VERSION, "content-type": "application/json" },
  body: JSON.stringify({ errors: [{ code, message, detail: null }] }),
});

const empty = (status: number, headers: Record<string, string> = {}): WireResponse => ({ status, headers: { ...VERSION, ...headers } });

const json = (value: unknown): WireResponse => ({
  status: 200,
  headers: { ...VERSION, "content-type": "application/json" },
  body: JSON.stringify(value),
});

const unsupported = () => new CommonFault("UNSUPPORTED", "The operation is unsupported.", 405);
const noSuchBlob = () => new CommonFault("BLOB_UNKNOWN", "The blob is not known to the repository.", 404);

function targetOf({ rawPath, rawQuery }: WireRequest): { readonly path: string; readonly query: Map<string, string[]> } {
  try {
    return { path: decodeURIComponent(rawPath.slice("/v2/".length)), query: parseQuery(rawQuery) };
  } catch (cause) {
    throw new CommonFault("NAME_INVALID", "The path or the query is not valid percent-encoding.", 400, {}, { cause });
  }
}

async function textOf(body: Readable, bytesMax: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > bytesMax) throw invalidManifest(`must not be larger than ${bytesMax} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

export class Registry {
  readonly #ecr: Ecr;
  readonly #uploads: Uploads;

  constructor(ecr: Ecr, uploads: Uploads) {
    this.#ecr = ecr;
    this.#uploads = uploads;
  }

  /** Never rejects. */
  async handle(request: WireRequest): Promise<WireResponse> {
    const { id: requestId, method, rawPath } = request;
    const { clock, log } = this.#ecr;
    const startedMs = clock.monotonic();
    const answer = await this.#answer(request).catch((cause: unknown) => this.#refuse(request, cause));
    const ms = Math.round((clock.monotonic() - startedMs) * 100) / 100;
    log.info("request", { service: "ecr", operation: `${method} ${rawPath.slice(0, 500)}`, status: answer.status, ms, requestId });
    return answer;
  }

  #refuse(request: WireRequest, cause: unknown): WireResponse {
    const isKnown = cause instanceof Fault || cause instanceof CommonFault;
    // Nobody hears the answer to an upload that was broken off.
    if (!isKnown && request.signal.aborted) return refusal(400, "BLOB_UPLOAD_INVALID", "The client went away.");
    if (!isKnown) {
      this.#ecr.log.error("the registry failed", { requestId: request.id, cause });
      return refusal(500, "UNKNOWN", "An internal error.");
    }
    const [status, code] = CODES[cause.name] ?? (cause instanceof CommonFault ? [cause.status, cause.code] : [400, "UNSUPPORTED"]);
    this.#ecr.log.info("the registry refused", { requestId: request.id, status, code, reason: cause.message });
    const answer = refusal(status, code, cause.message);
    if (status === 401) answer.headers["www-authenticate"] = `Basic realm="${request.endpoint}/",service="ecr.amazonaws.com"`;
    return answer;
  }

  async #answer(request: WireRequest): Promise<WireResponse> {
    const { caller, region } = tokenOf(this.#ecr, request.headers.get("authorization"));
    const { id: requestId, endpoint, signal } = request;
    const context: Context = { requestId, account: caller.account, region, caller, endpoint, signal };
    const { path, query } = targetOf(request);
    if (path === "") return json({});
    if (path === "_catalog") return this.#catalog(request, context, query);
    const [, name = "", kind = "", reference = ""] = PATH.exec(path) ?? [];
    if (!isRepositoryName(name)) throw new CommonFault("NAME_INVALID", "The name of the repository is not valid.", 404);
    const call: Call = { request, context, query, name: { account: registryOf(request) ?? context.account, region, name }, reference };
    if (kind === "tags" && reference === "list") return this.#tags(call);
    if (kind === "manifests") return await this.#manifests(call);
    if (kind === "blobs/uploads") return await this.#blobUploads(call);
    if (kind === "blobs") return await this.#blobs(call);
    throw unsupported();
  }

  #allow({ request, context, name }: Pick<Call, "request" | "context" | "name">, ...actions: readonly string[]): void {
    authorise(
      request,
      context,
      actions.map((action) => needOn(this.#ecr, action, name)),
      this.#ecr,
    );
    existingRepository(this.#ecr, name);
  }

  #catalog(request: WireRequest, context: Context, query: Call["query"]): WireResponse {
    const need = { action: "ecr:DescribeRepositories", resource: `arn:aws:ecr:${context.region}:${context.account}:repository/*` };
    authorise(request, context, [need], this.#ecr);
    const { account, region } = context;
    const names = this.#ecr.repositories.list(account, region, { limit: Infinity }).map(({ key }) => key.id);
    return paged("repositories", {}, names, "/v2/_catalog", query);
  }

  #tags(call: Call): WireResponse {
    if (call.request.method !== "GET") throw unsupported();
    this.#allow(call, "ecr:ListImages");
    const { name } = call.name;
    const tags = tagsOf(this.#ecr, call.name).map(({ key }) => key.id.slice(name.length + 1));
    return paged("tags", { name }, tags, `/v2/${name}/tags/list`, call.query);
  }

  async #manifests(call: Call): Promise<WireResponse> {
    const { request, name, reference } = call;
    const sha256 = sha256Of(reference);
    if (sha256 === undefined && !TAG.test(reference)) throw noSuchImage(name, { tag: reference.slice(0, 200) });
    const named = sha256 === undefined ? { tag: reference } : { sha256 };
    switch (request.method) {
      case "HEAD":
      case "GET":
        return await this.#manifest(call, named);
      case "PUT":
        return await this.#putManifest(call, named);
      case "DELETE":
        this.#allow(call, "ecr:BatchDeleteImage");
        if (sha256 !== undefined && indexesOf(this.#ecr, name, sha256).length > 0)
          throw new CommonFault("UNSUPPORTED", "An image that an index refers to is not deleted before the index.", 405);
        if (!(sha256 === undefined ? await deleteTag(this.#ecr, name, reference) : await deleteImage(this.#ecr, name, sha256)))
          throw noSuchImage(name, sha256 === undefined ? { tag: reference } : { digest: reference });
        return empty(202);
      default:
        throw unsupported();
    }
  }

  async #manifest(call: Call, named: { readonly sha256?: string; readonly tag?: string }): Promise<WireResponse> {
    this.#allow(call, "ecr:BatchGetImage");
    const found = findImage(this.#ecr, call.name, named);
    const body = found === undefined ? undefined : await this.#ecr.blobs.read(found.sha256);
    if (found === undefined || body === undefined)
      throw noSuchImage(call.name, named.tag === undefined ? { digest: call.reference } : { tag: named.tag });
    const bytes = await textOf(body, MANIFEST_BYTES_MAX);
    return {
      status: 200,
      headers: {
        ...VERSION,
        "content-type": found.record.mediaType,
        "content-length": String(bytes.length),
        "docker-content-digest": digestOf(found.sha256),
      },
      body: bytes,
    };
  }

  async #putManifest(call: Call, { sha256, tag }: { readonly sha256?: string; readonly tag?: string }): Promise<WireResponse> {
    this.#allow(call, "ecr:PutImage");
    const { request, name } = call;
    const bytes = await textOf(request.body(), MANIFEST_BYTES_MAX);
    const mediaType = request.headers.get("content-type")?.split(";")[0]?.trim();
    const digest = sha256 === undefined ? undefined : digestOf(sha256);
    const pushed = await putManifest(this.#ecr, name, {
      bytes,
      mediaType: mediaType === "application/json" ? undefined : mediaType,
      tag,
      digest,
    });
    const location = `/v2/${name.name}/manifests/${digestOf(pushed.sha256)}`;
    return empty(201, { location, "docker-content-digest": digestOf(pushed.sha256) });
  }

  async #blobs(call: Call): Promise<WireResponse> {
    const { request, name, reference } = call;
    if (request.method !== "GET" && request.method !== "HEAD") throw unsupported();
    this.#allow(call, ...(request.method === "GET" ? ["ecr:GetDownloadUrlForLayer"] : ["ecr:BatchCheckLayerAvailability"]));
    const sha256 = sha256Of(reference);
    const layer = sha256 === undefined ? undefined : this.#ecr.layers.get(name.account, name.region, `${name.name}@${sha256}`);
    if (sha256 === undefined || layer === undefined) throw noSuchBlob();
    const { bytes } = layer.value;
    const wanted = request.headers.get("range");
    const range = wanted === undefined || request.method === "HEAD" ? undefined : byteRange(wanted, bytes);
    if (range === "unsatisfiable") return empty(416, { "content-range": `bytes */${bytes}` });
    const body = request.method === "GET" ? await this.#ecr.blobs.read(sha256, range) : undefined;
    if (request.method === "GET" ? body === undefined : !(await this.#ecr.blobs.has(sha256))) throw noSuchBlob();
    const headers = {
      ...VERSION,
      "accept-ranges": "bytes",
      "content-type": "application/octet-stream",
      "content-length": String(range === undefined ? bytes : range.end - range.start),
      "docker-content-digest": reference,
      ...(range === undefined ? {} : { "content-range": `bytes ${range.start}-${range.end - 1}/${bytes}` }),
    };
    return { status: range === undefined ? 200 : 206, headers, ...(body === undefined ? {} : { body }) };
  }

  async #blobUploads(call: Call): Promise<WireResponse> {
    const { request, name, reference, query } = call;
    if (request.method === "POST") return await this.#beginUpload(call);
    this.#allow(call, request.method === "PUT" ? "ecr:CompleteLayerUpload" : "ecr:UploadLayerPart");
    switch (request.method) {
      case "GET":
        return this.#uploadAt(call, reference, this.#uploads.bytes(name, reference), 204);
      case "PATCH":
        return this.#uploadAt(call, reference, await this.#append(call, reference), 202);
      case "PUT":
        await this.#append(call, reference);
        return this.#created(call, (await this.#uploads.complete(name, reference, query.get("digest")?.[0] ?? "")).sha256);
      case "DELETE":
        this.#uploads.bytes(name, reference);
        await this.#uploads.abort(reference);
        return empty(204);
      default:
        throw unsupported();
    }
  }

  /** As one of a layer of another repository, as a whole, or in parts that follow. */
  async #beginUpload(call: Call): Promise<WireResponse> {
    this.#allow(call, "ecr:InitiateLayerUpload");
    const { name, query } = call;
    const mounted = await this.#mounted(call);
    if (mounted !== undefined) return this.#created(call, mounted);
    const id = await this.#uploads.begin(name);
    const digest = query.get("digest")?.[0];
    if (digest === undefined) return this.#uploadAt(call, id, 0, 202);
    this.#allow(call, "ecr:UploadLayerPart", "ecr:CompleteLayerUpload");
    try {
      await this.#append(call, id);
    } catch (cause) {
      // Nobody was told its name.
      await this.#uploads.abort(id);
      throw cause;
    }
    return this.#created(call, (await this.#uploads.complete(name, id, digest)).sha256);
  }

  /** Of a layer that the caller may read where it is; else it is uploaded like any other. */
  async #mounted(call: Call): Promise<string | undefined> {
    const { query, name, context, request } = call;
    const sha256 = sha256Of(query.get("mount")?.[0]);
    const from = query.get("from")?.[0];
    if (sha256 === undefined || from === undefined || !isRepositoryName(from)) return undefined;
    const source = { ...name, name: from };
    const layer = this.#ecr.layers.get(source.account, source.region, `${from}@${sha256}`);
    if (layer === undefined || !(await hasLayer(this.#ecr, source, sha256))) return undefined;
    try {
      authorise(request, context, [needOn(this.#ecr, "ecr:GetDownloadUrlForLayer", source)], this.#ecr);
    } catch (cause) {
      if (cause instanceof CommonFault) return undefined;
      throw cause;
    }
    await rememberLayer(this.#ecr, name, sha256, layer.value.bytes);
    return sha256;
  }

  async #append({ request, name }: Call, id: string): Promise<number> {
    const start = /^(\d{1,15})-\d+$/.exec(request.headers.get("content-range") ?? "")?.[1];
    return await this.#uploads.append(
      name,
      id,
      request.body() as AsyncIterable<Uint8Array>,
      start === undefined ? undefined : Number(start),
    );
  }

  #uploadAt({ name }: Call, id: string, bytes: number, status: number): WireResponse {
    const location = `/v2/${name.name}/blobs/uploads/${id}`;
    return empty(status, { location, range: `0-${Math.max(0, bytes - 1)}`, "docker-upload-uuid": id });
  }

  #created({ name }: Call, sha256: string): WireResponse {
    const digest = digestOf(sha256);
    return empty(201, { location: `/v2/${name.name}/blobs/${digest}`, "docker-content-digest": digest });
  }
}

/** An account in the host name: `000000000000.dkr.ecr.us-east-1.localhost`. */
const registryOf = ({ hostBucket }: WireRequest): string | undefined => /^(\d{12})\.dkr\.ecr\./.exec(hostBucket ?? "")?.[1];

function paged(member: string, more: object, ids: readonly string[], path: string, query: Call["query"]): WireResponse {
  const last = query.get("last")?.[0];
  const given = query.get("n")?.[0] ?? String(PAGE_MAX);
  if (!/^\d+$/.test(given)) throw new CommonFault("PAGINATION_NUMBER_INVALID", "The number of results is not valid.", 400);
  const limit = Math.min(Number(given), PAGE_MAX);
  if (limit === 0) return json({ ...more, [member]: [] });
  const rest = last === undefined ? ids : ids.filter((id) => byteOrder(id, last) > 0);
  const page = rest.slice(0, limit);
  const answer = json({ ...more, [member]: page });
  if (rest.length > page.length) answer.headers["link"] = `<${path}?n=${limit}&last=${encodeURIComponent(page.at(-1) ?? "")}>; rel="next"`;
  return answer;
}
