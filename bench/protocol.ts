// CPU time of one request through the front door (SigV4, decode, access, validate, encode) above that of a bare node:http server.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import * as lambda from "@aws-sdk/client-lambda";
import * as sqs from "@aws-sdk/client-sqs";
import { systemClock } from "../src/base/clock.ts";
import { jsonLog } from "../src/base/log.ts";
import { fakeDoor, fakeService, type FakeDoor } from "../src/aws/fake-service.ts";
import { cpuMicroseconds, describeResult, median, repeat, summarise, type Result } from "./support/measure.ts";

interface Load {
  readonly port: number;
  /** The request as it goes over the wire, in base64. */
  readonly request: string;
  readonly count: number;
}

const CONNECTIONS = 8;
const RUNS = 9;
const REQUESTS = 4000;
/** Until the compiler is done with both sides: before that the figures fall from run to run. */
const WARM_UPS = 12;

/** Length of the first response in `bytes`; 0 while it is incomplete. */
function responseLength(bytes: Buffer): number {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return 0;
  const head = bytes.toString("latin1", 0, end);
  if (!head.startsWith("HTTP/1.1 200")) throw new Error(`unexpected response: ${bytes.toString("latin1", 0, 400)}`);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  return bytes.length >= end + 4 + length ? end + 4 + length : 0;
}

/** Sends the same request over one connection, one after the other, until `take` says that there are enough. */
async function drive(port: number, request: Buffer, take: () => boolean): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let buffered: Buffer = Buffer.alloc(0);
  const next = () => (take() ? socket.write(request) : socket.end(resolve));
  socket.on("error", reject).on("data", (chunk: Buffer) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    const length = responseLength(buffered);
    if (length === 0) return;
    buffered = buffered.subarray(length);
    next();
  });
  next();
  await promise;
}

/** The side that sends, in a process of its own, so that its CPU time is not counted. */
function serveLoads(): void {
  process.on("message", (load: Load) => {
    let left = load.count;
    const request = Buffer.from(load.request, "base64");
    const drivers = Array.from({ length: CONNECTIONS }, () => drive(load.port, request, () => left-- > 0));
    Promise.all(drivers).then(
      () => process.send?.("done"),
      (cause: unknown) => process.send?.(String(cause)),
    );
  });
}

async function send(child: ChildProcess, load: Load): Promise<void> {
  child.send(load);
  const [answer] = (await once(child, "message")) as [string];
  if (answer !== "done") throw new Error(answer);
}

/** A connection without a kernel: every answer makes it send the same request again, `count` times in all. */
class MemoryConnection extends Duplex {
  readonly #request: Buffer;
  readonly #done: () => void;
  #left: number;
  #isAnswered = false;

  constructor(request: Buffer, count: number, done: () => void) {
    super();
    this.#request = request;
    this.#left = count;
    this.#done = done;
  }

