// The listener: HTTP/1.1 and cleartext HTTP/2 on one port, from the network and from inside sandboxes, to the services.
import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Session } from "node:http2";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { Readable, type Duplex } from "node:stream";
import { requestId } from "../base/id.ts";
import { CONNECTIONS_BY_FILES } from "../base/open-files.ts";
import { CommonFault } from "./fault.ts";
import { admit, hostRules, type Admitted } from "./guard.ts";
import type { FunctionUrlHost, WireRequest, WireResponse } from "./request.ts";
import { OWN_PATH } from "./own-api.ts";
import { PlainConnection, type PlainAnswer, type PlainRequest } from "./plain-connection.ts";
import { rawRefusal, refusal, respond } from "./respond.ts";
import { awsServices, type ServicesOptions } from "./service.ts";

/** Where a connection comes from that did not come through the listening port. */
interface SandboxOrigin {
  readonly sandboxId: string;
}

export interface FrontDoorOptions extends ServicesOptions {
  /** Names besides localhost under which clients reach the server; `*.example.com` for all names below one. */
  readonly hostNames: readonly string[];
  /** What anybody may read by its path, without a signature; undefined for paths that are for the services. */
  readonly documents?: (path: string) => Promise<WireResponse> | undefined;
  readonly timeouts?: Partial<Timeouts>;
  /** Answers requests below `/v2/` that carry no signature of AWS's: Docker's protocol. Must not reject. */
  readonly registry?: (request: WireRequest) => Promise<WireResponse>;
  /** Serves function URLs; absent: they are refused. */
  readonly functionUrls?: (request: WireRequest, host: FunctionUrlHost) => Promise<WireResponse>;
  /** Lambent's own API, under OWN_PATH; never rejects. */
  readonly own?: (request: WireRequest) => Promise<WireResponse>;
}

export interface Timeouts {
  /** Until the head of a request is complete. */
  readonly headersMs: number;
  /** Between two pieces of a request body. */
  readonly bodyIdleMs: number;
  /** Between two requests of a connection. */
  readonly keepAliveMs: number;
  /** For requests in flight when the server stops. */
  readonly graceMs: number;
}

export interface FrontDoor {
  /** Port 0 takes a free one. Rejects when the address can't be had. */
  listen(port: number, host: string): Promise<{ port: number }>;
  /** Serves a connection from inside a sandbox's network namespace. */
  accept(socket: Socket, origin: SandboxOrigin): void;
  /** Stops accepting at once; requests in flight may finish until the deadline, then their connections are cut. */
  close(): Promise<void>;
}

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

const TIMEOUTS: Timeouts = { headersMs: 10_000, bodyIdleMs: 20_000, keepAliveMs: 60_000, graceMs: 10_000 };
const CONNECTIONS_MAX = Math.min(10_000, CONNECTIONS_BY_FILES);
/** Of one sandbox, and of all together: what functions open must leave the server descriptors for everybody else. */
const SANDBOX_CONNECTIONS_MAX = 1000;
const SANDBOXES_CONNECTIONS_MAX = Math.min(8000, CONNECTIONS_BY_FILES);
const HEADER_BYTES_MAX = 16 * 1024;
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** How often Node looks for heads that take too long. */
const CHECK_INTERVAL_MS = 1000;

const HEALTHY: WireResponse = { status: 200, headers: { "content-type": "application/json" }, body: '{"status":"ok"}' };

