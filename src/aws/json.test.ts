// awsJson1_1 as the official client of CloudWatch Logs sees it.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import * as logs from "@aws-sdk/client-cloudwatch-logs";
import type { ServiceDefinition } from "./definition.ts";
import { assertRefused, fakeDoor, fakeService } from "./fake-service.ts";
import { Fault } from "./fault.ts";

async function start(t: TestContext, services: readonly ServiceDefinition[]) {
  const fake = await fakeDoor(services);
  t.after(() => fake.door.close());
  return fake;
}

async function* tail() {
  yield { sessionStart: { requestId: "r", sessionId: "s" } };
  yield { sessionUpdate: { sessionResults: [{ message: "line", timestamp: 5 }] } };
  throw new Fault(logs.SessionTimeoutException$, "the session is over");
}

test("CloudWatch Logs: awsJson1_1 both ways", async (t) => {
  const seen: unknown[] = [];
  const { settings } = await start(t, [
    fakeService("logs", logs, "CloudWatchLogsClient", {
      PutLogEvents(_context, input) {
        seen.push(input);
        return { nextSequenceToken: "1" };
      },
      CreateLogGroup: (_context, input) => {
        if (input.logGroupName === "twice") throw new Fault(logs.ResourceAlreadyExistsException$, "The specified log group already exists");
        return {};
      },
      StartLiveTail: () => ({ responseStream: tail() as never }),
    }),
  ]);
  const client = new logs.CloudWatchLogsClient({ ...settings(), disableHostPrefix: true });
  t.after(() => client.destroy());
  const logEvents = [{ timestamp: 1, message: "a" }];
  const put = new logs.PutLogEventsCommand({ logGroupName: "g", logStreamName: "s", logEvents });
  assert.equal((await client.send(put)).nextSequenceToken, "1");
  assert.deepEqual(seen, [{ logGroupName: "g", logStreamName: "s", logEvents }]);
  assert.equal((await client.send(new logs.CreateLogGroupCommand({ logGroupName: "g" }))).$metadata.httpStatusCode, 200);
  const twice = client.send(new logs.CreateLogGroupCommand({ logGroupName: "twice" }));
  await assertRefused(twice, "ResourceAlreadyExistsException", 400, "The specified log group already exists");
  await assertRefused(
    client.send(new logs.CreateLogGroupCommand({ logGroupName: "bad name" })),
    "InvalidParameterException",
    400,
    /^1 validation error detected: Value 'bad name' at 'logGroupName' failed to satisfy constraint/,
  );
  const live = await client.send(
    new logs.StartLiveTailCommand({ logGroupIdentifiers: ["arn:aws:logs:eu-west-1:000000000000:log-group:g"] }),
  );
  const events: unknown[] = [];
  await assert.rejects(
    async () => {
      for await (const event of live.responseStream ?? []) events.push(event);
    },
    { name: "SessionTimeoutException", message: "the session is over" },
  );
  assert.deepEqual(events, [
    { sessionStart: { requestId: "r", sessionId: "s" } },
    { sessionUpdate: { sessionResults: [{ message: "line", timestamp: 5 }] } },
  ]);
});
