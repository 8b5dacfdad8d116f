// Resource policies as whole documents, beside the statements of AddPermission: one policy, one revision, obeyed for every kind of caller.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAKE_STRANGER } from "../../src/aws/fake-service.ts";
import type { Caller } from "../../src/aws/identity.ts";
import { evaluate } from "../../src/aws/policy.ts";
import type { PolicyDocument } from "../../src/aws/policy.ts";
import {
  arnOf,
  check,
  contextOf,
  covered,
  FOREIGN_ACCOUNT,
  makeFunction,
  REGION,
  send,
  startLambda,
  UUID,
  type Row,
  type Started,
} from "./lambda.fixture.ts";

const ResourceArn = arnOf("f");
const statement = (Principal: unknown, more: object = {}) => ({
  Effect: "Allow",
  Principal,
  Action: "lambda:InvokeFunction",
  Resource: ResourceArn,
  ...more,
});
const document = (...Statement: object[]) => JSON.stringify({ Version: "2012-10-17", Statement });

async function started(t: Parameters<typeof startLambda>[0]): Promise<Started> {
  const one = await startLambda(t);
  await makeFunction(one, "f");
  await send(one.client, "PublishVersion", { FunctionName: "f" });
  return one;
}
const put = (one: Pick<Started, "client">, Policy: string, more: object = {}) =>
  send(one.client, "PutResourcePolicy", { ResourceArn, Policy, ...more });
const add = (one: Pick<Started, "client">, StatementId: string, more: object = {}) =>
  send(one.client, "AddPermission", {
    FunctionName: "f",
    StatementId,
    Action: "lambda:InvokeFunction",
    Principal: "s3.amazonaws.com",
    ...more,
  });

test("a document replaces what was added, and is what is added to", async (t) => {
  const one = await started(t);
  await add(one, "before");
  const Policy = document(statement({ AWS: FAKE_STRANGER.caller.arn }, { Sid: "put" }));
  const made = await put(one, Policy);
  assert.deepEqual(JSON.parse(String(made["Policy"])), JSON.parse(Policy));
  assert.match(String(made["RevisionId"]), UUID);
  assert.deepEqual(await send(one.client, "GetResourcePolicy", { ResourceArn }), made);
  assert.deepEqual(await send(one.client, "GetPolicy", { FunctionName: "f" }), made);
  await add(one, "after", { RevisionId: made["RevisionId"] });
  const second = await one.restart();
  const { Policy: both, RevisionId } = await send(second.client, "GetResourcePolicy", { ResourceArn });
  assert.deepEqual(
    (JSON.parse(String(both)) as { Statement: { Sid: string }[] }).Statement.map(({ Sid }) => Sid),
    ["put", "after"],
  );
  await assert.rejects(put(second, Policy, { RevisionId: made["RevisionId"] }), { name: "PreconditionFailedException" });
  await send(second.client, "DeleteResourcePolicy", { ResourceArn, RevisionId });
  await assert.rejects(send(second.client, "GetPolicy", { FunctionName: "f" }), { name: "ResourceNotFoundException" });
  await add(second, "again");
  const { Policy: last } = await send(second.client, "GetPolicy", { FunctionName: "f" });
  assert.equal((JSON.parse(String(last)) as { Id: string }).Id, "default");
});

test("a version has a policy of its own", async (t) => {
  const one = await started(t);
  const version = `${ResourceArn}:1`;
  await put(one, document(statement("*", { Resource: version })), { ResourceArn: version });
  await assert.rejects(send(one.client, "GetResourcePolicy", { ResourceArn }), { name: "ResourceNotFoundException" });
  await assert.rejects(send(one.stranger, "Invoke", { FunctionName: "f" }), { name: "AccessDeniedException" });
  assert.equal((await send(one.stranger, "Invoke", { FunctionName: "f:1" }))["ExecutedVersion"], "1");
});

