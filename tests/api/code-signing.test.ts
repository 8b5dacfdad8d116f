// Code signing configurations: stored, given to functions, and honest about signatures that nobody verifies.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACCOUNT, arnOf, check, covered, makeFunction, REGION, send, startLambda, type Row, type Started } from "./lambda.fixture.ts";

const PROFILE = `arn:aws:signer:${REGION}:${ACCOUNT}:/signing-profiles/p/abcdefghij`;
const AllowedPublishers = { SigningProfileVersionArns: [PROFILE] };
const ENFORCE = { UntrustedArtifactOnDeployment: "Enforce" } as const;
const NONE_ARN = `arn:aws:lambda:${REGION}:${ACCOUNT}:code-signing-config:csc-0123456789abcdef0`;

type Config = Readonly<Record<"CodeSigningConfigId" | "CodeSigningConfigArn" | "LastModified", string>>;

async function create(one: Pick<Started, "client">, more: object = {}): Promise<Config> {
  const { CodeSigningConfig } = await send(one.client, "CreateCodeSigningConfig", { AllowedPublishers, ...more });
  return CodeSigningConfig as Config;
}

test("a configuration has AWS's members, and changes by those that are given", async (t) => {
  const one = await startLambda(t);
  const made = await create(one, { Tags: { a: "b" } });
  const { CodeSigningConfigId: id, CodeSigningConfigArn: arn, LastModified, ...rest } = made;
  assert.match(id, /^csc-[a-z0-9]{17}$/);
  assert.equal(arn, `arn:aws:lambda:${REGION}:${ACCOUNT}:code-signing-config:${id}`);
  assert.match(LastModified, /^\d{4}-.*\+0000$/);
  assert.deepEqual(rest, { Description: "", AllowedPublishers, CodeSigningPolicies: { UntrustedArtifactOnDeployment: "Warn" } });
  const second = await one.restart();
  const CodeSigningConfigArn = arn;
  assert.deepEqual((await send(second.client, "GetCodeSigningConfig", { CodeSigningConfigArn }))["CodeSigningConfig"], made);
  await send(second.client, "UpdateCodeSigningConfig", { CodeSigningConfigArn, Description: "d", CodeSigningPolicies: ENFORCE });
  const { CodeSigningConfigs } = await send(second.client, "ListCodeSigningConfigs", {});
  const [listed] = CodeSigningConfigs as [Record<string, unknown>];
  assert.deepEqual([listed["Description"], listed["CodeSigningPolicies"], listed["AllowedPublishers"]], ["d", ENFORCE, AllowedPublishers]);
  await send(second.client, "TagResource", { Resource: arn, Tags: { c: "d" } });
  assert.deepEqual((await send(second.client, "ListTags", { Resource: arn }))["Tags"], { a: "b", c: "d" });
  await send(second.client, "DeleteCodeSigningConfig", { CodeSigningConfigArn });
  assert.deepEqual((await send(second.client, "ListCodeSigningConfigs", {}))["CodeSigningConfigs"], []);
});

test("lists come in pages", async (t) => {
  const one = await startLambda(t);
  for (let n = 0; n < 3; n++) await create(one);
  const first = await send(one.client, "ListCodeSigningConfigs", { MaxItems: 2 });
  const second = await send(one.client, "ListCodeSigningConfigs", { MaxItems: 2, Marker: first["NextMarker"] });
  assert.deepEqual(
    [first, second].map(({ CodeSigningConfigs }) => (CodeSigningConfigs as unknown[]).length),
    [2, 1],
  );
  assert.equal(second["NextMarker"], undefined);
});

test("functions have one or none, and hold it", async (t) => {
  const one = await startLambda(t);
  const { CodeSigningConfigArn } = await create(one);
  await makeFunction(one, "f");
  await makeFunction(one, "g", { CodeSigningConfigArn });
  const configOf = (FunctionName: string) => send(one.client, "GetFunctionCodeSigningConfig", { FunctionName });
  assert.deepEqual(await configOf("f"), {});
  assert.deepEqual(await configOf("g"), { CodeSigningConfigArn, FunctionName: "g" });
  const put = await send(one.client, "PutFunctionCodeSigningConfig", { CodeSigningConfigArn, FunctionName: "f" });
  assert.deepEqual(put, { CodeSigningConfigArn, FunctionName: "f" });
  const users = async () => (await send(one.client, "ListFunctionsByCodeSigningConfig", { CodeSigningConfigArn }))["FunctionArns"];
  assert.deepEqual(await users(), [arnOf("f"), arnOf("g")]);
  await assert.rejects(send(one.client, "DeleteCodeSigningConfig", { CodeSigningConfigArn }), { name: "ResourceConflictException" });
  await send(one.client, "DeleteFunctionCodeSigningConfig", { FunctionName: "f" });
  await send(one.client, "DeleteFunctionCodeSigningConfig", { FunctionName: "f" });
  await send(one.client, "DeleteFunction", { FunctionName: "g" });
  assert.deepEqual([await configOf("f"), await users()], [{}, []]);
  await send(one.client, "DeleteCodeSigningConfig", { CodeSigningConfigArn });
});

test("functions that get one at the same time are not in each other's way", async (t) => {
  const one = await startLambda(t);
  const { CodeSigningConfigArn } = await create(one);
  const names = Array.from({ length: 8 }, (_, n) => `f${n}`);
  await Promise.all(names.map((name) => makeFunction(one, name, { CodeSigningConfigArn })));
  const { FunctionArns } = await send(one.client, "ListFunctionsByCodeSigningConfig", { CodeSigningConfigArn });
  assert.deepEqual(FunctionArns, names.map(arnOf));
});

