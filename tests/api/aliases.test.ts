// Aliases: made, moved, weighted, invoked and deleted.
import assert from "node:assert/strict";
import { test } from "node:test";
import type * as lambda from "@aws-sdk/client-lambda";
import { random } from "../support/hostile-requests.ts";
import { arnOf, check, covered, makeFunction, send, settled, startLambda, UUID, type Row, type Started } from "./lambda.fixture.ts";

/** A function with the versions 1 and 2. */
async function started(t: Parameters<typeof startLambda>[0], options: Parameters<typeof startLambda>[1] = {}): Promise<Started> {
  const one = await startLambda(t, options);
  await makeFunction(one, "f");
  await send(one.client, "PublishVersion", { FunctionName: "f" });
  await send(one.client, "UpdateFunctionConfiguration", { FunctionName: "f", Timeout: 9 });
  await settled(one, "f");
  await send(one.client, "PublishVersion", { FunctionName: "f" });
  return one;
}

const alias = (one: Pick<Started, "client">, operation: "CreateAlias" | "UpdateAlias" | "GetAlias", more: object = {}) =>
  send(one.client, operation, { FunctionName: "f", Name: "live", ...more });

test("an alias is made, shown, moved and deleted", async (t) => {
  const one = await started(t);
  const created = await alias(one, "CreateAlias", { FunctionVersion: "1" });
  const { RevisionId, ...rest } = created;
  assert.match(String(RevisionId), UUID);
  assert.deepEqual(rest, { AliasArn: `${arnOf("f")}:live`, Name: "live", FunctionVersion: "1", Description: "" });
  assert.deepEqual(await alias(one, "GetAlias"), created);
  const moved = await alias(one, "UpdateAlias", { FunctionVersion: "2", RevisionId });
  assert.deepEqual([moved["FunctionVersion"], moved["Description"]], ["2", ""]);
  assert.notEqual(moved["RevisionId"], RevisionId);
  const described = await alias(one, "UpdateAlias", { Description: "for all" });
  assert.deepEqual([described["FunctionVersion"], described["Description"]], ["2", "for all"]);
  await send(one.client, "DeleteAlias", { FunctionName: "f", Name: "live" });
  await send(one.client, "DeleteAlias", { FunctionName: "f", Name: "live" });
  await assert.rejects(alias(one, "GetAlias"), { message: `Cannot find alias arn: ${arnOf("f")}:live` });
});

test("GetFunction and Invoke know an alias in every form of the name", async (t) => {
  const one = await started(t);
  await alias(one, "CreateAlias", { FunctionVersion: "2" });
  for (const input of [{ FunctionName: "f", Qualifier: "live" }, { FunctionName: "f:live" }, { FunctionName: `${arnOf("f")}:live` }]) {
    const { Configuration } = (await send(one.client, "GetFunction", input)) as { Configuration: lambda.FunctionConfiguration };
    assert.deepEqual(
      [Configuration.FunctionArn, Configuration.Version, Configuration.Timeout],
      [`${arnOf("f")}:live`, "2", 9],
      JSON.stringify(input),
    );
    assert.equal((await send(one.client, "Invoke", input))["ExecutedVersion"], "2");
  }
  assert.equal(one.invoker.invocations[0]?.request.invokedArn, `${arnOf("f")}:live`);
  await alias(one, "UpdateAlias", { FunctionVersion: "$LATEST" });
  assert.equal((await send(one.client, "Invoke", { FunctionName: "f:live" }))["ExecutedVersion"], "$LATEST");
  await assert.rejects(send(one.client, "Invoke", { FunctionName: "f:dead" }), { message: `Function not found: ${arnOf("f")}:dead` });
});

test("weights send their share to the second version; empty ones are taken away", async (t) => {
  const one = await started(t, { chance: random(1) });
  const weighted = { RoutingConfig: { AdditionalVersionWeights: { 2: 0.25 } } };
  const created = await alias(one, "CreateAlias", { FunctionVersion: "1", ...weighted });
  assert.deepEqual(created["RoutingConfig"], weighted.RoutingConfig);
  const counts: Record<string, number> = {};
  for (let turn = 0; turn < 400; turn++) {
    const { ExecutedVersion } = await send(one.client, "Invoke", { FunctionName: "f:live" });
    counts[String(ExecutedVersion)] = (counts[String(ExecutedVersion)] ?? 0) + 1;
  }
  const { 1: main = 0, 2: second = 0 } = counts;
  // 100 are expected, give or take 9: 40 more or less come once in 200,000 seeds.
  assert.ok(main + second === 400 && second > 60 && second < 140, JSON.stringify(counts));
  const kept = await alias(one, "UpdateAlias", { Description: "x" });
  assert.deepEqual(kept["RoutingConfig"], weighted.RoutingConfig);
  const taken = await alias(one, "UpdateAlias", { RoutingConfig: { AdditionalVersionWeights: {} } });
  assert.equal("RoutingConfig" in taken, false);
});

test("lists of aliases: by name, of one version, in pages", async (t) => {
  const one = await started(t);
  for (const [Name, FunctionVersion] of Object.entries({ c: "1", a: "2", b: "1" }))
    await send(one.client, "CreateAlias", { FunctionName: "f", Name, FunctionVersion });
  const list = async (more: object) => {
    const { Aliases, NextMarker } = await send(one.client, "ListAliases", { FunctionName: "f", ...more });
    return { names: (Aliases as lambda.AliasConfiguration[]).map((item) => item.Name), NextMarker };
  };
  const first = await list({ MaxItems: 2 });
  assert.deepEqual(first.names, ["a", "b"]);
  assert.deepEqual(await list({ MaxItems: 2, Marker: first.NextMarker }), { names: ["c"], NextMarker: undefined });
  assert.deepEqual((await list({ FunctionVersion: "1" })).names, ["b", "c"]);
});

