// The Range header of HTTP: one range of bytes.

/** What is no range, or several, is as if it were not there (RFC 9110 section 14.2). `end` is exclusive. */
export function byteRange(header: string, bytes: number): { readonly start: number; readonly end: number } | "unsatisfiable" | undefined {
  const match = /^bytes=(\d{0,19})-(\d{0,19})$/.exec(header.trim());
  if (match === null || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const length = Math.min(Number(match[2]), bytes);
    return length === 0 ? "unsatisfiable" : { start: bytes - length, end: bytes };
  }
  const start = Number(match[1]);
  const last = match[2] === "" ? bytes - 1 : Number(match[2]);
  if (match[2] !== "" && last < start) return undefined;
  return start >= bytes ? "unsatisfiable" : { start, end: Math.min(last + 1, bytes) };
}
