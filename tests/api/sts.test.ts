// STS as its official client sees it: whose credentials these are, and what the temporary ones may do.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  AttachRolePolicyCommand,
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { ListFunctionsCommand } from "@aws-sdk/client-lambda";
import { CreateBucketCommand, ListBucketsCommand } from "@aws-sdk/client-s3";
import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  GetSessionTokenCommand,
  type AssumeRoleCommandInput,
  type Credentials as StsCredentials,
} from "@aws-sdk/client-sts";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { startApi, type Credentials } from "../support/api.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";

const ACCOUNT = "000000000000";
const ROLE = `arn:aws:iam::${ACCOUNT}:role/deployer`;
const policy = (Action: string | string[], more: object = {}) =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action, Resource: "*", ...more }] });
const trust = (Principal: object, more: object = {}) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], Principal, ...more }],
  });

const credentialsOf = (given: StsCredentials | undefined): Credentials => ({
  accessKeyId: given?.AccessKeyId ?? "",
  secretAccessKey: given?.SecretAccessKey ?? "",
  sessionToken: given?.SessionToken ?? "",
});

/** A user `ann` who may assume the role `deployer`, which may list functions and buckets. */
async function start(t: TestContext, more: object = {}) {
  const { clients } = await startApi(t);
  const root = clients();
  await root.iam.send(new CreateUserCommand({ UserName: "ann" }));
  const { AccessKey } = await root.iam.send(new CreateAccessKeyCommand({ UserName: "ann" }));
  await root.iam.send(new PutUserPolicyCommand({ UserName: "ann", PolicyName: "p", PolicyDocument: policy("sts:*") }));
  const AssumeRolePolicyDocument = trust({ AWS: `arn:aws:iam::${ACCOUNT}:user/ann` }, more);
  await root.iam.send(new CreateRoleCommand({ RoleName: "deployer", AssumeRolePolicyDocument, MaxSessionDuration: 7200 }));
  const PolicyDocument = policy(["lambda:ListFunctions", "s3:ListAllMyBuckets"]);
  await root.iam.send(new PutRolePolicyCommand({ RoleName: "deployer", PolicyName: "p", PolicyDocument }));
  const ann = clients({ accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" });
  const assume = (input: Partial<AssumeRoleCommandInput> = {}, who: Pick<typeof ann, "sts"> = ann) =>
    who.sts.send(new AssumeRoleCommand({ RoleArn: ROLE, RoleSessionName: "ci", ...input }));
  return { clients, root, ann, assume };
}

test("who is calling: the root, a user, a role's session", async (t) => {
  const { root, ann, assume, clients } = await start(t);
  const identity = async ({ sts }: Pick<typeof ann, "sts">) => {
    const { UserId, Account, Arn } = await sts.send(new GetCallerIdentityCommand({}));
    return { UserId, Account, Arn };
  };
  assert.deepEqual(await identity(root), { UserId: ACCOUNT, Account: ACCOUNT, Arn: `arn:aws:iam::${ACCOUNT}:root` });
  const user = await identity(ann);
  assert.match(user.UserId ?? "", /^AIDA[A-Z0-9]{17}$/);
  assert.equal(user.Arn, `arn:aws:iam::${ACCOUNT}:user/ann`);
  const { Credentials: given, AssumedRoleUser } = await assume();
  const session = await identity(clients(credentialsOf(given)));
  assert.equal(session.Arn, `arn:aws:sts::${ACCOUNT}:assumed-role/deployer/ci`);
  assert.match(session.UserId ?? "", /^AROA[A-Z0-9]{17}:ci$/);
  assert.deepEqual([AssumedRoleUser?.Arn, AssumedRoleUser?.AssumedRoleId], [session.Arn, session.UserId]);
  const unknown = clients({ accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "x" });
  await assertRefused(
    unknown.sts.send(new GetCallerIdentityCommand({})),
    "InvalidClientTokenId",
    403,
    "The security token included in the request is invalid.",
  );
});

test("a session may do what its role may, for as long as it was asked for, and nothing of what its maker may", async (t) => {
  const { clients, assume } = await start(t);
  const beforeMs = Date.now();
  const { Credentials: given } = await assume({ DurationSeconds: 900 });
  assert.match(given?.AccessKeyId ?? "", /^ASIA[A-Z2-7]{16}$/);
  const lifeMs = (given?.Expiration?.getTime() ?? 0) - beforeMs;
  assert.ok(lifeMs > 895_000 && lifeMs < 960_000, String(lifeMs));
  const session = clients(credentialsOf(given));
  await session.lambda.send(new ListFunctionsCommand({}));
  await session.s3.send(new ListBucketsCommand({}));
  await assertRefused(
    session.s3.send(new CreateBucketCommand({ Bucket: "bucket" })),
    "AccessDenied",
    403,
    /not authorized to perform: s3:CreateBucket/,
  );
  await assertRefused(assume({}, session), "AccessDenied", 403, /not authorized to perform: sts:AssumeRole on resource/);
  const cut = { ...credentialsOf(given), sessionToken: credentialsOf(given).sessionToken?.slice(0, -4) ?? "" };
  await assertRefused(clients(cut).lambda.send(new ListFunctionsCommand({})), "UnrecognizedClientException", 403);
  const { accessKeyId, secretAccessKey } = credentialsOf(given);
  await assertRefused(
    clients({ accessKeyId, secretAccessKey }).lambda.send(new ListFunctionsCommand({})),
    "UnrecognizedClientException",
    403,
  );
});

test("a session policy bounds the session, and says how much room it takes", async (t) => {
  const { clients, assume, root } = await start(t);
  const { Credentials: given, PackedPolicySize } = await assume({ Policy: policy(["lambda:*", "s3:CreateBucket"]) });
  assert.ok((PackedPolicySize ?? 0) > 0 && (PackedPolicySize ?? 0) < 20, String(PackedPolicySize));
  const session = clients(credentialsOf(given));
  await session.lambda.send(new ListFunctionsCommand({}));
  await assertRefused(
    session.s3.send(new ListBucketsCommand({})),
    "AccessDenied",
    403,
    /because no session policy allows the s3:ListAllMyBuckets action/,
  );
  await assertRefused(session.s3.send(new CreateBucketCommand({ Bucket: "bucket" })), "AccessDenied", 403);
  await assertRefused(assume({ Policy: "{" }), "MalformedPolicyDocumentException", 400);
  await assertRefused(
    assume({ PolicyArns: [{ arn: `arn:aws:iam::${ACCOUNT}:policy/none` }] }),
    "MalformedPolicyDocumentException",
    400,
    /does not exist or is not attachable/,
  );
  // Random text does not compress.
  const resources = Array.from({ length: 28 }, (_, n) => `arn:aws:s3:::${crypto.randomUUID()}${crypto.randomUUID()}${n}/*`);
  const tags = Array.from({ length: 40 }, () => ({ Key: crypto.randomUUID(), Value: `${crypto.randomUUID()}${crypto.randomUUID()}` }));
  const large = { Policy: policy("s3:*", { Resource: resources.slice(0, 20) }), Tags: tags };
  await assertRefused(
    assume(large),
    "PackedPolicyTooLargeException",
    400,
    /Packed policy consumes \d+% of allotted space, please use smaller policy\./,
  );
  const arn = "arn:aws:iam::aws:policy/AWSLambda_ReadOnlyAccess";
  await root.iam.send(new AttachRolePolicyCommand({ RoleName: "deployer", PolicyArn: arn }));
  const managed = clients(credentialsOf((await assume({ PolicyArns: [{ arn }] })).Credentials));
  await managed.lambda.send(new ListFunctionsCommand({}));
  await assertRefused(managed.s3.send(new ListBucketsCommand({})), "AccessDenied", 403, /no session policy/);
});

test("the trust policy decides: its principals, its conditions", async (t) => {
  const { root, assume, clients } = await start(t, { Condition: { StringEquals: { "sts:ExternalId": "42" } } });
  const denied = /is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::000000000000:role\/deployer/;
  await assertRefused(assume(), "AccessDenied", 403, denied);
  await assertRefused(assume({ ExternalId: "41" }), "AccessDenied", 403, denied);
  const { Credentials: given } = await assume({ ExternalId: "42" });
  await clients(credentialsOf(given)).lambda.send(new ListFunctionsCommand({}));
  await assertRefused(assume({ ExternalId: "42" }, root), "AccessDenied", 403, denied);
  const none = `arn:aws:iam::${ACCOUNT}:role/none`;
  await assertRefused(assume({ RoleArn: none, ExternalId: "42" }), "AccessDenied", 403, /sts:AssumeRole on resource: .*role\/none/);
});

test("tags and source identity of a session stay with it", async (t) => {
  const { root, assume, clients } = await start(t);
  const AssumeRolePolicyDocument = trust({ AWS: ROLE });
  await root.iam.send(new CreateRoleCommand({ RoleName: "next", AssumeRolePolicyDocument }));
  const Condition = { StringEquals: { "aws:PrincipalTag/team": "a" } };
  await root.iam.send(
    new PutRolePolicyCommand({ RoleName: "next", PolicyName: "p", PolicyDocument: policy("lambda:ListFunctions", { Condition }) }),
  );
  await root.iam.send(new PutRolePolicyCommand({ RoleName: "deployer", PolicyName: "q", PolicyDocument: policy("sts:*") }));
  const chained = async (Tags: { Key: string; Value: string }[]) => {
    const first = await assume({ Tags, TransitiveTagKeys: Tags.map(({ Key }) => Key), SourceIdentity: "ann" });
    const session = clients(credentialsOf(first.Credentials));
    const second = await assume({ RoleArn: `arn:aws:iam::${ACCOUNT}:role/next` }, session);
    assert.equal(second.SourceIdentity, "ann");
    return { session, next: clients(credentialsOf(second.Credentials)) };
  };
  const { next, session } = await chained([{ Key: "team", Value: "a" }]);
  await next.lambda.send(new ListFunctionsCommand({}));
  const other = await chained([{ Key: "team", Value: "b" }]);
  await assertRefused(other.next.lambda.send(new ListFunctionsCommand({})), "AccessDeniedException", 403);
  const toNext = { RoleArn: `arn:aws:iam::${ACCOUNT}:role/next` };
  await assertRefused(assume({ ...toNext, DurationSeconds: 3601 }, session), "ValidationError", 400, /exceeds/);
  await assertRefused(assume({ ...toNext, SourceIdentity: "eve" }, session), "AccessDenied", 403);
  await assertRefused(
    assume({
      Tags: [
        { Key: "a", Value: "1" },
        { Key: "A", Value: "2" },
      ],
    }),
    "ValidationError",
    400,
    /Duplicate tag keys found/,
  );
});

test("AssumeRole checks its members in AWS's words", async (t) => {
  const { assume, ann } = await start(t);
  await assertRefused(
    assume({ RoleSessionName: "x" }),
    "ValidationError",
    400,
    /'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2/,
  );
  await assertRefused(
    assume({ RoleSessionName: "a b" }),
    "ValidationError",
    400,
    /'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern/,
  );
  await assertRefused(
    assume({ DurationSeconds: 899 }),
    "ValidationError",
    400,
    /'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900/,
  );
  await assertRefused(
    assume({ DurationSeconds: 7201 }),
    "ValidationError",
    400,
    "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
  );
  await assertRefused(assume({ RoleArn: "deployer-of-everything-here" }), "ValidationError", 400, "deployer-of-everything-here is invalid");
  await assertRefused(assume({ SerialNumber: "123456789", TokenCode: "123456" }), "AccessDenied", 403, /MultiFactorAuthentication failed/);
  await assertRefused(assume({ TransitiveTagKeys: ["none"] }), "ValidationError", 400, /must be included in the requested tags/);
  const web = { RoleArn: ROLE, RoleSessionName: "ci", WebIdentityToken: "x".repeat(20) };
  await assertRefused(ann.sts.send(new AssumeRoleWithWebIdentityCommand(web)), "NotImplementedException", 501);
});

test("GetSessionToken: the caller's own rights under temporary keys, from long-lived ones alone", async (t) => {
  const { ann, root, clients } = await start(t);
  const { Credentials: given } = await ann.sts.send(new GetSessionTokenCommand({ DurationSeconds: 900 }));
  const session = clients(credentialsOf(given));
  const { Arn } = await session.sts.send(new GetCallerIdentityCommand({}));
  assert.equal(Arn, `arn:aws:iam::${ACCOUNT}:user/ann`);
  await assertRefused(session.lambda.send(new ListFunctionsCommand({})), "AccessDeniedException", 403, /user\/ann is not authorized/);
  await assertRefused(
    session.sts.send(new GetSessionTokenCommand({})),
    "AccessDenied",
    403,
    "Cannot call GetSessionToken with session credentials",
  );
  const ofRoot = await root.sts.send(new GetSessionTokenCommand({ DurationSeconds: 40_000 }));
  assert.ok((ofRoot.Credentials?.Expiration?.getTime() ?? 0) <= Date.now() + 3_600_000);
  await assertRefused(
    ann.sts.send(new GetSessionTokenCommand({ DurationSeconds: 899 })),
    "ValidationError",
    400,
    /greater than or equal to 900/,
  );
  await assertRefused(ann.sts.send(new GetSessionTokenCommand({ SerialNumber: "123456789", TokenCode: "123456" })), "AccessDenied", 403);
});

test("a function is its role under its own name; what one letter calls has a longer session, as on AWS", async (t) => {
  const { clients } = await startApi(t, ({ env }) => () => ({
    accessKeyId: env["AWS_ACCESS_KEY_ID"],
    secretAccessKey: env["AWS_SECRET_ACCESS_KEY"],
    sessionToken: env["AWS_SESSION_TOKEN"],
  }));
  const { lambda, iam } = clients();
  const role = await makeRole(iam, "runner");
  const sessions: Readonly<Record<string, string>> = { hello: "hello", h: "h@lambda_function" };
  for (const [name, session] of Object.entries(sessions)) {
    await makeFunction(lambda, { name, role, code: "" });
    const own = clients((await call(lambda, name)).value as Credentials);
    const { Arn, UserId, Account } = await own.sts.send(new GetCallerIdentityCommand());
    assert.deepEqual([Arn, Account], [`arn:aws:sts::${ACCOUNT}:assumed-role/runner/${session}`, ACCOUNT]);
    assert.match(UserId ?? "", new RegExp(`^AROA[A-Z0-9]+:${session}$`));
    await assertRefused(own.lambda.send(new ListFunctionsCommand()), "AccessDeniedException", 403, /assumed-role\/runner\/h/);
  }
});
