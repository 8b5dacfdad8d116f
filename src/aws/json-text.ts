// Typed output to JSON text, by shape: a writer for each shape, made once, that knows the names which it writes.
import { OTHERS, type WithOthers } from "./others.ts";
import { formatDate } from "./scalar.ts";
import type { ListShape, MapShape, Member, ScalarShape, Shape, StructureShape } from "./shape.ts";

type Write = (value: unknown) => string;

/** Most texts are plain, and to see that costs less than to look for what needs an escape. */
const PLAIN = /^[ !#-[\]-~]*$/;

const quoted = (text: string) => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));
const isAbsent = (value: unknown) => value === undefined || value === null;

const writeString: Write = (value) => (typeof value === "string" ? quoted(value) : JSON.stringify(value));
const writeNumber: Write = (value) => (Number.isFinite(value) ? String(value) : quoted(String(value)));
const writeEpoch: Write = (value) => JSON.stringify((value as Date).getTime() / 1000);

function writeBlob(value: unknown): string {
  const { buffer, byteOffset, byteLength } = value as Uint8Array;
  return `"${Buffer.from(buffer, byteOffset, byteLength).toString("base64")}"`;
}

function timestampWriter({ format = "epoch-seconds" }: ScalarShape): Write {
  return format === "epoch-seconds" ? writeEpoch : (value) => quoted(formatDate(format, value as Date));
}

/** The writers of one format; `nameOf` says by which name a member goes. */
class Writers {
  readonly #nameOf: (member: Member) => string;
  readonly #known = new WeakMap<Shape, Write>();

  constructor(nameOf: (member: Member) => string) {
    this.#nameOf = nameOf;
  }

  of(shape: Shape): Write {
    let write = this.#known.get(shape);
    if (write === undefined) this.#known.set(shape, (write = this.#make(shape)));
    return write;
  }

  #make(shape: Shape): Write {
    switch (shape.kind) {
      case "structure":
        return this.#structure(shape);
      case "map":
        return this.#map(shape);
      case "list":
        return this.#list(shape);
      case "string":
        return writeString;
      case "integer":
      case "double":
        return writeNumber;
      case "blob":
        return writeBlob;
      case "timestamp":
        return timestampWriter(shape);
      case "boolean":
      case "document":
        break;
    }
    return (value) => JSON.stringify(value);
  }

  #structure(shape: StructureShape): Write {
    const newMembers = () =>
      shape.members.map((member) => ({ name: member.name, start: `${quoted(this.#nameOf(member))}:`, write: this.of(member.shape) }));
    // Made at first use, because structures may hold themselves.
    let members: ReturnType<typeof newMembers> | undefined;
    return (value) => {
      let text = "{";
      for (const { name, start, write } of (members ??= newMembers())) {
        const one = (value as Record<string, unknown>)[name];
        if (!isAbsent(one)) text += (text === "{" ? "" : ",") + start + write(one);
      }
      const { [OTHERS]: others } = value as WithOthers;
      return others === undefined ? `${text}}` : this.#withOthers(text, shape, others);
    };
  }

  /** What the model has learnt meanwhile is the typed member's to say. */
  #withOthers(start: string, shape: StructureShape, others: object): string {
    const known = new Set(shape.members.map((member) => this.#nameOf(member)));
    let text = start;
    for (const [name, one] of Object.entries(others))
      if (!known.has(name)) text += `${text === "{" ? "" : ","}${quoted(name)}:${JSON.stringify(one)}`;
    return `${text}}`;
  }

  #map(shape: MapShape): Write {
    const write = this.of(shape.value);
    return (value) => {
      let text = "{";
      for (const [key, one] of Object.entries(value as Record<string, unknown>))
        if (!isAbsent(one) || (shape.isSparse && one === null))
          text += `${text === "{" ? "" : ","}${quoted(key)}:${one === null ? "null" : write(one)}`;
      return `${text}}`;
    };
  }

  #list(shape: ListShape): Write {
    const write = this.of(shape.item);
    return (value) => {
      let text = "[";
      for (const one of value as Iterable<unknown>)
        if (!isAbsent(one) || shape.isSparse) text += `${text === "[" ? "" : ","}${isAbsent(one) ? "null" : write(one)}`;
      return `${text}]`;
    };
  }
}

/** Leaves out what is undefined or null and what the shape does not have, but for `OTHERS`. */
export function jsonWriter(nameOf: (member: Member) => string): (shape: Shape, value: unknown) => string {
  const writers = new Writers(nameOf);
  return (shape, value) => writers.of(shape)(value);
}
