// CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions, UpdateFunctionConfiguration, DeleteFunction.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import { manualClock } from "../../src/base/manual-clock.ts";
import {
  arnOf,
  check,
  covered,
  makeFunction,
  REGION,
  ROLE,
  send,
  settled,
  startLambda,
  UNTRUSTED_ROLE,
  UUID,
  type Row,
} from "./lambda.fixture.ts";

const LASTING = "1 validation error detected: Value ";
const PENDING = (arn: string) =>
  `The operation cannot be performed at this time. The resource ${arn} is currently in the following state: 'Pending'. StateReasonCode: 'Creating'`;

test("a new function is answered at once as Pending, with every default and no null", async (t) => {
  const clock = manualClock();
  const started = await startLambda(t, { clock });
  const { client, zip } = started;
  const input = { FunctionName: "hello", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile: zip } };
  const made = await send(client, "CreateFunction", input);
  const { RevisionId, RuntimeVersionConfig, ConfigSha256, ...rest } = made;
  assert.match(String(RevisionId), UUID);
  assert.match(String(ConfigSha256), /^[A-Za-z0-9+/]{43}=$/);
  assert.match(
    JSON.stringify(RuntimeVersionConfig),
    new RegExp(`^{"RuntimeVersionArn":"arn:aws:lambda:${REGION}::runtime:[0-9a-f]{64}"}$`),
  );
  assert.deepEqual(rest, {
    FunctionName: "hello",
    FunctionArn: arnOf("hello"),
    Runtime: "nodejs24.x",
    Role: ROLE,
    Handler: "index.handler",
    CodeSize: zip.length,
    CodeSha256: createHash("sha256").update(zip).digest("base64"),
    Description: "",
    Timeout: 3,
    MemorySize: 128,
    LastModified: "2026-01-01T00:00:00.000+0000",
    Version: "$LATEST",
    TracingConfig: { Mode: "PassThrough" },
    State: "Pending",
    StateReason: "The function is being created.",
    StateReasonCode: "Creating",
    PackageType: "Zip",
    Architectures: ["x86_64"],
    EphemeralStorage: { Size: 512 },
    SnapStart: { ApplyOn: "None", OptimizationStatus: "Off" },
    LoggingConfig: { LogFormat: "Text", LogGroup: "/aws/lambda/hello" },
  });
});

test("what is Pending can be read and deleted, and neither invoked nor changed; then it becomes Active by itself", async (t) => {
  const clock = manualClock();
  const started = await startLambda(t, { clock });
  const { client, zip } = started;
  const input = { FunctionName: "f", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile: zip } };
  const made = await send(client, "CreateFunction", input);
  const fault = [409, "ResourceConflictException", PENDING(arnOf("f"))] as const;
  const rows: readonly Row[] = [
    ...(["Invoke", "InvokeWithResponseStream", "InvokeAsync"] as const).map((operation): Row => ({
      name: operation,
      call: [operation, { FunctionName: "f", ...(operation === "InvokeAsync" ? { InvokeArgs: "{}" } : {}) }],
      fault: [
        409,
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the following state: Pending",
      ],
    })),
    { name: "configuration", call: ["UpdateFunctionConfiguration", { FunctionName: "f", Timeout: 5 }], fault },
    { name: "code", call: ["UpdateFunctionCode", { FunctionName: "f", ZipFile: zip }], fault },
    { name: "tags", call: ["TagResource", { Resource: arnOf("f"), Tags: { a: "b" } }], fault },
    { name: "read", call: ["GetFunctionConfiguration", { FunctionName: "f" }], expect: { State: "Pending", LastUpdateStatus: undefined } },
    { name: "again", call: ["CreateFunction", input], fault: [409, "ResourceConflictException", "Function already exist: f"] },
  ];
  for (const row of rows) await check(started, row);
  clock.advance(10);
  await settled(started, "f");
  const active = await send(client, "GetFunctionConfiguration", { FunctionName: "f" });
  assert.notEqual(active["RevisionId"], made["RevisionId"]);
  assert.equal(active["LastModified"], made["LastModified"]);
  assert.deepEqual([active["State"], active["StateReason"], active["StateReasonCode"]], ["Active", undefined, undefined]);
});

