// The HTTP server at AWS_LAMBDA_RUNTIME_API, one for each sandbox: the Runtime, Extensions, Telemetry, Logs and Metadata APIs.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { SandboxListener } from "../sandbox/sandbox.ts";
import { hangUp, write } from "./api-replies.ts";

/** Where AWS_LAMBDA_RUNTIME_API points. */
export const RUNTIME_API_PORT = 9001;

/** A function can open as many connections as it has descriptors; a runtime needs one or two, and so does each extension. */
const CONNECTIONS_MAX = 64;
const HEADER_BYTES_MAX = 128 * 1024;

export interface ApiPart {
  /** `path` is without the query, and nothing in it is decoded. */
  handle(request: IncomingMessage, response: ServerResponse, path: string): unknown;
}

export class EnvironmentApi {
  /** To be opened inside the sandbox; connections that come from it are this sandbox's, whatever they say. */
  readonly listener: SandboxListener = { port: RUNTIME_API_PORT, onConnection: (socket) => this.#connect(socket) };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #parts = new Map<string, ApiPart>();

  constructor() {
    this.#server = createServer({ maxHeaderSize: HEADER_BYTES_MAX, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 });
    this.#server.on("request", (request, response) => this.#route(request, response));
  }

  /** Who answers below `/version`, from now on. */
  serve(version: string, part: ApiPart): void {
    this.#parts.set(version, part);
  }

  close(): void {
    this.#parts.clear();
    for (const socket of this.#sockets) socket.destroy();
  }

  #connect(socket: Socket): void {
    // A connection that breaks is the function's affair; its exit, if it is one, is seen elsewhere.
    socket.on("error", () => socket.destroy());
    if (this.#sockets.size >= CONNECTIONS_MAX) return void socket.destroy();
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    this.#server.emit("connection", socket);
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    response.on("error", () => response.destroy());
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const part = this.#parts.get(path.split("/", 2)[1] ?? "");
    if (part !== undefined) return void part.handle(request, response, path);
    if (`${request.method} ${path}` === "GET /ping") return write(response, 200, "pong", { "Content-Type": "text/plain" });
    hangUp(response, 404, "404 page not found\n");
  }
}
