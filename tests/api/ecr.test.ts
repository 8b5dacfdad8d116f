// ECR as its clients see it: the official SDK, and the registry's protocol byte by byte.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test, type TestContext } from "node:test";
import * as ecr from "@aws-sdk/client-ecr";
import { CreateAccessKeyCommand, CreateUserCommand, DeleteAccessKeyCommand, PutUserPolicyCommand } from "@aws-sdk/client-iam";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { tarOfEntries } from "../../src/images/tar.fixture.ts";
import { startApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { codeOf, digestOf, INDEX, MANIFEST, pushBlob, pushLayers, putManifest, registryClient } from "../support/registry.ts";

const ACCOUNT = "000000000000";

async function start(t: TestContext) {
  const { server, clients } = await startApi(t);
  const all = clients();
  const client = all.ecr;
  await client.send(new ecr.CreateRepositoryCommand({ repositoryName: "app" }));
  const registry = await registryClient(server.endpoint, client);
  return { server, clients, iam: all.iam, client, registry };
}

type Started = Awaited<ReturnType<typeof start>>;

async function newUser({ iam, clients }: Started, UserName: string, actions: readonly string[]) {
  await iam.send(new CreateUserCommand({ UserName }));
  const Statement = { Effect: "Allow", Action: actions, Resource: "*" };
  const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
  if (actions.length > 0) await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "p", PolicyDocument }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  const keys = { accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" };
  return { keys, client: clients(keys).ecr };
}

const layer = tarOfEntries([{ name: "a", data: "a" }]);

test("repositories: create, describe, settings, tags, policy, delete", async (t) => {
  const { client, server, registry } = await start(t);
  const name = { repositoryName: "team/web-1.x" };
  const { repository } = await client.send(
    new ecr.CreateRepositoryCommand({ ...name, imageTagMutability: "IMMUTABLE", tags: [{ Key: "a", Value: "1" }] }),
  );
  const arn = `arn:aws:ecr:us-east-1:${ACCOUNT}:repository/team/web-1.x`;
  assert.equal(repository?.repositoryArn, arn);
  assert.equal(repository?.repositoryUri, `${new URL(server.endpoint).host}/team/web-1.x`);
  assert.equal(repository?.registryId, ACCOUNT);
  const missing = "The repository with name 'none' does not exist in the registry with id '000000000000'";
  const create = (repositoryName: string, more: object = {}) => client.send(new ecr.CreateRepositoryCommand({ repositoryName, ...more }));
  await assertRefused(
    create("app"),
    "RepositoryAlreadyExistsException",
    400,
    /'app' already exists in the registry with id '000000000000'$/,
  );
  for (const wrong of ["A", "a//b", "-a", "a..b", "a/", "x", "a".repeat(257)])
    await assertRefused(create(wrong), "InvalidParameterException", 400, /repositoryName/);
  await assertRefused(create("kms", { encryptionConfiguration: { encryptionType: "KMS" } }), "InvalidParameterException", 400);
  await assertRefused(create("half", { imageTagMutability: "IMMUTABLE_WITH_EXCLUSION" }), "InvalidParameterException", 400);
  await assertRefused(create("tags", { tags: [{ Key: "aws:x", Value: "" }] }), "InvalidParameterException", 400);
  const fifty = Array.from({ length: 51 }, (_, at) => ({ Key: `k${at}`, Value: "" }));
  await assertRefused(create("tags", { tags: fifty }), "TooManyTagsException", 400);

  const page = await client.send(new ecr.DescribeRepositoriesCommand({ maxResults: 1 }));
  assert.deepEqual(
    page.repositories?.map((one) => one.repositoryName),
    ["app"],
  );
  const rest = await client.send(new ecr.DescribeRepositoriesCommand({ maxResults: 1, nextToken: page.nextToken }));
  assert.deepEqual([rest.repositories?.map((one) => one.repositoryName), rest.nextToken], [["team/web-1.x"], undefined]);
  await assertRefused(client.send(new ecr.DescribeRepositoriesCommand({ nextToken: "x" })), "InvalidParameterException", 400, /nextToken/);
  await assertRefused(
    client.send(new ecr.DescribeRepositoriesCommand({ repositoryNames: ["none"] })),
    "RepositoryNotFoundException",
    400,
    missing,
  );

  await client.send(new ecr.PutImageTagMutabilityCommand({ ...name, imageTagMutability: "MUTABLE" }));
  await client.send(new ecr.PutImageScanningConfigurationCommand({ ...name, imageScanningConfiguration: { scanOnPush: true } }));
  const [described] =
    (await client.send(new ecr.DescribeRepositoriesCommand({ repositoryNames: [name.repositoryName] }))).repositories ?? [];
  assert.deepEqual([described?.imageTagMutability, described?.imageScanningConfiguration], ["MUTABLE", { scanOnPush: true }]);
  await assertRefused(
    client.send(new ecr.PutImageTagMutabilityCommand({ repositoryName: "none", imageTagMutability: "MUTABLE" })),
    "RepositoryNotFoundException",
    400,
    missing,
  );

  await client.send(new ecr.TagResourceCommand({ resourceArn: arn, tags: [{ Key: "b", Value: "2" }] }));
  await client.send(new ecr.UntagResourceCommand({ resourceArn: arn, tagKeys: ["a"] }));
  assert.deepEqual((await client.send(new ecr.ListTagsForResourceCommand({ resourceArn: arn }))).tags, [{ Key: "b", Value: "2" }]);
  await assertRefused(client.send(new ecr.ListTagsForResourceCommand({ resourceArn: `${arn}x` })), "RepositoryNotFoundException", 400);
  await assertRefused(client.send(new ecr.ListTagsForResourceCommand({ resourceArn: "arn:aws:s3:::x" })), "InvalidParameterException", 400);

  await assertRefused(client.send(new ecr.GetRepositoryPolicyCommand(name)), "RepositoryPolicyNotFoundException", 400);
  await assertRefused(
    client.send(new ecr.SetRepositoryPolicyCommand({ ...name, policyText: "{" })),
    "InvalidParameterException",
    400,
    /PolicyText/,
  );
  const policyText = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Deny", Principal: "*", Action: "ecr:DescribeImages" }],
  });
  await client.send(new ecr.SetRepositoryPolicyCommand({ ...name, policyText }));
  assert.equal((await client.send(new ecr.GetRepositoryPolicyCommand(name))).policyText, policyText);
  await assertRefused(client.send(new ecr.DescribeImagesCommand(name)), "AccessDeniedException", 400);
  await client.send(new ecr.DeleteRepositoryPolicyCommand(name));
  await client.send(new ecr.DescribeImagesCommand(name));
  await assertRefused(client.send(new ecr.DeleteRepositoryPolicyCommand(name)), "RepositoryPolicyNotFoundException", 400);

  await putManifest(registry, name.repositoryName, "v1", await pushLayers(registry, name.repositoryName, [layer]));
  await assertRefused(
    client.send(new ecr.DeleteRepositoryCommand(name)),
    "RepositoryNotEmptyException",
    400,
    /cannot be deleted because it still contains images$/,
  );
  await client.send(new ecr.DeleteRepositoryCommand({ ...name, force: true }));
  await assertRefused(client.send(new ecr.DeleteRepositoryCommand(name)), "RepositoryNotFoundException", 400);
  await client.send(new ecr.CreateRepositoryCommand(name));
  assert.deepEqual((await client.send(new ecr.ListImagesCommand(name))).imageIds, []);
});

