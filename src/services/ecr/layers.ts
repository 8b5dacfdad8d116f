// Layers by the API: whether they are there, and their upload in parts.
import type * as client from "@aws-sdk/client-ecr";
import type { Operations } from "../../aws/operations.ts";
import { sha256Of } from "../../images/manifest.ts";
import { invalidLayer, invalidParameter, layerInaccessible, layerNotFound } from "./faults.ts";
import { digestOf, existingRepository, imageId, imagesOf, nameOf, type Ecr } from "./model.ts";
import { hasLayer } from "./push.ts";
import type { Uploads } from "./uploads.ts";

/** What clients should send at once. */
const PART_BYTES = 10 * 2 ** 20;

type Names = "BatchCheckLayerAvailability" | "CompleteLayerUpload" | "GetDownloadUrlForLayer" | "InitiateLayerUpload" | "UploadLayerPart";

export function layers(ecr: Ecr, uploads: Uploads) {
  return {
    async BatchCheckLayerAvailability(context, { registryId, repositoryName, layerDigests = [] }) {
      const name = existingRepository(ecr, nameOf(context, registryId, repositoryName));
      const found: client.Layer[] = [];
      const failures: client.LayerFailure[] = [];
      for (const layerDigest of layerDigests) {
        const sha256 = sha256Of(layerDigest);
        if (sha256 === undefined)
          failures.push({ layerDigest, failureCode: "InvalidLayerDigest", failureReason: "The layer digest is not a SHA-256 one" });
        else if (await hasLayer(ecr, name, sha256)) {
          const layerSize = ecr.layers.get(name.account, name.region, imageId(name, sha256))?.value.bytes;
          found.push({ layerDigest, layerAvailability: "AVAILABLE", layerSize });
        } else found.push({ layerDigest, layerAvailability: "UNAVAILABLE" });
      }
      return { layers: found, failures };
    },

    async GetDownloadUrlForLayer(context, { registryId, repositoryName, layerDigest = "" }) {
      const name = existingRepository(ecr, nameOf(context, registryId, repositoryName));
      const sha256 = sha256Of(layerDigest);
      if (sha256 === undefined)
        throw invalidParameter("Invalid parameter at 'layerDigest' failed to satisfy constraint: 'must be a SHA-256 digest'");
      if (!(await hasLayer(ecr, name, sha256))) throw layerNotFound(name, layerDigest);
      if (!imagesOf(ecr, name).some(({ value }) => value.layers.includes(sha256))) throw layerInaccessible(layerDigest);
      return { downloadUrl: ecr.downloadUrl(context, sha256), layerDigest };
    },

    async InitiateLayerUpload(context, { registryId, repositoryName }) {
      const name = existingRepository(ecr, nameOf(context, registryId, repositoryName));
      return { uploadId: await uploads.begin(name), partSize: PART_BYTES };
    },

    async UploadLayerPart(context, { registryId, repositoryName, uploadId = "", partFirstByte, layerPartBlob = new Uint8Array() }) {
      const name = existingRepository(ecr, nameOf(context, registryId, repositoryName));
      const bytes = await uploads.append(name, uploadId, piecesOf(layerPartBlob), partFirstByte ?? 0);
      return { registryId: name.account, repositoryName: name.name, uploadId, lastByteReceived: bytes - 1 };
    },

    async CompleteLayerUpload(context, { registryId, repositoryName, uploadId = "", layerDigests = [] }) {
      const name = existingRepository(ecr, nameOf(context, registryId, repositoryName));
      const [digest = ""] = layerDigests;
      if (layerDigests.length !== 1) throw invalidLayer("There must be one layer digest.");
      const { sha256 } = await uploads.complete(name, uploadId, digest);
      return { registryId: name.account, repositoryName: name.name, uploadId, layerDigest: digestOf(sha256) };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

// eslint-disable-next-line typescript/require-await -- an asynchronous iterable is what is wanted
async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
