// XML elements to typed input and typed output to XML text, by shape: restXml both ways, the answers of the query protocol.
import { decodeText, encodeText, Malformed } from "./scalar.ts";
import type { MapShape, Member, Shape, StructureShape } from "./shape.ts";
import { escapeXml, type XmlElement } from "./xml.ts";

function readMap(shape: MapShape, entries: readonly XmlElement[]): Record<string, unknown> {
  const map = Object.create(null) as Record<string, unknown>;
  for (const entry of entries) {
    const key = entry.children.find(({ name }) => name === shape.keyXmlName);
    const value = entry.children.find(({ name }) => name === shape.valueXmlName);
    if (key === undefined || value === undefined) throw new Malformed("a map entry without its key or value");
    map[key.text] = readXml(shape.value, value);
  }
  return map;
}

function readMember(member: Member, element: XmlElement): unknown {
  const { shape } = member;
  if (member.isAttribute) {
    const text = element.attributes.get(member.xmlName);
    return text === undefined ? undefined : decodeText(shape, text, "date-time");
  }
  const found = element.children.filter(({ name }) => name === member.xmlName);
  const [first] = found;
  if (first === undefined) return undefined;
  if (member.isFlattened && shape.kind === "list") return found.map((one) => readXml(shape.item, one));
  if (member.isFlattened && shape.kind === "map") return readMap(shape, found);
  return readXml(shape, first);
}

/** Throws Malformed. */
export function readXml(shape: Shape, element: XmlElement): unknown {
  if (shape.kind === "structure") {
    const result: Record<string, unknown> = {};
    for (const member of shape.members) {
      const value = readMember(member, element);
      if (value !== undefined) result[member.name] = value;
    }
    return result;
  }
  if (shape.kind === "list")
    return element.children.filter(({ name }) => name === shape.itemXmlName).map((one) => readXml(shape.item, one));
  if (shape.kind === "map")
    return readMap(
      shape,
      element.children.filter(({ name }) => name === "entry"),
    );
  if (element.children.length > 0) throw new Malformed(`an element where text was expected: ${element.name}`);
  return decodeText(shape, shape.kind === "string" ? element.text : element.text.trim(), "date-time");
}

const attributeText = (name: string, value: string) => ` ${name}="${escapeXml(value)}"`;

function writeElement(name: string, shape: Shape, value: unknown, namespace = ""): string {
  if (shape.kind !== "structure") return `<${name}${namespace}>${writeContent(shape, value)}</${name}>`;
  const source = value as Record<string, unknown>;
  let attributes = namespace;
  for (const member of shape.members)
    if (member.isAttribute && source[member.name] !== undefined) attributes += attributeText(member.xmlName, String(source[member.name]));
  return `<${name}${attributes}>${writeContent(shape, value)}</${name}>`;
}

function writeEntries(shape: MapShape, value: Record<string, unknown>, entryName: string): string {
  let text = "";
  for (const [key, one] of Object.entries(value))
    if (one !== undefined && one !== null)
      text += `<${entryName}><${shape.keyXmlName}>${escapeXml(key)}</${shape.keyXmlName}>${writeElement(shape.valueXmlName, shape.value, one)}</${entryName}>`;
  return text;
}

function writeItems(itemShape: Shape, value: Iterable<unknown>, itemName: string): string {
  let text = "";
  for (const one of value) if (one !== undefined && one !== null) text += writeElement(itemName, itemShape, one);
  return text;
}

function writeMember(member: Member, value: unknown): string {
  const { shape, xmlName } = member;
  if (member.isFlattened && shape.kind === "list") return writeItems(shape.item, value as Iterable<unknown>, xmlName);
  if (member.isFlattened && shape.kind === "map") return writeEntries(shape, value as Record<string, unknown>, xmlName);
  const [prefix, uri] = member.xmlNamespace ?? [];
  const namespace = uri === undefined ? "" : attributeText(prefix === undefined || prefix === "" ? "xmlns" : `xmlns:${prefix}`, uri);
  return writeElement(xmlName, shape, value, namespace);
}

/** What stands between the start and the end tag. */
export function writeContent(shape: Shape, value: unknown): string {
  if (shape.kind === "structure") {
    const source = value as Record<string, unknown>;
    let text = "";
    for (const member of shape.members) {
      const one = source[member.name];
      if (one !== undefined && one !== null && !member.isAttribute) text += writeMember(member, one);
    }
    return text;
  }
  if (shape.kind === "list") return writeItems(shape.item, value as Iterable<unknown>, shape.itemXmlName);
  if (shape.kind === "map") return writeEntries(shape, value as Record<string, unknown>, "entry");
  return escapeXml(encodeText(shape, value, "date-time"));
}

/** A whole document with `name` as its root. */
export function writeDocument(name: string, xmlNamespace: string, shape: StructureShape, value: unknown): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${writeElement(name, shape, value, attributeText("xmlns", xmlNamespace))}`;
}
