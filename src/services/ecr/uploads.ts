// Uploads of layers that are under way: each a blob being written, forgotten when nothing comes for an hour or the server stops.
import { randomUUID } from "node:crypto";
import type { Timer } from "../../base/clock.ts";
import type { BlobInfo, BlobWriter } from "../../store/blob-store.ts";
import { sha256Of } from "../../images/manifest.ts";
import { invalidLayer, noSuchUpload, wrongPart } from "./faults.ts";
import type { Ecr, RepositoryName } from "./model.ts";
import { rememberLayer } from "./push.ts";

const IDLE_MS_MAX = 3_600_000;
const UPLOADS_MAX = 1000;
/** As large as an image may be that a function runs. */
const LAYER_BYTES_MAX = 10 * 2 ** 30;

interface Upload {
  readonly repository: string;
  readonly writer: BlobWriter;
  bytes: number;
  /** Parts come one after the other. */
  isBusy: boolean;
  timer: Timer;
}

const nameText = ({ account, region, name }: RepositoryName) => `${account}/${region}/${name}`;

export class Uploads {
  readonly #ecr: Ecr;
  readonly #uploads = new Map<string, Upload>();
  #isStopped = false;

  constructor(ecr: Ecr) {
    this.#ecr = ecr;
  }

  async begin(repository: RepositoryName): Promise<string> {
    if (this.#isStopped || this.#uploads.size >= UPLOADS_MAX) throw invalidLayer("Too many uploads are under way.");
    const id = randomUUID();
    const writer = await this.#ecr.blobs.writer();
    this.#uploads.set(id, { repository: nameText(repository), writer, bytes: 0, isBusy: false, timer: this.#expiry(id) });
    return id;
  }

  #expiry(id: string): Timer {
    return this.#ecr.clock.after(IDLE_MS_MAX, () => void this.abort(id).catch(() => undefined));
  }

  #find(repository: RepositoryName, id: string): Upload {
    const upload = this.#uploads.get(id);
    if (upload === undefined || upload.repository !== nameText(repository)) throw noSuchUpload(id);
    return upload;
  }

  #findIdle(repository: RepositoryName, id: string): Upload {
    const upload = this.#find(repository, id);
    if (upload.isBusy) throw noSuchUpload(id);
    return upload;
  }

  /** Bytes so far. */
  bytes(repository: RepositoryName, id: string): number {
    return this.#find(repository, id).bytes;
  }

  /**
   * `start`: where the part belongs; absent: at the end. Of a part that breaks off what has come stays, and whoever asks how much that is may go
   * on from there. Resolves with the bytes so far.
   */
  async append(repository: RepositoryName, id: string, part: AsyncIterable<Uint8Array>, start?: number): Promise<number> {
    const upload = this.#findIdle(repository, id);
    if (start !== undefined && start !== upload.bytes) throw wrongPart(upload.bytes);
    upload.isBusy = true;
    upload.timer.cancel();
    try {
      for await (const piece of part) await this.#take(id, upload, piece);
    } finally {
      upload.isBusy = false;
      if (this.#uploads.has(id)) upload.timer = this.#expiry(id);
    }
    return upload.bytes;
  }

  /** What can't be taken ends the upload: nobody knows how much of it is there. */
  async #take(id: string, upload: Upload, piece: Uint8Array): Promise<void> {
    try {
      if (upload.bytes + piece.byteLength > LAYER_BYTES_MAX) throw invalidLayer(`A layer can't be larger than ${LAYER_BYTES_MAX} bytes.`);
      await upload.writer.write(piece);
      upload.bytes += piece.byteLength;
    } catch (cause) {
      await this.abort(id);
      throw cause;
    }
  }

  /** Throws when the digest is not that of the bytes; they are nobody's then. */
  async complete(repository: RepositoryName, id: string, digest: string): Promise<BlobInfo> {
    const upload = this.#findIdle(repository, id);
    const wanted = sha256Of(digest);
    upload.isBusy = true;
    upload.timer.cancel();
    this.#uploads.delete(id);
    try {
      if (wanted === undefined) throw invalidLayer("The digest is not a SHA-256 one.");
      const blob = await upload.writer.commit();
      if (blob.sha256 !== wanted) throw invalidLayer(`The layer's digest is sha256:${blob.sha256}, not ${digest}.`);
      await rememberLayer(this.#ecr, repository, blob.sha256, blob.bytes);
      return blob;
    } catch (cause) {
      await upload.writer.abort();
      throw cause;
    }
  }

  async abort(id: string): Promise<void> {
    const upload = this.#uploads.get(id);
    if (upload === undefined) return;
    this.#uploads.delete(id);
    upload.timer.cancel();
    await upload.writer.abort();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const id of this.#uploads.keys()) await this.abort(id);
  }
}
