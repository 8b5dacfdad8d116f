// The Lambda Runtime API over HTTP: the link to runtimes that are not Lambent's own (provided.al2023 and its like).
import type { IncomingMessage, ServerResponse } from "node:http";
import { accept, hangUp, header, headerText, JSON_TYPE, refuse, write, type Refusal } from "./api-replies.ts";
import { reportedType } from "./failures.ts";
import { RESPONSE_BYTES_MAX, type Answer, type Link, type LinkEvents, type LinkInvocation } from "./link.ts";
import { StreamedResponse } from "./response-sink.ts";

export const RUNTIME_API_VERSION = "2018-06-01";
const ROOT = `/${RUNTIME_API_VERSION}`;
const MODE = "lambda-runtime-function-response-mode";

/**
 * What the runtime is doing. Each call names the states in which it is legal; everything else is refused with 403, as RAPID does.
 * started → (next) ready → (send) running → (response, error) responding → responded → (next) ready …
 */
type RuntimeState = "Started" | "InitError" | "Ready" | "Running" | "Responding" | "ResponseSent";

const INVALID_REQUEST_ID: Refusal = { status: 400, errorType: "InvalidRequestID", errorMessage: "Invalid request ID" };
const INVALID_MODE: Refusal = {
  status: 400,
  errorType: "InvalidFunctionResponseMode",
  errorMessage: "Invalid function response mode",
};
const TOO_LARGE: Refusal = {
  status: 413,
  errorType: "RequestEntityTooLarge",
  errorMessage: `Exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`,
};

type Body = { readonly kind: "whole"; readonly bytes: Buffer } | { readonly kind: "too-large" } | { readonly kind: "truncated" };

/** Reads a body up to the limit of a response, and no further. Never rejects. */
function readBody(request: IncomingMessage): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    if (Number(request.headers["content-length"] ?? 0) > RESPONSE_BYTES_MAX) return resolve({ kind: "too-large" });
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= RESPONSE_BYTES_MAX) return;
      request.pause();
      request.removeAllListeners("data");
      chunks.length = 0;
      resolve({ kind: "too-large" });
    });
    request.on("end", () => resolve({ kind: "whole", bytes: Buffer.concat(chunks) }));
    request.on("error", () => resolve({ kind: "truncated" }));
    request.on("close", () => resolve({ kind: "truncated" }));
  });
}

/** Passes a body on as it comes, no faster than it is taken. Never rejects. */
function streamBody(request: IncomingMessage, to: StreamedResponse): Promise<"whole" | "too-large" | "truncated"> {
  return new Promise((resolve) => {
    request.on("data", (chunk: Buffer) => {
      const room = to.write(chunk);
      if (to.isTooLarge) {
        request.pause();
        return resolve("too-large");
      }
      if (room === undefined) return;
      request.pause();
      void room.then(() => request.resume());
    });
    request.on("end", () => resolve("whole"));
    request.on("error", () => resolve("truncated"));
    request.on("close", () => resolve("truncated"));
  });
}

export class RuntimeApi implements Link {
  readonly ended = Promise.resolve();
  readonly #events: LinkEvents;
  #state: RuntimeState = "Started";
  #invocation: LinkInvocation | undefined;
  #next: ServerResponse | undefined;
  /** Somebody waits for the runtime to ask for its next invocation. */
  #rest: PromiseWithResolvers<void> | undefined;

  constructor(events: LinkEvents) {
    this.#events = events;
  }

  send(invocation: LinkInvocation): void {
    this.#invocation = invocation;
    this.#deliver();
  }

