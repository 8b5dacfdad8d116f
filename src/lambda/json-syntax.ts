// Whether an event is JSON, byte by byte and without building it: events are passed on as they came, so nothing of it is needed but the
// verdict. What is wrong is said in the words of Jackson, the parser that AWS's callers hear from.

const SOURCE = "Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";
const VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
const DEPTH_MAX = 1000;
const TOKEN_LENGTH_MAX = 256;
const END = -1;

const code = (character: string) => character.charCodeAt(0);
const [QUOTE, BACKSLASH, COMMA, COLON, MINUS, DOT] = [code('"'), code("\\"), code(","), code(":"), code("-"), code(".")];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [code("{"), code("}"), code("["), code("]")];
const ESCAPES = new Set(['"', "\\", "/", "b", "f", "n", "r", "t"].map(code));
const WORDS = new Map(["true", "false", "null"].map((word) => [code(word), word]));

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isHex = (byte: number) => isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
const isIdentifier = (byte: number) => isDigit(byte) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x5f;
const isPlain = (byte: number) => byte >= 0x20 && byte < 0x80 && byte !== QUOTE && byte !== BACKSLASH;
const hex = (byte: number) => `0x${byte.toString(16).padStart(2, "0")}`;

function describe(byte: number): string {
  if (byte < 0x20 || (byte >= 0x7f && byte <= 0x9f)) return `(CTRL-CHAR, code ${byte})`;
  return `'${String.fromCharCode(byte)}' (code ${byte})`;
}

/** Of a byte; both count from 1. */
interface Place {
  readonly line: number;
  readonly column: number;
}

const placeText = ({ line, column }: Place) => `[${SOURCE}; line: ${line}, column: ${column}]`;

class NotJson extends Error {}