  start(): void {
    if (this.#left-- > 0) this.push(this.#request);
    else this.#done();
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
    // Head and body of an answer may be two writes of one turn.
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    setImmediate(() => {
      this.#isAnswered = false;
      this.start();
    });
  }

  // What servers call on a socket.
  setTimeout(): this {
    return this;
  }
}

/** CPU microseconds of one request, without sockets: what is left is our own work, and Node's HTTP. */
async function memoryCostOf(serve: (connection: Socket) => void, request: Buffer): Promise<number> {
  const before = cpuMicroseconds();
  await new Promise<void>((resolve) => {
    const connection = new MemoryConnection(request, REQUESTS, resolve);
    serve(connection as unknown as Socket);
    connection.start();
  });
  return (cpuMicroseconds() - before) / REQUESTS;
}

/** CPU microseconds of this process for each request over loopback, the kernel's share included. */
async function costOf(child: ChildProcess, port: number, request: Buffer): Promise<number> {
  const before = cpuMicroseconds();
  await send(child, { port, request: request.toString("base64"), count: REQUESTS });
  return (cpuMicroseconds() - before) / REQUESTS;
}

const configuration: lambda.FunctionConfiguration = {
  FunctionName: "resize",
  FunctionArn: "arn:aws:lambda:eu-west-1:000000000000:function:resize",
  Runtime: "nodejs24.x",
  Role: "arn:aws:iam::000000000000:role/resize",
  Handler: "index.handler",
  CodeSize: 10_240,
  Timeout: 3,
  MemorySize: 128,
  LastModified: "2026-01-01T00:00:00.000+0000",
  CodeSha256: "a".repeat(44),
  Version: "$LATEST",
  Environment: { Variables: { STAGE: "production" } },
  TracingConfig: { Mode: "PassThrough" },
  RevisionId: "5c1f1f0e-8f0c-4f5e-9d0a-0f8f0a5e3a11",
  State: "Active",
  LastUpdateStatus: "Successful",
  PackageType: "Zip",
  Architectures: ["x86_64"],
  EphemeralStorage: { Size: 512 },
};

const text = JSON.stringify({ key: "x".repeat(1000) });
const sent: sqs.SendMessageResult = { MessageId: "5c1f1f0e-8f0c-4f5e-9d0a-0f8f0a5e3a11", MD5OfMessageBody: "a".repeat(32) };

const services = [
  fakeService("lambda", lambda, "LambdaClient", {
    GetFunctionConfiguration: () => configuration,
    Invoke: (_context, input) => ({ StatusCode: 200, ExecutedVersion: "$LATEST", Payload: input.Payload as never }),
  }),
  fakeService("sqs", sqs, "SQSClient", { SendMessage: () => sent }),
];

interface HttpMessage {
  readonly method: string;
  readonly path: string;
  readonly query: Record<string, string>;
  readonly headers: Record<string, string>;
  readonly body?: Uint8Array;
}

interface RequestTaker {
  handle(request: HttpMessage): Promise<never>;
}

/** The bytes that an official client with this request handler sends for a command: signed, with all of its headers. */
async function bytesOf(call: (requestHandler: RequestTaker) => Promise<unknown>): Promise<Buffer> {
  const { promise: taken, resolve } = Promise.withResolvers<HttpMessage>();
  const handler: RequestTaker = {
    handle(request) {
      resolve(request);
      return Promise.reject(new Error("the request is not sent"));
    },
  };
  await call(handler).catch(() => undefined);
  const { method, path, headers, body = new Uint8Array() } = await taken;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`, "latin1"), body]);
}

/** Reads the request and answers with as many bytes as the front door does. */
async function bareServer(answer: Buffer): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    request.on("data", () => {});
    request.on("end", () => response.writeHead(200, { "content-type": "application/json", "content-length": answer.length }).end(answer));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

interface Cost {
  readonly bare: number;
  readonly full: number;
}

/** Both sides are warm before the first sample, and take turns, so that a noisy machine is noisy for both. */
async function compare(name: string, bare: () => Promise<number>, full: () => Promise<number>): Promise<Result[]> {
  const sample = async (): Promise<Cost> => ({ bare: await bare(), full: await full() });
  await repeat(WARM_UPS, sample);
  const costs = await repeat(RUNS, sample);
  const all = summarise(
    name,
    "us",
    costs.map((cost) => cost.full),
    median(costs.map((cost) => cost.bare)),
  );
  const above = summarise(
    "  … above the bare server",
    "us",
    costs.map((cost) => cost.full - cost.bare),
  );
  return [all, above];
}

async function compareRequest(child: ChildProcess, name: string, fake: FakeDoor, request: Buffer, answer: Buffer): Promise<Result[]> {
  const { server, port } = await bareServer(answer);
  const results = [
    ...(await compare(
      `protocol: ${name}, CPU without sockets`,
      () => memoryCostOf((connection) => server.emit("connection", connection), request),
      () => memoryCostOf((connection) => fake.door.accept(connection, { sandboxId: "bench" }), request),
    )),
    ...(await compare(
      `protocol: ${name}, CPU over loopback`,
      () => costOf(child, port, request),
      () => costOf(child, fake.port, request),
    )),
  ];
  server.close();
  return results;
}

const FunctionName = "resize";

export async function run(): Promise<Result[]> {
  const child = fork(fileURLToPath(import.meta.url), ["load"]);
  const log = jsonLog({ clock: systemClock, level: "info", write: () => {} });
  const door = await fakeDoor(services, { log });
  const settings = (requestHandler: RequestTaker) => ({ ...door.settings(), requestHandler: requestHandler as never });
  const bytesOfLambda = (call: (client: lambda.LambdaClient) => Promise<unknown>) =>
    bytesOf((handler) => call(new lambda.LambdaClient(settings(handler))));
  try {
    const get = await bytesOfLambda((client) => client.send(new lambda.GetFunctionConfigurationCommand({ FunctionName })));
    const payload = Buffer.from(text);
    const invoke = await bytesOfLambda((client) => client.send(new lambda.InvokeCommand({ FunctionName, Payload: payload })));
    const toQueue = new sqs.SendMessageCommand({ QueueUrl: `${door.endpoint}/000000000000/jobs`, MessageBody: text });
    const message = await bytesOf((handler) => new sqs.SQSClient(settings(handler)).send(toQueue));
    return [
      ...(await compareRequest(child, "GetFunctionConfiguration", door, get, Buffer.from(JSON.stringify(configuration)))),
      ...(await compareRequest(child, "Invoke with 1 KB", door, invoke, payload)),
      ...(await compareRequest(child, "SendMessage with 1 KB", door, message, Buffer.from(JSON.stringify(sent)))),
    ];
  } finally {
    child.kill();
    await door.door.close();
  }
}

if (import.meta.main && process.argv[2] === "load") serveLoads();
else if (import.meta.main) for (const result of await run()) console.log(describeResult(result));
