// A request that is refused before its body was read leaves its connection usable: SDKs send the next one on it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ListBucketsCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { startApi } from "../support/api.ts";

test("after a large object that was refused the connection goes on with the next request", { timeout: 120_000 }, async (t) => {
  const { clients } = await startApi(t);
  const { s3 } = clients();
  await assert.rejects(s3.send(new PutObjectCommand({ Bucket: "missing", Key: "k", Body: Buffer.alloc(2 ** 20) })), {
    name: "NoSuchBucket",
  });
  assert.deepEqual((await s3.send(new ListBucketsCommand({}))).Buckets ?? [], []);
  s3.destroy();
});