test("a document is obeyed by users and other accounts, and its denials by the owner", async (t) => {
  const one = await started(t);
  const invoke = (who: "client" | "stranger" | "foreigner") => send(one[who], "Invoke", { FunctionName: ResourceArn });
  const denied = { name: "AccessDeniedException" };
  for (const who of ["stranger", "foreigner"] as const) await assert.rejects(invoke(who), denied);
  await put(one, document(statement({ AWS: [FAKE_STRANGER.caller.arn, FOREIGN_ACCOUNT] })));
  for (const who of ["stranger", "foreigner"] as const) assert.equal((await invoke(who))["StatusCode"], 200, who);
  await put(
    one,
    document(
      statement({ AWS: `arn:aws:iam::${FOREIGN_ACCOUNT}:root` }),
      statement("*", { Effect: "Deny", Principal: { AWS: FAKE_STRANGER.caller.arn } }),
    ),
  );
  await assert.rejects(invoke("stranger"), { ...denied, message: /explicit deny in a resource-based policy/ });
  assert.equal((await invoke("foreigner"))["StatusCode"], 200);
  await put(one, document(statement("*", { Effect: "Deny" })));
  await assert.rejects(invoke("client"), denied);
  // Who owns the function is not locked out: the policy itself may still be changed.
  await send(one.client, "DeleteResourcePolicy", { ResourceArn });
  assert.equal((await invoke("client"))["StatusCode"], 200);
});

const CALLERS = {
  service: { kind: "service", account: "000000000000", arn: "s3.amazonaws.com", userId: "s3.amazonaws.com", accessKeyId: "" },
  role: {
    kind: "assumed-role",
    account: FOREIGN_ACCOUNT,
    arn: `arn:aws:sts::${FOREIGN_ACCOUNT}:assumed-role/r/s`,
    roleArn: `arn:aws:iam::${FOREIGN_ACCOUNT}:role/r`,
    userId: "AROAX:s",
    accessKeyId: "ASIAX",
  },
  anonymous: { kind: "anonymous", account: "000000000000", arn: "", userId: "", accessKeyId: "" },
} as const satisfies Record<string, Caller>;

test("every condition of AddPermission decides, for services, roles of other accounts and callers without a name", async (t) => {
  const one = await started(t);
  const ALL: PolicyDocument = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
  const allows = async (who: keyof typeof CALLERS, action: string, given: Readonly<Record<string, string>>) => {
    const caller: Caller = CALLERS[who];
    const context = { ...contextOf("test", caller.account), caller };
    const [invoke] = await one.service.definition.access("Invoke", context, { FunctionName: ResourceArn });
    assert.ok(invoke);
    const need = { ...invoke, action };
    const conditions = () => new Map(Object.entries(given).map(([name, value]) => [name.toLowerCase(), [value]]));
    return evaluate({ caller, need, identity: [ALL], session: [], conditions }).allowed;
  };
  const rows: readonly (readonly [keyof typeof CALLERS, object, Readonly<Record<string, string>>, Readonly<Record<string, string>>])[] = [
    ["service", { Principal: "s3.amazonaws.com" }, {}, {}],
    [
      "service",
      { Principal: "s3.amazonaws.com", SourceArn: "arn:aws:s3:::b*" },
      { "aws:SourceArn": "arn:aws:s3:::bucket" },
      { "aws:SourceArn": "arn:aws:s3:::x" },
    ],
    [
      "service",
      { Principal: "s3.amazonaws.com", SourceAccount: "000000000000" },
      { "aws:SourceAccount": "000000000000" },
      { "aws:SourceAccount": FOREIGN_ACCOUNT },
    ],
    ["service", { Principal: "s3.amazonaws.com", EventSourceToken: "t" }, { "lambda:EventSourceToken": "t" }, {}],
    ["role", { Principal: CALLERS.role.roleArn }, {}, {}],
    ["role", { Principal: FOREIGN_ACCOUNT }, {}, {}],
    [
      "role",
      { Principal: "*", PrincipalOrgID: "o-abcdefghij" },
      { "aws:PrincipalOrgID": "o-abcdefghij" },
      { "aws:PrincipalOrgID": "o-other00000" },
    ],
    [
      "anonymous",
      { Principal: "*", FunctionUrlAuthType: "NONE", Action: "lambda:InvokeFunctionUrl" },
      { "lambda:FunctionUrlAuthType": "NONE" },
      { "lambda:FunctionUrlAuthType": "AWS_IAM" },
    ],
    ["anonymous", { Principal: "*", InvokedViaFunctionUrl: true }, { "lambda:InvokedViaFunctionUrl": "true" }, {}],
  ];
  for (const [who, permission, right, wrong] of rows) {
    const name = JSON.stringify(permission);
    const action = "Action" in permission ? String(permission.Action) : "lambda:InvokeFunction";
    assert.equal(await allows(who, action, right), false, `${name}: before`);
    await add(one, "s", permission);
    assert.equal(await allows(who, action, right), true, `${name}: right`);
    if (Object.keys({ ...right, ...wrong }).length > 0) assert.equal(await allows(who, action, wrong), false, `${name}: wrong`);
    const others = (Object.keys(CALLERS) as (keyof typeof CALLERS)[]).filter((other) => other !== who);
    if (!("Principal" in permission && permission.Principal === "*"))
      for (const other of others) assert.equal(await allows(other, action, right), false, `${name}: ${other}`);
    await send(one.client, "RemovePermission", { FunctionName: "f", StatementId: "s" });
  }
});

