// Which operation a REST request calls, from the URI templates of the model; matched on the raw path, labels decoded afterwards.
import type { OperationModel, ServiceModel } from "./model.ts";
import type { Labels, Query } from "./protocol.ts";
import type { WireRequest } from "./request.ts";
import { Malformed } from "./scalar.ts";
import type { Member } from "./shape.ts";

export interface Route {
  readonly operation: OperationModel;
  readonly labels: Labels;
}

interface Router {
  /** `undefined`: there is no such operation. Throws Malformed for a label that is not valid percent-encoding. */
  readonly match: (request: WireRequest, query: Query) => Route | undefined;
}

/** One operation at the end of a path: several may share it and are told apart by query and headers. */
interface Candidate {
  readonly operation: OperationModel;
  readonly labelNames: readonly string[];
  /** Literal query parameters; `undefined`: any value. */
  readonly literals: readonly (readonly [name: string, value: string | undefined])[];
  readonly requiredQuery: readonly string[];
  readonly requiredHeaders: readonly string[];
  /** S3's templates leave out the bucket, which stands in the path or in the host name. */
  readonly takesBucket: boolean;
}

interface Node {
  readonly literals: Map<string, Node>;
  label?: Node;
  /** A label that takes the rest of the path, slashes included. */
  greedy?: Candidate[];
  readonly here: Candidate[];
}

const newNode = (): Node => ({ literals: new Map(), here: [] });
const LABEL = /^\{([^}+]+)(\+?)\}$/;

function candidateOf(operation: OperationModel, labelNames: readonly string[], literalQuery: string | undefined): Candidate {
  const parts = literalQuery === undefined ? [] : literalQuery.split("&").map((part) => part.split("="));
  const required = (place: Member["binding"]["place"]) =>
    (operation.input?.members ?? [])
      .filter((member) => member.isRequired && member.binding.place === place)
      .map((member) => member.binding.name);
  const labels = (operation.input?.members ?? []).filter(({ binding }) => binding.place === "label");
  return {
    operation,
    labelNames,
    // `x-id` repeats the operation's name and only some clients send it.
    literals: parts.filter(([name]) => name !== "x-id").map(([name, value]) => [name ?? "", value] as const),
    requiredQuery: required("query"),
    requiredHeaders: required("header"),
    takesBucket: labels.some(({ name }) => name === "Bucket" && !labelNames.includes(name)),
  };
}

function add(root: Node, operation: OperationModel, uri: string): void {
  const [path = "/", literalQuery] = uri.split("?");
  const labelNames: string[] = [];
  let node = root;
  const segments = path.split("/").filter((segment) => segment !== "");
  for (const segment of segments) {
    const label = LABEL.exec(segment);
    if (label?.[1] !== undefined) labelNames.push(label[1]);
    if (label?.[2] === "+") {
      (node.greedy ??= []).push(candidateOf(operation, labelNames, literalQuery));
      return;
    }
    if (label !== null) node = node.label ??= newNode();
    else {
      let next = node.literals.get(segment);
      if (next === undefined) node.literals.set(segment, (next = newNode()));
      node = next;
    }
  }
  node.here.push(candidateOf(operation, labelNames, literalQuery));
}

const needs = (one: Candidate) => one.requiredQuery.length + one.requiredHeaders.length;

// The most specific first, so that the first one that fits is the right one.
function sortCandidates(node: Node): void {
  for (const list of [node.here, node.greedy ?? []]) list.sort((a, b) => b.literals.length - a.literals.length || needs(b) - needs(a));
  for (const child of node.literals.values()) sortCandidates(child);
  if (node.label !== undefined) sortCandidates(node.label);
}

interface Found {
  readonly candidates: readonly Candidate[];
  readonly values: readonly string[];
}

function walk(node: Node, segments: readonly string[], at: number, values: readonly string[]): Found | undefined {
  const segment = segments[at];
  // Old clients end some paths with a slash.
  const isEnd = segment === undefined || (segment === "" && at === segments.length - 1);
  if (isEnd && node.here.length > 0) return { candidates: node.here, values };
  if (segment === undefined) return undefined;
  const literal = node.literals.get(segment);
  const found = literal === undefined ? undefined : walk(literal, segments, at + 1, values);
  if (found !== undefined) return found;
  const labelled = node.label === undefined || segment === "" ? undefined : walk(node.label, segments, at + 1, [...values, segment]);
  if (labelled !== undefined || node.greedy === undefined || isEnd) return labelled;
  return { candidates: node.greedy, values: [...values, segments.slice(at).join("/")] };
}

const fits = (one: Candidate, query: Query, hasBucket: boolean) =>
  one.takesBucket === hasBucket &&
  one.literals.every(([name, value]) => (value === undefined ? query.has(name) : query.get(name)?.[0] === value));

const hasRequired = (one: Candidate, query: Query, request: WireRequest) =>
  one.requiredQuery.every((name) => query.has(name)) && one.requiredHeaders.every((name) => request.headers.has(name));

/**
 * Of the operations that share a path, the one with the most literals that fit. When that one lacks a required parameter it is still
 * the one that was meant, so that the answer is "member must not be null" and never another operation.
 */
function choose(candidates: readonly Candidate[], query: Query, request: WireRequest, hasBucket: boolean): Candidate | undefined {
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) return fits(only, query, hasBucket) ? only : undefined;
  const fitting = candidates.filter((one) => fits(one, query, hasBucket));
  const [first] = fitting;
  if (first === undefined || hasRequired(first, query, request)) return first;
  const equals = fitting.filter((one) => one.literals.length === first.literals.length);
  return equals.find((one) => hasRequired(one, query, request)) ?? equals.at(-1);
}

function decodeLabel(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new Malformed("the path is not valid percent-encoding", { cause });
  }
}

function takeBucket(request: WireRequest): { bucket: string; path: string } {
  const { rawPath, hostBucket } = request;
  if (hostBucket !== undefined) return { bucket: hostBucket, path: rawPath };
  const slash = rawPath.indexOf("/", 1);
  if (slash === -1) return { bucket: rawPath.slice(1), path: "/" };
  return { bucket: rawPath.slice(1, slash), path: rawPath.slice(slash) };
}

export function router(model: ServiceModel): Router {
  const root = newNode();
  for (const operation of model.operations.values())
    if (operation.http !== undefined) add(rootOf(root, operation), operation, operation.http.uri);
  sortCandidates(root);
  const hasBuckets = model.protocol === "rest-xml";
  return {
    match(request, query) {
      const { bucket, path } = hasBuckets ? takeBucket(request) : { bucket: "", path: request.rawPath };
      const start = root.literals.get(request.method);
      const found = start === undefined ? undefined : walk(start, path.slice(1).split("/"), 0, []);
      if (found === undefined) return undefined;
      const chosen = choose(found.candidates, query, request, bucket !== "");
      if (chosen === undefined) return undefined;
      const labels = new Map<string, string>();
      for (const [index, name] of chosen.labelNames.entries()) labels.set(name, decodeLabel(found.values[index] ?? ""));
      if (bucket !== "") labels.set("Bucket", decodeLabel(bucket));
      return { operation: chosen.operation, labels };
    },
  };
}

/** Methods are the first step of the tree. */
function rootOf(root: Node, operation: OperationModel): Node {
  const method = operation.http?.method ?? "";
  let node = root.literals.get(method);
  if (node === undefined) root.literals.set(method, (node = newNode()));
  return node;
}