test("the official waiter is content", async (t) => {
  const { client, zip } = await startLambda(t);
  const input = { FunctionName: "f", Runtime: "nodejs24.x" as const, Handler: "index.handler", Role: ROLE, Code: { ZipFile: zip } };
  await client.send(new lambda.CreateFunctionCommand(input));
  const waiting = await lambda.waitUntilFunctionActiveV2({ client, maxWaitTime: 10, minDelay: 0.01 }, { FunctionName: "f" });
  assert.equal(waiting.state, "SUCCESS");
  await client.send(new lambda.UpdateFunctionConfigurationCommand({ FunctionName: "f", Timeout: 9 }));
  const updating = await lambda.waitUntilFunctionUpdatedV2({ client, maxWaitTime: 10, minDelay: 0.01 }, { FunctionName: "f" });
  assert.equal(updating.state, "SUCCESS");
});

const notYet = (member: string) =>
  [400, "InvalidParameterValueException", `Lambent does not support ${member} yet: leave it out. See docs/compatibility.md.`] as const;
const layer = `arn:aws:lambda:${REGION}:000000000000:layer:l:1`;

test("a function is found by all forms of its name, and by no other", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f", { Tags: { team: "blue" } });
  await makeFunction(started, "function");
  const arn = arnOf("f");
  const found = (FunctionName: string, more = {}, FunctionArn = arn): Row => ({
    name: FunctionName,
    call: ["GetFunctionConfiguration", { FunctionName, ...more }],
    expect: { FunctionArn },
  });
  const missing = (name: string, call: Record<string, unknown>, message: string): Row => ({
    name,
    call: ["GetFunctionConfiguration", call],
    fault: [404, "ResourceNotFoundException", message],
  });
  const rows: readonly Row[] = [
    found("f"),
    found(arn),
    found("function:f"),
    found("000000000000:function:f"),
    found(`${REGION}:000000000000:function:f`),
    found("f:$LATEST", {}, `${arn}:$LATEST`),
    found("f", { Qualifier: "$LATEST" }, `${arn}:$LATEST`),
    found(`${arn}:$LATEST`, { Qualifier: "$LATEST" }, `${arn}:$LATEST`),
    found("function", {}, arnOf("function")),
    found("function:function", {}, arnOf("function")),
    missing("another name", { FunctionName: "g" }, `Function not found: ${arnOf("g")}`),
    missing("case counts", { FunctionName: "F" }, `Function not found: ${arnOf("F")}`),
    missing("dots may be asked for", { FunctionName: "f.x" }, `Function not found: ${arnOf("f.x")}`),
    missing("65 letters may be asked for", { FunctionName: "x".repeat(65) }, `Function not found: ${arnOf("x".repeat(65))}`),
    missing("a version", { FunctionName: "f:1" }, `Function not found: ${arn}:1`),
    missing("an alias", { FunctionName: "f", Qualifier: "live" }, `Function not found: ${arn}:live`),
    missing("latest in small letters", { FunctionName: "f", Qualifier: "$latest" }, `Function not found: ${arn}:$latest`),
    missing(
      "another region",
      { FunctionName: "arn:aws:lambda:us-east-1:000000000000:function:f" },
      `Functions from 'us-east-1' are not reachable in this region ('${REGION}')`,
    ),
    {
      name: "two qualifiers",
      call: ["GetFunctionConfiguration", { FunctionName: "f:$LATEST", Qualifier: "1" }],
      fault: [
        400,
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
      ],
    },
    {
      name: "a qualifier that is none",
      call: ["GetFunctionConfiguration", { FunctionName: "f", Qualifier: "what?" }],
      fault: [
        400,
        "ValidationException",
        `${LASTING}'what?' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \\$(LATEST(\\.PUBLISHED)?)|[a-zA-Z0-9-_$]+`,
      ],
    },
    { name: "GetFunction", call: ["GetFunction", { FunctionName: "f" }], expect: { Tags: { team: "blue" }, Concurrency: undefined } },
    { name: "GetFunction without tags", call: ["GetFunction", { FunctionName: "function" }], expect: { Tags: undefined } },
    {
      name: "GetFunction of none",
      call: ["GetFunction", { FunctionName: "none" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("none")}`],
    },
  ];
  for (const row of rows) await check(started, row);
});

test("UpdateFunctionConfiguration changes what is given, and nothing else", async (t) => {
  const started = await startLambda(t);
  const { client } = started;
  await makeFunction(started, "f", {
    Environment: { Variables: { KEEP: "1" } },
    Description: "before",
    LoggingConfig: { LogFormat: "JSON" },
  });
  const before = await send(client, "GetFunctionConfiguration", { FunctionName: "f" });
  const { RevisionId, LastModified, ConfigSha256 } = before;
  const answer = await send(client, "UpdateFunctionConfiguration", { FunctionName: "f", Timeout: 30, RevisionId });
  assert.deepEqual(
    [answer["State"], answer["LastUpdateStatus"], answer["LastUpdateStatusReason"], answer["LastUpdateStatusReasonCode"]],
    ["Active", "InProgress", "The function is being created.", "Creating"],
  );
  await settled(started, "f");
  const after = await send(client, "GetFunctionConfiguration", { FunctionName: "f" });
  assert.equal(new Set([RevisionId, answer["RevisionId"], after["RevisionId"]]).size, 3, "each state has a revision of its own");
  assert.notEqual(after["ConfigSha256"], ConfigSha256);
  assert.deepEqual(after, {
    ...before,
    Timeout: 30,
    LastModified: after["LastModified"],
    RevisionId: after["RevisionId"],
    ConfigSha256: after["ConfigSha256"],
  });
  assert.ok(String(after["LastModified"]) >= String(LastModified));
  const rows: readonly (readonly [Record<string, unknown>, Record<string, unknown>])[] = [
    [{ Description: "" }, { Description: "", Timeout: 30 }],
    [{ Environment: { Variables: { NEW: "2" } } }, { Environment: { Variables: { NEW: "2" } } }],
    [{ Environment: {} }, { Environment: undefined }],
    [
      { LoggingConfig: { LogGroup: "/custom" } },
      { LoggingConfig: { LogFormat: "JSON", ApplicationLogLevel: "INFO", SystemLogLevel: "INFO", LogGroup: "/custom" } },
    ],
    [{ LoggingConfig: { LogFormat: "Text" } }, { LoggingConfig: { LogFormat: "Text", LogGroup: "/custom" } }],
    [
      { Runtime: "python3.13", Handler: "app.handler" },
      { Runtime: "python3.13", Handler: "app.handler" },
    ],
    [{ TracingConfig: { Mode: "Active" } }, { TracingConfig: { Mode: "Active" } }],
    [
      { MemorySize: 256, EphemeralStorage: { Size: 1024 } },
      { MemorySize: 256, EphemeralStorage: { Size: 1024 } },
    ],
    [{ Layers: [], DeadLetterConfig: { TargetArn: "" }, VpcConfig: { SubnetIds: [], SecurityGroupIds: [] } }, { MemorySize: 256 }],
  ];
  for (const [given, expect] of rows) {
    await check(started, { name: JSON.stringify(given), call: ["UpdateFunctionConfiguration", { FunctionName: "f", ...given }], expect });
    await settled(started, "f");
  }
});

test("UpdateFunctionConfiguration: what is refused changes nothing", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const before = await send(started.client, "GetFunction", { FunctionName: "f" });
  const row = (name: string, given: Record<string, unknown>, ...fault: NonNullable<Row["fault"]>): Row => ({
    name,
    call: ["UpdateFunctionConfiguration", { FunctionName: "f", ...given }],
    fault,
  });
  const rows = [
    row("unknown", { FunctionName: "g" }, 404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`),
    row("a version", { FunctionName: "f:1" }, 404, "ResourceNotFoundException", `Function not found: ${arnOf("f")}:1`),
    row(
      "stale revision",
      { RevisionId: "00000000-0000-4000-8000-000000000000", Timeout: 4 },
      412,
      "PreconditionFailedException",
      "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
    ),
    row(
      "runtime",
      { Runtime: "nodejs14.x" },
      400,
      "InvalidParameterValueException",
      /^The runtime parameter of nodejs14.x is no longer supported/,
    ),
    row(
      "role",
      { Role: UNTRUSTED_ROLE },
      400,
      "InvalidParameterValueException",
      "The role defined for the function cannot be assumed by Lambda.",
    ),
    row("SnapStart", { SnapStart: { ApplyOn: "PublishedVersions" } }, ...notYet("SnapStart PublishedVersions")),
    row("layers", { Layers: [layer] }, 400, "InvalidParameterValueException", `Layer version ${layer} does not exist.`),
    row("memory", { MemorySize: 20_000 }, 400, "ValidationException", /at 'memorySize'/),
    row("variables", { Environment: { Variables: { _HANDLER: "x" } } }, 400, "ValidationException", /at 'environment.variables'/),
  ];
  for (const one of rows) await check(started, one);
  assert.deepEqual(await send(started.client, "GetFunction", { FunctionName: "f" }), before);
});

