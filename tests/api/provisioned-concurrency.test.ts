// Provisioned concurrency through the API: asked for, told to the data plane, moved with its alias, bounded, taken away.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type * as lambda from "@aws-sdk/client-lambda";
import { eventually } from "../support/eventually.ts";
import { arnOf, check, covered, makeFunction, send, settled, startLambda, type Row, type Started } from "./lambda.fixture.ts";

const f = { FunctionName: "f" } as const;

/** Function f with versions 1 and 2, and an alias `live` of the first. */
async function started(t: Parameters<typeof startLambda>[0]): Promise<Started> {
  const one = await startLambda(t);
  await makeFunction(one, "f", { Publish: true });
  await send(one.client, "UpdateFunctionConfiguration", { ...f, Description: "second" });
  await settled(one, "f");
  await send(one.client, "PublishVersion", f);
  await send(one.client, "CreateAlias", { ...f, Name: "live", FunctionVersion: "1" });
  return one;
}

const put = ({ client }: Started, Qualifier: string, ProvisionedConcurrentExecutions: number) =>
  send(client, "PutProvisionedConcurrencyConfig", { ...f, Qualifier, ProvisionedConcurrentExecutions });
const get = ({ client }: Started, Qualifier: string) => send(client, "GetProvisionedConcurrencyConfig", { ...f, Qualifier });

/** What the data plane keeps, by version. */
const kept = ({ invoker }: Started): Record<string, number> =>
  Object.fromEntries([...invoker.kept].map(([key, { requested }]) => [key.split("/")[3], requested]));

const keeps = (one: Started, expected: Record<string, number>) =>
  eventually(`${JSON.stringify(expected)} is kept`, () => isDeepStrictEqual(kept(one), expected));

const unreserved = async ({ client }: Started) =>
  ((await send(client, "GetAccountSettings", {}))["AccountLimit"] as lambda.AccountLimit).UnreservedConcurrentExecutions;

test("it begins in progress, becomes ready, is shown and listed, and is less for all others", async (t) => {
  const one = await started(t);
  const { LastModified, ...progress } = await put(one, "1", 3);
  assert.match(String(LastModified), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$/);
  const shown = { RequestedProvisionedConcurrentExecutions: 3, LastModified };
  assert.deepEqual(progress, {
    RequestedProvisionedConcurrentExecutions: 3,
    AvailableProvisionedConcurrentExecutions: 0,
    AllocatedProvisionedConcurrentExecutions: 0,
    Status: "IN_PROGRESS",
  });
  await keeps(one, { 1: 3 });
  const ready = { ...shown, AvailableProvisionedConcurrentExecutions: 3, AllocatedProvisionedConcurrentExecutions: 3, Status: "READY" };
  assert.deepEqual(await get(one, "1"), ready);
  assert.equal(await unreserved(one), 997);
  await put(one, "2", 1);
  const first = await send(one.client, "ListProvisionedConcurrencyConfigs", { FunctionName: "f", MaxItems: 1 });
  assert.deepEqual(first["ProvisionedConcurrencyConfigs"], [{ FunctionArn: `${arnOf("f")}:1`, ...ready }]);
  const second = await send(one.client, "ListProvisionedConcurrencyConfigs", { ...f, Marker: first["NextMarker"] });
  const [last] = second["ProvisionedConcurrencyConfigs"] as lambda.ProvisionedConcurrencyConfigListItem[];
  assert.deepEqual([last?.FunctionArn, second["NextMarker"]], [`${arnOf("f")}:2`, undefined]);
  await send(one.client, "DeleteProvisionedConcurrencyConfig", { ...f, Qualifier: "1" });
  await send(one.client, "DeleteProvisionedConcurrencyConfig", { ...f, Qualifier: "1" });
  await keeps(one, { 2: 1 });
  assert.equal(await unreserved(one), 999);
});

test("it moves with its alias, and is shared out by weights", async (t) => {
  const one = await started(t);
  await put(one, "live", 10);
  await keeps(one, { 1: 10 });
  await send(one.client, "UpdateAlias", { ...f, Name: "live", FunctionVersion: "2" });
  await keeps(one, { 2: 10 });
  await send(one.client, "UpdateAlias", { ...f, Name: "live", RoutingConfig: { AdditionalVersionWeights: { 1: 0.3 } } });
  await keeps(one, { 2: 7, 1: 3 });
  assert.deepEqual((await get(one, "live"))["Status"], "READY");
  await send(one.client, "UpdateAlias", { ...f, Name: "live", RoutingConfig: { AdditionalVersionWeights: {} } });
  await keeps(one, { 2: 10 });
  await send(one.client, "DeleteAlias", { ...f, Name: "live" });
  await keeps(one, {});
  await send(one.client, "CreateAlias", { ...f, Name: "live", FunctionVersion: "1" });
  await assert.rejects(get(one, "live"), { name: "ProvisionedConcurrencyConfigNotFoundException" });
});