class Listener implements FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #timeouts: Timeouts;
  readonly #services: ReturnType<typeof awsServices>;
  readonly #net = createServer({ noDelay: true, allowHalfOpen: true });
  readonly #http1;
  readonly #http2;
  readonly #networkHosts;
  readonly #sandboxHosts = hostRules([], "sandbox");
  readonly #sockets = new Set<Socket>();
  /** Those that have not been left to Node's servers. */
  readonly #plain = new Map<Socket, PlainConnection>();
  /** Open connections by sandbox. */
  readonly #fromSandboxes = new Map<string, number>();
  #fromAllSandboxes = 0;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #origins = new WeakMap<object, SandboxOrigin>();
  /** Of the connection that is being handed to the HTTP/2 server, which takes it within the call. */
  #arriving: SandboxOrigin | undefined;
  #inFlight = 0;
  #isClosing = false;
  #idle: (() => void) | undefined;

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    this.#timeouts = { ...TIMEOUTS, ...options.timeouts };
    this.#services = awsServices(options);
    this.#networkHosts = hostRules(options.hostNames, "network");
    const { headersMs, keepAliveMs } = this.#timeouts;
    this.#http1 = createHttp1({
      headersTimeout: headersMs,
      // Bodies have an idle limit of their own: an upload may take as long as it moves.
      requestTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, headersMs),
      maxHeaderSize: HEADER_BYTES_MAX,
      optimizeEmptyRequests: true,
      // A missing host is refused by the guard, with a request id.
      requireHostHeader: false,
    });
    this.#http1.maxHeadersCount = 0;
    this.#http2 = createHttp2({ settings: { maxConcurrentStreams: 100, maxHeaderListSize: HEADER_BYTES_MAX }, maxHeaderListPairs: 128 });
    this.#wire();
  }

  #wire(): void {
    this.#net.maxConnections = CONNECTIONS_MAX;
    this.#net.on("connection", (socket) => this.#welcome(socket));
    this.#http1.on("request", (request, response) => this.#serve(request, response));
    this.#http1.on("checkContinue", (request, response) => this.#serve(request, response, () => response.writeContinue()));
    this.#http1.on("checkExpectation", (_request, response: ServerResponse) => {
      const fault = new CommonFault("ExpectationFailed", "The Expect header is not one that this server understands.", 417);
      this.#refuse(response, fault, requestId());
    });
    this.#http1.on("connect", (_request, socket) =>
      refuseRaw(socket, new CommonFault("MethodNotAllowed", "The HTTP method is not allowed.", 405)),
    );
    this.#http1.on("clientError", (cause: NodeJS.ErrnoException, socket) => refuseUnreadable(cause, socket));
    // Node watches for slow heads only on a server that listens; this one gets its connections handed.
    this.#http1.emit("listening");
    this.#http2.on("request", (request, response) => this.#serve(request, response));
    this.#http2.on("session", (session) => this.#adopt(session));
  }

  #adopt(session: ServerHttp2Session): void {
    if (this.#arriving !== undefined) this.#origins.set(session, this.#arriving);
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.setTimeout(this.#timeouts.keepAliveMs, () => session.close());
  }

  #welcome(socket: Socket, origin?: SandboxOrigin): void {
    if (this.#isClosing) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#plain.delete(socket);
    });
    // A reset is the client's business; whoever reads or writes at that moment sees the connection close.
    socket.on("error", () => socket.destroy());
    const { clock } = this.#options;
    const connection = new PlainConnection(socket, {
      clock,
      timeouts: this.#timeouts,
      serve: (request) => this.#servePlain(request, socket, origin),
      leave: (bytes) => this.#leaveToNode(socket, bytes, origin),
      begun: () => void (this.#inFlight += 1),
      ended: () => this.#ended(),
      failed: (response, cause) => this.#cutShort(response, cause),
    });
    this.#plain.set(socket, connection);
  }

  /** The first bytes tell HTTP/2 from HTTP/1.1. */
  #leaveToNode(socket: Socket, bytes: Buffer, origin: SandboxOrigin | undefined): void {
    this.#plain.delete(socket);
    if (origin !== undefined) this.#origins.set(socket, origin);
    const length = Math.min(bytes.length, PREFACE.length);
    const isPreface = bytes.toString("latin1", 0, length) === PREFACE.slice(0, length);
    this.#arriving = origin;
    (isPreface ? this.#http2 : this.#http1).emit("connection", socket);
    this.#arriving = undefined;
    // A session of HTTP/2 takes what was read by itself.
    if (!isPreface) socket.resume();
  }

  #originOf(request: Request): SandboxOrigin | undefined {
    const session = "stream" in request ? request.stream.session : undefined;
    return this.#origins.get(session ?? request.socket);
  }

  #serve(request: Request, response: Response, sendContinue?: () => void): void {
    const id = requestId();
    this.#inFlight += 1;
    const controller = new AbortController();
    response.once("close", () => this.#finished(request, response, controller));
    let admitted: Admitted;
    try {
      admitted = this.#admit(request);
    } catch (cause) {
      this.#refuse(response, cause, id);
      return;
    }
    sendContinue?.();
    const wire = wireRequest(admitted, {
      id,
      method: request.method ?? "",
      sourceIp: request.socket.remoteAddress,
      body: () => request,
      hasBody: announcesBody(admitted.headers) || "stream" in request,
      signal: controller.signal,
    });
    if (wire.hasBody) this.#limitIdleBody(request);
    void this.#handle(wire, admitted.functionUrl).then((answer) => this.#send(response, answer, wire.method));
  }

  async #servePlain({ head, body: whole, signal }: PlainRequest, { remoteAddress }: Socket, origin?: SandboxOrigin): Promise<PlainAnswer> {
    const id = requestId();
    const { method, target, rawHeaders } = head;
    try {
      const hosts = origin === undefined ? this.#networkHosts : this.#sandboxHosts;
      const admitted = admit({ method, target, httpVersion: "1.1", isHttp2: false, rawHeaders }, hosts, "http");
      const hasBody = announcesBody(admitted.headers);
      // It becomes a stream only for those who ask for one.
      const body = () => Readable.from(whole.length === 0 ? [] : [whole], { objectMode: false });
      const wire = wireRequest(admitted, { id, method, sourceIp: remoteAddress, body, whole, hasBody, signal });
      return { response: await this.#handle(wire, admitted.functionUrl), isLast: false };
    } catch (cause) {
      return { response: this.#refusalOf(cause, id), isLast: true };
    }
  }

  /** Never rejects. */
  #handle(wire: WireRequest, functionUrl: FunctionUrlHost | undefined): Promise<WireResponse> {
    if (functionUrl !== undefined) return this.#serveUrl(wire, functionUrl);
    const document = isPlainGet(wire) ? this.#document(wire.rawPath) : undefined;
    if (document !== undefined) return this.#answerOf(document, wire.id);
    const { own, registry } = this.#options;
    if (registry !== undefined && isForRegistry(wire)) return registry(wire);
    // In the host of a bucket it is a key like any other.
    const isOwn = own !== undefined && wire.rawPath.startsWith(OWN_PATH) && wire.hostBucket === undefined;
    return isOwn ? own(wire) : this.#services.handle(wire);
  }

  async #serveUrl(wire: WireRequest, host: FunctionUrlHost): Promise<WireResponse> {
    const { functionUrls } = this.#options;
    if (functionUrls !== undefined) return await functionUrls(wire, host);
    return refusal(new CommonFault("NotImplementedException", "This server does not serve function URLs.", 501), wire.id);
  }

  #document(path: string): Promise<WireResponse> | undefined {
    return path === "/health" ? Promise.resolve(HEALTHY) : this.#options.documents?.(path);
  }

  async #answerOf(document: Promise<WireResponse>, id: string): Promise<WireResponse> {
    try {
      const answer = await document;
      return { ...answer, headers: { ...answer.headers, "x-amzn-RequestId": id } };
    } catch (cause) {
      return this.#refusalOf(cause, id);
    }
  }

  #admit(request: Request): Admitted {
    const { method = "", url: target = "", httpVersion, rawHeaders } = request;
    const head = { method, target, httpVersion, rawHeaders, isHttp2: "stream" in request };
    return admit(head, this.#originOf(request) === undefined ? this.#networkHosts : this.#sandboxHosts, "http");
  }

  #refusalOf(cause: unknown, id: string): WireResponse {
    const known = cause instanceof CommonFault;
    if (!known) this.#options.log.error("request failed at the front door", { requestId: id, cause });
    const fault = known ? cause : new CommonFault("InternalFailure", "We encountered an internal error. Please try again.", 500);
    const { status, code, message: reason } = fault;
    this.#options.log.info("request refused at the front door", { status, requestId: id, code, reason });
    return refusal(fault, id);
  }

  #refuse(response: Response, cause: unknown, id: string): void {
    const answer = this.#refusalOf(cause, id);
    // Whatever follows on this connection was framed by the same sender.
    if (!("stream" in response)) response.shouldKeepAlive = false;
    this.#send(response, answer, "");
  }

  #send(response: Response, answer: WireResponse, method: string): void {
    if (this.#isClosing && !("stream" in response)) response.shouldKeepAlive = false;
    respond(response, answer, method).catch((cause: unknown) => {
      response.destroy();
      this.#cutShort(answer, cause);
    });
  }

  #cutShort({ headers }: WireResponse, cause: unknown): void {
    const isGone = (cause as NodeJS.ErrnoException).code === "ERR_STREAM_PREMATURE_CLOSE";
    const fields = { requestId: headers["x-amzn-RequestId"], cause };
    if (isGone) this.#options.log.debug("the client went away before its response was complete", fields);
    else this.#options.log.error("a response was cut short", fields);
  }

  /** Most bodies come in one piece with their head, and need no timer. */
  #limitIdleBody(request: Request): void {
    setImmediate(() => {
      if (request.complete || request.destroyed) return;
      request.setTimeout(this.#timeouts.bodyIdleMs, () => request.destroy());
      request.once("end", () => request.setTimeout(0));
    });
  }

  /** Node reads on to the end of a body that nobody wanted, so that the connection can be used again; not for ever. */
  #drain(request: Request): void {
    if (request.complete || request.socket.destroyed) return;
    const connection = "stream" in request ? request.stream : request.socket;
    const timer = this.#options.clock.after(this.#timeouts.bodyIdleMs, () => connection.destroy());
    const done = () => {
      timer.cancel();
      connection.off("close", done);
    };
    request.once("end", done);
    connection.once("close", done);
    // A check that nobody reads from any more would hold the body back.
    request.unpipe();
    request.resume();
  }

  #finished(request: Request, response: Response, controller: AbortController): void {
    if (response.writableFinished) this.#drain(request);
    else controller.abort(new Error("the client went away"));
    this.#ended();
  }

  #ended(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#idle?.();
  }

  listen(port: number, host: string): Promise<{ port: number }> {
    return new Promise((resolve, reject) => {
      this.#net.once("error", reject);
      this.#net.listen(port, host, () => {
        this.#net.off("error", reject);
        this.#net.on("error", (cause) => this.#options.log.error("the listener failed", { cause }));
        resolve({ port: (this.#net.address() as AddressInfo).port });
      });
    });
  }

  accept(socket: Socket, origin: SandboxOrigin): void {
    const open = this.#fromSandboxes.get(origin.sandboxId) ?? 0;
    if (open >= SANDBOX_CONNECTIONS_MAX || this.#fromAllSandboxes >= SANDBOXES_CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    this.#count(origin.sandboxId, 1);
    socket.once("close", () => this.#count(origin.sandboxId, -1));
    this.#welcome(socket, origin);
  }

  #count(sandboxId: string, change: 1 | -1): void {
    const open = (this.#fromSandboxes.get(sandboxId) ?? 0) + change;
    if (open === 0) this.#fromSandboxes.delete(sandboxId);
    else this.#fromSandboxes.set(sandboxId, open);
    this.#fromAllSandboxes += change;
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => {
      this.#net.close(() => resolve());
    });
    // Cuts the connections that wait for their next request.
    this.#http1.close();
    for (const connection of this.#plain.values()) connection.end();
    for (const session of this.#sessions) session.close();
    await this.#inFlightDone();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #inFlightDone(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#inFlight === 0) {
        resolve();
        return;
      }
      const timer = this.#options.clock.after(this.#timeouts.graceMs, resolve);
      this.#idle = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

/** Unsigned and without parameters, so that it can't be taken for a bucket of that name by anyone who may see one. */
function isPlainGet({ method, rawQuery, headers }: WireRequest): boolean {
  return method === "GET" && rawQuery === "" && !headers.has("authorization");
}

/** No bucket has so short a name; what other services of AWS's have below `/v2/` is signed. */
function isForRegistry({ rawPath, rawQuery, headers }: WireRequest): boolean {
  const isSigned = headers.get("authorization")?.startsWith("AWS4-") === true || /(?:^|&)X-Amz-(?:Signature|Credential)=/.test(rawQuery);
  return rawPath.startsWith("/v2/") && !isSigned;
}

const announcesBody = (headers: ReadonlyMap<string, string>): boolean => headers.has("content-length") || headers.has("transfer-encoding");

type FromTransport = Pick<WireRequest, "id" | "method" | "sourceIp" | "body" | "whole" | "hasBody" | "signal">;

function wireRequest({ rawPath, rawQuery, headers, endpoint, hostBucket }: Admitted, rest: FromTransport): WireRequest {
  return { ...rest, rawPath, rawQuery, headers, endpoint, hostBucket };
}

function refuseRaw(socket: Duplex, fault: CommonFault): void {
  socket.end(rawRefusal(fault, requestId()), () => socket.destroy());
}

function refuseUnreadable(cause: NodeJS.ErrnoException, socket: Duplex): void {
  if (cause.code === "ECONNRESET" || !socket.writable) socket.destroy();
  else if (cause.code === "HPE_HEADER_OVERFLOW")
    refuseRaw(socket, new CommonFault("RequestHeaderSectionTooLarge", "The headers of the request are too large.", 431));
  else if (cause.code === "ERR_HTTP_REQUEST_TIMEOUT")
    refuseRaw(socket, new CommonFault("RequestTimeout", "The head of the request took too long.", 408));
  else refuseRaw(socket, new CommonFault("BadRequest", "The request is not valid HTTP.", 400));
}

export function frontDoor(options: FrontDoorOptions): FrontDoor {
  return new Listener(options);
}