test("an update is in progress until it is done, and others wait for it", async (t) => {
  const clock = manualClock();
  const started = await startLambda(t, { clock });
  const { client, zip } = started;
  const input = { FunctionName: "f", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile: zip } };
  await send(client, "CreateFunction", input);
  clock.advance(10);
  await settled(started, "f");
  await send(client, "UpdateFunctionConfiguration", { FunctionName: "f", Timeout: 9 });
  const message = `The operation cannot be performed at this time. An update is in progress for resource: ${arnOf("f")}`;
  const fault = [409, "ResourceConflictException", message] as const;
  await check(started, { name: "configuration", call: ["UpdateFunctionConfiguration", { FunctionName: "f", Timeout: 5 }], fault });
  await check(started, { name: "code", call: ["UpdateFunctionCode", { FunctionName: "f", ZipFile: zip }], fault });
  await check(started, { name: "tags", call: ["TagResource", { Resource: arnOf("f"), Tags: { a: "b" } }], fault });
  await check(started, { name: "untag", call: ["UntagResource", { Resource: arnOf("f"), TagKeys: ["a"] }], fault });
  await send(client, "Invoke", { FunctionName: "f" });
  assert.equal(started.invoker.invocations[0]?.deployment.timeoutMs, 3000, "the old configuration runs until then");
  clock.advance(10);
  await settled(started, "f");
  await send(client, "Invoke", { FunctionName: "f" });
  assert.equal(started.invoker.invocations[1]?.deployment.timeoutMs, 9000);
  assert.deepEqual(started.invoker.retired, [started.invoker.invocations[0]?.deployment.key]);
});

