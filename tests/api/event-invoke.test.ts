// Event invoke configurations: what is accepted, merged, shown and refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { arnOf, check, covered, makeFunction, send, startLambda, type Row, type Started } from "./lambda.fixture.ts";

const NOTHING = { OnSuccess: {}, OnFailure: {} };
const BUCKET = "arn:aws:s3:::failures";

async function started(t: Parameters<typeof startLambda>[0]): Promise<Started> {
  const one = await startLambda(t, {
    deliverer: {
      supports: (arn) => arn.startsWith("arn:aws:lambda:") || arn.startsWith("arn:aws:s3:"),
      deliver: () => assert.fail("nothing is delivered"),
    },
  });
  await makeFunction(one, "f");
  await makeFunction(one, "g");
  return one;
}

const put = (name: string, input: Record<string, unknown>, rest: Pick<Row, "expect" | "fault">): Row => ({
  name,
  call: ["PutFunctionEventInvokeConfig", { FunctionName: "f", ...input }],
  ...rest,
});

test("a configuration is put, shown, merged, listed and deleted", async (t) => {
  const one = await started(t);
  const rows: readonly Row[] = [
    put(
      "one number",
      { MaximumRetryAttempts: 0 },
      {
        expect: {
          FunctionArn: `${arnOf("f")}:$LATEST`,
          MaximumRetryAttempts: 0,
          MaximumEventAgeInSeconds: undefined,
          DestinationConfig: NOTHING,
        },
      },
    ),
    put(
      "replaced",
      { MaximumEventAgeInSeconds: 60, DestinationConfig: { OnSuccess: { Destination: arnOf("g") } } },
      {
        expect: {
          MaximumRetryAttempts: undefined,
          MaximumEventAgeInSeconds: 60,
          DestinationConfig: { OnSuccess: { Destination: arnOf("g") }, OnFailure: {} },
        },
      },
    ),
    {
      name: "merged",
      call: ["UpdateFunctionEventInvokeConfig", { FunctionName: arnOf("f"), Qualifier: "$LATEST", MaximumRetryAttempts: 1 }],
      expect: {
        MaximumRetryAttempts: 1,
        MaximumEventAgeInSeconds: 60,
        DestinationConfig: { OnSuccess: { Destination: arnOf("g") }, OnFailure: {} },
      },
    },
    {
      name: "one destination is taken away, another added",
      call: [
        "UpdateFunctionEventInvokeConfig",
        { FunctionName: "f", DestinationConfig: { OnSuccess: { Destination: "" }, OnFailure: { Destination: BUCKET } } },
      ],
      expect: { MaximumRetryAttempts: 1, DestinationConfig: { OnSuccess: {}, OnFailure: { Destination: BUCKET } } },
    },
    {
      name: "one is taken away by an empty object, the other stays",
      call: ["UpdateFunctionEventInvokeConfig", { FunctionName: "f", DestinationConfig: { OnSuccess: { Destination: arnOf("g") } } }],
      expect: { DestinationConfig: { OnSuccess: { Destination: arnOf("g") }, OnFailure: { Destination: BUCKET } } },
    },
    {
      name: "and again",
      call: ["UpdateFunctionEventInvokeConfig", { FunctionName: "f", DestinationConfig: { OnSuccess: {} } }],
      expect: { DestinationConfig: { OnSuccess: {}, OnFailure: { Destination: BUCKET } } },
    },
    {
      name: "shown",
      call: ["GetFunctionEventInvokeConfig", { FunctionName: "f:$LATEST" }],
      expect: {
        FunctionArn: `${arnOf("f")}:$LATEST`,
        MaximumRetryAttempts: 1,
        MaximumEventAgeInSeconds: 60,
        DestinationConfig: { OnSuccess: {}, OnFailure: { Destination: BUCKET } },
      },
    },
  ];
  for (const row of rows) await check(one, row);
  const { LastModified } = await send(one.client, "GetFunctionEventInvokeConfig", { FunctionName: "f" });
  assert.ok(LastModified instanceof Date);
  const { FunctionEventInvokeConfigs, NextMarker } = await send(one.client, "ListFunctionEventInvokeConfigs", { FunctionName: "f" });
  assert.deepEqual(
    (FunctionEventInvokeConfigs as { FunctionArn: string }[]).map(({ FunctionArn }) => FunctionArn),
    [`${arnOf("f")}:$LATEST`],
  );
  assert.equal(NextMarker, undefined);
  await send(one.client, "DeleteFunctionEventInvokeConfig", { FunctionName: "f" });
  assert.deepEqual((await send(one.client, "ListFunctionEventInvokeConfigs", { FunctionName: "f" }))["FunctionEventInvokeConfigs"], []);
});

test("of many who change one at once each has its say", async (t) => {
  const one = await started(t);
  await send(one.client, "PutFunctionEventInvokeConfig", { FunctionName: "f", MaximumRetryAttempts: 2 });
  const changes = [
    { MaximumRetryAttempts: 1 },
    { MaximumEventAgeInSeconds: 100 },
    { DestinationConfig: { OnFailure: { Destination: BUCKET } } },
    { DestinationConfig: { OnSuccess: { Destination: arnOf("g") } } },
  ];
  const tag = send(one.client, "TagResource", { Resource: arnOf("f"), Tags: { a: "1" } });
  await Promise.all([
    tag,
    ...changes.map((change) => send(one.client, "UpdateFunctionEventInvokeConfig", { FunctionName: "f", ...change })),
  ]);
  const { LastModified: _time, ...config } = await send(one.client, "GetFunctionEventInvokeConfig", { FunctionName: "f" });
  assert.deepEqual(config, {
    FunctionArn: `${arnOf("f")}:$LATEST`,
    MaximumRetryAttempts: 1,
    MaximumEventAgeInSeconds: 100,
    DestinationConfig: { OnSuccess: { Destination: arnOf("g") }, OnFailure: { Destination: BUCKET } },
  });
});

