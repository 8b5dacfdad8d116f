// Resource policies of functions, versions and aliases: as deployment tools read them, and as the wire obeys them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAKE_STRANGER } from "../../src/aws/fake-service.ts";
import { arnOf, check, covered, makeFunction, send, startLambda, UUID, type Row, type Started } from "./lambda.fixture.ts";

const STRANGER = FAKE_STRANGER.caller.arn;

/** A function with version 1 and the alias `live`. */
async function started(t: Parameters<typeof startLambda>[0]): Promise<Started> {
  const one = await startLambda(t);
  await makeFunction(one, "f");
  await send(one.client, "PublishVersion", { FunctionName: "f" });
  await send(one.client, "CreateAlias", { FunctionName: "f", Name: "live", FunctionVersion: "1" });
  return one;
}

const add = (one: Pick<Started, "client">, StatementId: string, more: object = {}) =>
  send(one.client, "AddPermission", {
    FunctionName: "f",
    StatementId,
    Action: "lambda:InvokeFunction",
    Principal: "s3.amazonaws.com",
    ...more,
  });
const policyOf = async (one: Pick<Started, "client">, more: object = {}) => {
  const { Policy, RevisionId } = await send(one.client, "GetPolicy", { FunctionName: "f", ...more });
  return { policy: JSON.parse(String(Policy)) as { Id: string; Statement: Record<string, unknown>[] }, RevisionId };
};

test("statements have the members and casings that tools compare", async (t) => {
  const one = await started(t);
  const { Statement } = await add(one, "s3", { SourceArn: "arn:aws:s3:::bucket", SourceAccount: "111111111111" });
  const statement = {
    Sid: "s3",
    Effect: "Allow",
    Principal: { Service: "s3.amazonaws.com" },
    Action: "lambda:InvokeFunction",
    Resource: arnOf("f"),
    Condition: { StringEquals: { "AWS:SourceAccount": "111111111111" }, ArnLike: { "AWS:SourceArn": "arn:aws:s3:::bucket" } },
  };
  assert.deepEqual(JSON.parse(String(Statement)), statement);
  const { policy, RevisionId } = await policyOf(one);
  assert.deepEqual(policy, { Version: "2012-10-17", Id: "default", Statement: [statement] });
  assert.match(String(RevisionId), UUID);
  const conditions = {
    url: [{ FunctionUrlAuthType: "NONE", Action: "lambda:InvokeFunctionUrl" }, { StringEquals: { "lambda:FunctionUrlAuthType": "NONE" } }],
    org: [{ PrincipalOrgID: "o-abcdefghij" }, { StringEquals: { "aws:PrincipalOrgID": "o-abcdefghij" } }],
    token: [{ EventSourceToken: "t" }, { StringEquals: { "lambda:EventSourceToken": "t" } }],
    via: [{ InvokedViaFunctionUrl: true }, { Bool: { "lambda:InvokedViaFunctionUrl": "true" } }],
  } as const;
  for (const [id, [given, Condition]] of Object.entries(conditions)) {
    const made = JSON.parse(String((await add(one, id, { Principal: "*", ...given }))["Statement"])) as Record<string, unknown>;
    assert.deepEqual([made["Condition"], made["Principal"]], [Condition, "*"]);
  }
  const account = JSON.parse(String((await add(one, "account", { Principal: "222222222222" }))["Statement"])) as Record<string, unknown>;
  assert.deepEqual([account["Principal"], "Condition" in account], [{ AWS: "arn:aws:iam::222222222222:root" }, false]);
  const alexa = await add(one, "alexa", { Principal: "alexa-appkit.amazon.com", EventSourceToken: "amzn1.ask.skill.1" });
  assert.deepEqual((JSON.parse(String(alexa["Statement"])) as Record<string, unknown>)["Principal"], {
    Service: "alexa-appkit.amazon.com",
  });
  assert.equal((await policyOf(one)).policy.Statement.length, 7);
});

test("versions and aliases have policies of their own, which go with them", async (t) => {
  const one = await started(t);
  const { Statement } = await add(one, "a", { Qualifier: "live" });
  assert.equal((JSON.parse(String(Statement)) as { Resource: string }).Resource, `${arnOf("f")}:live`);
  await add(one, "b", { FunctionName: "f:1" });
  await assert.rejects(policyOf(one), { message: "The resource you requested does not exist." });
  assert.equal((await policyOf(one, { Qualifier: "1" })).policy.Statement[0]?.["Sid"], "b");
  await send(one.client, "DeleteAlias", { FunctionName: "f", Name: "live" });
  await send(one.client, "DeleteFunction", { FunctionName: "f:1" });
  for (const Qualifier of ["live", "1"]) await assert.rejects(policyOf(one, { Qualifier }), { name: "ResourceNotFoundException" });
  await add(one, "c");
  const second = await one.restart();
  assert.equal((await policyOf(second)).policy.Statement[0]?.["Sid"], "c");
  await send(second.client, "DeleteFunction", { FunctionName: "f" });
  await makeFunction(second, "f");
  await assert.rejects(policyOf(second), { name: "ResourceNotFoundException" });
});