test("of two updates at the same time one is refused or both are done, and none is lost", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const updates = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) =>
      send(started.client, "UpdateFunctionConfiguration", { FunctionName: "f", Timeout: 100 + index }),
    ),
  );
  const done = updates.flatMap((one, index) => (one.status === "fulfilled" ? [100 + index] : []));
  assert.ok(done.length >= 1);
  for (const one of updates) if (one.status === "rejected") assert.equal((one.reason as Error).name, "ResourceConflictException");
  await settled(started, "f");
  const { Timeout } = await send(started.client, "GetFunctionConfiguration", { FunctionName: "f" });
  assert.ok(done.includes(Number(Timeout)));
});

test("of eight functions of one name one is made", async (t) => {
  const started = await startLambda(t);
  const input = { FunctionName: "f", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile: started.zip } };
  const all = await Promise.allSettled(Array.from({ length: 8 }, () => send(started.client, "CreateFunction", input)));
  assert.equal(all.filter(({ status }) => status === "fulfilled").length, 1);
  for (const one of all) if (one.status === "rejected") assert.equal((one.reason as Error).message, "Function already exist: f");
});

test("ListFunctions: pages of at most 50, without states", async (t) => {
  const started = await startLambda(t);
  const { client, zip } = started;
  const names = Array.from({ length: 53 }, (_, index) => `fn-${String(index).padStart(2, "0")}`);
  for (const FunctionName of names)
    await send(client, "CreateFunction", {
      FunctionName,
      Runtime: "nodejs24.x",
      Handler: "index.handler",
      Role: ROLE,
      Code: { ZipFile: zip },
    });
  const namesOf = (output: Record<string, unknown>) =>
    (output["Functions"] as lambda.FunctionConfiguration[]).map(({ FunctionName }) => FunctionName);
  const first = await send(client, "ListFunctions", {});
  assert.deepEqual(namesOf(first), names.slice(0, 50));
  const second = await send(client, "ListFunctions", { Marker: first["NextMarker"] });
  assert.deepEqual([namesOf(second), second["NextMarker"]], [names.slice(50), undefined]);
  assert.equal(namesOf(await send(client, "ListFunctions", { MaxItems: 10_000 })).length, 50);
  const all: string[] = [];
  for await (const page of lambda.paginateListFunctions({ client }, { MaxItems: 7 }))
    all.push(...(page.Functions ?? []).map((one) => one.FunctionName ?? ""));
  assert.deepEqual(all, names);
  const [one] = (first["Functions"] as lambda.FunctionConfiguration[]) ?? [];
  for (const member of ["State", "StateReason", "StateReasonCode", "LastUpdateStatus", "RuntimeVersionConfig"])
    assert.ok(!(member in (one ?? {})), member);
  assert.equal(one?.FunctionArn, arnOf("fn-00"));
  const everyVersion = await send(client, "ListFunctions", { FunctionVersion: "ALL", MaxItems: 1 });
  assert.equal((everyVersion["Functions"] as lambda.FunctionConfiguration[])[0]?.FunctionArn, `${arnOf("fn-00")}:$LATEST`);
  assert.deepEqual(namesOf(await send(client, "ListFunctions", { MasterRegion: "us-east-1" })), []);
  const rows: readonly Row[] = [
    {
      name: "version",
      call: ["ListFunctions", { FunctionVersion: "invalid" }],
      fault: [
        400,
        "ValidationException",
        `${LASTING}'invalid' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value set: [ALL]`,
      ],
    },
    { name: "none", call: ["ListFunctions", { MaxItems: 0 }], fault: [400, "ValidationException", /at 'maxItems'/] },
    { name: "marker", call: ["ListFunctions", { Marker: "../../etc" }], fault: [400, "ValidationException", /at 'marker'/] },
    { name: "success", call: ["ListFunctions", {}] },
  ];
  for (const row of rows) await check(started, row);
});