test("images by the API: upload in parts, put, list, describe, get, delete", async (t) => {
  const { client } = await start(t);
  const name = { repositoryName: "app" };
  const config = Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", config: {} }));
  const manifestOf = (annotation: string) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf(config), size: config.length },
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf(layer), size: layer.length }],
      annotations: { annotation },
    });
  const put = (imageManifest: string, more: object = {}) => client.send(new ecr.PutImageCommand({ ...name, imageManifest, ...more }));
  await assertRefused(put(manifestOf("1")), "LayersNotFoundException", 400, new RegExp(digestOf(layer)));
  await assertRefused(put("{}"), "InvalidParameterException", 400, /schema version/);
  const upload = async (bytes: Buffer) => {
    const { uploadId = "" } = await client.send(new ecr.InitiateLayerUploadCommand(name));
    const part = (partFirstByte: number, layerPartBlob: Buffer) =>
      client.send(
        new ecr.UploadLayerPartCommand({
          ...name,
          uploadId,
          partFirstByte,
          partLastByte: partFirstByte + layerPartBlob.length - 1,
          layerPartBlob,
        }),
      );
    assert.equal((await part(0, bytes.subarray(0, 10))).lastByteReceived, 9);
    await assertRefused(part(5, bytes), "InvalidLayerPartException", 400);
    await part(10, bytes.subarray(10));
    return uploadId;
  };
  const complete = (uploadId: string, ...layerDigests: string[]) =>
    client.send(new ecr.CompleteLayerUploadCommand({ ...name, uploadId, layerDigests }));
  assert.equal((await complete(await upload(layer), digestOf(layer))).layerDigest, digestOf(layer));
  await assertRefused(complete(await upload(layer), digestOf("else")), "InvalidLayerException", 400);
  await assertRefused(complete("00000000-0000-4000-8000-000000000000", digestOf(layer)), "UploadNotFoundException", 400);
  await complete(await upload(config), digestOf(config));
  const availability = await client.send(
    new ecr.BatchCheckLayerAvailabilityCommand({ ...name, layerDigests: [digestOf(layer), digestOf("no")] }),
  );
  assert.deepEqual(
    availability.layers?.map((one) => one.layerAvailability),
    ["AVAILABLE", "UNAVAILABLE"],
  );

  const first = await put(manifestOf("1"), { imageTag: "v1" });
  assert.deepEqual(first.image?.imageId, { imageDigest: digestOf(manifestOf("1")), imageTag: "v1" });
  await assertRefused(
    put(manifestOf("1"), { imageTag: "v1" }),
    "ImageAlreadyExistsException",
    400,
    /and tag 'v1' already exists in the repository with name 'app'/,
  );
  await assertRefused(put(manifestOf("1"), { imageDigest: digestOf("x") }), "ImageDigestDoesNotMatchException", 400);
  await put(manifestOf("1"), { imageTag: "also" });
  await put(manifestOf("2"), { imageTag: "v2" });
  await put(manifestOf("3"));
  const listed = await client.send(new ecr.ListImagesCommand({ ...name, filter: { tagStatus: "TAGGED" } }));
  assert.deepEqual(listed.imageIds?.map((one) => one.imageTag).toSorted(), ["also", "v1", "v2"]);
  const untagged = await client.send(new ecr.DescribeImagesCommand({ ...name, filter: { tagStatus: "UNTAGGED" } }));
  assert.deepEqual(
    untagged.imageDetails?.map((one) => [one.imageDigest, one.imageSizeInBytes]),
    [[digestOf(manifestOf("3")), layer.length + config.length]],
  );
  for (const [imageStatus, count] of [
    ["ACTIVE", 4],
    ["ANY", 4],
    ["ARCHIVED", 0],
  ] as const) {
    const some = await client.send(new ecr.ListImagesCommand({ ...name, filter: { imageStatus } }));
    assert.equal(some.imageIds?.length, count, imageStatus);
  }
  const byTag = await client.send(new ecr.DescribeImagesCommand({ ...name, imageIds: [{ imageTag: "v1" }] }));
  assert.deepEqual(byTag.imageDetails?.[0]?.imageTags?.toSorted(), ["also", "v1"]);
  await assertRefused(
    client.send(new ecr.DescribeImagesCommand({ ...name, imageIds: [{ imageTag: "no" }] })),
    "ImageNotFoundException",
    400,
    "The image with imageId {imageDigest:'null', imageTag:'no'} does not exist within the repository with name 'app' in the registry with id '000000000000'",
  );
  const got = await client.send(new ecr.BatchGetImageCommand({ ...name, imageIds: [{ imageTag: "v2" }, { imageTag: "no" }, {}] }));
  assert.equal(got.images?.[0]?.imageManifest, manifestOf("2"));
  assert.deepEqual(
    got.failures?.map((one) => one.failureCode),
    ["ImageNotFound", "MissingDigestAndTag"],
  );

  await client.send(new ecr.PutImageTagMutabilityCommand({ ...name, imageTagMutability: "IMMUTABLE" }));
  await assertRefused(
    put(manifestOf("3"), { imageTag: "v2" }),
    "ImageTagAlreadyExistsException",
    400,
    "The image tag 'v2' already exists in the 'app' repository and cannot be overwritten because the repository is immutable.",
  );
  const ids = [{ imageTag: "also" }, { imageDigest: digestOf(manifestOf("2")) }, { imageTag: "no" }];
  const deleted = await client.send(new ecr.BatchDeleteImageCommand({ ...name, imageIds: ids }));
  assert.deepEqual([deleted.imageIds?.length, deleted.failures?.map((one) => one.failureCode)], [2, ["ImageNotFound"]]);
  const left = await client.send(new ecr.ListImagesCommand(name));
  assert.deepEqual(left.imageIds?.map((one) => one.imageTag).toSorted(), ["v1", undefined]);
});

