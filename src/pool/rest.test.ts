// A runtime of the function's own that does not ask for its next invocation at once, or ends instead.
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { test } from "node:test";
import { RUNTIME_API_PORT } from "../runtime/environment-api.ts";
import { deployment, describe, eventually, plane, request } from "./data-plane.fixture.ts";

function started() {
  const layout = { argv: ["/var/lang/bin/own"], mounts: [], env: {}, protocol: "runtime-api", version: "1" } as const;
  const one = plane(() => () => assert.fail("the Runtime API is spoken here"), {}, { runtimes: { resolve: () => layout } });
  /** One call of the runtime in the sandbox that was started last. */
  const call = async (method: string, path: string, body?: string) => {
    const sandbox = [...one.host.sandboxes.values()].at(-1) ?? assert.fail();
    const socket = await sandbox.connect(RUNTIME_API_PORT);
    return await new Promise<{ id: string; body: string }>((resolve, reject) => {
      const url = `/2018-06-01/runtime/invocation/${path}`;
      const outgoing = httpRequest({ createConnection: () => socket, method, path: url }, (reply) => {
        let text = "";
        reply.on("data", (chunk: Buffer) => (text += chunk.toString()));
        reply.on("end", () => resolve({ id: String(reply.headers["lambda-runtime-aws-request-id"]), body: text }));
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  };
  const invoke = (event: unknown) => one.plane.invoke(deployment("own"), request(event)).then(describe);
  return { ...one, call, invoke };
}

test("an invocation waits for a runtime that is still at work after its answer", async () => {
  const { invoke, call, host, plane: one } = started();
  const first = invoke(1);
  await eventually(() => host.ledger().started === 1);
  const { id } = await call("GET", "next");
  await call("POST", `${id}/response`, '"one"');
  assert.equal(await first, 'returned "one"');
  const second = invoke(2);
  const next = await call("GET", "next");
  assert.equal(next.body, "2");
  await call("POST", `${next.id}/response`, '"two"');
  assert.deepEqual([await second, host.ledger().started], ['returned "two"', 1]);
  await one.stop();
});

test("an invocation is not given to a runtime that ends after its answer", async () => {
  const { invoke, call, host, plane: one } = started();
  const first = invoke(1);
  await eventually(() => host.ledger().started === 1);
  const { id } = await call("GET", "next");
  await call("POST", `${id}/error`, '{"errorMessage":"panic"}');
  assert.equal(await first, "failed error");
  const [sandbox] = host.sandboxes.values();
  const second = invoke(2);
  sandbox?.end({ code: 2, outOfMemory: false });
  await eventually(() => host.ledger().started === 2);
  const next = await call("GET", "next");
  await call("POST", `${next.id}/response`, '"two"');
  assert.equal(await second, 'returned "two"');
  await one.stop();
});
