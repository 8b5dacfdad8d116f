// What a trace's segments say of it in short.
// https://docs.aws.amazon.com/xray/latest/api/API_TraceSummary.html
import type * as client from "@aws-sdk/client-xray";
import type { Trace } from "../../store/trace-store.ts";
import { durationOf } from "./batch-get-traces.ts";
import { isObject, type SegmentDocument } from "./segment-document.ts";
import { treeOf, withSubsegments, type SegmentNode } from "./trace-tree.ts";

const objectIn = (document: SegmentDocument, field: string): SegmentDocument => {
  const value = document[field];
  return isObject(value) ? value : {};
};
const textIn = (document: SegmentDocument, field: string): string | undefined => {
  const value = document[field];
  return typeof value === "string" ? value : undefined;
};

export function summaryOf(account: string, trace: Trace): client.TraceSummary {
  const nodes = treeOf(trace.segments);
  const root = rootOf(nodes);
  const services = new Services(account);
  const ids = nodes.map(({ document }) => services.of(document));
  return {
    Id: trace.traceId,
    StartTime: new Date(trace.segments.reduce((least, { startMs }) => Math.min(least, startMs), Infinity)),
    Duration: durationOf(trace.segments),
    ResponseTime: root === undefined ? undefined : durationOf([root.segment]),
    HasFault: root?.document["fault"] === true,
    HasError: root?.document["error"] === true,
    HasThrottle: nodes.some(({ document }) => document["throttle"] === true),
    IsPartial: trace.segments.some(({ endMs }) => endMs === undefined),
    Http: root === undefined ? {} : httpOf(root.document),
    Annotations: annotationsOf(nodes, services),
    Users: usersOf(nodes, services),
    ServiceIds: [...new Set(ids)],
    ResourceARNs: [...new Set(nodes.flatMap(({ document }) => textIn(document, "resource_arn") ?? []))].map((ARN) => ({ ARN })),
    EntryPoint: root === undefined ? undefined : services.of(root.document),
  };
}

/** The first that nothing in the trace has called. */
function rootOf(nodes: readonly SegmentNode[]): SegmentNode | undefined {
  const known = new Set(nodes.flatMap(({ document }) => [...withSubsegments(document)].map(({ id }) => id)));
  return nodes.find(({ document }) => !known.has(document["parent_id"])) ?? nodes[0];
}

/** One object for each service, whatever tells of it. */
class Services {
  readonly #account: string;
  readonly #known = new Map<string, client.ServiceId>();

  constructor(account: string) {
    this.#account = account;
  }

  of(document: SegmentDocument): client.ServiceId {
    const [Name = "", Type] = [textIn(document, "name"), textIn(document, "origin")];
    const key = `${Type} ${Name}`;
    const service = this.#known.get(key) ?? { Name, Names: [Name], AccountId: this.#account, ...(Type === undefined ? {} : { Type }) };
    this.#known.set(key, service);
    return service;
  }
}

function httpOf(document: SegmentDocument): client.Http {
  const http = objectIn(document, "http");
  const request = objectIn(http, "request");
  const status = objectIn(http, "response")["status"];
  return {
    HttpURL: textIn(request, "url"),
    HttpMethod: textIn(request, "method"),
    UserAgent: textIn(request, "user_agent"),
    ClientIp: textIn(request, "client_ip"),
    HttpStatus: Number.isInteger(status) ? Number(status) : undefined,
  };
}

function annotationsOf(nodes: readonly SegmentNode[], services: Services): Record<string, client.ValueWithServiceIds[]> {
  const found = new Map<string, Map<unknown, Set<client.ServiceId>>>();
  for (const { document } of nodes)
    for (const one of withSubsegments(document))
      for (const [key, value] of Object.entries(objectIn(one, "annotations"))) {
        const values = found.get(key) ?? new Map<unknown, Set<client.ServiceId>>();
        found.set(key, values.set(value, (values.get(value) ?? new Set()).add(services.of(document))));
      }
  return Object.fromEntries([...found].map(([key, values]) => [key, [...values].flatMap(([value, of]) => annotation(value, [...of]))]));
}

function annotation(value: unknown, ServiceIds: client.ServiceId[]): client.ValueWithServiceIds[] {
  if (typeof value === "string") return [{ AnnotationValue: { StringValue: value }, ServiceIds }];
  if (typeof value === "boolean") return [{ AnnotationValue: { BooleanValue: value }, ServiceIds }];
  return typeof value === "number" ? [{ AnnotationValue: { NumberValue: value }, ServiceIds }] : [];
}

function usersOf(nodes: readonly SegmentNode[], services: Services): client.TraceUser[] {
  const withUser = nodes.filter(({ document }) => textIn(document, "user") !== undefined);
  const users = Map.groupBy(withUser, ({ document }) => textIn(document, "user"));
  return [...users].map(([UserName, of]) => ({ UserName, ServiceIds: [...new Set(of.map(({ document }) => services.of(document)))] }));
}
