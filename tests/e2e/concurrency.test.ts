// Provisioned concurrency and tenants with real sandboxes, runtimes and a real server: what functions see and count themselves.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CreateAliasCommand,
  GetProvisionedConcurrencyConfigCommand,
  InvokeCommand,
  PublishVersionCommand,
  PutFunctionConcurrencyCommand,
  PutProvisionedConcurrencyConfigCommand,
  UpdateAliasCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionUpdatedV2,
} from "@aws-sdk/client-lambda";
import { eventually } from "../support/eventually.ts";
import { makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";

/** Says how it was initialised, how often it was invoked, and for whom. */
const NODE = `
  let count = 0;
  const tenants = new Set();
  export const handler = async (event, context) => {
    tenants.add(context.tenantId);
    console.log("said");
    if (event.ms) await new Promise((go) => setTimeout(go, event.ms));
    return { count: ++count, type: process.env.AWS_LAMBDA_INITIALIZATION_TYPE, tenant: context.tenantId, tenants: [...tenants] };
  };`;
const PYTHON = `
count = 0
tenants = set()
def handler(event, context):
    global count
    count += 1
    tenants.add(context.tenant_id)
    print("said")
    return {"count": count, "tenant": context.tenant_id, "tenants": sorted(tenants, key=str)}
`;
/** A runtime of its own, which is told in a header. */
const OWN = `#!/usr/bin/python3 -IS
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
count = 0
tenants = []
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    reply = api.getresponse()
    reply.read()
    id = reply.headers["Lambda-Runtime-Aws-Request-Id"]
    tenant = reply.headers["Lambda-Runtime-Aws-Tenant-Id"]
    count += 1
    if tenant not in tenants: tenants.append(tenant)
    answer = json.dumps({"count": count, "tenant": tenant, "tenants": tenants})
    api.request("POST", f"/2018-06-01/runtime/invocation/{id}/response", answer)
    api.getresponse().read()
`;

interface Said {
  readonly count: number;
  readonly type?: string;
  readonly tenant?: string;
  readonly tenants: readonly string[];
}

const FUNCTIONS = [
  { name: "node", runtime: "nodejs24.x", code: NODE },
  { name: "python", runtime: "python3.11", code: PYTHON },
  { name: "own", runtime: "provided.al2023", code: OWN },
] as const;

let server: LambentProcess;
let lambda: ReturnType<LambentProcess["clients"]>["lambda"];
before(async () => {
  server = await startLambent();
  const clients = server.clients();
  lambda = clients.lambda;
  const role = await makeRole(clients.iam);
  await makeFunction(lambda, { name: "warm", role, runtime: "nodejs24.x", code: NODE, settings: { Timeout: 60, Publish: true } });
  const settings = { TenancyConfig: { TenantIsolationMode: "PER_TENANT" }, LoggingConfig: { LogFormat: "JSON" } } as const;
  for (const one of FUNCTIONS) await makeFunction(lambda, { ...one, role, settings });
});
after(() => server.dispose());

async function invoke(FunctionName: string, event: object = {}, TenantId?: string) {
  const tenant = TenantId === undefined ? {} : { TenantId };
  const answer = await lambda.send(new InvokeCommand({ FunctionName, LogType: "Tail", Payload: JSON.stringify(event), ...tenant }));
  const log = Buffer.from(answer.LogResult ?? "", "base64").toString();
  return { said: JSON.parse(Buffer.from(answer.Payload ?? []).toString()) as Said, log, version: answer.ExecutedVersion };
}

const ready = (Qualifier: string) =>
  eventually("it is provisioned", async () => {
    const found = await lambda.send(new GetProvisionedConcurrencyConfigCommand({ FunctionName: "warm", Qualifier }));
    return found.Status === "READY" && found.AvailableProvisionedConcurrentExecutions === found.RequestedProvisionedConcurrentExecutions;
  });

test("the first invocation of what is provisioned has no init; what is beyond starts on demand; it moves with its alias", async () => {
  await lambda.send(new CreateAliasCommand({ FunctionName: "warm", Name: "live", FunctionVersion: "1" }));
  const put = { FunctionName: "warm", Qualifier: "live", ProvisionedConcurrentExecutions: 2 };
  assert.equal((await lambda.send(new PutProvisionedConcurrencyConfigCommand(put))).Status, "IN_PROGRESS");
  await ready("live");
  const first = await invoke("warm:live");
  assert.deepEqual([first.said.count, first.said.type, first.version], [1, "provisioned-concurrency", "1"]);
  assert.doesNotMatch(first.log, /Init Duration/);
  const three = await Promise.all([1, 2, 3].map(() => invoke("warm:live", { ms: 3000 })));
  const types = three.map(({ said }) => said.type ?? "").toSorted();
  assert.deepEqual(types, ["on-demand", "provisioned-concurrency", "provisioned-concurrency"]);
  const cold = three.find(({ said }) => said.type === "on-demand");
  assert.match(cold?.log ?? "", /Init Duration/);
  await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: "warm", Description: "second" }));
  await waitUntilFunctionUpdatedV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName: "warm" });
  await lambda.send(new PublishVersionCommand({ FunctionName: "warm" }));
  await lambda.send(new UpdateAliasCommand({ FunctionName: "warm", Name: "live", FunctionVersion: "2" }));
  await ready("live");
  const moved = await invoke("warm:live");
  assert.deepEqual([moved.said.count, moved.said.type, moved.version], [1, "provisioned-concurrency", "2"]);
  assert.equal((await invoke("warm:1")).said.type, "on-demand");
});

test("when all that is reserved is provisioned, only what is provisioned runs", async () => {
  await lambda.send(new PutFunctionConcurrencyCommand({ FunctionName: "warm", ReservedConcurrentExecutions: 2 }));
  assert.equal((await invoke("warm:live")).said.type, "provisioned-concurrency");
  await assert.rejects(invoke("warm"), (error: Error & { Reason?: string; retryAfterSeconds?: string }) => {
    const { name, Reason, retryAfterSeconds } = error;
    assert.deepEqual([name, Reason], ["TooManyRequestsException", "ReservedFunctionConcurrentInvocationLimitExceeded"]);
    assert.equal(retryAfterSeconds, "1");
    return true;
  });
});

for (const { name } of FUNCTIONS)
  test(`tenants of a function never meet: ${name}`, async () => {
    for (let round = 1; round <= 3; round++)
      for (const tenant of ["blue", "green"]) {
        const { said, log } = await invoke(name, {}, tenant);
        assert.deepEqual([said.count, said.tenant, said.tenants], [round, tenant, [tenant]]);
        const events = log
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as { type?: string; tenantId?: string; record?: { tenantId?: string } })
          .filter(({ type }) => type === undefined || type === "platform.start" || type === "platform.report");
        assert.deepEqual(new Set(events.map(({ tenantId, record }) => tenantId ?? record?.tenantId)), new Set([tenant]), log);
      }
  });

test("a server that was killed provisions again what it had, before anybody invokes", async () => {
  await server.end("SIGKILL");
  server = await startLambent({ dataDirectory: server.dataDirectory });
  lambda = server.clients().lambda;
  await ready("live");
  const first = await invoke("warm:live");
  assert.deepEqual([first.said.count, first.said.type], [1, "provisioned-concurrency"]);
  assert.doesNotMatch(first.log, /Init Duration/);
});
