// Lambda's API as its clients see it: the official SDK, the real wire and the real service, over a store in memory and a fake data plane.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { TestContext } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import { FAKE_ROOT, FAKE_STRANGER, fakeDoor, type ClientError, type FakeDoor } from "../../src/aws/fake-service.ts";
import { CommonFault } from "../../src/aws/fault.ts";
import type { Deliverer } from "../../src/aws/deliver.ts";
import { memoryIdentities, type FixedIdentity } from "../../src/aws/memory-identities.ts";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { deliveries } from "../../src/deliveries.ts";
import type { LambdaDeps } from "../../src/lambda/model.ts";
import { lambdaService, type LambdaService } from "../../src/lambda/service.ts";
import type { Deployment, InvocationRequest, Invoker, Outcome, Provisioned } from "../../src/pool/invocation.ts";
import { diskBlobs } from "../../src/store/disk-blobs.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import type { Storage } from "../../src/store/storage.ts";
import { zipOf } from "../support/zip.ts";

export const ACCOUNT = "000000000000";
export const REGION = "eu-west-1";
export const FOREIGN_ACCOUNT = "222222222222";
const FOREIGN_ROOT = {
  secretAccessKey: "secret-of-foreigner",
  caller: {
    kind: "root",
    account: FOREIGN_ACCOUNT,
    arn: `arn:aws:iam::${FOREIGN_ACCOUNT}:root`,
    userId: FOREIGN_ACCOUNT,
    accessKeyId: "AKIAFOREIGN",
  },
} as const;
export const ROLE = `arn:aws:iam::${ACCOUNT}:role/service/test`;
export const UNTRUSTED_ROLE = `arn:aws:iam::${ACCOUNT}:role/untrusted`;
export const arnOf = (name: string) => `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${name}`;
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const RUNTIMES = new Map([
  ["nodejs24.x", "active"],
  ["python3.13", "active"],
  ["python3.10", "deprecated"],
  ["nodejs14.x", "blocked"],
] as const);

/** A data plane that answers what it is told to; without that, the event. */
class FakeInvoker implements Invoker {
  readonly invocations: { readonly deployment: Deployment; readonly request: InvocationRequest }[] = [];
  readonly expected: string[] = [];
  readonly retired: string[] = [];
  readonly reserved = new Map<string, number>();
  /** By deployment key: as many as are asked for, initialised at once, unless a test says otherwise. */
  readonly kept = new Map<string, Provisioned>();
  hasRoom = true;
  answer: (deployment: Deployment, request: InvocationRequest) => Outcome | Promise<Outcome> = (_deployment, { payload }) => ({
    kind: "returned",
    payload,
    report: { durationMs: 1, latencyMs: 1, billedMs: 1, memoryPeakMiB: 1 },
  });

  async invoke(deployment: Deployment, request: InvocationRequest): Promise<Outcome> {
    this.invocations.push({ deployment, request });
    return await this.answer(deployment, request);
  }

  expect({ key }: Deployment): void {
    this.expected.push(key);
  }

  retire(keys: readonly string[]): void {
    this.retired.push(...keys);
  }

  reserve({ functionArn }: { readonly functionArn: string }, limit: number | undefined): void {
    if (limit === undefined) this.reserved.delete(functionArn);
    else this.reserved.set(functionArn, limit);
  }

  provision({ key }: Deployment, requested: number): boolean {
    if (!this.hasRoom && requested > 0) return false;
    if (requested === 0) this.kept.delete(key);
    else this.kept.set(key, { requested, allocated: requested, available: requested });
    return true;
  }

  provisioned(key: string): Provisioned | undefined {
    return this.kept.get(key);
  }

  running(): { function: number; account: number; unreserved: number } {
    return { function: 0, account: 0, unreserved: 0 };
  }

  concurrency(): { busy: number; environments: number } {
    return { busy: 0, environments: 0 };
  }
}

