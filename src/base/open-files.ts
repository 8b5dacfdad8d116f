// How many files the server may have open, and what share of them each of its parts may use.
import { readdirSync, readFileSync, statSync } from "node:fs";

/** Node has raised its own limit to the hard one when it started. */
function openFilesMax(): number {
  try {
    return Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Infinity);
  } catch {
    return Infinity; // no Linux
  }
}

export const OPEN_FILES_MAX = openFilesMax();

/** Since Linux 6.2 the size of the directory is their number; counting takes milliseconds where thousands are open. */
const openNow = () => statSync("/proc/self/fd").size || readdirSync("/proc/self/fd").length;

/** Now. */
export function freeFiles(): number {
  const limit = openFilesMax();
  try {
    return limit - openNow();
  } catch {
    return limit === Infinity ? limit : 0; // there is not even one to look with
  }
}

/** Sockets and pipes of an execution environment: control, output, three listeners, datagrams, its supervisor, its runtime and extensions. */
export const FILES_PER_ENVIRONMENT = 12;

/** Three eighths are for environments, a quarter for clients, a quarter for what functions open, the rest for stores and code. */
export const ENVIRONMENTS_BY_FILES = Math.max(1, Math.floor((OPEN_FILES_MAX * 3) / 8 / FILES_PER_ENVIRONMENT));
export const CONNECTIONS_BY_FILES = Math.floor(OPEN_FILES_MAX / 4);

export const RAISE_OPEN_FILES =
  "raise the limit of open files: LimitNOFILE=65536 in the systemd unit, or  ulimit -n 65536  before the start";