test("the protocol: uploads in one piece, in parts and by mounting; reads, ranges of lists, deletes", async (t) => {
  const { client, registry } = await start(t);
  const { send } = registry;
  assert.equal((await send("GET", "")).status, 200);
  for (const wrong of ["%ff/tags/list", "app/tags/list?n=%ff"])
    assert.deepEqual(await codeOf(await send("GET", wrong)), [400, "NAME_INVALID"]);
  const begun = await send("POST", "app/blobs/uploads/");
  assert.equal(begun.status, 202);
  const path = (begun.headers.get("location") ?? "").slice("/v2/".length);
  const half = layer.length / 2;
  const first = await send("PATCH", path, layer.subarray(0, half), { "content-range": `0-${half - 1}` });
  assert.deepEqual([first.status, first.headers.get("range")], [202, `0-${half - 1}`]);
  assert.deepEqual(await codeOf(await send("PATCH", path, layer, { "content-range": `5-${half}` })), [416, "BLOB_UPLOAD_INVALID"]);
  assert.deepEqual([(await send("GET", path)).status, (await send("GET", path)).headers.get("range")], [204, `0-${half - 1}`]);
  const done = await send("PUT", `${path}?digest=${digestOf(layer)}`, layer.subarray(half));
  assert.deepEqual([done.status, done.headers.get("docker-content-digest")], [201, digestOf(layer)]);
  assert.deepEqual(await codeOf(await send("PUT", `${path}?digest=${digestOf(layer)}`)), [404, "BLOB_UPLOAD_UNKNOWN"]);
  assert.deepEqual(await codeOf(await send("POST", `app/blobs/uploads/?digest=${digestOf("else")}`, layer)), [400, "DIGEST_INVALID"]);
  const gone = (await send("POST", "app/blobs/uploads/")).headers.get("location")?.slice("/v2/".length) ?? "";
  assert.equal((await send("DELETE", gone)).status, 204);
  assert.equal((await send("GET", gone)).status, 404);

  const head = await send("HEAD", `app/blobs/${digestOf(layer)}`);
  assert.deepEqual([head.status, head.headers.get("content-length")], [200, String(layer.length)]);
  assert.deepEqual(Buffer.from(await (await send("GET", `app/blobs/${digestOf(layer)}`)).arrayBuffer()), layer);
  await client.send(new ecr.CreateRepositoryCommand({ repositoryName: "other" }));
  // What is in one repository is not to be had in another, until it is mounted there.
  assert.deepEqual(await codeOf(await send("GET", `other/blobs/${digestOf(layer)}`)), [404, "BLOB_UNKNOWN"]);
  assert.equal((await send("POST", `other/blobs/uploads/?mount=${digestOf("no")}&from=app`)).status, 202);
  assert.equal((await send("POST", `other/blobs/uploads/?mount=${digestOf(layer)}&from=app`)).status, 201);
  assert.equal((await send("HEAD", `other/blobs/${digestOf(layer)}`)).status, 200);

  const manifest = await pushLayers(registry, "app", [layer]);
  const put = await putManifest(registry, "app", "v1", manifest);
  assert.deepEqual([put.status, put.headers.get("docker-content-digest")], [201, digestOf(manifest)]);
  assert.equal((await putManifest(registry, "app", digestOf(manifest), manifest)).status, 201);
  assert.deepEqual(await codeOf(await putManifest(registry, "app", digestOf("x"), manifest)), [400, "DIGEST_INVALID"]);
  assert.deepEqual(await codeOf(await putManifest(registry, "app", "v2", manifest, INDEX)), [400, "MANIFEST_INVALID"]);
  assert.deepEqual(await codeOf(await putManifest(registry, "app", "v2", manifest.replace(digestOf(layer), digestOf("no")))), [
    404,
    "MANIFEST_BLOB_UNKNOWN",
  ]);
  assert.deepEqual(await codeOf(await putManifest(registry, "none", "v1", manifest)), [404, "NAME_UNKNOWN"]);
  assert.deepEqual(await codeOf(await putManifest(registry, "NONE", "v1", manifest)), [404, "NAME_INVALID"]);
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [{ mediaType: MANIFEST, digest: digestOf(manifest), size: manifest.length }],
  });
  assert.equal((await putManifest(registry, "app", "v2", index, INDEX)).status, 201);
  assert.deepEqual(await codeOf(await putManifest(registry, "other", "v2", index, INDEX)), [404, "MANIFEST_BLOB_UNKNOWN"]);
  const read = await send("GET", "app/manifests/v1");
  assert.deepEqual([read.headers.get("content-type"), await read.text()], [MANIFEST, manifest]);
  const headOf = await send("HEAD", `app/manifests/${digestOf(index)}`);
  assert.deepEqual(
    [headOf.status, headOf.headers.get("content-length"), headOf.headers.get("content-type")],
    [200, String(index.length), INDEX],
  );
  assert.deepEqual(await codeOf(await send("GET", "app/manifests/v9")), [404, "MANIFEST_UNKNOWN"]);

  const page = await send("GET", "app/tags/list?n=1");
  assert.deepEqual(
    [await page.json(), page.headers.get("link")],
    [{ name: "app", tags: ["v1"] }, '</v2/app/tags/list?n=1&last=v1>; rel="next"'],
  );
  assert.deepEqual(await (await send("GET", "app/tags/list?last=v1")).json(), { name: "app", tags: ["v2"] });
  assert.deepEqual(await (await send("GET", "_catalog")).json(), { repositories: ["app", "other"] });
  assert.equal((await send("DELETE", "app/manifests/v1")).status, 202);
  assert.equal((await send("DELETE", `app/manifests/${digestOf(index)}`)).status, 202);
  assert.deepEqual(await codeOf(await send("DELETE", "app/manifests/v2")), [404, "MANIFEST_UNKNOWN"]);
  assert.deepEqual(await codeOf(await send("DELETE", `app/blobs/${digestOf(layer)}`)), [405, "UNSUPPORTED"]);
});

