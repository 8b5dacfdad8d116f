// What a subscriber of the Telemetry API or the Logs API sees of an event: the record, in the schema that it has chosen.
// https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
import { recordOf, typeOf, type PlatformEvent } from "./report.ts";

export type TelemetrySchema = "2022-07-01" | "2022-12-13" | "2025-01-29";
export type LogsSchema = "2020-08-15" | "2021-03-18";

/** Something that happened, before it has a schema. */
export type Happening = {
  readonly timestampMs: number;
  /** Of the invocation that it belongs to. */
  readonly tracing?: { readonly requestId: string; readonly value: string; readonly startedMs: number } | undefined;
} & (
  | { readonly source: "platform"; readonly event: PlatformEvent }
  | { readonly source: "function" | "extension"; readonly text: string; readonly isJson: boolean }
);

interface TelemetryEvent {
  readonly time: string;
  readonly type: string;
  readonly record: unknown;
}

export const timeOf = (timestampMs: number): string => new Date(timestampMs).toISOString();

/** Undefined: this schema does not have it. */
export function telemetryEvent(happening: Happening, schema: TelemetrySchema | LogsSchema): readonly TelemetryEvent[] {
  const time = timeOf(happening.timestampMs);
  if (happening.source !== "platform") return [{ time, type: happening.source, record: textRecord(happening, schema) }];
  if (schema === "2020-08-15" || schema === "2021-03-18") return logsEvents(time, happening.event, schema);
  if (happening.event.kind === "end") return [];
  return [{ time, type: typeOf(happening.event), record: { ...recordOf(happening.event), ...traced(happening) } }];
}

/** Functions with a JSON log have their lines as objects, since there is a schema for that. */
function textRecord({ text, isJson }: { text: string; isJson: boolean }, schema: TelemetrySchema | LogsSchema): unknown {
  if (!isJson || (schema !== "2022-12-13" && schema !== "2025-01-29") || !text.startsWith("{")) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // It only begins like JSON.
    return text;
  }
}

function traced({ tracing, source, ...rest }: Happening): object {
  const event = "event" in rest ? rest.event : undefined;
  if (source !== "platform" || event === undefined || tracing === undefined) return {};
  if (!("requestId" in event) || event.requestId !== tracing.requestId) return {};
  const trace = { tracing: { type: "X-Amzn-Trace-Id", value: tracing.value } };
  if (event.kind !== "runtimeDone" || event.status !== "success") return trace;
  return { ...trace, spans: spansOf(tracing.startedMs, event) };
}

type Spans = Record<"latencyMs" | "durationMs" | "overheadMs", number>;

const toMicrosecond = (ms: number) => Math.round(ms * 1000) / 1000;

/** Until the response began, until it was there, and until the runtime was ready for the next invocation. */
function spansOf(startedMs: number, { latencyMs, durationMs, overheadMs }: Spans): object[] {
  const from = (ms: number) => timeOf(startedMs + Math.floor(ms));
  return [
    { name: "responseLatency", start: from(0), durationMs: latencyMs },
    { name: "responseDuration", start: from(latencyMs), durationMs: toMicrosecond(durationMs - latencyMs) },
    { name: "runtimeOverhead", start: from(durationMs), durationMs: toMicrosecond(overheadMs) },
  ];
}

/** The older API has fewer events, in its own words. */
function logsEvents(time: string, event: PlatformEvent, schema: LogsSchema): readonly TelemetryEvent[] {
  const type = typeOf(event);
  if (event.kind === "start" || event.kind === "end" || event.kind === "extension" || event.kind === "subscription")
    return [{ time, type, record: recordOf(event) }];
  if (event.kind === "report") {
    const { requestId, metrics } = recordOf(event) as { requestId: string; metrics: object };
    return [{ time, type, record: { requestId, metrics } }];
  }
  if (event.kind !== "runtimeDone") return [];
  const { requestId, status } = event;
  const isFault = status === "failure";
  const fault = `RequestId: ${requestId} Process exited before completing request`;
  return [
    ...(isFault ? [{ time, type: "platform.fault", record: fault }] : []),
    ...(schema === "2021-03-18" ? [{ time, type, record: { requestId, status } }] : []),
  ];
}
