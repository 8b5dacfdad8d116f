// Writes event.bytes bytes to /tmp and tells what is there; what was written before tells whether the environment is the same.
import { appendFile, readFile, writeFile } from "node:fs/promises";

export const handler = async ({ bytes = 0 } = {}) => {
  await appendFile("/tmp/visits", "x");
  const visits = (await readFile("/tmp/visits")).length;
  try {
    await writeFile("/tmp/data", Buffer.alloc(bytes, 1));
    return { visits, written: bytes };
  } catch (error) {
    return { visits, failed: error.code };
  }
};
