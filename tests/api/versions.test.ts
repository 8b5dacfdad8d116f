// Versions: published, numbered, unchanging, listed, invoked and deleted.
import assert from "node:assert/strict";
import { test } from "node:test";
import type * as lambda from "@aws-sdk/client-lambda";
import { arnOf, check, covered, makeFunction, send, settled, startLambda, UUID, type Row, type Started } from "./lambda.fixture.ts";
import { zipOf } from "../support/zip.ts";

type Configuration = lambda.FunctionConfiguration;

async function started(t: Parameters<typeof startLambda>[0]): Promise<Started> {
  const one = await startLambda(t);
  await makeFunction(one, "f", { Description: "first" });
  return one;
}

const publish = async (one: Pick<Started, "client">, more: object = {}): Promise<Configuration> =>
  await send(one.client, "PublishVersion", { FunctionName: "f", ...more });
const get = async (one: Pick<Started, "client">, Qualifier?: string): Promise<Configuration> =>
  await send(one.client, "GetFunctionConfiguration", { FunctionName: "f", ...(Qualifier === undefined ? {} : { Qualifier }) });
const update = async (one: Started, more: object) => {
  await send(one.client, "UpdateFunctionConfiguration", { FunctionName: "f", ...more });
  await settled(one, "f");
};

test("a version is what $LATEST was, under a number, and does not change any more", async (t) => {
  const one = await started(t);
  const before = await get(one);
  const version = await publish(one, { Description: "release" });
  assert.deepEqual(
    [version.Version, version.FunctionArn, version.Description, version.State, version.LastUpdateStatus],
    ["1", `${arnOf("f")}:1`, "release", "Active", "Successful"],
  );
  assert.deepEqual([version.CodeSha256, version.CodeSize, version.Timeout], [before.CodeSha256, before.CodeSize, before.Timeout]);
  assert.match(version.RevisionId ?? "", UUID);
  const latest = await get(one);
  assert.notEqual(latest.RevisionId, before.RevisionId);
  assert.deepEqual([latest.Version, latest.Description], ["$LATEST", "first"]);
  await update(one, { Timeout: 9, Environment: { Variables: { STAGE: "1" } } });
  const again = await get(one, "1");
  assert.deepEqual(again, version);
  assert.deepEqual((await publish(one)).Version, "2");
  assert.equal((await get(one, "2")).Timeout, 9);
});

test("what has not changed since is not published again, whatever its description shall be", async (t) => {
  const one = await started(t);
  const first = await publish(one, { Description: "a" });
  assert.deepEqual(await publish(one, { Description: "b" }), first);
  await update(one, { Description: "changed" });
  assert.deepEqual((await publish(one)).Version, "2");
  await send(one.client, "UpdateFunctionCode", { FunctionName: "f", ZipFile: one.zip });
  await settled(one, "f");
  assert.deepEqual((await publish(one)).Version, "2", "the same code is no change");
  await send(one.client, "DeleteFunction", { FunctionName: "f", Qualifier: "2" });
  await update(one, { Description: "first" });
  assert.deepEqual((await publish(one)).Version, "1", "version 1 is the last there is, and it is the same");
  await update(one, { Description: "other" });
  assert.deepEqual((await publish(one)).Version, "3", "numbers are not used again");
});

test("numbers are not used again by a function that is made anew", async (t) => {
  const one = await started(t);
  await publish(one);
  await send(one.client, "DeleteFunction", { FunctionName: "f" });
  await assert.rejects(get(one, "1"), { name: "ResourceNotFoundException" });
  await makeFunction(one, "f");
  await assert.rejects(get(one, "1"), { name: "ResourceNotFoundException", message: `Function not found: ${arnOf("f")}:1` });
  assert.equal((await publish(one)).Version, "2");
});

test("publishing with the creation and with an update of the code", async (t) => {
  const one = await startLambda(t);
  const created = await send(one.client, "CreateFunction", {
    FunctionName: "f",
    Runtime: "nodejs24.x",
    Handler: "index.handler",
    Role: "arn:aws:iam::000000000000:role/service/test",
    Code: { ZipFile: one.zip },
    Publish: true,
  });
  assert.deepEqual([created["Version"], created["FunctionArn"], created["State"]], ["1", arnOf("f"), "Pending"]);
  await settled(one, "f");
  const [latest, first] = [await get(one), await get(one, "1")];
  assert.notEqual(latest.RevisionId, first.RevisionId);
  assert.equal(first.State, "Active");
  const ZipFile = await zipOf({ "index.mjs": "export const handler = () => 2;" });
  const dry = await send(one.client, "UpdateFunctionCode", { FunctionName: "f", ZipFile, Publish: true, DryRun: true });
  assert.deepEqual([dry["Version"], dry["CodeSha256"]], ["$LATEST", latest.CodeSha256]);
  const second = await send(one.client, "UpdateFunctionCode", { FunctionName: "f", ZipFile, Publish: true });
  assert.deepEqual(
    [second["Version"], second["FunctionArn"], second["State"], second["LastUpdateStatus"]],
    ["2", `${arnOf("f")}:2`, "Pending", undefined],
  );
  await settled(one, "f");
  assert.notEqual((await get(one, "2")).CodeSha256, first.CodeSha256);
  assert.equal((await get(one, "1")).CodeSha256, first.CodeSha256);
});