test("a user without a policy may do what the function's policy says, there and nowhere else", async (t) => {
  const one = await started(t);
  await makeFunction(one, "g");
  const invoke = (FunctionName: string) => send(one.stranger, "Invoke", { FunctionName });
  const denied = { name: "AccessDeniedException" };
  await assert.rejects(invoke("f"), denied);
  await add(one, "stranger", { Principal: STRANGER });
  assert.equal((await invoke("f"))["StatusCode"], 200);
  for (const name of ["f:live", "f:1", "g"]) await assert.rejects(invoke(name), denied);
  await assert.rejects(send(one.stranger, "GetFunction", { FunctionName: "f" }), denied);
  await add(one, "alias", { Principal: STRANGER, Qualifier: "live" });
  assert.equal((await invoke("f:live"))["ExecutedVersion"], "1");
  await send(one.client, "RemovePermission", { FunctionName: "f", StatementId: "stranger" });
  await assert.rejects(invoke("f"), denied);
  await add(one, "conditional", { Principal: STRANGER, SourceArn: "arn:aws:s3:::bucket" });
  await assert.rejects(invoke("f"), denied);
});

test("of many statements that are added at once none is lost", async (t) => {
  const one = await started(t);
  await Promise.all(Array.from({ length: 20 }, (_, n) => add(one, `s${n}`)));
  assert.equal((await policyOf(one)).policy.Statement.length, 20);
  await Promise.all(
    Array.from({ length: 20 }, (_, n) => send(one.client, "RemovePermission", { FunctionName: "f", StatementId: `s${n}` })),
  );
  await assert.rejects(policyOf(one), { name: "ResourceNotFoundException" });
});

test("a policy has its bound, and a revision", async (t) => {
  const one = await started(t);
  await add(one, "first");
  const { RevisionId } = await policyOf(one);
  await add(one, "second", { RevisionId });
  const stale = { name: "PreconditionFailedException", message: /Call the GetPolicy API/ };
  await assert.rejects(add(one, "third", { RevisionId }), stale);
  await assert.rejects(send(one.client, "RemovePermission", { FunctionName: "f", StatementId: "first", RevisionId }), stale);
  const SourceArn = `arn:aws:s3:::${"x".repeat(9000)}`;
  await add(one, "long", { SourceArn });
  await assert.rejects(
    add(one, "longer", { SourceArn: `${SourceArn}${"y".repeat(900)}` }).then(() => add(one, "last", { SourceArn })),
    {
      name: "PolicyLengthExceededException",
      message: /^The final policy size \(\d+\) is bigger than the limit \(20480\)\.$/,
    },
  );
});

test("what is refused, in AWS's words", async (t) => {
  const one = await started(t);
  const invalid = "InvalidParameterValueException";
  const missing = "ResourceNotFoundException";
  const adding = (name: string, more: object, fault: Row["fault"]): Row => ({
    name,
    call: [
      "AddPermission",
      { FunctionName: "f", StatementId: "s", Action: "lambda:InvokeFunction", Principal: "s3.amazonaws.com", ...more },
    ],
    ...(fault === undefined ? {} : { fault }),
  });
  const removing = (name: string, input: object, fault: Row["fault"]): Row => ({
    name,
    call: ["RemovePermission", { FunctionName: "f", StatementId: "s", ...input }],
    ...(fault === undefined ? {} : { fault }),
  });
  const rows: readonly Row[] = [
    removing("no policy", {}, [404, missing, "No policy is associated with the given resource."]),
    adding("added", {}, undefined),
    adding("added twice", {}, [
      409,
      "ResourceConflictException",
      "The statement id (s) provided already exists. Please provide a new statement id, or remove the existing statement.",
    ]),
    adding("$LATEST", { Qualifier: "$LATEST" }, [400, invalid, "We currently do not support adding policies for $LATEST."]),
    adding("no function", { FunctionName: "g" }, [404, missing, `Function not found: ${arnOf("g")}`]),
    adding("no version", { Qualifier: "42" }, [404, missing, `Function not found: ${arnOf("f")}:42`]),
    adding("no alias", { Qualifier: "x" }, [404, missing, `Cannot find alias arn: ${arnOf("f")}:x`]),
    adding("no principal", { StatementId: "t", Principal: "nobody" }, [
      400,
      invalid,
      "The provided principal was invalid. Please check the principal and try again.",
    ]),
    adding("a URL's condition on another action", { StatementId: "t", Principal: "*", FunctionUrlAuthType: "NONE" }, [
      400,
      invalid,
      "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
    ]),
    adding("a wrong id", { StatementId: "example.com" }, [400, "ValidationException", /Value 'example.com' at 'statementId' failed/]),
    adding("a wrong action", { StatementId: "t", Action: "s3:GetObject" }, [400, "ValidationException", /at 'action' failed/]),
    { name: "shown", call: ["GetPolicy", { FunctionName: "f" }] },
    {
      name: "of none",
      call: ["GetPolicy", { FunctionName: "g" }],
      fault: [404, missing, "The resource you requested does not exist."],
    },
    removing("no statement", { StatementId: "non-existent" }, [404, missing, "Statement non-existent is not found in resource policy."]),
    removing("of none", { FunctionName: "g" }, [404, missing, `No policy found for: ${arnOf("g")}`]),
    removing("removed", {}, undefined),
  ];
  for (const row of rows) await check(one, row);
  for (const operation of ["AddPermission", "RemovePermission", "GetPolicy"])
    assert.ok(covered.success.has(operation) && covered.fault.has(operation), operation);
});
