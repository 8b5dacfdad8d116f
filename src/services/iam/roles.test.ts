import assert from "node:assert/strict";
import { test } from "node:test";
import { policyText, refused, startIam, trustText } from "./iam.fixture.ts";

const AssumeRolePolicyDocument = trustText();

test("a role from its creation to its end", async (t) => {
  const { call, clock } = await startIam(t);
  const Tags = [{ Key: "Team", Value: "a" }];
  const { Role } = await call("CreateRole", { RoleName: "r", Path: "/service/", AssumeRolePolicyDocument, Description: "d", Tags });
  assert.match(Role?.RoleId ?? "", /^AROA[A-Z2-7]{17}$/);
  const { RoleId, ...rest } = Role ?? {};
  assert.deepEqual(rest, {
    Path: "/service/",
    RoleName: "r",
    Arn: "arn:aws:iam::000000000000:role/service/r",
    CreateDate: new Date(clock.now()),
    AssumeRolePolicyDocument: encodeURIComponent(AssumeRolePolicyDocument),
    Description: "d",
    MaxSessionDuration: 3600,
    Tags,
  });
  await call("UpdateRole", { RoleName: "r", Description: "e", MaxSessionDuration: 7200 });
  assert.equal((await call("UpdateRoleDescription", { RoleName: "r", Description: "f" })).Role?.Description, "f");
  const other = trustText({ Service: "sns.amazonaws.com", AWS: "000000000000" });
  await call("UpdateAssumeRolePolicy", { RoleName: "r", PolicyDocument: other });
  const got = await call("GetRole", { RoleName: "r" });
  assert.deepEqual([got.Role?.Description, got.Role?.MaxSessionDuration, got.Role?.RoleId], ["f", 7200, RoleId]);
  assert.equal(decodeURIComponent(got.Role?.AssumeRolePolicyDocument ?? ""), other);
  assert.deepEqual((await call("ListInstanceProfilesForRole", { RoleName: "r" })).InstanceProfiles, []);
  await call("DeleteRole", { RoleName: "r" });
  await refused(call("GetRole", { RoleName: "r" }), "NoSuchEntity", "The role with name r cannot be found.");
});

test("trust policies are returned in RFC 3986 percent-encoding", async (t) => {
  const { call } = await startIam(t);
  const text = trustText({ AWS: "arn:aws:iam::000000000000:user/it's(me)*!" }).replace("*", "");
  const { Role } = await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: text });
  assert.doesNotMatch(Role?.AssumeRolePolicyDocument ?? "", /[^A-Za-z0-9%._~-]/);
  assert.equal(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? ""), text);
});

test("names are unique, whatever their case and path", async (t) => {
  const { call } = await startIam(t);
  await call("CreateRole", { RoleName: "Role", AssumeRolePolicyDocument });
  for (const RoleName of ["Role", "role"])
    await refused(
      call("CreateRole", { RoleName, Path: "/x/", AssumeRolePolicyDocument }),
      "EntityAlreadyExists",
      `Role with name ${RoleName} already exists.`,
    );
  const made = await Promise.allSettled(
    Array.from({ length: 5 }, () => call("CreateRole", { RoleName: "same", AssumeRolePolicyDocument })),
  );
  assert.equal(made.filter(({ status }) => status === "fulfilled").length, 1);
});

test("what is missing is named", async (t) => {
  const { call } = await startIam(t);
  const missing = "The role with name x cannot be found.";
  const RoleName = "x";
  await refused(call("GetRole", { RoleName }), "NoSuchEntity", missing);
  await refused(call("UpdateRole", { RoleName }), "NoSuchEntity", missing);
  await refused(call("UpdateRoleDescription", { RoleName, Description: "" }), "NoSuchEntity", missing);
  await refused(call("UpdateAssumeRolePolicy", { RoleName, PolicyDocument: "{" }), "NoSuchEntity", missing);
  await refused(call("DeleteRole", { RoleName }), "NoSuchEntity", missing);
  await refused(call("TagRole", { RoleName, Tags: [] }), "NoSuchEntity", missing);
  await refused(call("UntagRole", { RoleName, TagKeys: [] }), "NoSuchEntity", missing);
  await refused(call("ListRoleTags", { RoleName }), "NoSuchEntity", missing);
  await refused(call("ListInstanceProfilesForRole", { RoleName }), "NoSuchEntity", missing);
});

test("a trust policy that is none changes nothing", async (t) => {
  const { call } = await startIam(t);
  const create = (text: string) => call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: text });
  await refused(create("{"), "MalformedPolicyDocument", "This policy contains invalid Json");
  await refused(create(policyText()), "MalformedPolicyDocument", "AssumeRole policy may only specify STS AssumeRole actions.");
  await refused(create(trustText({ Service: "lambda" })), "MalformedPolicyDocument", 'Invalid principal in policy: "SERVICE":"lambda"');
  const long = trustText({ Service: Array.from({ length: 100 }, (_, index) => `service-number-${index}.amazonaws.com`) });
  await refused(create(long), "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048");
  await refused(
    call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument, PermissionsBoundary: "arn:aws:iam::aws:policy/AdministratorAccess" }),
    "InvalidInput",
  );
  assert.deepEqual((await call("ListRoles", {})).Roles, []);
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument: AssumeRolePolicyDocument + " ".repeat(10_000) });
  await refused(call("UpdateAssumeRolePolicy", { RoleName: "r", PolicyDocument: "[]" }), "MalformedPolicyDocument");
  assert.equal((await call("GetRole", { RoleName: "r" })).Role?.AssumeRolePolicyDocument?.startsWith("%7B%22Version"), true);
});