test("it is asked for again when the server starts, and goes with its version and its function", async (t) => {
  const first = await started(t);
  await put(first, "live", 2);
  await put(first, "2", 1);
  const second = await first.restart();
  await keeps(second, { 2: 1, 1: 2 });
  await send(second.client, "DeleteFunction", { ...f, Qualifier: "2" });
  await keeps(second, { 1: 2 });
  await send(second.client, "DeleteFunction", f);
  await keeps(second, {});
  await makeFunction(second, "f", { Publish: true });
  assert.deepEqual(await send(second.client, "ListProvisionedConcurrencyConfigs", f), { ProvisionedConcurrencyConfigs: [] });
});

test("what the data plane cannot do is told, and tried again", async (t) => {
  const one = await started(t);
  one.invoker.hasRoom = false;
  await put(one, "1", 5);
  await eventually("it has failed", async () => (await get(one, "1"))["Status"] === "FAILED");
  assert.match(String((await get(one, "1"))["StatusReason"]), /no room for so many/);
  one.invoker.hasRoom = true;
  await keeps(one, { 1: 5 });
  assert.equal((await get(one, "1"))["Status"], "READY");
  const [key = ""] = one.invoker.kept.keys();
  const report = async (failures: number, kind: "init" | "environment") => {
    one.invoker.kept.set(key, { requested: 5, allocated: 2, available: 0, problem: { kind, message: "No such runtime.", failures } });
    const { Status, StatusReason, AllocatedProvisionedConcurrentExecutions: allocated } = await get(one, "1");
    return [Status, StatusReason, allocated];
  };
  assert.deepEqual(await report(5, "init"), ["IN_PROGRESS", undefined, 2]);
  assert.deepEqual(await report(6, "init"), ["FAILED", "FUNCTION_ERROR_INIT_FAILURE", 2]);
  assert.deepEqual(await report(6, "environment"), ["FAILED", "No such runtime.", 2]);
});

test("what is reserved and what is provisioned keep to each other", async (t) => {
  const one = await started(t);
  await send(one.client, "PutFunctionConcurrency", { ...f, ReservedConcurrentExecutions: 5 });
  await put(one, "1", 3);
  assert.equal(await unreserved(one), 995, "it is part of the reservation");
  const rows: readonly Row[] = [
    {
      name: "more than is reserved, together",
      call: ["PutProvisionedConcurrencyConfig", { ...f, Qualifier: "2", ProvisionedConcurrentExecutions: 3 }],
      fault: [
        400,
        "InvalidParameterValueException",
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
      ],
      hasType: false,
    },
    { name: "as much", call: ["PutProvisionedConcurrencyConfig", { ...f, Qualifier: "2", ProvisionedConcurrentExecutions: 2 }] },
    {
      name: "less reserved",
      call: ["PutFunctionConcurrency", { ...f, ReservedConcurrentExecutions: 4 }],
      fault: [
        400,
        "InvalidParameterValueException",
        " ReservedConcurrentExecutions  4 should not be lower than function's total provisioned concurrency [5].",
      ],
      hasType: false,
    },
  ];
  for (const row of rows) await check(one, row);
  await send(one.client, "DeleteFunctionConcurrency", f);
  assert.equal(await unreserved(one), 995, "without a reservation it counts by itself");
});

test("the account keeps its unreserved hundred although many ask at once", async (t) => {
  const one = await started(t);
  await makeFunction(one, "g");
  const asked = [
    ...Array.from({ length: 8 }, () => put(one, "1", 600)),
    ...Array.from({ length: 8 }, () =>
      send(one.client, "PutFunctionConcurrency", { FunctionName: "g", ReservedConcurrentExecutions: 600 }),
    ),
  ];
  const results = await Promise.allSettled(asked);
  assert.ok(results.some(({ status }) => status === "rejected") && results.some(({ status }) => status === "fulfilled"));
  assert.ok(((await unreserved(one)) ?? 0) >= 100);
});