test("a version is invoked with its own code and configuration, under all names, and never shares an environment", async (t) => {
  const one = await started(t);
  await publish(one);
  await update(one, { Timeout: 9 });
  const invoke = async (input: Record<string, unknown>) => (await send(one.client, "Invoke", input))["ExecutedVersion"];
  assert.equal(await invoke({ FunctionName: "f", Qualifier: "1" }), "1");
  assert.equal(await invoke({ FunctionName: "f:1" }), "1");
  assert.equal(await invoke({ FunctionName: `${arnOf("f")}:1` }), "1");
  assert.equal(await invoke({ FunctionName: "000000000000:function:f:1" }), "1");
  assert.equal(await invoke({ FunctionName: "f" }), "$LATEST");
  const [first, , , , latest] = one.invoker.invocations;
  assert.deepEqual([first?.deployment.timeoutMs, latest?.deployment.timeoutMs], [3000, 9000]);
  assert.deepEqual([first?.deployment.version, first?.request.invokedArn], ["1", `${arnOf("f")}:1`]);
  assert.notEqual(first?.deployment.key, latest?.deployment.key);
  await assert.rejects(invoke({ FunctionName: "f", Qualifier: "7" }), { message: `Function not found: ${arnOf("f")}:7` });
  await assert.rejects(invoke({ FunctionName: "f:1", Qualifier: "2" }), { name: "InvalidParameterValueException" });
});

test("lists: $LATEST first, then by number, in pages; all versions of all functions", async (t) => {
  const one = await started(t);
  await makeFunction(one, "a");
  for (let number = 1; number <= 11; number++) {
    await update(one, { Timeout: number + 1 });
    await publish(one);
  }
  const pages = async (operation: "ListVersionsByFunction" | "ListFunctions", member: string, input: object) => {
    const versions: (string | undefined)[] = [];
    for (let Marker: unknown = ""; Marker !== undefined;) {
      const answer = await send(one.client, operation, { MaxItems: 5, Marker, ...input });
      const found = answer[member] as Configuration[];
      assert.ok(found.length <= 5 && found.every((item) => item.State === undefined && item.LastUpdateStatus === undefined));
      versions.push(...found.map((item) => `${item.FunctionName} ${item.Version} ${item.FunctionArn?.split(":").slice(7).join(":")}`));
      Marker = answer["NextMarker"];
    }
    return versions;
  };
  const numbers = Array.from({ length: 11 }, (_, n) => `f ${n + 1} ${n + 1}`);
  const all = await pages("ListVersionsByFunction", "Versions", { FunctionName: "f" });
  assert.deepEqual(all, ["f $LATEST $LATEST", ...numbers]);
  const everything = await pages("ListFunctions", "Functions", { FunctionVersion: "ALL" });
  assert.deepEqual(everything, ["a $LATEST $LATEST", "f $LATEST $LATEST", ...numbers]);
  assert.deepEqual(await pages("ListFunctions", "Functions", {}), ["a $LATEST ", "f $LATEST "]);
});

test("a deleted version is gone, with its environments; its code goes when nothing else has it", async (t) => {
  const one = await started(t);
  const { CodeSha256 } = await publish(one);
  const sha256 = Buffer.from(CodeSha256 ?? "", "base64").toString("hex");
  await send(one.client, "UpdateFunctionCode", { FunctionName: "f", ZipFile: await zipOf({ "index.mjs": "// other" }) });
  await settled(one, "f");
  assert.equal(one.service.isReferenced(sha256), true);
  const usage = (await send(one.client, "GetAccountSettings", {}))["AccountUsage"] as lambda.AccountUsage;
  assert.ok((usage.TotalCodeSize ?? 0) > one.zip.length);
  await send(one.client, "Invoke", { FunctionName: "f:1" });
  const key = one.invoker.invocations[0]?.deployment.key ?? "";
  await send(one.client, "DeleteFunction", { FunctionName: "f:1" });
  assert.ok(one.invoker.retired.includes(key));
  assert.equal(one.service.isReferenced(sha256), false);
  await send(one.client, "DeleteFunction", { FunctionName: "f:1" });
  await assert.rejects(get(one, "1"), { name: "ResourceNotFoundException" });
});

test("versions are there after a restart", async (t) => {
  const first = await started(t);
  const version = await publish(first);
  const second = await first.restart();
  assert.deepEqual(await get(second, "1"), version);
  assert.equal((await send(second.client, "Invoke", { FunctionName: "f:1" }))["ExecutedVersion"], "1");
});

