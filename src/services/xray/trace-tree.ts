// The documents of a trace as one reads them: a subsegment that was sent by itself stands in the segment that it belongs to.
import type { TraceSegment } from "../../store/trace-store.ts";
import { isObject, type SegmentDocument } from "./segment-document.ts";

export interface SegmentNode {
  readonly segment: TraceSegment;
  readonly document: SegmentDocument;
  /** Something was put into the document. */
  readonly isChanged: boolean;
}

interface Read {
  readonly segment: TraceSegment;
  readonly document: Record<string, unknown>;
  isChanged: boolean;
}

/** Subsegments of subsegments that were all sent by themselves; what is below begins a document of its own. */
const LEVELS_MAX = 30;

const textOf = (value: unknown) => (typeof value === "string" ? value.toLowerCase() : "");
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** The document and all that stands in it. */
export function* withSubsegments(document: SegmentDocument): Iterable<SegmentDocument> {
  yield document;
  for (const one of listOf(document["subsegments"])) if (isObject(one)) yield* withSubsegments(one);
}

/** In order of their starts, as they are given; no subsegment is lost, nor is there twice. */
export function treeOf(segments: readonly TraceSegment[]): readonly SegmentNode[] {
  const all = segments.map((segment): Read => ({
    segment,
    document: JSON.parse(segment.document) as Record<string, unknown>,
    isChanged: false,
  }));
  const within = new Set(all.flatMap(({ document }) => [...withSubsegments(document)].slice(1).map(({ id }) => textOf(id))));
  const isLate = ({ document }: Read) => document["type"] === "subsegment";
  // The segment that has ended brings again what was sent ahead of it.
  const read = all.filter((one) => !(isLate(one) && within.has(one.segment.id)));
  const known = new Set([...within, ...read.map(({ segment }) => segment.id)]);
  const children = Map.groupBy(read.filter(isLate), ({ document }) => textOf(document["parent_id"]));
  const placed = new Set<Read>();
  const roots = [
    ...read.filter((one) => !isLate(one) || !known.has(textOf(one.document["parent_id"]))),
    // Parents of each other, and what is too deep.
    ...read.filter(isLate),
  ];
  const top = roots.filter((root) => {
    if (placed.has(root)) return false;
    placed.add(root);
    adopt(root, children, placed);
    return true;
  });
  return top.toSorted((a, b) => a.segment.startMs - b.segment.startMs);
}

function adopt(root: Read, children: ReadonlyMap<string, readonly Read[]>, placed: Set<Read>): void {
  let level = [root];
  for (let depth = 0; depth < LEVELS_MAX && level.length > 0; depth++) {
    const next: Read[] = [];
    for (const { document } of level) {
      // All at first: what is put in below is the next level.
      const nodes = [...withSubsegments(document)];
      for (const node of nodes) {
        const own = (children.get(textOf(node["id"])) ?? []).filter((child) => !placed.has(child));
        if (own.length === 0) continue;
        for (const child of own) placed.add(child);
        (node as Record<string, unknown>)["subsegments"] = [...listOf(node["subsegments"]), ...own.map((child) => child.document)];
        root.isChanged = true;
        next.push(...own);
      }
    }
    level = next;
  }
}
