// Every operation of the REST services can be reached by its own template, and by no other's.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import * as lambda from "@aws-sdk/client-lambda";
import * as s3 from "@aws-sdk/client-s3";
import { serviceModel, type OperationModel } from "./model.ts";
import { parseQuery, type WireRequest } from "./request.ts";
import { router } from "./router.ts";

function requestTo(method: string, rawPath: string, rawQuery = "", headers: Record<string, string> = {}): WireRequest {
  return {
    id: "",
    method,
    rawPath,
    rawQuery,
    headers: new Map(Object.entries(headers)),
    endpoint: "http://localhost",
    hostBucket: undefined,
    sourceIp: undefined,
    body: () => Readable.from([]),
    hasBody: false,
    signal: new AbortController().signal,
  };
}

/** The request that the template and the required members of an operation describe. */
function requestFor(operation: OperationModel, prefix: string): WireRequest {
  const [path = "", query = ""] = (operation.http?.uri ?? "").split("?");
  const required = (operation.input?.members ?? []).filter(({ isRequired }) => isRequired);
  const bound = required.filter(({ binding }) => binding.place === "query").map(({ binding }) => `${binding.name}=1`);
  const headers = required.filter(({ binding }) => binding.place === "header").map(({ binding }) => [binding.name, "1"] as const);
  const search = [...query.split("&").filter((part) => part !== "" && !part.startsWith("x-id")), ...bound].join("&");
  return requestTo(operation.http?.method ?? "", `${prefix}${path.replaceAll(/\{[^}]+\}/g, "x")}`, search, Object.fromEntries(headers));
}

test("each of Lambda's operations is found, with and without a slash at the end", () => {
  const model = serviceModel("lambda", lambda, "LambdaClient");
  const { match } = router(model);
  for (const operation of model.operations.values()) {
    const request = requestFor(operation, "");
    for (const rawPath of [request.rawPath, request.rawPath.replace(/\/?$/, "/")])
      assert.equal(match({ ...request, rawPath }, parseQuery(request.rawQuery))?.operation.name, operation.name, rawPath);
  }
});

// These share method, path and everything else with the operation on the right; S3 tells them apart by its own host names.
const SAME_AS: Readonly<Record<string, string>> = { ListDirectoryBuckets: "ListBuckets" };
/** Needs a host of its own, where there are no buckets. */
const ELSEWHERE = new Set(["WriteGetObjectResponse"]);

test("each of S3's operations is found, with the bucket in the path", () => {
  const model = serviceModel("s3", s3, "S3Client");
  const { match } = router(model);
  for (const operation of model.operations.values()) {
    if (ELSEWHERE.has(operation.name)) continue;
    const takesBucket = operation.input?.members.some(({ name, binding }) => name === "Bucket" && binding.place === "label") === true;
    const request = requestFor(operation, takesBucket ? "/bucket" : "");
    const found = match(request, parseQuery(request.rawQuery));
    assert.equal(found?.operation.name, SAME_AS[operation.name] ?? operation.name);
    assert.equal(found?.labels.get("Bucket"), takesBucket ? "bucket" : undefined);
  }
});

test("labels are decoded after the match, and keys keep their slashes", () => {
  const functions = router(serviceModel("lambda", lambda, "LambdaClient"));
  const arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af%2Fx";
  const tagged = functions.match(requestTo("GET", `/2017-03-31/tags/${arn}`), new Map());
  assert.equal(tagged?.labels.get("Resource"), "arn:aws:lambda:us-east-1:000000000000:function:f/x");
  const objects = router(serviceModel("s3", s3, "S3Client"));
  for (const [path, key] of [
    ["/b/k", "k"],
    ["/b//k//", "/k//"],
    ["/b/a%2Fb/../.", "a/b/../."],
    ["/b/__proto__", "__proto__"],
  ] as const)
    assert.equal(objects.match(requestTo("GET", path), new Map())?.labels.get("Key"), key);
  assert.equal(objects.match(requestTo("GET", "/b/"), new Map())?.operation.name, "ListObjects");
  const hosted = { ...requestTo("GET", "/k/x"), hostBucket: "photos" };
  assert.deepEqual(
    [...(objects.match(hosted, new Map())?.labels ?? [])],
    [
      ["Key", "k/x"],
      ["Bucket", "photos"],
    ],
  );
});

test("a subresource without its required parameter is never taken for the resource itself", () => {
  const { match } = router(serviceModel("s3", s3, "S3Client"));
  const named = (method: string, path: string, query: string) => match(requestTo(method, path, query), parseQuery(query))?.operation.name;
  assert.equal(named("PUT", "/b", "inventory"), "PutBucketInventoryConfiguration");
  assert.equal(named("DELETE", "/b", "analytics"), "DeleteBucketAnalyticsConfiguration");
  assert.equal(named("PUT", "/b", ""), "CreateBucket");
  assert.equal(named("PUT", "/b/k", "partNumber=1"), "PutObject");
  const layers = router(serviceModel("lambda", lambda, "LambdaClient"));
  const request = requestTo("GET", "/2018-10-31/layers", "find=LayerVersion");
  assert.equal(layers.match(request, parseQuery(request.rawQuery))?.operation.name, "GetLayerVersionByArn");
});
