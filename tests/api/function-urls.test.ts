// Configurations of function URLs, as deployment tools make and read them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { arnOf, check, covered, makeFunction, REGION, send, startLambda, type Row, type Started } from "./lambda.fixture.ts";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$/;

async function started(t: Parameters<typeof startLambda>[0]): Promise<Started> {
  const one = await startLambda(t);
  await makeFunction(one, "f");
  await send(one.client, "PublishVersion", { FunctionName: "f" });
  await send(one.client, "CreateAlias", { FunctionName: "f", Name: "live", FunctionVersion: "1" });
  return one;
}
type Sender = Pick<Started, "client">;
const create = (one: Sender, more: object = {}) =>
  send(one.client, "CreateFunctionUrlConfig", { FunctionName: "f", AuthType: "NONE", ...more });
const get = (one: Sender, more: object = {}) => send(one.client, "GetFunctionUrlConfig", { FunctionName: "f", ...more });
const update = (one: Sender, more: object) => send(one.client, "UpdateFunctionUrlConfig", { FunctionName: "f", ...more });

test("a URL has AWS's members, and an id that stays", async (t) => {
  const one = await started(t);
  const made = await create(one);
  const { FunctionUrl, CreationTime, ...rest } = made;
  assert.deepEqual(rest, { FunctionArn: arnOf("f"), AuthType: "NONE" });
  assert.match(String(CreationTime), TIME);
  const port = new URL(one.door.endpoint).port;
  assert.match(String(FunctionUrl), new RegExp(`^http://[a-z0-9]{32}\\.lambda-url\\.${REGION}\\.localhost:${port}/$`));
  const found = await get(one);
  assert.deepEqual(found, { ...made, InvokeMode: "BUFFERED", LastModifiedTime: CreationTime });
  const second = await one.restart();
  const id = (url: unknown) => new URL(String(url)).hostname;
  assert.equal(id((await get(second))["FunctionUrl"]), id(FunctionUrl));
});

test("an update changes what it names; empty rules take the rules away", async (t) => {
  const one = await started(t);
  const Cors = { AllowOrigins: ["https://example.com"], AllowMethods: ["GET", "*"], MaxAge: 5, AllowCredentials: true };
  const made = await create(one, { Cors, InvokeMode: "RESPONSE_STREAM" });
  assert.deepEqual([made["Cors"], made["InvokeMode"]], [Cors, "RESPONSE_STREAM"]);
  const changed = await update(one, { AuthType: "AWS_IAM" });
  assert.deepEqual([changed["AuthType"], changed["Cors"], changed["InvokeMode"]], ["AWS_IAM", Cors, "RESPONSE_STREAM"]);
  assert.equal((await update(one, { Cors: {}, InvokeMode: "BUFFERED" }))["Cors"], undefined);
  const found = await get(one);
  assert.deepEqual([found["Cors"], found["InvokeMode"], found["FunctionUrl"]], [undefined, "BUFFERED", made["FunctionUrl"]]);
});

test("a function and its aliases have URLs of their own, which go with the function", async (t) => {
  const one = await started(t);
  const made = await create(one);
  const alias = await create(one, { Qualifier: "live" });
  assert.equal(alias["FunctionArn"], `${arnOf("f")}:live`);
  assert.notEqual(alias["FunctionUrl"], made["FunctionUrl"]);
  const list = async (more: object = {}) => {
    const { FunctionUrlConfigs, NextMarker } = await send(one.client, "ListFunctionUrlConfigs", { FunctionName: "f", ...more });
    return { arns: (FunctionUrlConfigs as { FunctionArn: string }[]).map(({ FunctionArn }) => FunctionArn), NextMarker };
  };
  assert.deepEqual(await list(), { arns: [arnOf("f"), `${arnOf("f")}:live`], NextMarker: undefined });
  const { arns, NextMarker: Marker } = await list({ MaxItems: 1 });
  assert.deepEqual([arns, (await list({ Marker })).arns], [[arnOf("f")], [`${arnOf("f")}:live`]]);
  await send(one.client, "DeleteFunctionUrlConfig", { FunctionName: "f" });
  await assert.rejects(get(one), { name: "ResourceNotFoundException" });
  // A URL outlives its alias, and not its function.
  await send(one.client, "DeleteAlias", { FunctionName: "f", Name: "live" });
  assert.equal((await get(one, { Qualifier: "live" }))["FunctionUrl"], alias["FunctionUrl"]);
  await send(one.client, "DeleteFunction", { FunctionName: "f" });
  await makeFunction(one, "f");
  assert.deepEqual((await list()).arns, []);
});

