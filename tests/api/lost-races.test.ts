// Two change the same thing in one moment: whoever loses, again and again, is told so by each operation, and nothing of theirs is kept.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import type { EventSources } from "../../src/lambda/event-sources.ts";
import { memoryStorage } from "../../src/store/memory/memory-storage.ts";
import { StorageError, type MetaStore } from "../../src/store/storage.ts";
import {
  ACCOUNT,
  arnOf,
  check,
  contextOf,
  makeFunction,
  REGION,
  ROLE,
  send,
  settled,
  startLambda,
  type Row,
  type Started,
} from "./lambda.fixture.ts";

const f = { FunctionName: "f" } as const;
const QUEUE = `arn:aws:sqs:${REGION}:${ACCOUNT}:orders`;
const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Sid: "p", Effect: "Allow", Principal: "*", Action: "lambda:InvokeFunction", Resource: arnOf("f") }],
});
const LAYER = { LayerName: "l", VersionNumber: 1 } as const;
const READ: EventSources = { polls: () => true, problem: () => Promise.resolve(undefined) };

/** Its conditional writes fail while `isLost`, as if somebody had always been there before; `first` is done once, right before a write. */
function contended(t: TestContext) {
  const storage = memoryStorage({ clock: systemClock });
  t.after(() => storage.close());
  const { meta } = storage;
  const state: { isLost: boolean; first?: (() => Promise<unknown>) | undefined } = { isLost: false };
  const losing: MetaStore = {
    get: (keys) => meta.get(keys),
    list: (range) => meta.list(range),
    follow: (kinds, seen) => meta.follow(kinds, seen),
    async write(writes, enqueue) {
      const { first } = state;
      state.first = undefined;
      await first?.();
      if (state.isLost && writes.some(({ expect }) => expect !== undefined))
        throw new StorageError("Conflict", "somebody else has changed it");
      return await meta.write(writes, enqueue);
    },
  };
  return { state, meta: losing };
}

const KINDS = [
  "alias",
  "code-signing-config",
  "event-invoke-config",
  "event-source-mapping",
  "function",
  "function-url",
  "layer-counter",
  "layer-version",
  "mapped-source",
  "policy",
  "provisioned-concurrency",
  "reserved-concurrency",
  "runtime-management",
  "version",
  "version-counter",
] as const;

async function recordsIn(meta: MetaStore): Promise<readonly (readonly [kind: string, id: string, value: unknown])[]> {
  const lists = KINDS.map(async (kind) => {
    const found = await meta.list({ account: ACCOUNT, region: REGION, kind: `lambda.${kind}`, limit: 100 });
    return found.map(({ key, value }) => [kind, key.id, value] as const);
  });
  return (await Promise.all(lists)).flat();
}

const permission = { Action: "lambda:InvokeFunction", Principal: "*" };
const csc = { AllowedPublishers: { SigningProfileVersionArns: ["arn:aws:signer:eu-west-1:000000000000:/signing-profiles/p/abcdefghij"] } };

/** One of everything, and what has names that nobody knows before. */
async function furnished(one: Started) {
  const { client, zip } = one;
  await makeFunction(one, "f");
  await send(client, "PublishVersion", f);
  await send(client, "UpdateFunctionConfiguration", { ...f, Description: "not published yet" });
  await settled(one, "f");
  await send(client, "CreateAlias", { ...f, Name: "live", FunctionVersion: "1" });
  await send(client, "AddPermission", { ...f, ...permission, StatementId: "s" });
  await send(client, "CreateFunctionUrlConfig", { ...f, AuthType: "NONE" });
  await send(client, "PutFunctionEventInvokeConfig", { ...f, MaximumRetryAttempts: 1 });
  await send(client, "PublishLayerVersion", { LayerName: "l", Content: { ZipFile: zip } });
  await send(client, "AddLayerVersionPermission", { ...LAYER, Action: "lambda:GetLayerVersion", Principal: "*", StatementId: "s" });
  const { UUID } = await send(client, "CreateEventSourceMapping", { ...f, EventSourceArn: QUEUE });
  const arns: string[] = [];
  for (let made = 0; made < 2; made++) {
    const { CodeSigningConfig } = await send(client, "CreateCodeSigningConfig", csc);
    arns.push((CodeSigningConfig as { CodeSigningConfigArn: string }).CodeSigningConfigArn);
  }
  const [attached = "", free = ""] = arns;
  await send(client, "PutFunctionCodeSigningConfig", { ...f, CodeSigningConfigArn: attached });
  await send(client, "TagResource", { Resource: arnOf("f"), Tags: { a: "b" } });
  return { UUID, attached, free };
}

