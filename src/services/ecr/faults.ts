// ECR's errors with its sentences.
import {
  ImageAlreadyExistsException$,
  ImageDigestDoesNotMatchException$,
  ImageNotFoundException$,
  ImageTagAlreadyExistsException$,
  InvalidLayerException$,
  InvalidLayerPartException$,
  InvalidParameterException$,
  LayerInaccessibleException$,
  LayersNotFoundException$,
  ReferencedImagesNotFoundException$,
  RepositoryAlreadyExistsException$,
  RepositoryNotEmptyException$,
  RepositoryNotFoundException$,
  RepositoryPolicyNotFoundException$,
  TooManyTagsException$,
  UploadNotFoundException$,
} from "@aws-sdk/client-ecr";
import { Fault } from "../../aws/fault.ts";
import type { RepositoryName } from "./model.ts";

const inRegistry = ({ account }: RepositoryName) => `the registry with id '${account}'`;
const ofRepository = (name: RepositoryName) => `the repository with name '${name.name}' in ${inRegistry(name)}`;

export const invalidParameter = (message: string) => new Fault(InvalidParameterException$, message);
export const noSuchRepository = (name: RepositoryName) =>
  new Fault(RepositoryNotFoundException$, `The repository with name '${name.name}' does not exist in ${inRegistry(name)}`);
export const repositoryExists = (name: RepositoryName) =>
  new Fault(RepositoryAlreadyExistsException$, `The repository with name '${name.name}' already exists in ${inRegistry(name)}`);
export const repositoryNotEmpty = (name: RepositoryName) =>
  new Fault(
    RepositoryNotEmptyException$,
    `The repository with name '${name.name}' in registry with id '${name.account}' cannot be deleted because it still contains images`,
  );
export const noRepositoryPolicy = (name: RepositoryName) =>
  new Fault(RepositoryPolicyNotFoundException$, `Repository policy does not exist for ${ofRepository(name)}`);
export const tooManyTags = () => new Fault(TooManyTagsException$, "The number of tags on a repository can't be more than 50.");

export const noSuchImage = (name: RepositoryName, { digest = "null", tag = "null" }: { digest?: string; tag?: string }) =>
  new Fault(
    ImageNotFoundException$,
    `The image with imageId {imageDigest:'${digest}', imageTag:'${tag}'} does not exist within ${ofRepository(name)}`,
  );
export const imageExists = (name: RepositoryName, digest: string, tag: string | undefined) =>
  new Fault(
    ImageAlreadyExistsException$,
    `Image with digest '${digest}' and tag '${tag ?? "null"}' already exists in ${ofRepository(name)}`,
  );
export const tagIsImmutable = (name: RepositoryName, tag: string) =>
  new Fault(
    ImageTagAlreadyExistsException$,
    `The image tag '${tag}' already exists in the '${name.name}' repository and cannot be overwritten because the repository is immutable.`,
  );
export const wrongDigest = (given: string, found: string) =>
  new Fault(ImageDigestDoesNotMatchException$, `The given digest '${given}' is not that of the manifest, '${found}'.`);
export const invalidManifest = (message: string) =>
  invalidParameter(`Invalid parameter at 'ImageManifest' failed to satisfy constraint: '${message}'`);
export const noSuchLayers = (name: RepositoryName, digests: readonly string[]) =>
  new Fault(
    LayersNotFoundException$,
    `Layers with digests '[${digests.join(", ")}]' required for pushing image into ${ofRepository(name)} do not exist`,
  );
export const noSuchReferencedImages = (name: RepositoryName, digests: readonly string[]) =>
  new Fault(
    ReferencedImagesNotFoundException$,
    `Images with digests '[${digests.join(", ")}]' required for pushing image into ${ofRepository(name)} do not exist`,
  );

export const noSuchUpload = (id: string) => new Fault(UploadNotFoundException$, `The upload with id '${id.slice(0, 100)}' does not exist`);
export const wrongPart = (lastByteReceived: number) =>
  new Fault(InvalidLayerPartException$, `The part does not begin where the upload ended, at byte ${lastByteReceived}.`, {
    lastByteReceived,
  });
export const invalidLayer = (message: string) => new Fault(InvalidLayerException$, message);
export const layerInaccessible = (digest: string) =>
  new Fault(LayerInaccessibleException$, `The layer with digest '${digest}' is not available because it is not associated with an image.`);
export const layerNotFound = (name: RepositoryName, digest: string) =>
  new Fault(LayersNotFoundException$, `Layers with digests '[${digest}]' could not be found in ${ofRepository(name)}`);