test("a layer has an address from which it can be fetched, once an image has it", async (t) => {
  const { client, registry } = await start(t);
  const urlOf = (layerDigest: string) => client.send(new ecr.GetDownloadUrlForLayerCommand({ repositoryName: "app", layerDigest }));
  await pushBlob(registry, "app", layer);
  await assertRefused(urlOf(digestOf(layer)), "LayerInaccessibleException", 400, /not associated with an image/);
  assert.equal((await putManifest(registry, "app", "v1", await pushLayers(registry, "app", [layer]))).status, 201);
  const { downloadUrl = "", layerDigest } = await urlOf(digestOf(layer));
  assert.equal(layerDigest, digestOf(layer));
  const fetched = await fetch(downloadUrl);
  assert.deepEqual([fetched.status, Buffer.from(await fetched.arrayBuffer())], [200, layer]);
  await assertRefused(urlOf(digestOf("no")), "LayersNotFoundException", 400, new RegExp(digestOf("no")));
  await assertRefused(urlOf("md5:00"), "InvalidParameterException", 400, /layerDigest/);
});

test("an image that an index refers to is not deleted before the index, by any of its names", async (t) => {
  const { client, registry } = await start(t);
  const manifest = await pushLayers(registry, "app", [layer]);
  const manifests = [{ mediaType: MANIFEST, digest: digestOf(manifest), size: manifest.length }];
  const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
  for (const tag of ["one", "two"]) assert.equal((await putManifest(registry, "app", tag, manifest)).status, 201);
  assert.equal((await putManifest(registry, "app", "all", index, INDEX)).status, 201);
  const { imageDetails } = await client.send(
    new ecr.DescribeImagesCommand({ repositoryName: "app", imageIds: [{ imageTag: "all" }, { imageTag: "one" }] }),
  );
  const sizes = imageDetails?.map((one) => one.imageSizeInBytes) ?? [];
  assert.ok((sizes[0] ?? 0) > layer.length && sizes[0] === sizes[1], "an index is as large as its largest image");
  const remove = (...imageIds: ecr.ImageIdentifier[]) => client.send(new ecr.BatchDeleteImageCommand({ repositoryName: "app", imageIds }));
  const byDigest = { imageDigest: digestOf(manifest) };
  const { imageIds, failures } = await remove({ imageTag: "one" }, { imageTag: "two" }, byDigest);
  assert.deepEqual(imageIds, [{ ...byDigest, imageTag: "one" }]);
  const failure = {
    failureCode: "ImageReferencedByManifestList",
    failureReason: `Requested image referenced by manifest list: [${digestOf(index)}]`,
  };
  assert.deepEqual(failures, [
    { imageId: { imageTag: "two" }, ...failure },
    { imageId: byDigest, ...failure },
  ]);
  assert.deepEqual(await codeOf(await registry.send("DELETE", `app/manifests/${digestOf(manifest)}`)), [405, "UNSUPPORTED"]);
  assert.equal((await registry.send("GET", `app/manifests/${digestOf(manifest)}`)).status, 200);
  const mixed = await remove({ imageTag: "all", ...byDigest });
  assert.deepEqual(
    mixed.failures?.map((one) => one.failureCode),
    ["ImageTagDoesNotMatchDigest"],
  );
  assert.deepEqual((await remove({ imageTag: "all" }, byDigest)).failures, []);
});

