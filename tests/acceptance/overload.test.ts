// Ten times what the server can do: callers come before events, who is refused is told so as AWS does, and every accepted event ends by the rules.
//
// OVERLOAD_SECONDS=120 for a long run.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { IAMClient } from "@aws-sdk/client-iam";
import { InvokeCommand, LambdaClient, PutFunctionEventInvokeConfigCommand } from "@aws-sdk/client-lambda";
import { CreateQueueCommand, DeleteMessageBatchCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { silentLog } from "../../src/base/log.ts";
import { loadConfig } from "../../src/config.ts";
import { fakeSandboxHost } from "../../src/sandbox/fake.ts";
import { startServer } from "../../src/server.ts";
import { eventually } from "../support/eventually.ts";
import { makeFunction, makeRole } from "../support/functions.ts";

const SECONDS = Number(env["OVERLOAD_SECONDS"] ?? 20);
const ENVIRONMENTS = 8;
/** Of a run while there is too much: 20 a second is all that the server can do. */
const BUSY_MS = 400;
/** Each calls again at once; a caller waits at most 10 s for room, so that some of these wait in vain. */
const CALLERS = 300;
const SENDERS = 16;
/** Ages and back-off run so much faster. */
const TIME_SCALE = 10;
const RSS_MAX_BYTES = 2 ** 30;
const FUNCTIONS = ["patient", "impatient"] as const;

interface Asked {
  readonly isEvent: boolean;
}

/** Runs in their order, counted in the functions. */
async function startBusy(t: TestContext) {
  const data = await mkdtemp(join(tmpdir(), "lambent-overload-"));
  const config = { ...loadConfig({ data, port: "0", timeScale: String(TIME_SCALE) }, {}), environmentsMax: ENVIRONMENTS };
  const work = { isSlow: true, calls: 0, events: 0 };
  const handler = async (event: unknown) => {
    if ((event as Asked).isEvent) work.events++;
    else work.calls++;
    if (work.isSlow) await pause(BUSY_MS);
    return event;
  };
  const server = await startServer(config, { log: silentLog, sandboxes: fakeSandboxHost(() => handler) });
  const settings = {
    endpoint: server.endpoint,
    region: "us-east-1",
    credentials: server.keys,
    maxAttempts: 1,
    requestHandler: { httpAgent: { keepAlive: true, maxSockets: CALLERS + SENDERS } },
  };
  const clients = { lambda: new LambdaClient(settings), iam: new IAMClient(settings), sqs: new SQSClient(settings) };
  t.after(async () => {
    for (const client of Object.values(clients)) client.destroy();
    await server.stop();
    await rm(data, { recursive: true });
  });
  return { ...clients, work };
}

async function makeFunctions({ lambda, iam, sqs }: { lambda: LambdaClient; iam: IAMClient; sqs: SQSClient }): Promise<string> {
  const role = await makeRole(iam, "worker", ["AmazonSQSFullAccess"]);
  const { QueueUrl = "" } = await sqs.send(new CreateQueueCommand({ QueueName: "ends" }));
  const Destination = "arn:aws:sqs:us-east-1:000000000000:ends";
  for (const name of FUNCTIONS) {
    await makeFunction(lambda, { name, role, code: "", runtime: "nodejs24.x" });
    const MaximumEventAgeInSeconds = name === "impatient" ? 60 : 21_600;
    const DestinationConfig = { OnSuccess: { Destination }, OnFailure: { Destination } };
    await lambda.send(new PutFunctionEventInvokeConfigCommand({ FunctionName: name, MaximumEventAgeInSeconds, DestinationConfig }));
  }
  return QueueUrl;
}

interface Refusal {
  readonly name: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

/** Calls until told to stop; how often each answer came. */
async function flood(lambda: LambdaClient, isOver: () => boolean, accepted: Set<string>): Promise<Map<string, number>> {
  const answers = new Map<string, number>();
  const ask = async (FunctionName: string, isEvent: boolean) => {
    const Payload = JSON.stringify({ isEvent } satisfies Asked);
    const InvocationType = isEvent ? ("Event" as const) : ("RequestResponse" as const);
    const answer = await lambda.send(new InvokeCommand({ FunctionName, InvocationType, Payload })).then(
      ({ $metadata, StatusCode }) => {
        if (isEvent) accepted.add($metadata.requestId ?? "");
        return String(StatusCode);
      },
      ({ name, $metadata }: Refusal) => {
        assert.ok($metadata?.requestId, `an answer without a request id: ${name}`);
        return `${$metadata.httpStatusCode} ${name}`;
      },
    );
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  };
  const one = async (n: number) => {
    while (!isOver()) await ask(FUNCTIONS[n % 2] ?? "patient", n < SENDERS);
  };
  await Promise.all(Array.from({ length: CALLERS + SENDERS }, (_, n) => one(n)));
  return answers;
}

interface Ended {
  readonly requestContext: { readonly requestId: string; readonly condition: string };
}

async function receiveEnds(sqs: SQSClient, QueueUrl: string, ends: Map<string, string>): Promise<void> {
  const one = async () => {
    for (;;) {
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }));
      if (Messages.length === 0) return;
      for (const { Body = "" } of Messages) {
        const { requestId, condition } = (JSON.parse(Body) as Ended).requestContext;
        ends.set(requestId, condition);
      }
      const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
      await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    }
  };
  await Promise.all(Array.from({ length: 4 }, one));
}

