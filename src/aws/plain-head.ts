// The head of a request in HTTP/1.1 that is plain: read here. Of every other head nothing is said, and Node's own parser reads it.

export interface PlainHead {
  readonly method: string;
  readonly target: string;
  /** Names, in lower case, and values in turn. */
  readonly rawHeaders: readonly string[];
  readonly bodyBytes: number;
}

const REQUEST_LINE = /^(GET|HEAD|POST|PUT|DELETE|PATCH) (\/[\x21-\x7e]*) HTTP\/1\.1$/;
/** Characters that no head has; carriage returns and line feeds stand together. */
const FOREIGN = /[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n)|(?<!\r)\n/;
/** A name of RFC 9110, section 5.6.2. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const LENGTH = /^\d{1,9}$/;
/** Headers that change how a message or what follows it is read. */
const FRAMING: ReadonlySet<string> = new Set([
  "transfer-encoding",
  "expect",
  "upgrade",
  "trailer",
  "te",
  "http2-settings",
  "proxy-connection",
]);

/** Clients send the same names again and again. By the name as it is sent; undefined: it is not a plain one. */
const names = new Map<string, string | undefined>();
const NAMES_MAX = 1000;

function nameOf(sent: string): string | undefined {
  const known = names.get(sent);
  if (known !== undefined || names.has(sent)) return known;
  const lower = sent.toLowerCase();
  const name = TOKEN.test(sent) && !FRAMING.has(lower) ? lower : undefined;
  if (names.size >= NAMES_MAX) names.clear();
  names.set(sent, name);
  return name;
}

/** What follows the colon, without the one space that usually stands there; undefined where there is more white space around it. */
function valueOf(line: string, colon: number): string | undefined {
  const value = line.slice(line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1);
  return isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1)) ? undefined : value;
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

/**
 * `text` is what stands before the empty line, one character a byte. Undefined for whatever RFC 9112 lets two readers understand in two ways,
 * and for what is merely rare: codings, expectations, upgrades, connections that are to be closed, white space where none is needed.
 */
export function plainHead(text: string): PlainHead | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const [, method, target] = REQUEST_LINE.exec(first) ?? [];
  if (method === undefined || target === undefined || FOREIGN.test(text)) return undefined;
  const rawHeaders: string[] = [];
  let length: string | undefined;
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = nameOf(line.slice(0, Math.max(colon, 0)));
    const value = valueOf(line, colon);
    if (name === undefined || value === undefined) return undefined;
    if (name === "connection" && value.toLowerCase() !== "keep-alive") return undefined;
    if (name === "content-length") {
      if (length !== undefined || !LENGTH.test(value)) return undefined;
      length = value;
    }
    rawHeaders.push(name, value);
  }
  return { method, target, rawHeaders, bodyBytes: Number(length ?? 0) };
}
