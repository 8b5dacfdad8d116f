// XML text to elements and back: no document types, no entities but the five, bounded depth and attributes, no recursion.
import { Malformed } from "./scalar.ts";

export interface XmlElement {
  /** Without its namespace prefix. */
  readonly name: string;
  /** By the name as written, prefix included. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  text: string;
}

const DEPTH_MAX = 100;
const ATTRIBUTES_MAX = 100;
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
]);
const NAME = /[A-Za-z_][\w.:-]*/y;
const ATTRIBUTE = /\s+([A-Za-z_][\w.:-]*)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y;
const TAG_END = /\s*(\/?)>/y;
const CLOSE = /<\/([A-Za-z_][\w.:-]*)\s*>/y;

const utf8 = new TextDecoder("utf-8", { fatal: true });

function codePoint(digits: string, radix: number): string {
  const code = Number.parseInt(digits, radix);
  const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  if (!isCharacter) throw new Malformed(`&#${digits}; is not a character`);
  return String.fromCodePoint(code);
}

function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]{1,8}))?;?/gi, (match, hex?: string, decimal?: string, name?: string) => {
    if (match.endsWith(";") && hex !== undefined) return codePoint(hex, 16);
    if (match.endsWith(";") && decimal !== undefined) return codePoint(decimal, 10);
    const known = match.endsWith(";") && name !== undefined ? ENTITIES.get(name) : undefined;
    if (known === undefined) throw new Malformed("an entity that is not one of XML's five");
    return known;
  });
}

const localName = (name: string) => name.slice(name.indexOf(":") + 1);

class Reader {
  readonly #text: string;
  #at = 0;
  readonly #open: { element: XmlElement; name: string }[] = [];
  #root: XmlElement | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  read(): XmlElement {
    while (this.#at < this.#text.length) {
      if (this.#text[this.#at] !== "<") this.#readText();
      else if (this.#skip("<?", "?>") || this.#skip("<!--", "-->") || this.#readCdata()) continue;
      else if (this.#text.startsWith("</", this.#at)) this.#closeElement();
      else this.#openElement();
    }
    if (this.#root === undefined || this.#open.length > 0) throw new Malformed("the document ends before its root element does");
    return this.#root;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match;
  }

  #skip(start: string, end: string): boolean {
    if (!this.#text.startsWith(start, this.#at)) return false;
    this.#takeUntil(start.length, end);
    return true;
  }

  #takeUntil(offset: number, end: string): string {
    const from = this.#at + offset;
    const to = this.#text.indexOf(end, from);
    if (to === -1) throw new Malformed(`${end} is missing`);
    this.#at = to + end.length;
    return this.#text.slice(from, to);
  }

  #addText(text: string): void {
    const current = this.#open.at(-1);
    if (current !== undefined) current.element.text += text;
    else if (text.trim() !== "" && text !== "\ufeff") throw new Malformed("text outside the root element");
  }

  #readText(): void {
    const end = this.#text.indexOf("<", this.#at);
    const to = end === -1 ? this.#text.length : end;
    this.#addText(decodeEntities(this.#text.slice(this.#at, to)));
    this.#at = to;
  }

  #readCdata(): boolean {
    if (!this.#text.startsWith("<![CDATA[", this.#at)) return false;
    this.#addText(this.#takeUntil(9, "]]>"));
    return true;
  }

  #openElement(): void {
    this.#at += 1;
    // A name can't start with an exclamation mark, so <!DOCTYPE> and its like end here.
    const name = this.#match(NAME)?.[0];
    if (name === undefined) throw new Malformed("markup that is not an element");
    if (this.#open.length >= DEPTH_MAX) throw new Malformed(`elements are nested deeper than ${DEPTH_MAX} levels`);
    const attributes = this.#readAttributes();
    const element: XmlElement = { name: localName(name), attributes, children: [], text: "" };
    const end = this.#match(TAG_END);
    if (end === undefined) throw new Malformed("a tag that does not end");
    this.#addElement(element);
    if (end[1] === "") this.#open.push({ element, name });
  }

  #readAttributes(): Map<string, string> {
    const attributes = new Map<string, string>();
    for (let match = this.#match(ATTRIBUTE); match !== undefined; match = this.#match(ATTRIBUTE)) {
      if (attributes.size >= ATTRIBUTES_MAX) throw new Malformed(`an element has more than ${ATTRIBUTES_MAX} attributes`);
      attributes.set(match[1] ?? "", decodeEntities(match[2] ?? match[3] ?? ""));
    }
    return attributes;
  }

  #addElement(element: XmlElement): void {
    const current = this.#open.at(-1);
    if (current !== undefined) current.element.children.push(element);
    else if (this.#root === undefined) this.#root = element;
    else throw new Malformed("a second root element");
  }

  #closeElement(): void {
    const name = this.#match(CLOSE)?.[1];
    if (name === undefined || this.#open.pop()?.name !== name) throw new Malformed("an end tag without its start tag");
  }
}

/** Throws Malformed. */
export function parseXml(bytes: Uint8Array): XmlElement {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new Malformed("the document is not UTF-8", { cause });
  }
  return new Reader(text.replaceAll("\r\n", "\n")).read();
}

// oxlint-disable-next-line no-control-regex -- XML can't carry control characters as they are
const SPECIAL = /[<>&"\0-\u001f\u007f]/;
// oxlint-disable-next-line no-control-regex -- the same set
const SPECIALS = /[<>&"\0-\u0008\u000a-\u001f\u007f]/g;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["<", "&lt;"],
  [">", "&gt;"],
  ["&", "&amp;"],
  ['"', "&quot;"],
]);

export function escapeXml(text: string): string {
  if (!SPECIAL.test(text)) return text;
  return text.replace(SPECIALS, (character) => ESCAPES.get(character) ?? `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`);
}