export interface Started {
  readonly client: lambda.LambdaClient;
  readonly stranger: lambda.LambdaClient;
  /** The root of another account. */
  readonly foreigner: lambda.LambdaClient;
  readonly door: FakeDoor;
  readonly service: LambdaService;
  readonly invoker: FakeInvoker;
  readonly storage: Storage;
  readonly directory: string;
  /** S3's objects, `bucket/key`. */
  readonly objects: Map<string, Uint8Array>;
  readonly zip: Uint8Array;
  /** Stops it and starts another on the same data. */
  restart(): Promise<Started>;
}

interface Kept {
  readonly directory: string;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly identities: readonly FixedIdentity[];
}

type Options = Partial<LambdaDeps> & { readonly deliverer?: Omit<Deliverer, "mayDeliver"> };

const NOWHERE: Options["deliverer"] & object = {
  supports: () => false,
  deliver: () => assert.fail("nothing is delivered"),
};

/** `identities`: who may sign besides the root and the stranger. */
export async function startLambda(t: TestContext, options: Options = {}, identities: readonly FixedIdentity[] = []): Promise<Started> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-api-"));
  const clock = options.clock ?? systemClock;
  const storage = memoryStorage({ clock: systemClock });
  t.after(async () => {
    await storage.close();
    await rm(directory, { recursive: true, force: true });
  });
  return await startOn(t, { directory, storage, clock, identities }, options);
}

async function startOn(t: TestContext, kept: Kept, given: Options): Promise<Started> {
  const { directory, storage, clock } = kept;
  const { deliverer = NOWHERE, ...options } = given;
  const invoker = new FakeInvoker();
  const objects = new Map<string, Uint8Array>();
  const outgoing = deliveries({ queue: storage.queue, clock, log: silentLog, deliver: deliverer.deliver });
  outgoing.begin();
  const service = await lambdaService({
    meta: storage.meta,
    queue: storage.queue,
    blobs: await diskBlobs({ directory: join(directory, "blobs"), clock: systemClock }),
    packagesDirectory: join(directory, "packages"),
    invoker,
    supportsTarget: deliverer.supports,
    mayDeliver: () => Promise.resolve({ kind: "delivered" }),
    deliveries: outgoing,
    sources: { polls: () => false, problem: () => Promise.resolve(undefined) },
    keepFailed: () => [],
    recorder: { record: () => undefined },
    segments: () => undefined,
    mayTrace: () => true,
    asyncConcurrency: 100,
    clock,
    pace: clock,
    log: silentLog,
    getObject: (_context, bucket, key) => {
      const bytes = objects.get(`${bucket}/${key}`);
      if (bytes !== undefined) return Promise.resolve({ body: Readable.from([bytes]), bytes: bytes.length });
      const found = [...objects.keys()].some((name) => name.startsWith(`${bucket}/`));
      return Promise.reject(
        found
          ? new CommonFault("NoSuchKey", "The specified key does not exist.", 404)
          : new CommonFault("NoSuchBucket", "The specified bucket does not exist", 404),
      );
    },
    getImage: () => Promise.resolve("absent"),
    canAssume: (role) => role !== UNTRUSTED_ROLE,
    runtimes: {
      state: (runtime) => RUNTIMES.get(runtime as "nodejs24.x"),
      names: () => [...RUNTIMES].filter(([, state]) => state !== "blocked").map(([name]) => name),
    },
    codeUrl: (context, sha256) => `${context.endpoint}/code/${sha256}`,
    accountConcurrency: 1000,
    ...options,
  });
  const identities = memoryIdentities([FAKE_ROOT, FAKE_STRANGER, FOREIGN_ROOT, ...kept.identities]);
  const door = await fakeDoor([service.definition], { identities });
  const client = new lambda.LambdaClient(door.settings());
  const stranger = new lambda.LambdaClient(door.settings(FAKE_STRANGER));
  const foreigner = new lambda.LambdaClient(door.settings(FOREIGN_ROOT));
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    client.destroy();
    stranger.destroy();
    foreigner.destroy();
    await door.door.close();
    await service.stop();
    service.close();
    await outgoing.stop();
  };
  t.after(stop);
  return {
    client,
    stranger,
    foreigner,
    door,
    service,
    invoker,
    storage,
    directory,
    objects,
    zip: await zipOf({ "index.mjs": "export const handler = (event) => event;" }),
    async restart() {
      await stop();
      return await startOn(t, kept, given);
    },
  };
}

