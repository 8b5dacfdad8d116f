// A data plane over the fake sandbox host and a manual clock, for the tests of this folder.
import assert from "node:assert/strict";
import { manualClock } from "../base/manual-clock.ts";
import { silentLog } from "../base/log.ts";
import { fakeSandboxHost, type FakeContext, type FakeScript } from "../sandbox/fake.ts";
import type { LogEvent, LogStreamName } from "../store/log-sink.ts";
import type { Deployment, InvocationRequest, Outcome } from "./invocation.ts";
import { dataPlane, type DataPlaneDeps, type DataPlaneLimits } from "./invoke.ts";

export const ACCOUNT = "000000000000";
export const REGION = "us-east-1";

/** Each name is a function of its own; the sandbox sees the key as a variable. */
export function deployment(functionName: string, changes: Partial<Deployment> = {}): Deployment {
  const key = changes.key ?? `${functionName}-1`;
  return {
    key,
    account: ACCOUNT,
    region: REGION,
    functionName,
    version: "$LATEST",
    functionArn: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${functionName}`,
    runtime: "nodejs24.x",
    handler: "index.handler",
    codeDirectory: "/nowhere",
    memoryMiB: 128,
    timeoutMs: 60_000,
    ephemeralStorageMiB: 512,
    architecture: "x86_64",
    variables: { KEY: key },
    roleArn: `arn:aws:iam::${ACCOUNT}:role/r`,
    logging: { format: "Text", group: `/aws/lambda/${functionName}` },
    ...changes,
  };
}

let requests = 0;

export function request(event: unknown = {}, changes: Partial<InvocationRequest> = {}): InvocationRequest {
  requests++;
  return {
    requestId: `r${requests}`,
    payload: Buffer.from(JSON.stringify(event)),
    invokedArn: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:f`,
    wantsLogTail: false,
    ...changes,
  };
}

/** Without prepared sandboxes: most tests count what was started. */
const LIMITS: DataPlaneLimits = { accountConcurrency: 1000, environmentsMax: 100, idleExpiryMs: 600_000, preparedMax: 0 };

export function plane(script: FakeScript, limits: Partial<DataPlaneLimits> = {}, deps: Partial<DataPlaneDeps> = {}) {
  const clock = manualClock();
  const host = fakeSandboxHost(script);
  const logged: { name: LogStreamName; events: readonly LogEvent[] }[] = [];
  const one = dataPlane({
    sandboxes: host,
    runtimes: {
      resolve: (runtime) => {
        if (runtime === "cobol68") return undefined;
        if (runtime !== "nodejs24.x") return { missing: `Runtime ${runtime} is not installed: run  lambent runtime install ${runtime}` };
        return { argv: ["/var/lang/bin/node"], mounts: [], env: {}, protocol: "framed", version: "24.21.0" };
      },
    },
    logs: { append: (name, events) => void logged.push({ name, events }) },
    credentials: () => Promise.resolve({ accessKeyId: "a", secretAccessKey: "s", sessionToken: "t", expiresMs: clock.now() + 3_600_000 }),
    endpoint: { port: 4566, onConnection: () => assert.fail("nobody calls") },
    freeMemory: () => 1,
    clock,
    log: silentLog,
    limits: { ...LIMITS, ...limits },
    ...deps,
  });
  return { plane: one, clock, host, logged };
}

/** A script whose invocations wait until the test lets them go, by the `name` in their event. */
export function gate() {
  const waiting = new Map<string, () => void>();
  const handler = async (event: unknown, { env }: FakeContext) => {
    const { name } = event as { name?: string };
    if (name !== undefined) await new Promise<void>((resolve) => waiting.set(name, resolve));
    return env["KEY"];
  };
  return {
    script: () => handler,
    waiting,
    open: (name: string) => {
      const go = waiting.get(name);
      assert.ok(go !== undefined, `${name} does not wait`);
      waiting.delete(name);
      go();
    },
  };
}

export async function eventually(condition: () => boolean, what = String(condition)): Promise<void> {
  for (const endMs = performance.now() + 60_000; !condition(); await new Promise(setImmediate))
    if (performance.now() > endMs) assert.fail(`never: ${what}`);
}

/** `returned "x"`, `failed timeout`, `throttled Reserved…`, `unavailable stopping` */
export function describe(outcome: Outcome): string {
  if (outcome.kind === "returned") return `returned ${Buffer.from(outcome.payload).toString()}`;
  if (outcome.kind === "failed") return `failed ${outcome.cause}`;
  return `${outcome.kind} ${outcome.kind === "throttled" ? outcome.reason : outcome.code}`;
}