test("what is refused, in AWS's words", async (t) => {
  const one = await started(t);
  await send(one.client, "CreateAlias", { ...f, Name: "latest", FunctionVersion: "$LATEST" });
  await send(one.client, "CreateAlias", {
    ...f,
    Name: "split",
    FunctionVersion: "1",
    RoutingConfig: { AdditionalVersionWeights: { 2: 0.5 } },
  });
  const PUT = "PutProvisionedConcurrencyConfig";
  const invalid = "InvalidParameterValueException";
  const unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
  const only = "The function resource provided must be an alias or a published version.";
  const provisioned = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version";
  const ask = (Qualifier: string, count: number, fault?: Row["fault"], hasType = true): Row => ({
    name: `${Qualifier} ${count}`,
    call: [PUT, { ...f, Qualifier, ProvisionedConcurrentExecutions: count }],
    ...(fault === undefined ? {} : { fault, ...(hasType ? {} : { hasType }) }),
  });
  const zero =
    /^1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 1$/;
  const rows: readonly Row[] = [
    ask("$LATEST", 1, [400, invalid, unpublished]),
    ask("latest", 1, [400, invalid, unpublished]),
    { ...ask("1", 0), fault: [400, "ValidationException", zero] },
    ask("3", 1, [404, "ResourceNotFoundException", `Function not found: ${arnOf("f")}:3`]),
    ask("none", 1, [404, "ResourceNotFoundException", `Cannot find alias arn: ${arnOf("f")}:none`]),
    ...["GetProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig"].map((operation): Row => ({
      name: `${operation} of an alias that is not there`,
      call: [operation as Row["call"][0], { ...f, Qualifier: "none" }],
      fault: [404, "ResourceNotFoundException", `Cannot find alias arn: ${arnOf("f")}:none`],
    })),
    ask("split", 1, [400, invalid, "Alias with weights can not be used with Provisioned Concurrency"]),
    ask(
      "1",
      1001,
      [400, invalid, "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000]."],
      false,
    ),
    ask(
      "1",
      901,
      [
        400,
        invalid,
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].",
      ],
      false,
    ),
    ask("live", 2),
    ask("1", 1, [409, "ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias"]),
    ask("2", 1),
    {
      name: "an alias moves to where another has it",
      call: ["UpdateAlias", { ...f, Name: "live", FunctionVersion: "2" }],
      fault: [409, "ResourceConflictException", provisioned],
    },
    {
      name: "an alias moves to what is not published",
      call: ["UpdateAlias", { ...f, Name: "live", FunctionVersion: "$LATEST" }],
      fault: [400, invalid, unpublished],
    },
    { name: "an alias of the same version", call: ["CreateAlias", { ...f, Name: "same", FunctionVersion: "2" }] },
    ask("same", 1, [409, "ResourceConflictException", provisioned]),
    { name: "get of $LATEST", call: ["GetProvisionedConcurrencyConfig", { ...f, Qualifier: "$LATEST" }], fault: [400, invalid, only] },
    {
      name: "delete of $LATEST",
      call: ["DeleteProvisionedConcurrencyConfig", { ...f, Qualifier: "$LATEST" }],
      fault: [400, invalid, only],
    },
    {
      name: "get of none",
      call: ["GetProvisionedConcurrencyConfig", { ...f, Qualifier: "same" }],
      fault: [404, "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function"],
    },
    {
      name: "get",
      call: ["GetProvisionedConcurrencyConfig", { ...f, Qualifier: "live" }],
      expect: { RequestedProvisionedConcurrentExecutions: 2 },
    },
    {
      name: "delete of a version that is not there",
      call: ["DeleteProvisionedConcurrencyConfig", { ...f, Qualifier: "42" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("f")}:42`],
    },
    { name: "delete of none", call: ["DeleteProvisionedConcurrencyConfig", { ...f, Qualifier: "same" }] },
    { name: "list", call: ["ListProvisionedConcurrencyConfigs", f] },
    {
      name: "list of a function that is not there",
      call: ["ListProvisionedConcurrencyConfigs", { FunctionName: "none" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("none")}`],
    },
  ];
  for (const row of rows) await check(one, row);
  for (const operation of ["Put", "Get", "Delete"].map((verb) => `${verb}ProvisionedConcurrencyConfig`))
    assert.ok(covered.success.has(operation) && covered.fault.has(operation), operation);
});
