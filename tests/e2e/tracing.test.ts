// Traces of functions in real sandboxes: what Lambda and the function itself tell X-Ray, and how it is read.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BatchGetTracesCommand, GetTraceSummariesCommand } from "@aws-sdk/client-xray";
import { eventually } from "../support/eventually.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";

interface Document {
  readonly id: string;
  readonly name: string;
  readonly parent_id?: string;
  readonly trace_id: string;
  readonly origin?: string;
  readonly fault?: boolean;
  readonly subsegments?: readonly { readonly id: string; readonly name: string }[];
}

const HANDLER = `
import os
def handler(event, context):
    if event.get("fails"):
        raise ValueError("no")
    return os.environ["_X_AMZN_TRACE_ID"]
`;
/** What X-Ray's SDKs do: a datagram with a line of their protocol and the document. */
const SENDER = `
import json, os, socket, time
def handler(event, context):
    trace = dict(part.split("=") for part in os.environ["_X_AMZN_TRACE_ID"].split(";"))
    host, port = os.environ["AWS_XRAY_DAEMON_ADDRESS"].split(":")
    now = time.time()
    document = {"id": "1111222233334444", "name": "work", "type": "subsegment", "trace_id": trace["Root"], "parent_id": trace["Parent"], "start_time": now, "end_time": now}
    data = b'{"format": "json", "version": 1}\\n' + json.dumps(document).encode()
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(data, (host, int(port)))
    return os.environ["_X_AMZN_TRACE_ID"]
`;
const ACTIVE = { TracingConfig: { Mode: "Active" } } as const;

let server: LambentProcess;
let clients: ReturnType<LambentProcess["clients"]>;
let role: string;
before(async () => {
  server = await startLambent();
  clients = server.clients();
  role = await makeRole(clients.iam, "traced", ["AWSXRayDaemonWriteAccess"]);
});
after(() => server.dispose());

const fieldOf = (header: unknown, name: string) => new RegExp(`${name}=([^;]+)`).exec(String(header))?.[1] ?? "";

/** Lambda's two segments of a trace. */
async function segmentsOf(traceId: string): Promise<{ readonly service: Document; readonly own: Document }> {
  const { Traces = [] } = await clients.xray.send(new BatchGetTracesCommand({ TraceIds: [traceId] }));
  const documents = (Traces[0]?.Segments ?? []).map(({ Document = "" }) => JSON.parse(Document) as Document);
  assert.equal(documents.length, 2);
  const of = (origin: string) => documents.find((one) => one.origin === origin) ?? assert.fail(origin);
  return { service: of("AWS::Lambda"), own: of("AWS::Lambda::Function") };
}

const namesIn = ({ subsegments = [] }: Document) => subsegments.map(({ name }) => name);

test("an invocation of a function with active tracing can be read, and stands in its log", async () => {
  await makeFunction(clients.lambda, { name: "traced", role, code: HANDLER, settings: ACTIVE });
  const fromMs = Date.now() - 1000;
  const { value, log } = await call(clients.lambda, "traced");
  const traceId = fieldOf(value, "Root");
  assert.equal(fieldOf(value, "Sampled"), "1");
  const { service, own } = await segmentsOf(traceId);
  assert.deepEqual([own.parent_id, own.id], [service.id, fieldOf(value, "Parent")]);
  assert.deepEqual(namesIn(own), ["Init"]);
  assert.ok(log.includes(`\nXRAY TraceId: ${traceId}\tSegmentId: ${own.id}\tSampled: true`), log);
  const [StartTime, EndTime] = [new Date(fromMs), new Date(Date.now() + 1000)];
  const { TraceSummaries = [] } = await clients.xray.send(new GetTraceSummariesCommand({ StartTime, EndTime }));
  assert.deepEqual(
    TraceSummaries.map(({ Id, HasFault }) => [Id, HasFault]),
    [[traceId, false]],
  );
});

test("an error is the fault of the function, and is kept with the reason", async () => {
  await makeFunction(clients.lambda, { name: "failing", role, code: HANDLER, settings: ACTIVE });
  const { log, functionError } = await call(clients.lambda, "failing", { fails: true });
  assert.equal(functionError, "Unhandled");
  const traceId = /XRAY TraceId: (\S+)/.exec(log)?.[1] ?? assert.fail(log);
  const { own } = await segmentsOf(traceId);
  assert.equal(own.fault, true);
  assert.match(JSON.stringify(own), /"type":"ValueError","message":"no"/);
});

test("what a function sends to the daemon's address stands below its segment", async () => {
  await makeFunction(clients.lambda, { name: "sender", role, code: SENDER, settings: ACTIVE });
  const { value } = await call(clients.lambda, "sender");
  // The datagram is on its way while the answer is.
  await eventually("the function's own segment", async () => namesIn((await segmentsOf(fieldOf(value, "Root"))).own).includes("work"));
});

test("what was recorded is there after a restart of the server that was killed", async () => {
  await makeFunction(clients.lambda, { name: "kept", role, code: HANDLER, settings: ACTIVE });
  const { value } = await call(clients.lambda, "kept");
  const traceId = fieldOf(value, "Root");
  const recorded = await segmentsOf(traceId);
  await server.end("SIGKILL");
  server = await startLambent({ dataDirectory: server.dataDirectory });
  clients = server.clients();
  assert.deepEqual(await segmentsOf(traceId), recorded);
});
