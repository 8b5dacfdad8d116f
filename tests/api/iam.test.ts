// IAM's query protocol on the wire: what its answers and errors look like, byte for byte, and that each operation has been tried.
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { CreateAccountAliasCommand } from "@aws-sdk/client-iam";
import { SignatureV4 } from "@smithy/signature-v4";
import { Sha256 } from "../../bench/support/signed-requests.ts";
import { assertRefused } from "../../src/aws/fake-service.ts";
import type { Credentials } from "../support/api.ts";
import { POLICY, startIamApi, TRUST } from "./iam.fixture.ts";

const XMLNS = 'xmlns="https://iam.amazonaws.com/doc/2010-05-08/"';

async function start(t: TestContext) {
  const started = await startIamApi(t);
  const { server } = started;
  const url = new URL(server.endpoint);
  /** A form as it is, signed. */
  const post = async (body: string, credentials: Credentials = server.keys) => {
    const signer = new SignatureV4({ service: "iam", region: "us-east-1", credentials, sha256: Sha256 });
    const headers = { host: url.host, "content-type": "application/x-www-form-urlencoded" };
    const message = { method: "POST", protocol: "http:", hostname: url.hostname, path: "/", headers, body };
    const signed = await signer.sign(message);
    const response = await fetch(url, { method: "POST", headers: signed.headers, body });
    const requestId = response.headers.get("x-amzn-requestid") ?? "";
    const text = (await response.text()).replaceAll(requestId, "REQUEST-ID");
    return { status: response.status, type: response.headers.get("content-type"), requestId, text };
  };
  return { ...started, post };
}

const form = (fields: Record<string, string>) => new URLSearchParams({ Version: "2010-05-08", ...fields }).toString();