test("a version that an alias points to stays; with the function all of it goes", async (t) => {
  const one = await started(t);
  await alias(one, "CreateAlias", { FunctionVersion: "1", RoutingConfig: { AdditionalVersionWeights: { 2: 0.5 } } });
  for (const Qualifier of ["1", "2"])
    await assert.rejects(send(one.client, "DeleteFunction", { FunctionName: "f", Qualifier }), {
      name: "ResourceConflictException",
      message: "Unable to delete version because the following aliases reference it: [live]",
    });
  await assert.rejects(send(one.client, "DeleteFunction", { FunctionName: "f:live" }), {
    message: "Deletion of aliases is not currently supported.",
  });
  const second = await one.restart();
  assert.equal((await alias(second, "GetAlias"))["FunctionVersion"], "1");
  await send(second.client, "DeleteFunction", { FunctionName: "f" });
  await makeFunction(second, "f");
  await assert.rejects(alias(second, "GetAlias"), { name: "ResourceNotFoundException" });
});

test("an alias has an event invoke configuration of its own, which goes with it", async (t) => {
  const one = await started(t);
  await alias(one, "CreateAlias", { FunctionVersion: "1" });
  const config = { FunctionName: "f", Qualifier: "live" };
  await send(one.client, "PutFunctionEventInvokeConfig", { ...config, MaximumRetryAttempts: 1 });
  assert.equal((await send(one.client, "GetFunctionEventInvokeConfig", config))["FunctionArn"], `${arnOf("f")}:live`);
  await send(one.client, "DeleteAlias", { FunctionName: "f", Name: "live" });
  await assert.rejects(send(one.client, "GetFunctionEventInvokeConfig", config), { name: "ResourceNotFoundException" });
});

test("what is refused, in AWS's words", async (t) => {
  const one = await started(t);
  const invalid = "InvalidParameterValueException";
  const arn = arnOf("f");
  const create = (name: string, more: object, fault: Row["fault"], hasType?: boolean): Row => ({
    name,
    call: ["CreateAlias", { FunctionName: "f", Name: "live", FunctionVersion: "1", ...more }],
    ...(fault === undefined ? {} : { fault }),
    ...(hasType === undefined ? {} : { hasType }),
  });
  const weights = (AdditionalVersionWeights: object) => ({ RoutingConfig: { AdditionalVersionWeights } });
  const at = "1 validation error detected: Value";
  const rows: readonly Row[] = [
    create("made", {}, undefined),
    create("made twice", {}, [409, "ResourceConflictException", `Alias already exists: ${arn}:live`]),
    create("no function", { FunctionName: "g" }, [404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`]),
    create("no version", { Name: "x", FunctionVersion: "42" }, [404, "ResourceNotFoundException", `Function not found: ${arn}:42`]),
    create("a number for a name", { Name: "2024" }, [400, "ValidationException", /Value '2024' at 'name' failed to satisfy constraint/]),
    create("two weights", { Name: "x", ...weights({ 1: 0.1, 2: 0.1 }) }, [
      400,
      invalid,
      "Number of items in AdditionalVersionWeights cannot be greater than 1",
    ]),
    create("a weight of 2", { Name: "x", ...weights({ 2: 2 }) }, [
      400,
      "ValidationException",
      `${at} '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]`,
    ]),
    create("$LATEST has no share", { Name: "x", ...weights({ $LATEST: 0.5 }) }, [
      400,
      "ValidationException",
      `${at} '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]`,
    ]),
    create("the same version twice", { Name: "x", ...weights({ 1: 0.5 }) }, [
      400,
      invalid,
      "Invalid function version 1. Function version 1 is already included in routing configuration.",
    ]),
    create(
      "$LATEST has no second",
      { Name: "x", FunctionVersion: "$LATEST", ...weights({ 1: 0.5 }) },
      [400, invalid, "$LATEST is not supported for an alias pointing to more than 1 version"],
      false,
    ),
    create("a share for no version", { Name: "x", ...weights({ 7: 0.5 }) }, [
      404,
      "ResourceNotFoundException",
      `Function not found: ${arn}:7`,
    ]),
    { name: "shown", call: ["GetAlias", { FunctionName: "f", Name: "live" }], expect: { FunctionVersion: "1" } },
    {
      name: "not there",
      call: ["GetAlias", { FunctionName: "f", Name: "x" }],
      fault: [404, "ResourceNotFoundException", `Cannot find alias arn: ${arn}:x`],
    },
    { name: "changed", call: ["UpdateAlias", { FunctionName: "f", Name: "live", Description: "d" }], expect: { Description: "d" } },
    {
      name: "not there to change",
      call: ["UpdateAlias", { FunctionName: "f", Name: "x" }],
      fault: [404, "ResourceNotFoundException", `Alias not found: ${arn}:x`],
    },
    {
      name: "stale revision",
      call: ["UpdateAlias", { FunctionName: "f", Name: "live", RevisionId: "x" }],
      fault: [412, "PreconditionFailedException", /^The Revision Id provided does not match/],
    },
    { name: "listed", call: ["ListAliases", { FunctionName: "f" }] },
    {
      name: "of no function",
      call: ["ListAliases", { FunctionName: "g" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`],
    },
    { name: "deleted", call: ["DeleteAlias", { FunctionName: "f", Name: "x" }] },
    {
      name: "deleted of no function",
      call: ["DeleteAlias", { FunctionName: "g", Name: "x" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`],
    },
  ];
  for (const row of rows) await check(one, row);
  for (const operation of ["CreateAlias", "GetAlias", "UpdateAlias", "DeleteAlias", "ListAliases"])
    assert.ok(covered.success.has(operation) && covered.fault.has(operation), operation);
});