test("of two that are made at once there is one", async (t) => {
  const one = await started(t);
  const made = await Promise.allSettled(Array.from({ length: 10 }, () => create(one)));
  assert.equal(made.filter(({ status }) => status === "fulfilled").length, 1);
});

test("what is refused, in AWS's words", async (t) => {
  const one = await started(t);
  await create(one);
  const missing = [404, "ResourceNotFoundException", "The resource you requested does not exist."] as const;
  const row = (name: string, operation: Row["call"][0], input: object, fault?: Row["fault"]): Row => ({
    name,
    call: [operation, { FunctionName: "f", ...input }],
    ...(fault === undefined ? {} : { fault }),
  });
  const creating = (name: string, input: object, fault?: Row["fault"]) =>
    row(name, "CreateFunctionUrlConfig", { AuthType: "AWS_IAM", ...input }, fault);
  const wrongQualifier = (value: string) =>
    `1 validation error detected: Value '${value}' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)`;
  const rows: readonly Row[] = [
    creating("twice", {}, [
      409,
      "ResourceConflictException",
      `Failed to create function url config for [functionArn = ${arnOf("f")}]. Error message:  FunctionUrlConfig exists for this Lambda function`,
    ]),
    creating("no function", { FunctionName: "none" }, [404, "ResourceNotFoundException", "Function does not exist"]),
    creating("no alias", { Qualifier: "none" }, [404, "ResourceNotFoundException", "Function does not exist"]),
    creating("a version", { Qualifier: "1" }, [400, "ValidationException", wrongQualifier("1")]),
    creating("$LATEST", { Qualifier: "$LATEST" }, [400, "ValidationException", wrongQualifier("$LATEST")]),
    creating("a wrong mode", { InvokeMode: "UNKNOWN" }, [
      400,
      "ValidationException",
      /^1 validation error detected: Value 'UNKNOWN' at 'invokeMode'/,
    ]),
    creating("no authorisation", { AuthType: undefined }, [400, "ValidationException", /Value null at 'authType'/]),
    creating("a long time", { Qualifier: "live", Cors: { MaxAge: 86_401 } }, [400, "ValidationException", /'cors.maxAge'/]),
    creating("a wrong method", { Qualifier: "live", Cors: { AllowMethods: ["TRACE"] } }, [400, "InvalidParameterValueException", /TRACE/]),
    creating("credentials for all", { Qualifier: "live", Cors: { AllowOrigins: ["*"], AllowCredentials: true } }, [
      400,
      "InvalidParameterValueException",
      "AllowCredentials is not supported if AllowOrigins is *.",
    ]),
    creating("of an alias", { Qualifier: "live" }),
    creating("two qualifiers", { FunctionName: "f:live", Qualifier: "other" }, [
      400,
      "InvalidParameterValueException",
      /^The derived qualifier/,
    ]),
    row("none", "GetFunctionUrlConfig", { FunctionName: "none" }, missing),
    row("update none", "UpdateFunctionUrlConfig", { FunctionName: "none" }, missing),
    row("delete none", "DeleteFunctionUrlConfig", { Qualifier: "other" }, missing),
    row("list of none", "ListFunctionUrlConfigs", { FunctionName: "none" }, [404, "ResourceNotFoundException", "Function does not exist"]),
    row("a wrong page", "ListFunctionUrlConfigs", { Marker: "x" }, [400, "ValidationException", /'marker'/]),
    row("got", "GetFunctionUrlConfig", {}, undefined),
    row("updated", "UpdateFunctionUrlConfig", { AuthType: "AWS_IAM" }, undefined),
    row("listed", "ListFunctionUrlConfigs", {}, undefined),
    row("deleted", "DeleteFunctionUrlConfig", {}, undefined),
  ];
  for (const each of rows) await check(one, each);
  for (const operation of [
    "CreateFunctionUrlConfig",
    "GetFunctionUrlConfig",
    "UpdateFunctionUrlConfig",
    "DeleteFunctionUrlConfig",
    "ListFunctionUrlConfigs",
  ])
    assert.ok(covered.success.has(operation) && covered.fault.has(operation), operation);
});