test("an upload that breaks off goes on where it ended; a blob is read in part", async (t) => {
  const { server, registry } = await start(t);
  const { send } = registry;
  const begun = await send("POST", "app/blobs/uploads/");
  const path = (begun.headers.get("location") ?? "").slice("/v2/".length);
  const there = async () => (await send("GET", path)).headers.get("range");
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(layer.subarray(0, 100));
      const arrived = eventually("it has arrived", async () => (await there()) === "0-99");
      void arrived.finally(() => controller.error(new Error("the client goes away")));
    },
  });
  const broken: RequestInit & { duplex: "half" } = {
    method: "PATCH",
    headers: { authorization: registry.authorization },
    body,
    duplex: "half",
  };
  await assert.rejects(fetch(`${server.endpoint}/v2/${path}`, broken));
  const rest = () => send("PATCH", path, layer.subarray(100), { "content-range": `100-${layer.length - 1}` });
  const goneOn = await eventually("nobody sends to it any more", async () => {
    const answer = await rest();
    return answer.status === 202 && answer;
  });
  assert.equal(goneOn.headers.get("range"), `0-${layer.length - 1}`);
  assert.equal((await send("PUT", `${path}?digest=${digestOf(layer)}`)).status, 201);

  const part = (range: string) => send("GET", `app/blobs/${digestOf(layer)}`, undefined, { range });
  for (const [range, from, to] of [
    ["bytes=0-9", 0, 9],
    ["bytes=1000-", 1000, layer.length - 1],
    ["bytes=10-9999999", 10, layer.length - 1],
    ["bytes=-5", layer.length - 5, layer.length - 1],
  ] as const) {
    const answer = await part(range);
    assert.deepEqual([answer.status, answer.headers.get("content-range")], [206, `bytes ${from}-${to}/${layer.length}`], range);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), layer.subarray(from, to + 1));
  }
  assert.equal((await part(`bytes=${layer.length}-`)).status, 416);
  for (const whole of ["bytes=0-1,5-6", "bytes=9-1", "lines=1-2"]) assert.equal((await part(whole)).status, 200, whole);
});