test("DeleteFunction: all of it, and its environments are retired", async (t) => {
  const started = await startLambda(t);
  const { client, invoker } = started;
  await makeFunction(started, "f");
  await send(client, "Invoke", { FunctionName: "f" });
  const rows: readonly Row[] = [
    {
      name: "$LATEST",
      call: ["DeleteFunction", { FunctionName: "f", Qualifier: "$LATEST" }],
      fault: [400, "InvalidParameterValueException", "$LATEST version cannot be deleted without deleting the function."],
    },
    {
      name: "an alias",
      call: ["DeleteFunction", { FunctionName: "f:live" }],
      fault: [400, "InvalidParameterValueException", "Deletion of aliases is not currently supported."],
    },
    { name: "a version that is not there", call: ["DeleteFunction", { FunctionName: "f:7" }], expect: { StatusCode: 204 } },
    { name: "still there", call: ["GetFunction", { FunctionName: "f" }] },
    { name: "the function", call: ["DeleteFunction", { FunctionName: "f" }], expect: { StatusCode: 204 } },
    {
      name: "gone",
      call: ["GetFunction", { FunctionName: "f" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("f")}`],
    },
    {
      name: "twice",
      call: ["DeleteFunction", { FunctionName: "f" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("f")}`],
    },
    {
      name: "not invoked",
      call: ["Invoke", { FunctionName: "f" }],
      fault: [404, "ResourceNotFoundException", `Function not found: ${arnOf("f")}:$LATEST`],
    },
  ];
  for (const row of rows) await check(started, row);
  assert.deepEqual(invoker.retired, [invoker.invocations[0]?.deployment.key]);
  await makeFunction(started, "f");
  await send(client, "Invoke", { FunctionName: "f" });
  assert.notEqual(invoker.invocations[1]?.deployment.key, invoker.invocations[0]?.deployment.key, "a namesake is another function");
  const [counter] = await started.storage.meta.get([{ account: "000000000000", region: REGION, kind: "lambda.version-counter", id: "f" }]);
  assert.deepEqual(counter?.value, { next: 1 }, "version numbers outlive the function");
});

test("after a restart everything is there, and what was Pending becomes Active", async (t) => {
  const clock = manualClock();
  const first = await startLambda(t, { clock });
  const { zip } = first;
  const input = { Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile: zip } };
  await send(first.client, "CreateFunction", { ...input, FunctionName: "updating" });
  clock.advance(10);
  await settled(first, "updating");
  await send(first.client, "UpdateFunctionConfiguration", { FunctionName: "updating", Timeout: 77 });
  await send(first.client, "CreateFunction", { ...input, FunctionName: "pending" });
  const second = await first.restart();
  await check(second, { name: "pending", call: ["GetFunctionConfiguration", { FunctionName: "pending" }], expect: { State: "Pending" } });
  clock.advance(10);
  for (const name of ["updating", "pending"]) await settled(second, name);
  await send(second.client, "Invoke", { FunctionName: "updating" });
  assert.equal(second.invoker.invocations[0]?.deployment.timeoutMs, 77_000);
});

test("every operation of functions has been seen to succeed and to fail", () => {
  const all = ["GetFunction", "GetFunctionConfiguration", "ListFunctions", "UpdateFunctionConfiguration", "DeleteFunction"];
  assert.deepEqual(
    all.filter((name) => !covered.success.has(name) || !covered.fault.has(name)),
    [],
  );
});
