// Bodies of all connections together have a bound, and room is made when requests end, however they end.
import { request, type ClientRequest } from "node:http";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import * as lambda from "@aws-sdk/client-lambda";
import { assertRefused, fakeDoor, fakeService } from "./fake-service.ts";
import { eventually } from "../../tests/support/eventually.ts";

const KIB = 1024;

async function start(t: TestContext) {
  const service = fakeService("lambda", lambda, "LambdaClient", { Invoke: () => ({ StatusCode: 200 }) });
  const { door, port, settings } = await fakeDoor([service], { bodyBytesMax: 512 * KIB });
  const client = new lambda.LambdaClient(settings());
  t.after(async () => {
    client.destroy();
    await door.close();
  });
  const invoke = (bytes: number) => client.send(new lambda.InvokeCommand({ FunctionName: "f", Payload: Buffer.alloc(bytes, 0x20) }));
  /** A request whose body does not end, once the server holds it: no other one has room. */
  const begin = async (bytes: number, isFull: () => Promise<boolean>): Promise<ClientRequest> => {
    const sent = request({ port, host: "127.0.0.1", method: "POST", path: "/2015-03-31/functions/f/invocations" });
    sent.on("error", () => undefined); // cut on purpose below
    sent.setHeader("authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/lambda/aws4_request");
    sent.setHeader("content-length", String(900 * KIB));
    let isRefused = false;
    sent.on("response", (response) => {
      isRefused = true;
      response.resume();
    });
    sent.write(Buffer.alloc(bytes));
    await until(async () => isRefused || (await isFull()));
    // It came while a question of `isFull` was held, and had no room itself.
    return isRefused ? await begin(bytes, isFull) : sent;
  };
  return { client, invoke, begin };
}

/** The server reads what was written at some later moment. */
const until = (isSo: () => Promise<boolean>) => eventually("it comes about", isSo);

test("a body that has no room beside the others is refused with 503, and finds room when they have gone", async (t) => {
  const { invoke, begin } = await start(t);
  await invoke(400 * KIB);
  await invoke(400 * KIB);
  const isFull = async () =>
    await invoke(400 * KIB).then(
      () => false,
      () => true,
    );
  const slow = await begin(300 * KIB, isFull);
  await assertRefused(invoke(400 * KIB), "ServiceUnavailableException", 503);
  await invoke(100 * KIB);
  slow.destroy();
  await until(async () => !(await isFull()));
});

test("what a body unpacks to is held as well", async (t) => {
  const { invoke, client } = await start(t);
  client.middlewareStack.add(
    (next) => (args) => {
      const sent = args.request as { headers: Record<string, string>; body: Uint8Array };
      sent.body = gzipSync(sent.body);
      Object.assign(sent.headers, { "content-encoding": "gzip", "content-length": String(sent.body.length) });
      return next(args);
    },
    { step: "build", priority: "low" },
  );
  await assertRefused(invoke(600 * KIB), "ServiceUnavailableException", 503);
  await invoke(400 * KIB);
  await invoke(400 * KIB);
});

test("a request that holds too much itself is cut and leaves nothing held", async (t) => {
  const { invoke } = await start(t);
  for (let n = 0; n < 5; n++) await assertRefused(invoke(600 * KIB), "ServiceUnavailableException", 503);
  await invoke(500 * KIB);
});
