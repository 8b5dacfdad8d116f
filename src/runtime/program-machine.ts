// Which machine a program was built for, as its first bytes say.
import { open } from "node:fs/promises";

export type Architecture = "x86_64" | "arm64";

/** What this server runs on. */
export const HERE: Architecture = process.arch === "arm64" ? "arm64" : "x86_64";

/** e_machine of ELF. */
const MACHINES: Readonly<Record<Architecture, number>> = { x86_64: 62, arm64: 183 };

/** Of a file that is there. Scripts, and whatever else is no ELF, are for any machine. */
export async function isForAnotherMachine(path: string, architecture: Architecture): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const head = Buffer.alloc(20);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return bytesRead === head.length && head.readUInt32BE(0) === 0x7f454c46 && head.readUInt16LE(18) !== MACHINES[architecture];
  } finally {
    await file.close();
  }
}