test("a role with policies is not deleted", async (t) => {
  const { call } = await startIam(t);
  const RoleName = "r";
  await call("CreateRole", { RoleName, AssumeRolePolicyDocument });
  await call("PutRolePolicy", { RoleName, PolicyName: "p", PolicyDocument: policyText() });
  await refused(call("DeleteRole", { RoleName }), "DeleteConflict", "Cannot delete entity, must delete policies first.");
  await call("DeleteRolePolicy", { RoleName, PolicyName: "p" });
  await call("AttachRolePolicy", { RoleName, PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess" });
  await refused(call("DeleteRole", { RoleName }), "DeleteConflict", "Cannot delete entity, must detach all policies first.");
});

test("lists are cut into pages and narrowed by path", async (t) => {
  const { call } = await startIam(t);
  for (const RoleName of ["c", "a", "d", "b"])
    await call("CreateRole", {
      RoleName,
      Path: RoleName === "d" ? "/other/" : "/app/",
      AssumeRolePolicyDocument,
      Tags: [{ Key: "k", Value: "v" }],
    });
  const names: (string | undefined)[] = [];
  let Marker: string | undefined;
  do {
    const page = await call("ListRoles", { MaxItems: 2, PathPrefix: "/app", ...(Marker === undefined ? {} : { Marker }) });
    names.push(...(page.Roles ?? []).map((role) => role.RoleName));
    assert.ok(page.Roles?.every((role) => role.Tags === undefined));
    assert.equal(page.IsTruncated, page.Marker !== undefined);
    Marker = page.Marker;
  } while (Marker !== undefined);
  assert.deepEqual(names, ["a", "b", "c"]);
  await refused(call("ListRoles", { Marker: "junk" }), "ValidationError", "Invalid Marker.");
  const users = await call("ListUsers", {});
  assert.deepEqual(users, { Users: [], IsTruncated: false });
});

test("tags: keys without case, a limit, pages", async (t) => {
  const { call } = await startIam(t);
  const RoleName = "r";
  await call("CreateRole", { RoleName, AssumeRolePolicyDocument, Tags: [{ Key: "Team", Value: "a" }] });
  await call("TagRole", {
    RoleName,
    Tags: [
      { Key: "team", Value: "b" },
      { Key: "__proto__", Value: "c" },
    ],
  });
  const Tags = [
    { Key: "__proto__", Value: "c" },
    { Key: "team", Value: "b" },
  ];
  assert.deepEqual((await call("ListRoleTags", { RoleName })).Tags, Tags);
  const { Tags: first, Marker = "" } = await call("ListRoleTags", { RoleName, MaxItems: 1 });
  assert.deepEqual([...(first ?? []), ...((await call("ListRoleTags", { RoleName, Marker })).Tags ?? [])], Tags);
  await call("UntagRole", { RoleName, TagKeys: ["TEAM", "other"] });
  assert.deepEqual((await call("GetRole", { RoleName })).Role?.Tags, [{ Key: "__proto__", Value: "c" }]);
  const many = Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: "" }));
  await refused(call("TagRole", { RoleName, Tags: many }), "LimitExceeded", "The number of tags has reached the maximum limit.");
  await refused(
    call("TagRole", {
      RoleName,
      Tags: [
        { Key: "a", Value: "" },
        { Key: "A", Value: "" },
      ],
    }),
    "InvalidInput",
    /Duplicate tag keys/,
  );
  await refused(call("TagRole", { RoleName, Tags: [{ Key: "aws:x", Value: "" }] }), "InvalidInput", /reserved/);
});

test("changes at the same time are all made", async (t) => {
  const { call } = await startIam(t);
  const RoleName = "r";
  await call("CreateRole", { RoleName, AssumeRolePolicyDocument });
  const keys = Array.from({ length: 8 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((Key) => call("TagRole", { RoleName, Tags: [{ Key, Value: "v" }] })));
  assert.deepEqual(
    (await call("ListRoleTags", { RoleName })).Tags?.map(({ Key }) => Key),
    keys,
  );
});

test("another account does not see it", async (t) => {
  const { call } = await startIam(t);
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument });
  const stranger = {
    kind: "root",
    account: "111111111111",
    arn: "arn:aws:iam::111111111111:root",
    userId: "111111111111",
    accessKeyId: "A",
  } as const;
  assert.deepEqual((await call("ListRoles", {}, stranger)).Roles, []);
  await refused(call("GetRole", { RoleName: "r" }, stranger), "NoSuchEntity");
  await call("CreateRole", { RoleName: "r", AssumeRolePolicyDocument }, stranger);
});