test("what is refused, in AWS's words", async (t) => {
  const one = await started(t);
  const missing = [404, "ResourceNotFoundException", "The resource you requested does not exist."] as const;
  const putting = (name: string, Policy: string, fault?: Row["fault"], more: object = {}): Row => ({
    name,
    call: ["PutResourcePolicy", { ResourceArn, Policy, ...more }],
    ...(fault === undefined ? {} : { fault }),
  });
  const invalid = (name: string, Policy: string, message: string | RegExp) =>
    putting(name, Policy, [400, "InvalidParameterValueException", message]);
  const good = document(statement("*"));
  const stale = { RevisionId: "01234567-89ab-4def-8123-456789abcdef" };
  const mismatch = [412, "PreconditionFailedException", /Call the GetResourcePolicy API/] as const;
  const rows: readonly Row[] = [
    { name: "get none", call: ["GetResourcePolicy", { ResourceArn }], fault: missing },
    { name: "delete none", call: ["DeleteResourcePolicy", { ResourceArn }], fault: missing },
    invalid("no JSON", "{", "This policy contains invalid Json"),
    invalid("no principal", document({ ...statement("*"), Principal: undefined }), /Principal/),
    invalid(
      "another resource",
      document(statement("*", { Resource: "*" })),
      `Each statement of the policy must have the resource ${ResourceArn}.`,
    ),
    invalid("all but a resource", document(statement("*", { Resource: undefined, NotResource: ResourceArn })), /must have the resource/),
    invalid("another action", document(statement("*", { Action: ["lambda:InvokeFunction", "s3:GetObject"] })), /actions of lambda only/),
    putting("no function", good, [404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`], { ResourceArn: arnOf("g") }),
    putting("$LATEST", good, [400, "InvalidParameterValueException", "We currently do not support adding policies for $LATEST."], {
      ResourceArn: `${ResourceArn}:$LATEST`,
    }),
    putting("a wildcard", good, [400, "ValidationException", /'resourceArn'/], { ResourceArn: `${ResourceArn}*` }),
    putting("another region", good, [404, "ResourceNotFoundException", /not reachable/], {
      ResourceArn: ResourceArn.replace(REGION, "us-east-2"),
    }),
    putting("no revision yet", good, mismatch, stale),
    putting("put", good),
    putting("a stale revision", good, mismatch, stale),
    putting("too long", document(statement("*", { Sid: "x".repeat(20_480) })), [400, "ValidationException", /'policy'/]),
    putting("too many bytes", document(statement("*", { Sid: "é".repeat(15_000) })), [
      400,
      "PolicyLengthExceededException",
      /^The final policy size \(\d+\) is bigger than the limit \(20480\)\.$/,
    ]),
    { name: "delete a stale revision", call: ["DeleteResourcePolicy", { ResourceArn, ...stale }], fault: mismatch },
    { name: "got", call: ["GetResourcePolicy", { ResourceArn }] },
    { name: "deleted", call: ["DeleteResourcePolicy", { ResourceArn }] },
  ];
  for (const row of rows) await check(one, row);
  const names = [...covered.success].filter((name) => name.endsWith("ResourcePolicy"));
  assert.deepEqual([names.length, names.filter((name) => !covered.fault.has(name))], [3, []]);
});
