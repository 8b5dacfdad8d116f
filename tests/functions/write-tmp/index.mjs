// Writes event.bytes bytes to /tmp, a MiB at a time, and tells how many fitted; the count of visits tells whether the environment is the same.
import { appendFile, open, stat } from "node:fs/promises";

const PIECE = Buffer.alloc(2 ** 20, 1);

export const handler = async ({ bytes = 0 } = {}) => {
  await appendFile("/tmp/visits", "x");
  const { size: visits } = await stat("/tmp/visits");
  const file = await open("/tmp/data", "w");
  let written = 0;
  try {
    while (written < bytes) written += (await file.write(PIECE.subarray(0, bytes - written))).bytesWritten;
    return { visits, written };
  } catch (error) {
    return { visits, written, failed: error.code };
  } finally {
    await file.close();
  }
};
