// SIGKILL of the server in the middle of control-plane writes: nothing acknowledged is lost, nothing half-written is seen, no sandbox survives.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  GetFunctionCommand,
  ListFunctionsCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionUpdatedV2,
  type LambdaClient,
} from "@aws-sdk/client-lambda";
import { eventually } from "../support/eventually.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent } from "../support/lambent-process.ts";
import { leftovers, nothingLeftSince } from "../support/leftovers.ts";

const CODE = "import os\ndef handler(event, context):\n    return os.environ['GENERATION']\n";
const WRITES = 200;

/** Functions and the last generation that was acknowledged for each. */
type Ledger = Map<string, { acknowledged: number; attempted: number }>;

async function write(lambda: LambdaClient, role: string, ledger: Ledger, index: number): Promise<void> {
  const name = `f${index % 20}`;
  const entry = ledger.get(name) ?? { acknowledged: 0, attempted: 0 };
  ledger.set(name, entry);
  entry.attempted += 1;
  const Environment = { Variables: { GENERATION: String(entry.attempted) } };
  if (entry.acknowledged === 0) await makeFunction(lambda, { name, role, code: CODE, settings: { Environment } });
  else {
    await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: name, Environment }));
    await waitUntilFunctionUpdatedV2({ client: lambda, maxWaitTime: 120, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName: name });
  }
  entry.acknowledged = entry.attempted;
}

async function checkLedger(lambda: LambdaClient, ledger: Ledger): Promise<void> {
  for (const [FunctionName, { acknowledged, attempted }] of ledger) {
    if (acknowledged === 0) continue;
    const { Configuration } = await lambda.send(new GetFunctionCommand({ FunctionName }));
    const generation = Number(Configuration?.Environment?.Variables?.["GENERATION"]);
    assert.ok(
      generation >= acknowledged && generation <= attempted,
      `${FunctionName}: ${generation}, acknowledged ${acknowledged}, attempted ${attempted}`,
    );
    const entry = ledger.get(FunctionName);
    if (entry !== undefined) entry.acknowledged = entry.attempted = generation;
  }
}

test(`SIGKILL during ${WRITES} control-plane writes`, { timeout: 900_000 }, async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), "lambent-kill-"));
  const before = leftovers();
  const ledger: Ledger = new Map();
  let role = "";
  let index = 0;
  let kills = 0;
  while (index < WRITES) {
    const server = await startLambent({ dataDirectory });
    const { lambda, iam } = server.clients();
    role ||= await makeRole(iam);
    await checkLedger(lambda, ledger);
    // An environment that is running when the server dies.
    const running = ledger.size > 0 ? call(lambda, [...ledger.keys()][0] ?? "").catch(() => undefined) : undefined;
    const killAt = index + 20;
    for (; index < killAt; index++) await write(lambda, role, ledger, index);
    const torn = write(lambda, role, ledger, index++).catch(() => undefined);
    await server.end("SIGKILL");
    kills += 1;
    await Promise.all([torn, running]);
  }
  assert.ok(kills >= 9);
  await eventually("every sandbox has died with its server", () => leftovers().processes.every((one) => before.processes.includes(one)));
  const last = await startLambent({ dataDirectory });
  const { lambda } = last.clients();
  await checkLedger(lambda, ledger);
  const { Functions = [] } = await lambda.send(new ListFunctionsCommand({}));
  for (const { FunctionName = "" } of Functions)
    assert.equal((await call(lambda, FunctionName)).value, String(ledger.get(FunctionName)?.acknowledged), FunctionName);
  assert.equal(await last.end(), 0);
  await nothingLeftSince(before);
  await rm(dataDirectory, { recursive: true });
});