type Name = { [K in keyof typeof lambda]: K extends `${infer N}Command` ? (N extends "$" ? never : N) : never }[keyof typeof lambda];
type InputOf<N extends Name> = `${N}Command` extends keyof typeof lambda
  ? (typeof lambda)[`${N}Command`] extends new (input: infer I) => unknown
    ? I
    : never
  : never;

type AnyCommand = new (input: unknown) => Parameters<lambda.LambdaClient["send"]>[0];

const COMMANDS = new Map(Object.entries(lambda)) as unknown as ReadonlyMap<string, AnyCommand>;

/** An operation by its name, with input that may also be wrong. */
export async function send(
  client: lambda.LambdaClient,
  name: Name,
  input: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const Command = COMMANDS.get(`${name}Command`);
  assert.ok(Command, name);
  const { $metadata, ...output } = await client.send(new Command(input));
  assert.ok(($metadata.httpStatusCode ?? 0) < 300);
  return output;
}

/** Waits until the function has reached the state in which it stays. */
export async function settled(started: Pick<Started, "service">, name: string): Promise<void> {
  const context = contextOf(name);
  const endMs = performance.now() + 60_000;
  for (;;) {
    const found = started.service.operations.GetFunctionConfiguration(context, { FunctionName: name });
    if (found.State === "Active" && found.LastUpdateStatus === "Successful") return;
    assert.ok(performance.now() < endMs, `${name} is still ${found.State} ${found.LastUpdateStatus}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** For calls past the wire. */
export const contextOf = (requestId = "test", account = ACCOUNT) => ({
  requestId,
  account,
  region: REGION,
  caller: FAKE_ROOT.caller,
  endpoint: "http://localhost",
  signal: new AbortController().signal,
});

export async function makeFunction(started: Started, name: string, more: Partial<InputOf<"CreateFunction">> = {}): Promise<void> {
  await started.client.send(
    new lambda.CreateFunctionCommand({
      FunctionName: name,
      Runtime: "nodejs24.x",
      Handler: "index.handler",
      Role: ROLE,
      Code: { ZipFile: started.zip },
      ...more,
    }),
  );
  await settled(started, name);
}

export interface Row {
  readonly name: string;
  readonly call: readonly [Name, Readonly<Record<string, unknown>>];
  /** Members that the answer has. `undefined`: it does not have them. */
  readonly expect?: Readonly<Record<string, unknown>>;
  /** Status, type, and the message: whole, or what it is like. */
  readonly fault?: readonly [status: number, type: string, message: string | RegExp];
  /** Of the error's body: AWS's validation errors have no `Type`. */
  readonly hasType?: boolean;
}

/** Which operations were seen to succeed and to fail, for the test that asks for both. */
export const covered = { success: new Set<string>(), fault: new Set<string>() };

export async function check({ client }: Pick<Started, "client">, row: Row): Promise<void> {
  const [operation, input] = row.call;
  if (row.fault === undefined) {
    const output = await send(client, operation, input);
    for (const [member, value] of Object.entries(row.expect ?? {}))
      if (value instanceof RegExp) assert.match(String(output[member]), value, `${row.name}: ${member}`);
      else assert.deepEqual(output[member], value, `${row.name}: ${member}`);
    covered.success.add(operation);
    return;
  }
  const [status, type, message] = row.fault;
  const error = await send(client, operation, input).then(
    () => assert.fail(`${row.name}: expected ${type}`),
    (cause: ClientError & { Type?: string }) => cause,
  );
  assert.deepEqual([error.name, error.$metadata.httpStatusCode], [type, status], `${row.name}: ${error.message}`);
  if (typeof message === "string") assert.equal(error.message, message, row.name);
  else assert.match(error.message, message, row.name);
  const untyped = ["ValidationException", "RequestEntityTooLargeException", "NotImplementedException", "AccessDeniedException"];
  assert.equal(error.Type, (row.hasType ?? !untyped.includes(type)) ? (status < 500 ? "User" : error.Type) : undefined, row.name);
  covered.fault.add(operation);
}
