// Container images as a function's code: which one is meant, pinned by its digest, and its root in place.
import { createHash } from "node:crypto";
import type * as client from "@aws-sdk/client-lambda";
import { CommonFault } from "../aws/fault.ts";
import type { Context } from "../aws/operations.ts";
import { ROOT_PLACES } from "../images/root-places.ts";
import { BadTar } from "../images/tar.ts";
import type { ImageSettings } from "../pool/invocation.ts";
import { invalidParameter } from "./faults.ts";
import type { Configuration, FunctionCode, ImageCode, Lambda } from "./model.ts";

/** The image as it is now: whatever a tag means later, the function stays with this one. Throws AWS's faults. */
export async function imageCode(
  lambda: Pick<Lambda, "getImage" | "packages">,
  context: Context,
  uri: string,
  architecture: Configuration["Architecture"],
): Promise<FunctionCode> {
  const found = await imageOf(lambda, context, uri, architecture);
  if (found === "malformed") throw invalidParameter(`Source image ${uri} is not valid. Provide a valid source image.`);
  if (found === "absent") throw invalidParameter(`Source image ${uri} does not exist. Provide a valid source image.`);
  if (found === "unsupported")
    throw invalidParameter(`The image manifest, config or layer media type for the source image ${uri} is not supported.`);
  const { sha256, image } = found;
  const code: FunctionCode = { sha256, bytes: 0, image };
  try {
    await lambda.packages.ensureImage(code);
  } catch (cause) {
    if (!(cause instanceof BadTar)) throw cause;
    throw invalidParameter(`Source image ${uri} is not valid: a layer of it can't be unpacked, ${cause.message}.`, { cause });
  }
  return code;
}

async function imageOf(lambda: Pick<Lambda, "getImage">, context: Context, uri: string, architecture: Configuration["Architecture"]) {
  try {
    return await lambda.getImage(context, uri, architecture);
  } catch (cause) {
    if (!(cause instanceof CommonFault) || cause.status !== 403) throw cause;
    const message = "Lambda does not have permission to access the ECR image. Check the ECR permissions.";
    throw new CommonFault("AccessDeniedException", message, 403, { Type: "User" }, { cause });
  }
}

const nameOf = (kind: string, sha256s: readonly string[]): string =>
  createHash("sha256")
    .update([kind, ...sha256s].join(" "))
    .digest("hex");

/** Among the packages: a layer unpacked as one of an image. A blob may be a package as well, which would be unpacked in another way. */
export const imageLayerTree = (sha256: string): string => nameOf("image layer", [sha256]);

const roots = new WeakMap<ImageCode, string>();

/** Among the packages: all layers of an image, merged. */
export function imageRoot(image: ImageCode): string {
  const known = roots.get(image);
  if (known !== undefined) return known;
  const made = nameOf("image", [...ROOT_PLACES, ...image.layers]);
  roots.set(image, made);
  return made;
}

/** The image's ENTRYPOINT, CMD and WORKDIR with what the function says of them; as with Docker, another ENTRYPOINT drops the image's CMD. */
export function imageSettings(image: ImageCode, config: client.ImageConfig = {}): ImageSettings {
  const { EntryPoint = [], Command = [], WorkingDirectory = "" } = config;
  const entrypoint = EntryPoint.length > 0 ? EntryPoint : image.Entrypoint;
  const command = Command.length > 0 ? Command : EntryPoint.length > 0 ? [] : image.Cmd;
  const variables = image.Env.map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)] as const);
  return {
    argv: [...entrypoint, ...command],
    command,
    workingDirectory: WorkingDirectory === "" ? image.WorkingDir : WorkingDirectory,
    env: Object.fromEntries(variables.filter(([name]) => name !== "")),
  };
}
