// Which machine a program was built for, as its first bytes say.
import { open } from "node:fs/promises";

export type Architecture = "x86_64" | "arm64";

/** What this server runs on. */
export const HERE: Architecture = process.arch === "arm64" ? "arm64" : "x86_64";

/** e_machine of ELF. */
const MACHINES: Readonly<Record<Architecture, number>> = { x86_64: 62, arm64: 183 };

async function headOf(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Of a file that is there. Whatever is no ELF is for any machine. */
export async function isForAnotherMachine(path: string, architecture: Architecture): Promise<boolean> {
  const head = await headOf(path, 20);
  return head.length === 20 && head.readUInt32BE(0) === 0x7f454c46 && head.readUInt16LE(18) !== MACHINES[architecture];
}

/** The program that the first line of a script names, as far as Linux reads it; undefined: it is no script. */
export async function interpreterOf(path: string): Promise<string | undefined> {
  const head = await headOf(path, 256);
  return /^#![ \t]*([^ \t\n\0]+)/.exec(head.toString("latin1"))?.[1];
}