  rest(): Promise<void> | undefined {
    if (this.#state === "Ready") return undefined;
    this.#rest ??= Promise.withResolvers<void>();
    return this.#rest.promise;
  }

  abandon(): void {
    this.#invocation = undefined;
  }

  /** Its process has ended, and its connections with it. */
  close(): void {
    this.#next?.destroy();
  }

  /** A call of its part of the API; `path` is without the query. */
  async handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const call = `${request.method} ${path}`;
    if (call === `GET ${ROOT}/runtime/invocation/next`) return this.#onNext(response);
    if (call === `POST ${ROOT}/runtime/init/error`) return this.#onInitError(request, response);
    if (call === `GET ${ROOT}/ping`) return write(response, 200, "pong", { "Content-Type": "text/plain" });
    // The id is compared as it stands: nothing is decoded, so no way of writing a path reaches another call.
    const [, id, action] = /^\/2018-06-01\/runtime\/invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
    if (id === undefined || action === undefined) return this.#notFound(request, response);
    if (request.method !== "POST") return hangUp(response, 405, "405 method not allowed\n");
    return this.#onAnswer(request, response, id, action === "error");
  }

  #notFound(request: IncomingMessage, response: ServerResponse): void {
    this.#events.strange(
      `a call of the Runtime API that does not exist: ${request.method} ${headerText(request.url?.slice(0, 100) ?? "")}`,
    );
    hangUp(response, 404, "404 page not found\n");
  }

  /** Refuses a call in a state where it makes no sense. */
  #outOfTurn(response: ServerResponse, to: string): void {
    const errorMessage = `State transition from ${this.#state} to ${to} failed for runtime. Error: State transition is not allowed`;
    this.#events.strange(errorMessage);
    refuse(response, { status: 403, errorType: "InvalidStateTransition", errorMessage });
  }

  #onNext(response: ServerResponse): void {
    const isRepeated = this.#state === "Ready";
    if (!isRepeated && this.#state !== "Started" && this.#state !== "ResponseSent") return this.#outOfTurn(response, "Ready");
    // A runtime that asks again has lost the first connection, or has two threads at it: the newest one gets the event.
    if (this.#next !== undefined) this.#outOfTurn(this.#next, "Ready");
    this.#next = response;
    response.on("close", () => {
      if (this.#next === response) this.#next = undefined;
    });
    const isFirst = this.#state === "Started";
    this.#state = "Ready";
    if (isFirst) this.#events.ready();
    this.#rest?.resolve();
    this.#rest = undefined;
    this.#deliver();
  }

  #deliver(): void {
    const [response, invocation] = [this.#next, this.#invocation];
    if (response === undefined || invocation === undefined || this.#state !== "Ready") return;
    this.#next = undefined;
    this.#state = "Running";
    const { clientContext, cognitoIdentity, tenantId } = invocation;
    write(response, 200, invocation.payload, {
      ...JSON_TYPE,
      "Lambda-Runtime-Aws-Request-Id": invocation.requestId,
      "Lambda-Runtime-Deadline-Ms": String(Math.floor(invocation.deadlineMs)),
      "Lambda-Runtime-Invoked-Function-Arn": headerText(invocation.invokedArn),
      "Lambda-Runtime-Trace-Id": headerText(invocation.traceHeader),
      "Lambda-Runtime-Invocation-Id": invocation.requestId,
      ...(clientContext === undefined ? {} : { "Lambda-Runtime-Client-Context": headerText(clientContext) }),
      ...(cognitoIdentity === undefined ? {} : { "Lambda-Runtime-Cognito-Identity": headerText(cognitoIdentity) }),
      ...(tenantId === undefined ? {} : { "Lambda-Runtime-Aws-Tenant-Id": headerText(tenantId) }),
    });
  }

  async #onInitError(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#state !== "Started") return this.#outOfTurn(response, "InitError");
    this.#state = "InitError";
    const body = await readBody(request);
    if (body.kind === "too-large") return refuseBody(request, response);
    this.#events.initFailed(
      reportedType(header(request, "lambda-runtime-function-error-type")),
      body.kind === "whole" ? body.bytes : Buffer.alloc(0),
    );
    accept(response);
  }

  async #onAnswer(request: IncomingMessage, response: ServerResponse, id: string, isError: boolean): Promise<void> {
    const refusal = this.#refusalOf(request, id);
    if (refusal !== undefined) return refuse(response, refusal);
    if (this.#state !== "Running") return this.#outOfTurn(response, isError ? "InvocationErrorResponse" : "InvocationResponse");
    const mode = header(request, MODE);
    if (!isError && mode !== undefined && mode !== "streaming") return this.#refuseMode(response);
    this.#state = "Responding";
    // Go's client streams without naming the mode: what has no length is not gathered for a caller that takes a stream.
    const isStreamed = !isError && (header(request, MODE) === "streaming" || request.headers["transfer-encoding"] !== undefined);
    const sink = isStreamed ? this.#invocation?.response : undefined;
    if (sink !== undefined) return this.#onStream(request, response, id, new StreamedResponse(sink));
    const body = await readBody(request);
    this.#state = "ResponseSent";
    const isAwaited = this.#invocation?.requestId === id;
    this.#invocation = undefined;
    if (!isAwaited) return refuse(response, INVALID_REQUEST_ID);
    // The caller's answer goes first; the runtime's acknowledgement can wait.
    this.#events.answered(answerOf(request, body, isError));
    if (body.kind === "too-large") refuseBody(request, response);
    else accept(response);
  }

  async #onStream(request: IncomingMessage, response: ServerResponse, id: string, streamed: StreamedResponse): Promise<void> {
    streamed.begin(header(request, "content-type"));
    const end = await streamBody(request, streamed);
    this.#state = "ResponseSent";
    const isAwaited = this.#invocation?.requestId === id;
    this.#invocation = undefined;
    if (!isAwaited) return refuse(response, INVALID_REQUEST_ID);
    if (end === "too-large") {
      this.#events.answered({ kind: "stream-too-large" });
      return hangUpAfter(response, TOO_LARGE);
    }
    const failed = end === "truncated" ? ({ kind: "truncated" } as const) : trailerError(request);
    this.#events.answered(failed ?? { kind: "streamed", bytes: streamed.bytes });
    accept(response);
  }

  #refusalOf(request: IncomingMessage, id: string): Refusal | undefined {
    if (id !== this.#invocation?.requestId) {
      // After its answer an id is known, but out of turn: RAPID tells these apart, and so does a runtime that retries.
      this.#events.strange("a response to an invocation that is not the present one");
      return INVALID_REQUEST_ID;
    }
    const echoed = header(request, "lambda-runtime-invocation-id");
    if (echoed !== undefined && echoed !== id)
      return { status: 400, errorType: "InvalidInvocationId", errorMessage: "Invalid invocation ID" };
    return undefined;
  }

  /** A mode that there is not is the answer to the invocation as well, and one without a document. */
  #refuseMode(response: ServerResponse): void {
    this.#state = "ResponseSent";
    this.#invocation = undefined;
    this.#events.answered({ kind: "errored", errorType: "Runtime.InvalidResponseModeHeader", payload: Buffer.alloc(0), exits: false });
    hangUpAfter(response, INVALID_MODE);
  }
}