/** What is wrong with it, with its place; `undefined` when it is one JSON value. */
export function jsonProblem(bytes: Uint8Array): string | undefined {
  try {
    new Reader(bytes).read();
    return undefined;
  } catch (error) {
    if (error instanceof NotJson) return error.message;
    throw error;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  /** Of the next byte. */
  #at = 0;
  #line = 1;
  #lineStart = 0;
  /** The open objects and arrays, innermost last. */
  readonly #open: { readonly isObject: boolean; readonly place: Place }[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): void {
    const first = this.#next();
    if (first === END) throw this.#wrong("No content to map due to end-of-input");
    this.#value(first);
    while (this.#open.length > 0) this.#element();
    const byte = this.#next();
    if (byte !== END) throw this.#unexpected(byte, "Expected space separating root-level values");
  }

  #place(at: number): Place {
    return { line: this.#line, column: at - this.#lineStart + 1 };
  }

  #wrong(what: string, at = this.#at): NotJson {
    return new NotJson(`${what}\n at ${placeText(this.#place(at))}`);
  }

  /** The byte is the one that was read last. */
  #unexpected(byte: number, expected: string): NotJson {
    return this.#wrong(`Unexpected character (${describe(byte)})${expected.startsWith(" ") ? "" : ": "}${expected}`, this.#at - 1);
  }

  #byte(): number {
    return this.#at < this.#bytes.length ? (this.#bytes[this.#at++] as number) : END;
  }

  /** The next byte that is no white space. */
  #next(): number {
    for (;;) {
      const byte = this.#byte();
      if (!isSpace(byte)) return byte;
      if (byte === 0x0a || (byte === 0x0d && this.#bytes[this.#at] !== 0x0a)) {
        this.#line += 1;
        this.#lineStart = this.#at;
      }
    }
  }

  /** The same where the innermost object or array may not end with the text. */
  #nextInside(): number {
    const byte = this.#next();
    const inner = this.#open.at(-1);
    if (byte !== END || inner === undefined) return byte;
    const what = inner.isObject ? "Object" : "Array";
    throw this.#wrong(`Unexpected end-of-input: expected close marker for ${what} (start marker at ${placeText(inner.place)})`);
  }

  #value(byte: number): void {
    const word = WORDS.get(byte);
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#enter(byte === OPEN_OBJECT);
    else if (byte === QUOTE) this.#string("was expecting closing quote for a string value");
    else if (byte === MINUS || isDigit(byte)) this.#number(byte);
    else if (word !== undefined) this.#word(word);
    else if (byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) throw this.#unexpected(byte, "expected a value");
    else if (isIdentifier(byte)) throw this.#unknownToken(this.#at - 1);
    else throw this.#unexpected(byte, `expected a valid value ${VALUES}`);
  }

  /** Reads up to the first element, or over the end of an empty object or array. */
  #enter(isObject: boolean): void {
    if (this.#open.length === DEPTH_MAX)
      throw this.#wrong(
        `Document nesting depth (${DEPTH_MAX + 1}) exceeds the maximum allowed (${DEPTH_MAX}, from \`StreamReadConstraints.getMaxNestingDepth()\`)`,
      );
    this.#open.push({ isObject, place: this.#place(this.#at - 1) });
    const byte = this.#nextInside();
    if (byte === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) this.#open.pop();
    else this.#member(byte, isObject);
  }

  /** Behind a value inside an object or array: its end, or a comma and the next member. */
  #element(): void {
    const { isObject, place } = this.#open.at(-1) as { isObject: boolean; place: Place };
    const byte = this.#nextInside();
    const what = isObject ? "Object" : "Array";
    if (byte === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) this.#open.pop();
    else if (byte === COMMA) this.#member(this.#nextInside(), isObject);
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      const [found, expected] = isObject ? ["]", "}"] : ["}", "]"];
      throw this.#wrong(
        `Unexpected close marker '${found}': expected '${expected}' (for ${what} starting at ${placeText(place)})`,
        this.#at - 1,
      );
    } else throw this.#unexpected(byte, `was expecting comma to separate ${what} entries`);
  }

  #member(first: number, isObject: boolean): void {
    if (!isObject) {
      this.#value(first);
      return;
    }
    if (first !== QUOTE) throw this.#unexpected(first, "was expecting double-quote to start field name");
    this.#string("in field name");
    const colon = this.#nextInside();
    if (colon !== COLON) throw this.#unexpected(colon, "was expecting a colon to separate field name and value");
    this.#value(this.#nextInside());
  }

  #string(endless: string): void {
    for (;;) {
      this.#skipPlain();
      const byte = this.#byte();
      if (byte === QUOTE) return;
      if (byte === END) throw this.#wrong(`Unexpected end-of-input${endless.startsWith("was") ? ": " : " "}${endless}`);
      if (byte === BACKSLASH) this.#escape();
      else if (byte < 0x20)
        throw this.#wrong(
          `Illegal unquoted character (${describe(byte)}): has to be escaped using backslash to be included in string value`,
          this.#at - 1,
        );
      else if (byte >= 0x80) this.#wide(byte);
    }
  }

  /** Goes over what stands for itself: most of most strings. */
  #skipPlain(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    while (at < bytes.length && isPlain(bytes[at] as number)) at += 1;
    this.#at = at;
  }

  #escape(): void {
    const byte = this.#byte();
    if (ESCAPES.has(byte)) return;
    if (byte === END) throw this.#wrong("Unexpected end-of-input in character escape sequence");
    if (byte !== code("u")) throw this.#wrong(`Unrecognized character escape ${describe(byte)}`);
    for (let digits = 0; digits < 4; digits++) {
      const digit = this.#byte();
      if (digit === END) throw this.#wrong("Unexpected end-of-input in character escape sequence");
      if (!isHex(digit)) throw this.#unexpected(digit, "expected a hex-digit for character escape sequence");
    }
  }

  /** The rest of a character that begins with `first`. Neither overlong forms nor surrogates are UTF-8. */
  #wide(first: number): void {
    const more = first >= 0xc2 && first <= 0xdf ? 1 : first >= 0xe0 && first <= 0xef ? 2 : first >= 0xf0 && first <= 0xf4 ? 3 : 0;
    if (more === 0) throw this.#wrong(`Invalid UTF-8 start byte ${hex(first)}`);
    for (let index = 0; index < more; index++) {
      const byte = this.#byte();
      if (byte === END) throw this.#wrong("Unexpected end-of-input in a multi-byte UTF-8 character");
      const low = index === 0 ? (first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80) : 0x80;
      const high = index === 0 ? (first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf) : 0xbf;
      if (byte < low || byte > high) throw this.#wrong(`Invalid UTF-8 middle byte ${hex(byte)}`);
    }
  }

  #number(first: number): void {
    const digit = first === MINUS ? this.#byte() : first;
    if (!isDigit(digit)) throw this.#badNumber(digit, "expected digit (0-9) to follow minus sign, for valid numeric value");
    if (digit === 0x30 && isDigit(this.#peek())) {
      this.#at += 1;
      throw this.#wrong("Invalid numeric value: Leading zeroes not allowed", this.#at - 1);
    }
    this.#digits();
    if (this.#peek() === DOT) {
      this.#at += 1;
      this.#atLeastOneDigit("Decimal point not followed by a digit");
    }
    if (this.#peek() === code("e") || this.#peek() === code("E")) {
      this.#at += 1;
      if (this.#peek() === code("+") || this.#peek() === MINUS) this.#at += 1;
      this.#atLeastOneDigit("Exponent indicator not followed by a digit");
    }
    const byte = this.#peek();
    if (this.#open.length > 0 || byte === END || isSpace(byte)) return;
    this.#at += 1;
    throw this.#unexpected(byte, "Expected space separating root-level values");
  }

  #peek(): number {
    return this.#bytes[this.#at] ?? END;
  }

  #digits(): void {
    while (isDigit(this.#peek())) this.#at += 1;
  }

  #atLeastOneDigit(otherwise: string): void {
    const byte = this.#byte();
    if (!isDigit(byte)) throw this.#badNumber(byte, otherwise);
    this.#digits();
  }

  #badNumber(byte: number, what: string): NotJson {
    if (byte === END) return this.#wrong("Unexpected end-of-input in numeric value");
    return this.#unexpected(byte, ` in numeric value: ${what}`);
  }

  #word(word: string): void {
    const start = this.#at - 1;
    for (let index = 1; index < word.length; index++) if (this.#byte() !== word.charCodeAt(index)) throw this.#unknownToken(start);
    if (isIdentifier(this.#peek())) throw this.#unknownToken(start);
  }

  /** Reads to the end of what looks like a word, and one byte more, as the location tells. */
  #unknownToken(start: number): NotJson {
    let end = start;
    while (end < this.#bytes.length && isIdentifier(this.#bytes[end] as number) && end - start < TOKEN_LENGTH_MAX) end += 1;
    const token = Buffer.from(this.#bytes.subarray(start, end)).toString("latin1");
    return this.#wrong(`Unrecognized token '${token}': was expecting ${VALUES}`, Math.min(end + 1, this.#bytes.length));
  }
}
