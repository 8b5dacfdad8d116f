// Every constraint of the API's model, broken alone, in every built operation: AWS's status, code and sentence, and nothing has changed.
import assert from "node:assert/strict";
import { Agent } from "node:http";
import { test, type TestContext } from "node:test";
import { CreateAccessKeyCommand, CreateRoleCommand, CreateUserCommand, PutUserPolicyCommand } from "@aws-sdk/client-iam";
import type { ServiceDefinition } from "../../src/aws/definition.ts";
import { serviceModel, type OperationModel, type ServiceModel } from "../../src/aws/model.ts";
import { readConstraints } from "../../src/aws/validate.ts";
import { escapeXml } from "../../src/aws/xml.ts";
import { startApi, type Credentials } from "../support/api.ts";
import { generatedCases, type GeneratedCase } from "../support/generated-inputs.ts";
import { requestOf } from "../support/hostile-requests.ts";
import { sender, VERSIONS, type Answered } from "../support/raw-requests.ts";

const CALLERS = 8;
/** Over all services. */
const CASES_MIN = 4_000;
/** S3 has codes of its own for each operation, and no common sentence: its tests know them. */
const WITHOUT_SENTENCES = new Set(["s3"]);

type Clients = ReturnType<Awaited<ReturnType<typeof startApi>>["clients"]>;

interface Asked {
  readonly operation: OperationModel;
  readonly one: GeneratedCase;
}

interface Answer {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Texts of forms stay escaped. */
function answerOf({ status, errorType, body }: Answered): Answer {
  if (body.startsWith("<")) {
    const [, code = ""] = /<Code>([^<]*)<\/Code>/.exec(body) ?? [];
    const [, message = ""] = /<Message>([^<]*)<\/Message>/.exec(body) ?? [];
    return { status, code, message };
  }
  const members = JSON.parse(body === "" ? "{}" : body) as Readonly<Record<string, string>>;
  const type = errorType ?? members["__type"] ?? "";
  return { status, code: type.slice(type.indexOf("#") + 1), message: members["message"] ?? members["Message"] ?? "" };
}

/** Some services have a fault of their own for what is left out. */
function expectedAnswer({ name, protocol }: ServiceModel, { operation, one }: Asked): Answer {
  const [, member = ""] = /^(\w+): (?:left out|null)$/.exec(one.what) ?? [];
  const given = operation.input?.members.find((of) => of.name.toLowerCase() === member.toLowerCase())?.name;
  if (given !== undefined && name === "sqs")
    return { status: 400, code: "MissingRequiredParameterException", message: `The request must contain the parameter ${given}.` };
  if (given !== undefined && name === "monitoring")
    return { status: 400, code: "MissingRequiredParameterException", message: `The parameter ${given} is required.` };
  const usual = protocol === "query" ? "ValidationError" : name === "logs" ? "InvalidParameterException" : "ValidationException";
  const message = protocol === "query" ? escapeXml(one.message) : one.message;
  return { status: 400, code: one.code === "" ? usual : one.code, message };
}

async function casesOf({ name, client, clientClass, operations, constraints: file }: ServiceDefinition) {
  const model = serviceModel(name, client, clientClass);
  const constraints = await readConstraints(file);
  const asked: Asked[] = [];
  const unmade: string[] = [];
  for (const operation of model.operations.values()) {
    if (typeof operations[operation.name] !== "function") continue;
    const made = generatedCases(model, constraints, operation);
    asked.push(...made.cases.map((one) => ({ operation, one })));
    unmade.push(...made.unmade.map((one) => `${operation.name}: ${one}`));
  }
  return { model, asked, unmade };
}

/** Sends them all, a few at a time; what each of them was answered otherwise than it should be. */
async function wrongAnswers(model: ServiceModel, asked: readonly Asked[], send: ReturnType<typeof sender>): Promise<string[]> {
  const wrong: string[] = [];
  const left = asked.values();
  const caller = async () => {
    for (const each of left) {
      const made = requestOf(model, each.operation, VERSIONS[model.name] ?? "", each.one.input);
      const [answer, expected] = [answerOf(await send(made)), expectedAnswer(model, each)];
      if (answer.status === expected.status && answer.code === expected.code && answer.message === expected.message) continue;
      const told = [answer, expected].map((one) => JSON.stringify(one).slice(0, 600)).join("\n  expected ");
      wrong.push(
        `${each.operation.name} ${each.one.what} ${made.method} ${made.path.slice(0, 200)} ${made.body.slice(0, 300)}\n  answered ${told}`,
      );
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return wrong;
}

/** Roots assume no roles: somebody who may, and a role with the name that the cases have. */
async function someUser({ iam }: Clients): Promise<Credentials> {
  const statement = (more: object) => JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...more }] });
  const trust = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];
  const AssumeRolePolicyDocument = statement({ Principal: { AWS: "arn:aws:iam::000000000000:root" }, Action: trust });
  await iam.send(new CreateRoleCommand({ RoleName: "a", AssumeRolePolicyDocument }));
  await iam.send(new CreateUserCommand({ UserName: "u" }));
  const PolicyDocument = statement({ Action: "*", Resource: "*" });
  await iam.send(new PutUserPolicyCommand({ UserName: "u", PolicyName: "all", PolicyDocument }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: "u" }));
  return { accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" };
}

async function attack(t: TestContext, definition: ServiceDefinition): Promise<number> {
  const { server, storage, clients } = await startApi(t);
  const credentials = definition.name === "sts" ? await someUser(clients()) : server.keys;
  const agent = new Agent({ keepAlive: true, maxSockets: CALLERS });
  t.after(() => agent.destroy());
  const { model, asked, unmade } = await casesOf(definition);
  /** Rises by one with every record that anybody writes. */
  const revision = async () => {
    const [made = 0] = await storage.meta.write([{ key: { account: "", region: "", kind: "test.probe", id: "revision" }, value: 1 }]);
    return made;
  };
  const before = await revision();
  const wrong = await wrongAnswers(model, asked, sender(definition.name, new URL(server.endpoint), credentials, agent));
  assert.equal(wrong.length, 0, `${wrong.length} of ${asked.length}:\n${wrong.slice(0, Number(process.env["SHOWN"] ?? 10)).join("\n")}`);
  assert.equal(await revision(), before + 1, "a refused request has changed something");
  assert.deepEqual(unmade, [], "members without cases");
  t.diagnostic(`${asked.length} cases`);
  return asked.length;
}

test("every constraint of every service", async (t) => {
  const { server } = await startApi(t);
  let cases = 0;
  for (const definition of await server.services())
    if (!WITHOUT_SENTENCES.has(definition.name))
      await t.test(definition.name, { timeout: 600_000 }, async (each) => {
        cases += await attack(each, definition);
      });
  assert.ok(cases >= CASES_MIN, `${cases} cases`);
});