/** Clients that read no answer before they have sent all of it get this one: twice the limit is read, and thrown away. */
function refuseBody(request: IncomingMessage, response: ServerResponse): void {
  let left = 2 * RESPONSE_BYTES_MAX;
  request.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.resume();
  refuse(response, TOO_LARGE);
}

/** What is still on its way is not read: the connection ends with the refusal. */
function hangUpAfter(response: ServerResponse, refusal: Refusal): void {
  response.shouldKeepAlive = false;
  response.on("finish", () => response.socket?.destroySoon());
  refuse(response, refusal);
}

function answerOf(request: IncomingMessage, body: Body, isError: boolean): Answer {
  if (body.kind !== "whole") return { kind: body.kind };
  if (isError) {
    const errorType = reportedType(header(request, "lambda-runtime-function-error-type"));
    return { kind: "errored", errorType, payload: body.bytes, exits: false };
  }
  return trailerError(request) ?? { kind: "succeeded", payload: body.bytes };
}

/** A streamed response can fail after its first bytes: the error then stands in the trailers, the document in base64. */
function trailerError(request: IncomingMessage): Answer | undefined {
  const failed = request.trailers["lambda-runtime-function-error-type"];
  if (failed === undefined) return undefined;
  const document = Buffer.from(request.trailers["lambda-runtime-function-error-body"] ?? "", "base64");
  return { kind: "errored", errorType: reportedType(failed), payload: document, exits: false };
}
