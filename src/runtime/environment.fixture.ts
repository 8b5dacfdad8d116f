// An execution environment over the fake sandbox host and a manual clock, for the tests of this folder.
import assert from "node:assert/strict";
import type { Log } from "../base/log.ts";
import { manualClock } from "../base/manual-clock.ts";
import { fakeSandboxHost, type FakeFunction, type FakeHandler } from "../sandbox/fake.ts";
import { Environment, type EnvironmentOptions } from "./environment.ts";
import type { EnvironmentInvocation } from "./flight.ts";
import type { FunctionSettings, LogSettings } from "./settings.ts";

export interface Setup {
  readonly script: FakeHandler | FakeFunction;
  readonly skipsInit?: boolean;
  readonly timeoutMs?: number;
  readonly logging?: LogSettings;
  readonly credentialsLifeMs?: number;
  readonly options?: Partial<EnvironmentOptions>;
}

const TEXT: LogSettings = { format: "Text", group: "/aws/lambda/f" };

export const SETTINGS: FunctionSettings = {
  account: "000000000000",
  region: "us-east-1",
  functionName: "f",
  version: "$LATEST",
  functionArn: "arn:aws:lambda:us-east-1:000000000000:function:f",
  runtime: "nodejs24.x",
  architecture: "x86_64",
  handler: "index.handler",
  codeDirectory: "/nowhere",
  memoryMiB: 128,
  timeoutMs: 3000,
  ephemeralStorageMiB: 512,
  variables: {},
  roleArn: "arn:aws:iam::000000000000:role/r",
  logging: TEXT,
};

export function environment({
  script,
  skipsInit = false,
  timeoutMs = SETTINGS.timeoutMs,
  logging = TEXT,
  credentialsLifeMs = 3_600_000,
  options = {},
}: Setup) {
  const clock = manualClock();
  const host = fakeSandboxHost(() => script);
  const seen = {
    segments: [] as string[],
    messages: [] as string[],
    streams: new Set<string>(),
    events: [] as string[],
    strange: [] as unknown[],
  };
  const log: Log = { debug() {}, info() {}, warn: (_, fields) => void seen.strange.push(fields?.["problem"]), error() {}, with: () => log };
  const one = new Environment({
    key: "k",
    settings: { ...SETTINGS, timeoutMs, logging },
    layout: { argv: ["/var/lang/bin/node"], mounts: [], env: {}, protocol: "framed", version: "24.21.0" },
    sandboxes: host,
    clock,
    log,
    credentials: () =>
      Promise.resolve({ accessKeyId: "a", secretAccessKey: "s", sessionToken: "t", expiresMs: clock.now() + credentialsLifeMs }),
    endpoint: { port: 4566, onConnection: () => assert.fail("nobody calls") },
    network: "endpoint",
    freezeAfterMs: 5,
    skipsInit,
    initializationType: "on-demand",
    append: (stream, records) => {
      seen.streams.add(stream);
      seen.messages.push(...records.map(({ message }) => message.trimEnd()));
    },
    segment: (document) => void seen.segments.push(document),
    events: {
      initialised: (_, succeeded) => void seen.events.push(succeeded ? "initialised" : "not initialised"),
      released: () => void seen.events.push("released"),
      stopping: () => void seen.events.push("stopping"),
      dead: () => void seen.events.push("dead"),
    },
    ...options,
  });
  return { environment: one, clock, host, seen };
}

export type Running = ReturnType<typeof environment>;

export const invocation = (requestId: string, event: unknown = {}, wantsLogTail = false): EnvironmentInvocation => ({
  requestId,
  payload: Buffer.from(JSON.stringify(event)),
  invokedArn: "arn:aws:lambda:us-east-1:000000000000:function:f",
  wantsLogTail,
});

export async function eventually(condition: () => boolean, what = String(condition)): Promise<void> {
  for (const endMs = performance.now() + 60_000; !condition(); await new Promise(setImmediate))
    if (performance.now() > endMs) assert.fail(`never: ${what}`);
}

/** The log without what differs from run to run. */
export const plain = (messages: readonly string[]) =>
  messages.map((message) =>
    message
      .replaceAll(/Duration: \d+\.\d\d ms/g, "Duration: # ms")
      .replace(/ ARN: .*/, " ARN: #")
      .trimEnd(),
  );

/** Real time for what goes on in files and sockets: on a busy machine the kernel brings it when nothing else wants to run. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
  await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Moves time on until the promise has settled. */
export async function passing<T>({ clock }: Running, work: Promise<T>, stepMs: number): Promise<T> {
  const state = { isDone: false };
  const done = () => void (state.isDone = true);
  work.then(done, done);
  for (let step = 0; step < 1000 && !state.isDone; step++) {
    await turns(20);
    if (!state.isDone) clock.advance(stepMs);
  }
  return work;
}

export async function outcomeOf(running: Running, id = "r1", event: unknown = {}, stepMs = 100) {
  const result = await passing(running, running.environment.invoke(invocation(id, event, true)), stepMs);
  if (result.kind === "unavailable") return { kind: result.kind, cause: result.code, errorType: undefined, text: result.message };
  const text = Buffer.from(result.payload).toString();
  return result.kind === "returned"
    ? { kind: result.kind, cause: undefined, errorType: undefined, text }
    : { kind: result.kind, cause: result.cause, errorType: result.errorType, text };
}

export const START = "START RequestId: r1 Version: $LATEST";
export const END = "END RequestId: r1";
export const INIT_START = "INIT_START Runtime Version: nodejs:24.21.0\tRuntime Version ARN: #";
export const REPORT = "REPORT RequestId: r1\tDuration: # ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB";
export const COLD = `${REPORT}\tInit Duration: # ms`;