test("who loses every race is refused by each operation, and what is unconditional has no race", async (t) => {
  const { state, meta } = contended(t);
  const one = await startLambda(t, { meta, sources: READ });
  const { UUID, attached, free } = await furnished(one);
  const Code = { ZipFile: one.zip };
  const lost: readonly Row["call"][] = [
    ["CreateFunction", { FunctionName: "g", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code }],
    ["UpdateFunctionConfiguration", { ...f, Timeout: 9 }],
    ["UpdateFunctionCode", { ...f, ZipFile: one.zip }],
    ["PublishVersion", f],
    ["CreateAlias", { ...f, Name: "new", FunctionVersion: "1" }],
    ["UpdateAlias", { ...f, Name: "live", Description: "x" }],
    ["AddPermission", { ...f, ...permission, StatementId: "t" }],
    ["RemovePermission", { ...f, StatementId: "s" }],
    ["PutResourcePolicy", { ResourceArn: arnOf("f"), Policy: POLICY }],
    ["DeleteResourcePolicy", { ResourceArn: arnOf("f") }],
    ["CreateFunctionUrlConfig", { ...f, Qualifier: "live", AuthType: "NONE" }],
    ["UpdateFunctionUrlConfig", { ...f, AuthType: "AWS_IAM" }],
    ["PutFunctionEventInvokeConfig", { ...f, MaximumRetryAttempts: 0 }],
    ["UpdateFunctionEventInvokeConfig", { ...f, MaximumRetryAttempts: 0 }],
    ["PutFunctionConcurrency", { ...f, ReservedConcurrentExecutions: 1 }],
    ["PutProvisionedConcurrencyConfig", { ...f, Qualifier: "1", ProvisionedConcurrentExecutions: 1 }],
    ["PutFunctionRecursionConfig", { ...f, RecursiveLoop: "Allow" }],
    ["PutRuntimeManagementConfig", { ...f, UpdateRuntimeOn: "FunctionUpdate" }],
    ["PutFunctionCodeSigningConfig", { ...f, CodeSigningConfigArn: free }],
    ["DeleteFunctionCodeSigningConfig", f],
    ["UpdateCodeSigningConfig", { CodeSigningConfigArn: attached, Description: "x" }],
    ["DeleteCodeSigningConfig", { CodeSigningConfigArn: free }],
    ["PublishLayerVersion", { LayerName: "l", Content: Code }],
    ["AddLayerVersionPermission", { ...LAYER, Action: "lambda:GetLayerVersion", Principal: "*", StatementId: "t" }],
    ["RemoveLayerVersionPermission", { ...LAYER, StatementId: "s" }],
    ["CreateEventSourceMapping", { ...f, EventSourceArn: `${QUEUE}2` }],
    ["TagResource", { Resource: arnOf("f"), Tags: { c: "d" } }],
    ["UntagResource", { Resource: arnOf("f"), TagKeys: ["a"] }],
  ];
  const refused = [409, "ResourceConflictException", /already exist|An update is in progress/] as const;
  const inUse = [400, "ResourceInUseException", /because it is in use\.$/] as const;
  const before = await recordsIn(meta);
  state.isLost = true;
  for (const call of lost) await check(one, { name: call[0], call, fault: refused });
  await check(one, { name: "update", call: ["UpdateEventSourceMapping", { UUID, BatchSize: 5 }], fault: inUse });
  await check(one, { name: "delete", call: ["DeleteEventSourceMapping", { UUID }], fault: inUse });
  assert.deepEqual(await recordsIn(meta), before, "what was refused has changed something");
  const unconditional: readonly Row["call"][] = [
    ["DeleteProvisionedConcurrencyConfig", { ...f, Qualifier: "1" }],
    ["DeleteFunctionConcurrency", f],
    ["DeleteFunctionEventInvokeConfig", f],
    ["DeleteFunctionUrlConfig", f],
    ["DeleteAlias", { ...f, Name: "live" }],
    ["DeleteFunction", { ...f, Qualifier: "1" }],
    ["DeleteLayerVersion", LAYER],
    ["DeleteFunction", f],
  ];
  for (const call of unconditional) await check(one, { name: call[0], call });
  assert.deepEqual(
    (await recordsIn(meta)).filter(([, id]) => id.split("/")[0] === "f").map(([kind]) => kind),
    ["version-counter"],
  );
});