test("a configuration goes with its function, and stays over a restart", async (t) => {
  const one = await started(t);
  for (const FunctionName of ["f", "g"]) await send(one.client, "PutFunctionEventInvokeConfig", { FunctionName, MaximumRetryAttempts: 1 });
  const again = await one.restart();
  await check(again, {
    name: "kept",
    call: ["GetFunctionEventInvokeConfig", { FunctionName: "f" }],
    expect: { MaximumRetryAttempts: 1 },
  });
  await send(again.client, "DeleteFunction", { FunctionName: "f" });
  await makeFunction(again, "f");
  await assert.rejects(send(again.client, "GetFunctionEventInvokeConfig", { FunctionName: "f" }), { name: "ResourceNotFoundException" });
  await send(again.client, "GetFunctionEventInvokeConfig", { FunctionName: "g" });
});

test("what is refused, in AWS's words, changes nothing", async (t) => {
  const one = await started(t);
  const invalid = (message: string | RegExp): Pick<Row, "fault"> => ({ fault: [400, "InvalidParameterValueException", message] });
  const to = (Destination: string, Other?: string) => ({
    DestinationConfig: { OnSuccess: { Destination }, ...(Other === undefined ? {} : { OnFailure: { Destination: Other } }) },
  });
  const none = (operation: "Get" | "Delete" | "Update", input: Record<string, unknown> = {}): Row => ({
    name: `${operation} where there is none`,
    call: [`${operation}FunctionEventInvokeConfig`, { FunctionName: "g", ...input }],
    fault: [404, "ResourceNotFoundException", `The function ${arnOf("g")}:$LATEST doesn't have an EventInvokeConfig`],
  });
  const unknown = (operation: "Put" | "Update", input: Record<string, unknown>): Row => ({
    name: `${operation} of nothing`,
    call: [`${operation}FunctionEventInvokeConfig`, { MaximumRetryAttempts: 1, ...input }],
    fault: [404, "ResourceNotFoundException", "The function doesn't exist."],
  });
  const queue = "arn:aws:sqs:eu-west-1:000000000000:q";
  const rows: readonly Row[] = [
    none("Get"),
    none("Delete"),
    none("Update", { MaximumRetryAttempts: 1 }),
    unknown("Put", { FunctionName: "none" }),
    unknown("Update", { FunctionName: "none" }),
    unknown("Put", { FunctionName: "f", Qualifier: "live" }),
    unknown("Put", { FunctionName: "f:7" }),
    {
      name: "list of nothing",
      call: ["ListFunctionEventInvokeConfigs", { FunctionName: "none" }],
      fault: [404, "ResourceNotFoundException", "The function doesn't exist."],
    },
    {
      name: "a marker of another list",
      call: ["ListFunctionEventInvokeConfigs", { FunctionName: "f", Marker: "Zm9v" }],
      fault: [400, "ValidationException", /at 'marker'/],
    },
    put("nothing given", {}, invalid("You must specify at least one of error handling or destination setting.")),
    put("itself", to(arnOf("f")), invalid("You can't specify the function as a destination for itself.")),
    put("itself, qualified", to(`${arnOf("f")}:$LATEST`), invalid("You can't specify the function as a destination for itself.")),
    put("a function that is not there", to(arnOf("none")), invalid(`The destination ARN ${arnOf("none")} is invalid.`)),
    put(
      "a function elsewhere",
      to("arn:aws:lambda:us-west-2:000000000000:function:g"),
      invalid("The destination ARN arn:aws:lambda:us-west-2:000000000000:function:g is invalid."),
    ),
    put(
      "a bucket for successes",
      to(BUCKET),
      invalid(`The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=${BUCKET}), onFailure=null) is invalid.`),
    ),
    put(
      "a service that is none",
      to(arnOf("g"), "arn:aws:iam::000000000000:role/r"),
      invalid(/onFailure=OnFailure\(destination=arn:aws:iam::000000000000:role\/r\)\) is invalid\.$/),
    ),
    put("a service that is not built", to(queue), invalid(/^Lambent cannot deliver to sqs yet/)),
    put("no ARN", to("queue"), { fault: [400, "ValidationException", /at 'destinationConfig.onSuccess.destination'/] }),
    put(
      "three retries",
      { MaximumRetryAttempts: 3 },
      { fault: [400, "ValidationException", /at 'maximumRetryAttempts'.*less than or equal to 2/] },
    ),
    put("a second of age", { MaximumEventAgeInSeconds: 1 }, { fault: [400, "ValidationException", /at 'maximumEventAgeInSeconds'/] }),
  ];
  for (const row of rows) await check(one, row);
  await check(one, none("Get", { FunctionName: "g" }));
  await assert.rejects(send(one.client, "GetFunctionEventInvokeConfig", { FunctionName: "f" }), { name: "ResourceNotFoundException" });
  await assert.rejects(send(one.stranger, "PutFunctionEventInvokeConfig", { FunctionName: "f", MaximumRetryAttempts: 1 }), {
    name: "AccessDeniedException",
  });
});

test("each operation has been seen to succeed or to fail", () => {
  for (const verb of ["Put", "Update", "Get", "Delete"]) assert.ok(covered.fault.has(`${verb}FunctionEventInvokeConfig`), verb);
});