test("lists by the protocol: none for a page of 0, and a number that is none is refused", async (t) => {
  const { registry } = await start(t);
  assert.equal((await putManifest(registry, "app", "v1", await pushLayers(registry, "app", [layer]))).status, 201);
  for (const [path, document] of [
    ["_catalog", { repositories: [] }],
    ["app/tags/list", { name: "app", tags: [] }],
  ] as const) {
    const none = await registry.send("GET", `${path}?n=0`);
    assert.deepEqual([none.status, none.headers.get("link"), await none.json()], [200, null, document]);
    for (const wrong of ["x", "-1", "1.5"])
      assert.deepEqual(await codeOf(await registry.send("GET", `${path}?n=${wrong}`)), [400, "PAGINATION_NUMBER_INVALID"]);
  }
});

test("who may: a token, its key and IAM on every call", async (t) => {
  const started = await start(t);
  const { server, registry, iam } = started;
  const plain = await fetch(`${server.endpoint}/v2/`);
  assert.deepEqual(
    [plain.status, plain.headers.get("www-authenticate")],
    [401, `Basic realm="${server.endpoint}/",service="ecr.amazonaws.com"`],
  );
  const basic = (user: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` });
  for (const headers of [basic("AWS", "x"), basic("AWS", Buffer.alloc(80, 2).toString("base64")), { authorization: "Bearer x" }])
    assert.equal((await fetch(`${server.endpoint}/v2/`, { headers })).status, 401);
  // An AWS signature is never for this protocol, and a token never for the API.
  assert.notEqual((await fetch(`${server.endpoint}/v2/`, { headers: { authorization: "AWS4-HMAC-SHA256 x" } })).status, 200);

  const none = await newUser(started, "none", []);
  await assertRefused(
    none.client.send(new ecr.GetAuthorizationTokenCommand({})),
    "AccessDeniedException",
    400,
    /ecr:GetAuthorizationToken/,
  );
  const reader = await newUser(started, "reader", ["ecr:GetAuthorizationToken", "ecr:BatchGetImage"]);
  const reading = await registryClient(server.endpoint, reader.client);
  const manifest = await pushLayers(registry, "app", [layer]);
  await putManifest(registry, "app", "v1", manifest);
  assert.equal((await reading.send("GET", "app/manifests/v1")).status, 200);
  for (const [method, path] of [
    ["PUT", "app/manifests/v2"],
    ["DELETE", "app/manifests/v1"],
    ["GET", `app/blobs/${digestOf(layer)}`],
    ["HEAD", `app/blobs/${digestOf(layer)}`],
    ["POST", "app/blobs/uploads/"],
    ["PATCH", "app/blobs/uploads/x"],
    ["PUT", "app/blobs/uploads/x"],
    ["GET", "app/tags/list"],
    ["GET", "_catalog"],
    ["GET", "none/manifests/v1x".replace("none", "app")],
  ] as const) {
    const { status } = await reading.send(method, path, method === "PUT" ? manifest : undefined);
    assert.equal(status, path.endsWith("v1x") ? 404 : 403, `${method} ${path}`);
  }
  await iam.send(new DeleteAccessKeyCommand({ UserName: "reader", AccessKeyId: reader.keys.accessKeyId }));
  assert.equal((await reading.send("GET", "app/manifests/v1")).status, 401);
});

test("a blob that somebody else has stored is not to be had by its digest", async (t) => {
  const { clients, registry } = await start(t);
  const { s3 } = clients();
  const { CreateBucketCommand, PutObjectCommand } = await import("@aws-sdk/client-s3");
  await s3.send(new CreateBucketCommand({ Bucket: "secrets" }));
  await s3.send(new PutObjectCommand({ Bucket: "secrets", Key: "k", Body: "secret" }));
  const digest = `sha256:${createHash("sha256").update("secret").digest("hex")}`;
  assert.deepEqual(await codeOf(await registry.send("GET", `app/blobs/${digest}`)), [404, "BLOB_UNKNOWN"]);
  await pushBlob(registry, "app", "secret");
  assert.equal(await (await registry.send("GET", `app/blobs/${digest}`)).text(), "secret");
});

const NAMED = {
  BatchCheckLayerAvailability: { layerDigests: [digestOf("x")] },
  BatchDeleteImage: { imageIds: [{ imageTag: "x" }] },
  BatchGetImage: { imageIds: [{ imageTag: "x" }] },
  CompleteLayerUpload: { uploadId: "x", layerDigests: [digestOf("x")] },
  DeleteRepository: {},
  DeleteRepositoryPolicy: {},
  DescribeImages: {},
  GetDownloadUrlForLayer: { layerDigest: digestOf("x") },
  GetRepositoryPolicy: {},
  InitiateLayerUpload: {},
  ListImages: {},
  PutImage: { imageManifest: "{}" },
  PutImageScanningConfiguration: { imageScanningConfiguration: { scanOnPush: true } },
  PutImageTagMutability: { imageTagMutability: "MUTABLE" },
  SetRepositoryPolicy: { policyText: "{}" },
  UploadLayerPart: { uploadId: "x", partFirstByte: 0, partLastByte: 0, layerPartBlob: Buffer.from("x") },
} as const;

test("every operation on a repository refuses one that is not there, and what is no name", async (t) => {
  const { client } = await start(t);
  type Command = new (input: unknown) => Parameters<ecr.ECRClient["send"]>[0];
  const commands = ecr as unknown as Readonly<Record<string, Command>>;
  for (const [operation, more] of Object.entries(NAMED)) {
    const send = (repositoryName: string) => client.send(new (commands[`${operation}Command`] as Command)({ repositoryName, ...more }));
    await assertRefused(send("none"), "RepositoryNotFoundException", 400, /'none' does not exist in the registry/);
    await assertRefused(send("NO NAME"), "InvalidParameterException", 400, /repositoryName/);
  }
  const arn = (name: string) => `arn:aws:ecr:us-east-1:${ACCOUNT}:repository/${name}`;
  const tag = (resourceArn: string, tags: ecr.Tag[]) => client.send(new ecr.TagResourceCommand({ resourceArn, tags }));
  const untag = (resourceArn: string) => client.send(new ecr.UntagResourceCommand({ resourceArn, tagKeys: ["a"] }));
  const many = Array.from({ length: 51 }, (_, at) => ({ Key: `k${at}`, Value: "" }));
  for (const work of [(name: string) => tag(name, []), untag]) {
    await assertRefused(work(arn("none")), "RepositoryNotFoundException", 400);
    await assertRefused(work("arn:aws:s3:::x"), "InvalidParameterException", 400);
  }
  await assertRefused(tag(arn("app"), many), "TooManyTagsException", 400);
  await assertRefused(
    client.send(new ecr.UploadLayerPartCommand({ repositoryName: "app", ...NAMED.UploadLayerPart })),
    "UploadNotFoundException",
    400,
  );
  const manifests = [{ mediaType: MANIFEST, digest: digestOf("x"), size: 1 }];
  const imageManifest = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
  await assertRefused(
    client.send(new ecr.PutImageCommand({ repositoryName: "app", imageManifest })),
    "ReferencedImagesNotFoundException",
    400,
  );
});
