// Extensions as programs of a fake sandbox, for the tests of this folder: they call the APIs as real ones do.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { FakeFunction, FakeInit, FakeProgram, FakeSandbox } from "../sandbox/fake.ts";
import { RUNTIME_API_PORT } from "./environment-api.ts";
import { environment, passing, SETTINGS, type Running, type Setup } from "./environment.fixture.ts";
import type { Environment } from "./environment.ts";

const directory = mkdtempSync(join(tmpdir(), "lambent-extensions-"));
after(() => rmSync(directory, { recursive: true }));

/** A directory of layers with files of these names in `extensions/`. */
function layers(names: readonly string[]): string {
  const made = mkdtempSync(join(directory, "layers-"));
  mkdirSync(join(made, "extensions"));
  for (const name of names) writeFileSync(join(made, "extensions", name), "");
  return made;
}

export interface Reply {
  readonly status: number;
  readonly id: string;
  readonly body: Record<string, unknown>;
}

/** One call from inside, as an extension makes it. */
export async function call(sandbox: FakeSandbox, method: string, path: string, headers: Record<string, string>, body = ""): Promise<Reply> {
  const socket = await sandbox.connect(RUNTIME_API_PORT);
  return await new Promise((resolve, reject) => {
    const outgoing = request({ createConnection: () => socket, method, path, headers: { ...headers, Connection: "close" } }, (reply) => {
      let text = "";
      reply.on("data", (chunk: Buffer) => (text += chunk.toString()));
      reply.on("error", reject);
      reply.on("end", () => {
        const parsed: unknown = text.startsWith("{") ? JSON.parse(text) : { text };
        const id = String(reply.headers["lambda-extension-identifier"] ?? "");
        resolve({ status: reply.statusCode ?? 0, id, body: parsed as Record<string, unknown> });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

export const EXTENSION = "/2020-01-01/extension";

export async function register(sandbox: FakeSandbox, name: string, events: readonly string[], headers: Record<string, string> = {}) {
  return await call(sandbox, "POST", `${EXTENSION}/register`, { "Lambda-Extension-Name": name, ...headers }, JSON.stringify({ events }));
}

export const next = (sandbox: FakeSandbox, id: string) =>
  call(sandbox, "GET", `${EXTENSION}/event/next`, { "Lambda-Extension-Identifier": id });

/** Registers, and takes events until SHUTDOWN; `on` may do something about each. */
export function extension(
  name: string,
  events: readonly string[],
  on: (event: Record<string, unknown>, context: FakeInit) => unknown = () => undefined,
): FakeProgram {
  return async (context) => {
    const { id } = await register(context.sandbox, name, events);
    for (;;) {
      const { body } = await next(context.sandbox, id);
      const code: unknown = await on(body, context);
      if (typeof code === "number") return code;
      if (body["eventType"] === "SHUTDOWN") return 0;
    }
  };
}

export function running(
  programs: Record<string, FakeProgram>,
  script: Partial<FakeFunction> = {},
  timeoutMs = 3000,
  options: Setup["options"] = {},
): Running {
  const extensions = Object.fromEntries(Object.entries(programs).map(([name, program]) => [`/opt/extensions/${name}`, program]));
  const settings = { ...SETTINGS, timeoutMs, variables: { OWN: "mine" }, layersDirectory: layers(Object.keys(programs)) };
  return environment({ script: { handler: () => "answer", ...script, extensions }, timeoutMs, options: { settings, ...options } });
}

export const start = (one: Running, stepMs = 50) => passing(one, one.environment.start(), stepMs);
export const stop = (one: Running, stepMs = 50) => passing(one, one.environment.stop(), stepMs);
export const isIdle = (one: Environment) => () => one.state === "idle";