test("of many publications at once, none makes a second version of the same state", async (t) => {
  const one = await started(t);
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => publish(one)));
  for (const outcome of outcomes)
    if (outcome.status === "rejected") assert.equal((outcome.reason as Error).name, "ResourceConflictException");
  const { Versions } = await send(one.client, "ListVersionsByFunction", { FunctionName: "f" });
  assert.deepEqual(
    (Versions as Configuration[]).map((item) => item.Version),
    ["$LATEST", "1"],
  );
});

/** As often as somebody else is in the way. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 0; tries < 1000; tries++)
    try {
      return await call();
    } catch (cause) {
      assert.equal((cause as Error).name, "ResourceConflictException");
    }
  return assert.fail("always in the way");
}

test("a publication after a settled change has that change, whoever else publishes and tags meanwhile", async (t) => {
  const one = await started(t);
  const Resource = arnOf("f");
  const over = new AbortController();
  const untilOver = async (call: (n: number) => Promise<unknown>) => {
    for (let n = 0; !over.signal.aborted; n++) await insist(() => call(n));
  };
  const others = Promise.all([
    ...[1, 2, 3].map(() => untilOver(() => publish(one))),
    untilOver((n) => send(one.client, "TagResource", { Resource, Tags: { n: String(n) } })),
  ]);
  const descriptions = Array.from({ length: 30 }, (_, n) => `change ${n}`);
  for (const Description of descriptions) {
    await insist(() => send(one.client, "UpdateFunctionConfiguration", { FunctionName: "f", Description }));
    await settled(one, "f");
    assert.equal((await insist(() => publish(one))).Description, Description);
  }
  over.abort();
  await others;
  const { Versions } = await send(one.client, "ListVersionsByFunction", { FunctionName: "f" });
  const published = (Versions as Configuration[]).slice(1).map((item) => item.Description);
  assert.deepEqual(published.slice(-descriptions.length), descriptions);
  assert.ok(published.length <= descriptions.length + 1, "the state before, if anybody was quick enough");
});

test("what is refused, in AWS's words", async (t) => {
  const one = await started(t);
  const { CodeSha256 } = await get(one);
  const invalid = "InvalidParameterValueException";
  const rows: readonly Row[] = [
    { name: "published", call: ["PublishVersion", { FunctionName: "f", CodeSha256 }], expect: { Version: "1" } },
    {
      name: "no function",
      call: ["PublishVersion", { FunctionName: "g" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`],
    },
    {
      name: "other code",
      call: ["PublishVersion", { FunctionName: "f", CodeSha256: "x" }],
      fault: [
        400,
        invalid,
        `CodeSHA256 (x) is different from current CodeSHA256 in $LATEST (${CodeSha256}). Please try again with the CodeSHA256 in $LATEST.`,
      ],
    },
    {
      name: "stale revision",
      call: ["PublishVersion", { FunctionName: "f", RevisionId: "x" }],
      fault: [412, "PreconditionFailedException", /^The Revision Id provided does not match/],
    },
    {
      name: "not built",
      call: ["PublishVersion", { FunctionName: "f", PublishTo: "LATEST_PUBLISHED" }],
      fault: [400, invalid, /^Lambent does not support PublishTo yet/],
    },
    { name: "listed", call: ["ListVersionsByFunction", { FunctionName: "f" }] },
    {
      name: "no function to list",
      call: ["ListVersionsByFunction", { FunctionName: "g" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`],
    },
    {
      name: "a marker of another list",
      call: ["ListVersionsByFunction", { FunctionName: "f", Marker: "eA" }],
      fault: [400, "ValidationException", /at 'marker'/],
    },
    {
      name: "$LATEST is not deleted alone",
      call: ["DeleteFunction", { FunctionName: "f:$LATEST" }],
      fault: [400, invalid, "$LATEST version cannot be deleted without deleting the function."],
    },
    {
      name: "a version is not changed",
      call: ["UpdateFunctionConfiguration", { FunctionName: "f:1", Timeout: 4 }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("f")}:1`],
    },
  ];
  for (const row of rows) await check(one, row);
  for (const operation of ["PublishVersion", "ListVersionsByFunction"])
    assert.ok(covered.success.has(operation) && covered.fault.has(operation), operation);
});

test("as long as a server that stops still answers, it answers from what was written", async (t) => {
  const one = await started(t);
  await publish(one);
  await one.service.stop();
  await send(one.client, "UpdateFunctionConfiguration", { FunctionName: "f", Description: "second" });
  const { Description, LastUpdateStatus } = await get(one);
  assert.deepEqual([Description, LastUpdateStatus], ["second", "InProgress"]);
  await assert.rejects(publish(one), { name: "ResourceConflictException" });
});