test("an answer is its operation's element with the result and the request id; text is escaped", async (t) => {
  const { iam, post } = await start(t);
  await iam.createRole({ RoleName: "r", AssumeRolePolicyDocument: TRUST, Description: `<&>"'` });
  const { status, type, requestId, text } = await post(form({ Action: "GetRole", RoleName: "r" }));
  assert.deepEqual([status, type], [200, "text/xml"]);
  assert.match(requestId, /^[0-9a-f-]{36}$/);
  assert.ok(text.startsWith(`<GetRoleResponse ${XMLNS}><GetRoleResult><Role><Path>/</Path><RoleName>r</RoleName>`), text);
  assert.ok(
    text.endsWith("</GetRoleResult><ResponseMetadata><RequestId>REQUEST-ID</RequestId></ResponseMetadata></GetRoleResponse>"),
    text,
  );
  assert.match(text, /<Description>&lt;&amp;&gt;(?:"|&quot;)(?:'|&apos;)<\/Description>/);
  assert.ok(text.includes(`<AssumeRolePolicyDocument>${encodeURIComponent(TRUST)}</AssumeRolePolicyDocument>`), text);
  assert.match(text, /<CreateDate>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z<\/CreateDate>/);
  const nothing = await post(form({ Action: "DeleteRole", RoleName: "r" }));
  assert.equal(
    nothing.text,
    `<DeleteRoleResponse ${XMLNS}><ResponseMetadata><RequestId>REQUEST-ID</RequestId></ResponseMetadata></DeleteRoleResponse>`,
  );
});

const SENTENCE = "failed to satisfy constraint: Member must not be null";

test("an error has AWS's code, type and sentence in an ErrorResponse", async (t) => {
  const { iam, post, server } = await start(t);
  await iam.createUser({ UserName: "ann" });
  const cases: readonly (readonly [body: string, status: number, code: string, message: string])[] = [
    [form({ Action: "GetRole", RoleName: "x<&>" }), 400, "ValidationError", ""],
    [form({ Action: "GetRole", RoleName: "x" }), 404, "NoSuchEntity", "The role with name x cannot be found."],
    [form({ Action: "CreateUser", UserName: "ann" }), 409, "EntityAlreadyExists", "User with name ann already exists."],
    [form({ Action: "GetRole" }), 400, "ValidationError", `1 validation error detected: Value null at 'roleName' ${SENTENCE}`],
    [
      form({ Action: "PutRolePolicy" }),
      400,
      "ValidationError",
      `3 validation errors detected: ${["roleName", "policyName", "policyDocument"].map((name) => `Value null at '${name}' ${SENTENCE}`).join("; ")}`,
    ],
    [form({ Action: "Fly" }), 400, "InvalidAction", "Could not find operation Fly for the requested version"],
    [form({}), 400, "InvalidAction", "Could not find operation  for the requested version"],
    [
      form({ Action: "CreateInstanceProfile", InstanceProfileName: "g" }),
      501,
      "NotImplementedException",
      "Lambent does not implement iam:CreateInstanceProfile.",
    ],
    [form({ Action: "ListRoles", MaxItems: "many" }), 400, "MalformedInput", ""],
    [`${form({ Action: "ListRoles" })}&x=%zz`, 400, "MalformedQueryString", ""],
  ];
  for (const [body, status, code, message] of cases) {
    const answer = await post(body);
    assert.deepEqual([answer.status, answer.type], [status, "text/xml"], `${body}: ${answer.text}`);
    const type = status < 500 ? "Sender" : "Receiver";
    const head = `<ErrorResponse ${XMLNS}><Error><Type>${type}</Type><Code>${code}</Code><Message>`;
    const tail = "</Message></Error><RequestId>REQUEST-ID</RequestId></ErrorResponse>";
    assert.ok(answer.text.startsWith(head) && answer.text.endsWith(tail), `${body}: ${answer.text}`);
    assert.doesNotMatch(answer.text, /x<&>/);
    if (message !== "") assert.equal(answer.text.slice(head.length, -tail.length).replaceAll("&apos;", "'"), message);
  }
  const wrong = await post(form({ Action: "ListUsers" }), { ...server.keys, secretAccessKey: "wrong" });
  assert.deepEqual([wrong.status, /<Code>(\w+)<\/Code>/.exec(wrong.text)?.[1]], [403, "SignatureDoesNotMatch"]);
});

test("what AWS has and Lambent has not is refused by name", async (t) => {
  const { iam } = await startIamApi(t);
  await assertRefused(
    iam.send(new CreateAccountAliasCommand({ AccountAlias: "abc" })),
    "NotImplementedException",
    501,
    "Lambent does not implement iam:CreateAccountAlias.",
  );
});

test("who has no policy is told so in AWS's sentence, whatever is there; a permission counts at once", async (t) => {
  const { iam, as } = await startIamApi(t);
  await iam.createUser({ UserName: "ann" });
  const { AccessKey } = await iam.createAccessKey({ UserName: "ann" });
  const ann = as({ accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" });
  const who = "User: arn:aws:iam::000000000000:user/ann is not authorized to perform:";
  const why = "because no identity-based policy allows the";
  for (const RoleName of ["none", "r"]) {
    if (RoleName === "r") await iam.createRole({ RoleName, AssumeRolePolicyDocument: TRUST });
    const resource = `arn:aws:iam::000000000000:role/${RoleName}`;
    await assertRefused(
      ann.getRole({ RoleName }),
      "AccessDenied",
      403,
      `${who} iam:GetRole on resource: ${resource.replace("arn:", "arn:")} ${why} iam:GetRole action`.replace(
        "resource: arn",
        "resource: arn",
      ),
    );
  }
  await assertRefused(ann.createRole({ RoleName: "r", AssumeRolePolicyDocument: "{" }), "AccessDenied", 403);
  const PolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: "iam:GetRole", Resource: "arn:aws:iam::*:role/r" },
      { Effect: "Deny", Action: "iam:ListUsers", Resource: "*" },
    ],
  });
  await iam.putUserPolicy({ UserName: "ann", PolicyName: "p", PolicyDocument });
  assert.equal((await ann.getRole({ RoleName: "r" })).Role?.RoleName, "r");
  await assertRefused(ann.listUsers({}), "AccessDenied", 403, /with an explicit deny in an identity-based policy$/);
  await assertRefused(ann.putUserPolicy({ UserName: "ann", PolicyName: "q", PolicyDocument: POLICY }), "AccessDenied", 403);
});

test("each operation of IAM that is built is tried through the client", async (t) => {
  const { server } = await startIamApi(t);
  const definition = (await server.services()).find(({ name }) => name === "iam");
  const built = Object.entries(definition?.operations ?? {}).flatMap(([name, one]) => (typeof one === "function" ? [name] : []));
  assert.ok(built.length >= 50, String(built.length));
  const files = await Promise.all(globSync(join(import.meta.dirname, "iam-*.test.ts")).map((name) => readFile(name, "utf8")));
  const text = files.join("");
  const untried = built.filter((name) => {
    const call = `iam.${name.charAt(0).toLowerCase()}${name.slice(1)}(`;
    return !text.includes(call) && !text.includes(`paginate${name}(`);
  });
  assert.deepEqual(untried, []);
});