test(`${SECONDS} s of ten times too much`, { timeout: 900_000 + SECONDS * 6000 }, async (t) => {
  const { work, ...clients } = await startBusy(t);
  const { lambda, sqs } = clients;
  const QueueUrl = await makeFunctions(clients);
  const accepted = new Set<string>();
  let isOver = false;
  const flooding = flood(lambda, () => isOver, accepted);
  let rssMost = 0;
  for (let second = 0; second < SECONDS; second++) {
    await pause(1000);
    rssMost = Math.max(rssMost, process.memoryUsage().rss);
  }
  isOver = true;
  const { calls, events } = work;
  const answers = await flooding;
  t.diagnostic(`runs: ${calls} for callers, ${events} of events; answers: ${[...answers].map((one) => one.join(": ")).join(", ")}`);
  assert.ok(events > 0 && calls > 3 * events, `${calls} runs for callers, ${events} of events`);
  const refused = [...answers.keys()].filter((answer) => !/^20[02]$/.test(answer));
  assert.ok(refused.length > 0, "somebody is refused");
  for (const answer of refused) assert.match(answer, /^(?:429 TooManyRequestsException|503 ServiceUnavailableException)$/);
  assert.ok(accepted.size > 2 * events, `${accepted.size} events were accepted and ${events} run: not more than could be`);
  assert.ok(rssMost < RSS_MAX_BYTES, `${rssMost} bytes`);

  // The surge is over: who calls now is answered, and what was accepted is worked off.
  work.isSlow = false;
  const { StatusCode } = await lambda.send(new InvokeCommand({ FunctionName: "patient", Payload: '{"isEvent":false}' }));
  assert.equal(StatusCode, 200);
  const ends = new Map<string, string>();
  await eventually(
    "every accepted event has ended",
    async () => {
      await receiveEnds(sqs, QueueUrl, ends);
      return [...accepted].every((id) => ends.has(id));
    },
    600_000 + SECONDS * 3000,
  );
  const conditions = [...ends.values()];
  const successes = conditions.filter((condition) => condition === "Success").length;
  const expired = conditions.filter((condition) => condition === "EventAgeExceeded").length;
  t.diagnostic(`${accepted.size} accepted, 0 lost: ${successes} run, ${expired} too old; at most ${Math.round(rssMost / 2 ** 20)} MiB`);
  assert.equal(successes + expired, conditions.length);
  assert.ok(successes > 0 && expired > 0);
});