test("code that would need a valid signature is not deployed", async (t) => {
  const one = await startLambda(t);
  const enforced = await create(one, { CodeSigningPolicies: ENFORCE });
  const { CodeSigningConfigArn } = await create(one);
  const refused = { name: "CodeVerificationFailedException", message: /Lambent does not verify signatures/ };
  await assert.rejects(makeFunction(one, "f", { CodeSigningConfigArn: enforced.CodeSigningConfigArn }), refused);
  await makeFunction(one, "f", { CodeSigningConfigArn });
  const deploy = () => send(one.client, "UpdateFunctionCode", { FunctionName: "f", ZipFile: one.zip, DryRun: true });
  await deploy();
  await send(one.client, "UpdateCodeSigningConfig", { CodeSigningConfigArn, CodeSigningPolicies: ENFORCE });
  await assert.rejects(deploy(), refused);
  await send(one.client, "DeleteFunctionCodeSigningConfig", { FunctionName: "f" });
  await deploy();
});

test("what is refused, in AWS's words", async (t) => {
  const one = await startLambda(t);
  await makeFunction(one, "f");
  const { CodeSigningConfigArn } = await create(one);
  const unknown = [404, "ResourceNotFoundException", `The Lambda code signing configuration ${NONE_ARN} can not be found.`] as const;
  const gone = [
    404,
    "CodeSigningConfigNotFoundException",
    `The code signing configuration cannot be found. Check that the provided configuration is not deleted: ${NONE_ARN}.`,
  ] as const;
  const noFunction = [404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`] as const;
  const row = (name: string, operation: Row["call"][0], input: object, fault?: Row["fault"]): Row => ({
    name,
    call: [operation, { ...input }],
    ...(fault === undefined ? {} : { fault }),
  });
  const foreign = NONE_ARN.replace(ACCOUNT, "222222222222");
  const rows: readonly Row[] = [
    row("no publishers", "CreateCodeSigningConfig", {}, [400, "ValidationException", /Value null at 'allowedPublishers'/]),
    row("an empty list", "CreateCodeSigningConfig", { AllowedPublishers: { SigningProfileVersionArns: [] } }, [
      400,
      "ValidationException",
      /length greater than or equal to 1/,
    ]),
    row(
      "too many tags",
      "CreateCodeSigningConfig",
      { AllowedPublishers, Tags: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`t${n}`, ""])) },
      [400, "InvalidParameterValueException", "Number of tags exceeds resource tag limit."],
    ),
    row("get none", "GetCodeSigningConfig", { CodeSigningConfigArn: NONE_ARN }, unknown),
    row("update none", "UpdateCodeSigningConfig", { CodeSigningConfigArn: NONE_ARN }, unknown),
    row("delete none", "DeleteCodeSigningConfig", { CodeSigningConfigArn: NONE_ARN }, unknown),
    row("another account's", "GetCodeSigningConfig", { CodeSigningConfigArn: foreign }, [
      403,
      "AccessDeniedException",
      /is not authorized/,
    ]),
    row("users of none", "ListFunctionsByCodeSigningConfig", { CodeSigningConfigArn: NONE_ARN }, unknown),
    row("tags of none", "ListTags", { Resource: NONE_ARN }, unknown),
    row("put none", "PutFunctionCodeSigningConfig", { CodeSigningConfigArn: NONE_ARN, FunctionName: "g" }, gone),
    row("put to none", "PutFunctionCodeSigningConfig", { CodeSigningConfigArn, FunctionName: "g" }, noFunction),
    row("get of none", "GetFunctionCodeSigningConfig", { FunctionName: "g" }, noFunction),
    row("delete of none", "DeleteFunctionCodeSigningConfig", { FunctionName: "g" }, noFunction),
    row(
      "a function with none",
      "CreateFunction",
      {
        FunctionName: "h",
        Runtime: "nodejs24.x",
        Handler: "index.handler",
        Role: "arn:aws:iam::000000000000:role/r",
        Code: { ZipFile: one.zip },
        CodeSigningConfigArn: NONE_ARN,
      },
      gone,
    ),
    row("a wrong page", "ListCodeSigningConfigs", { Marker: "x" }, [400, "ValidationException", /'marker'/]),
    row("a wrong page of functions", "ListFunctionsByCodeSigningConfig", { CodeSigningConfigArn, Marker: "x" }, [
      400,
      "ValidationException",
      /'marker'/,
    ]),
    row("put", "PutFunctionCodeSigningConfig", { CodeSigningConfigArn, FunctionName: "f" }),
    row("got of a function", "GetFunctionCodeSigningConfig", { FunctionName: "f" }),
    row("users", "ListFunctionsByCodeSigningConfig", { CodeSigningConfigArn }),
    row("delete used", "DeleteCodeSigningConfig", { CodeSigningConfigArn }, [409, "ResourceConflictException", /in use/]),
    row("deleted of a function", "DeleteFunctionCodeSigningConfig", { FunctionName: "f" }),
    row("created", "CreateCodeSigningConfig", { AllowedPublishers }),
    row("listed", "ListCodeSigningConfigs", {}),
    row("got", "GetCodeSigningConfig", { CodeSigningConfigArn }),
    row("updated", "UpdateCodeSigningConfig", { CodeSigningConfigArn }),
    row("deleted", "DeleteCodeSigningConfig", { CodeSigningConfigArn }),
  ];
  for (const each of rows) await check(one, each);
  const names = [...covered.success].filter((name) => name.includes("CodeSigning"));
  assert.deepEqual([names.length, names.filter((name) => !covered.fault.has(name))], [9, []]);
});