/** Of a function, by what it is given: its own name, or that of an alias or a version. */
const attached = (Qualifier: string | undefined): readonly Row["call"][] => {
  const q = Qualifier === undefined ? {} : { Qualifier };
  const ResourceArn = Qualifier === undefined ? arnOf("f") : `${arnOf("f")}:${Qualifier}`;
  const Statement = [{ Sid: "p", Effect: "Allow", Principal: "*", Action: "lambda:InvokeFunction", Resource: ResourceArn }];
  return [
    ["AddPermission", { ...f, ...q, ...permission, StatementId: "s" }],
    ["PutResourcePolicy", { ResourceArn, Policy: JSON.stringify({ Version: "2012-10-17", Statement }) }],
    ["PutFunctionEventInvokeConfig", { ...f, ...q, MaximumRetryAttempts: 1 }],
  ];
};
const OF_FUNCTION: readonly Row["call"][] = [
  ...attached(undefined),
  ...attached("1"),
  ...attached("live"),
  ["CreateAlias", { ...f, Name: "new", FunctionVersion: "1" }],
  ["UpdateAlias", { ...f, Name: "live", Description: "x" }],
  ["CreateFunctionUrlConfig", { ...f, AuthType: "NONE" }],
  ["CreateFunctionUrlConfig", { ...f, Qualifier: "live", AuthType: "NONE" }],
  ["PutFunctionConcurrency", { ...f, ReservedConcurrentExecutions: 1 }],
  ["PutProvisionedConcurrencyConfig", { ...f, Qualifier: "1", ProvisionedConcurrentExecutions: 1 }],
  ["PutRuntimeManagementConfig", { ...f, UpdateRuntimeOn: "FunctionUpdate" }],
  ["PutFunctionRecursionConfig", { ...f, RecursiveLoop: "Allow" }],
  ["PublishVersion", f],
  ["TagResource", { Resource: arnOf("f"), Tags: { c: "d" } }],
  ["UpdateFunctionConfiguration", { ...f, Timeout: 9 }],
];
const OF_ALIAS: readonly Row["call"][] = [
  ...attached("live"),
  ["UpdateAlias", { ...f, Name: "live", Description: "x" }],
  ["PutProvisionedConcurrencyConfig", { ...f, Qualifier: "live", ProvisionedConcurrentExecutions: 1 }],
];
const OF_VERSION: readonly Row["call"][] = [
  ...attached("1"),
  ["CreateAlias", { ...f, Name: "new", FunctionVersion: "1" }],
  ["CreateAlias", { ...f, Name: "new", FunctionVersion: "2", RoutingConfig: { AdditionalVersionWeights: { 1: 0.5 } } }],
  ["UpdateAlias", { ...f, Name: "live", FunctionVersion: "1" }],
  ["UpdateAlias", { ...f, Name: "live", RoutingConfig: { AdditionalVersionWeights: { 1: 0.5 } } }],
  ["PutProvisionedConcurrencyConfig", { ...f, Qualifier: "1", ProvisionedConcurrentExecutions: 1 }],
  ["PutRuntimeManagementConfig", { ...f, Qualifier: "1", UpdateRuntimeOn: "FunctionUpdate" }],
];

/** Enough for an operation to be done that waits for nobody. */
async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

/** A function with two versions, an alias of the second, and something to be published. */
async function startFunction(t: TestContext) {
  const { state, meta } = contended(t);
  const one = await startLambda(t, { meta, sources: READ });
  await makeFunction(one, "f");
  for (const Description of ["second", "third"]) {
    await send(one.client, "PublishVersion", f);
    await send(one.client, "UpdateFunctionConfiguration", { ...f, Description });
    await settled(one, "f");
  }
  await send(one.client, "CreateAlias", { ...f, Name: "live", FunctionVersion: "2" });
  return { state, meta, one };
}

type Deletion = (operations: Started["service"]["operations"]) => Promise<unknown>;
type IsLeft = (record: readonly [kind: string, id: string, value: unknown]) => boolean;

/** What is left of something that is deleted between what each call has read and what it writes. */
async function leftOf(t: TestContext, calls: readonly Row["call"][], what: string, deletion: Deletion, isLeft: IsLeft): Promise<string[]> {
  const left: string[] = [];
  for (const [operation, input] of calls) {
    const { state, meta, one } = await startFunction(t);
    let deleted: Promise<string> | undefined;
    const nameOf = (done: Promise<unknown>) =>
      done.then(
        () => "done",
        ({ name }: Error) => name,
      );
    state.first = async () => {
      deleted = nameOf(deletion(one.service.operations));
      await someTurns();
    };
    const name = await nameOf(send(one.client, operation, input));
    const called = `${operation} ${JSON.stringify(input)} while ${what} is deleted`;
    assert.match(name, /^(?:done|ResourceNotFoundException|ResourceConflictException)$/, called);
    assert.ok(deleted !== undefined, `${called}: nothing was written`);
    // It waits for aliases that take the version, and is refused then.
    if ((await deleted) === "done") left.push(...(await recordsIn(meta)).filter(isLeft).map(([kind, id]) => `${called}: ${kind} ${id}`));
    else assert.deepEqual([name, await deleted], ["done", "ResourceConflictException"], called);
  }
  return left;
}

test("what is given to something that is deleted in the same moment does not outlive it", async (t) => {
  const deleting =
    (more: object): Deletion =>
    async (operations) =>
      await operations.DeleteFunction(contextOf(), { ...f, ...more });
  const left = [
    await leftOf(t, OF_FUNCTION, "the function", deleting({}), ([kind, id]) => kind !== "version-counter" && id.split("/")[0] === "f"),
    await leftOf(
      t,
      OF_ALIAS,
      "the alias",
      async (operations) => await operations.DeleteAlias(contextOf(), { ...f, Name: "live" }),
      ([, id]) => id === "f/live",
    ),
    await leftOf(
      t,
      OF_VERSION,
      "the version",
      deleting({ Qualifier: "1" }),
      ([, id, value]) => /^f\/0*1$/.test(id) || /"FunctionVersion":"1"|"weights":\{"1"/.test(JSON.stringify(value)),
    ),
  ];
  assert.deepEqual(left.flat(), []);
});
