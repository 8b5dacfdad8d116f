import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import { EnvironmentApi } from "./environment-api.ts";
import { METADATA_API_VERSION, MetadataApi, zoneIdOf } from "./metadata-api.ts";

test("an environment learns its zone with its token, and with nothing else", async (t) => {
  const api = new EnvironmentApi();
  api.serve(METADATA_API_VERSION, new MetadataApi("eu-central-1", "token"));
  const server = createServer((socket) => api.listener.onConnection(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    api.close();
    server.close();
  });
  const at = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, init);
  const path = "/2026-01-15/metadata/execution-environment";
  const headers = { Authorization: "Bearer token" };
  const answer = await at(path, { headers });
  assert.deepEqual([answer.status, await answer.json()], [200, { AvailabilityZoneID: "euc1-az1" }]);
  assert.equal(answer.headers.get("cache-control"), "private, max-age=43200, immutable");
  const others = [
    at(path),
    at(path, { headers: { Authorization: "Bearer tokem" } }),
    at(path, { method: "POST", headers }),
    at(`${path}/x`),
  ];
  assert.deepEqual(
    (await Promise.all(others)).map(({ status }) => status),
    [401, 401, 405, 404],
  );
});

test("zones are called as AWS calls them", () => {
  const regions = [
    "us-east-1",
    "us-west-2",
    "ap-southeast-2",
    "ap-northeast-1",
    "eu-north-1",
    "cn-northwest-1",
    "us-gov-west-1",
    "il-central-1",
  ];
  assert.deepEqual(regions.map(zoneIdOf), [
    "use1-az1",
    "usw2-az1",
    "apse2-az1",
    "apne1-az1",
    "eun1-az1",
    "cnnw1-az1",
    "usgw1-az1",
    "ilc1-az1",
  ]);
});
