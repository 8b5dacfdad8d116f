// Deployment packages for tests, from names and texts or from a directory below tests/functions.
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { ZipFile } from "yazl";
import { packageDirectory } from "../../src/cli/package-directory.ts";

export async function zipOf(files: Readonly<Record<string, string | Uint8Array>>, mode = 0o100755): Promise<Uint8Array> {
  const zip = new ZipFile();
  for (const [name, text] of Object.entries(files)) zip.addBuffer(Buffer.from(text as string), name, { mode });
  zip.end();
  return await buffer(zip.outputStream);
}

export async function zipOfFunction(name: string): Promise<Uint8Array> {
  return (await packageDirectory(join(import.meta.dirname, "..", "functions", name))).zip;
}
