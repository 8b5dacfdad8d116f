// UpdateFunctionCode, code from S3, and where GetFunction says that the code is.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { arnOf, check, contextOf, covered, makeFunction, ROLE, send, settled, startLambda, UUID, type Row } from "./lambda.fixture.ts";
import { zipOf } from "../support/zip.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes);

test("new code replaces the old: at once in the answer, for invocations when it is complete", async (t) => {
  const started = await startLambda(t);
  const { client, invoker } = started;
  await makeFunction(started, "f");
  const before = await send(client, "GetFunctionConfiguration", { FunctionName: "f" });
  await send(client, "Invoke", { FunctionName: "f" });
  const zip = await zipOf({ "index.mjs": "// second" });
  const answer = await send(client, "UpdateFunctionCode", { FunctionName: arnOf("f"), ZipFile: zip });
  assert.deepEqual(
    [answer["CodeSha256"], answer["CodeSize"], answer["State"], answer["LastUpdateStatus"], answer["LastUpdateStatusReasonCode"]],
    [sha256(zip).digest("base64"), zip.length, "Active", "InProgress", "Creating"],
  );
  assert.notEqual(answer["RevisionId"], before["RevisionId"]);
  assert.equal(answer["ConfigSha256"], before["ConfigSha256"]);
  await settled(started, "f");
  await send(client, "Invoke", { FunctionName: "f" });
  const [first, second] = invoker.invocations;
  assert.deepEqual(invoker.retired, [first?.deployment.key]);
  assert.deepEqual(
    invoker.expected,
    invoker.invocations.map(({ deployment }) => deployment.key),
    "each was announced when it was deployed",
  );
  assert.equal(await readFile(join(second?.deployment.codeDirectory ?? "", "index.mjs"), "utf8"), "// second");
  assert.match(await readFile(join(first?.deployment.codeDirectory ?? "", "index.mjs"), "utf8"), /handler/, "for those that still run");
});

test("the same code again is an update all the same", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const before = await send(started.client, "GetFunctionConfiguration", { FunctionName: "f" });
  await send(started.client, "UpdateFunctionCode", { FunctionName: "f", ZipFile: started.zip });
  await settled(started, "f");
  const after = await send(started.client, "GetFunctionConfiguration", { FunctionName: "f" });
  assert.notEqual(after["RevisionId"], before["RevisionId"]);
  assert.equal(after["CodeSha256"], before["CodeSha256"]);
  assert.deepEqual(await readdir(join(started.directory, "packages")).then((names) => names.filter((name) => name !== ".boot").length), 1);
});

test("of uploads at the same time one becomes the code, and the others are told", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const zips = await Promise.all([1, 2, 3, 4].map((number) => zipOf({ "index.mjs": `// ${number}` })));
  // All have seen the function as it was before any of them has written.
  const updates = await Promise.allSettled(
    zips.map((ZipFile) => started.service.operations.UpdateFunctionCode(contextOf(), { FunctionName: "f", ZipFile })),
  );
  const done = updates.flatMap((one) => (one.status === "fulfilled" ? [one.value.CodeSha256] : []));
  assert.equal(done.length, 1);
  for (const one of updates)
    if (one.status === "rejected") assert.match(String(one.reason), /^ResourceConflictException: .* An update is in progress/);
  await settled(started, "f");
  await check(started, { name: "which", call: ["GetFunctionConfiguration", { FunctionName: "f" }], expect: { CodeSha256: done[0] } });
});

test("code comes from S3, with the caller's rights, read once", async (t) => {
  const zip = await zipOf({ "index.mjs": "// from S3" });
  const calls: unknown[] = [];
  const { Readable } = await import("node:stream");
  const started = await startLambda(t, {
    getObject: (context, bucket, key, version) => {
      calls.push([context.caller.arn, bucket, key, version]);
      // Another object each time: what is used must be what was read first.
      return Promise.resolve({ body: Readable.from([calls.length === 1 ? zip : Buffer.from("other")]), bytes: zip.length });
    },
  });
  const made = await send(started.client, "CreateFunction", {
    FunctionName: "f",
    Runtime: "nodejs24.x",
    Handler: "index.handler",
    Role: ROLE,
    Code: { S3Bucket: "bucket", S3Key: "some/key.zip", S3ObjectVersion: "v1" },
  });
  assert.deepEqual(calls, [["arn:aws:iam::000000000000:root", "bucket", "some/key.zip", "v1"]]);
  assert.equal(made["CodeSha256"], sha256(zip).digest("base64"));
  await settled(started, "f");
  await send(started.client, "Invoke", { FunctionName: "f" });
  const directory = started.invoker.invocations[0]?.deployment.codeDirectory ?? "";
  assert.equal(await readFile(join(directory, "index.mjs"), "utf8"), "// from S3");
});

test("UpdateFunctionCode: what is accepted and what is refused", async (t) => {
  const started = await startLambda(t);
  const { zip, objects } = started;
  await makeFunction(started, "f");
  objects.set("bucket/good.zip", zip).set("bucket/bad.zip", Buffer.from("bad"));
  const before = await send(started.client, "GetFunction", { FunctionName: "f" });
  const row = (name: string, input: Record<string, unknown>, ...fault: NonNullable<Row["fault"]>): Row => ({
    name,
    call: ["UpdateFunctionCode", { FunctionName: "f", ...input }],
    fault,
  });
  const invalid = "InvalidParameterValueException";
  const rows: readonly Row[] = [
    row("unknown", { FunctionName: "g", ZipFile: zip }, 404, "ResourceNotFoundException", `Function not found: ${arnOf("g")}`),
    row("nothing", {}, 400, invalid, "Please provide a source for function code."),
    row("an image", { ImageUri: "x" }, 400, invalid, "Please don't provide ImageUri when updating a function with packageType Zip."),
    row("two sources", { ZipFile: zip, S3Bucket: "bucket", S3Key: "good.zip" }, 400, invalid, /^Please do not provide other/),
    row("no zip", { ZipFile: Buffer.from("x") }, 400, invalid, /^Could not unzip uploaded file\./),
    row("an object that is no zip", { S3Bucket: "bucket", S3Key: "bad.zip" }, 400, invalid, /^Could not unzip uploaded file\./),
    row(
      "no bucket",
      { S3Bucket: "none", S3Key: "k" },
      400,
      invalid,
      "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
    ),
    row(
      "no object",
      { S3Bucket: "bucket", S3Key: "k" },
      400,
      invalid,
      "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
    ),
    row("a bucket that can't be", { S3Bucket: "b", S3Key: "k" }, 400, "ValidationException", /at 's3Bucket'/),
    row(
      "stale revision",
      { ZipFile: zip, RevisionId: "x" },
      412,
      "PreconditionFailedException",
      /^The Revision Id provided does not match/,
    ),
    row("PublishTo", { ZipFile: zip, PublishTo: "LATEST_PUBLISHED" }, 400, invalid, /^Lambent does not support PublishTo yet/),
    row(
      "a key",
      { ZipFile: zip, SourceKMSKeyArn: "arn:aws:kms:eu-west-1:000000000000:key/1" },
      400,
      invalid,
      /^Lambent does not support SourceKMSKeyArn yet/,
    ),
    row(
      "by reference",
      { S3Bucket: "bucket", S3Key: "good.zip", S3ObjectStorageMode: "REFERENCE" },
      400,
      invalid,
      /^Lambent does not support S3ObjectStorageMode REFERENCE yet/,
    ),
    {
      name: "dry run",
      call: ["UpdateFunctionCode", { FunctionName: "f", ZipFile: await zipOf({ "x.mjs": "" }), DryRun: true }],
      expect: { CodeSha256: sha256(zip).digest("base64"), LastUpdateStatus: "Successful" },
    },
    row("dry run of what is no zip", { ZipFile: Buffer.from("x"), DryRun: true }, 400, invalid, /^Could not unzip uploaded file\./),
  ];
  for (const one of rows) await check(started, one);
  assert.deepEqual(await send(started.client, "GetFunction", { FunctionName: "f" }), before);
  await check(started, {
    name: "an object, for another architecture",
    call: [
      "UpdateFunctionCode",
      { FunctionName: "f", S3Bucket: "bucket", S3Key: "good.zip", S3ObjectStorageMode: "COPY", Architectures: ["arm64"] },
    ],
    expect: { Architectures: ["arm64"], RevisionId: UUID },
  });
});

test("a package that is too large is refused, by its size and by the request's", async (t) => {
  const started = await startLambda(t);
  const code = (ZipFile: Uint8Array): Row["call"] => [
    "CreateFunction",
    { FunctionName: "f", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code: { ZipFile } },
  ];
  await check(started, {
    name: "50 MiB and a byte",
    call: code(new Uint8Array(52_428_801)),
    fault: [413, "RequestEntityTooLargeException", "Zipped size must be smaller than 52428800 bytes"],
  });
  await check(started, {
    name: "more than the request may hold",
    call: code(new Uint8Array(53_000_000)),
    fault: [413, "RequestEntityTooLargeException", "Request must be smaller than 70167211 bytes for the CreateFunction operation"],
  });
});

test("GetFunction says where the code is", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const { Code } = await send(started.client, "GetFunction", { FunctionName: "f" });
  assert.deepEqual(Code, { RepositoryType: "S3", Location: `${started.door.endpoint}/code/${sha256(started.zip).digest("hex")}` });
});

test("packages that no function has are known as such, and removed at the next start", async (t) => {
  const started = await startLambda(t);
  const hex = sha256(started.zip).digest("hex");
  await makeFunction(started, "one");
  await makeFunction(started, "two");
  await send(started.client, "DeleteFunction", { FunctionName: "one" });
  assert.ok(started.service.isReferenced(hex));
  await send(started.client, "DeleteFunction", { FunctionName: "two" });
  assert.ok(!started.service.isReferenced(hex));
  const packages = async () => (await readdir(join(started.directory, "packages"))).filter((name) => name.startsWith(hex));
  assert.equal((await packages()).length, 1, "somebody may still run on it");
  await started.restart();
  assert.equal((await packages()).length, 0);
});

test("the code of an account has a limit", async (t) => {
  const started = await startLambda(t);
  await makeFunction(started, "f");
  const { limits } = await import("../../src/limits.ts");
  const [entry] = await started.storage.meta.get<{ wanted: { code: object } }>([
    { account: "000000000000", region: "eu-west-1", kind: "lambda.function", id: "f" },
  ]);
  assert.ok(entry);
  const huge = { ...entry.value, wanted: { ...entry.value.wanted, code: { ...entry.value.wanted.code, bytes: limits.totalCodeBytes } } };
  await started.storage.meta.write([{ key: { ...entry.key, id: "huge" }, value: huge }]);
  const full = [400, "CodeStorageExceededException", "Code storage limit exceeded."] as const;
  const Code = { ZipFile: started.zip };
  const calls: readonly Row["call"][] = [
    ["CreateFunction", { FunctionName: "g", Runtime: "nodejs24.x", Handler: "index.handler", Role: ROLE, Code }],
    ["UpdateFunctionCode", { FunctionName: "f", ...Code }],
    ["PublishVersion", { FunctionName: "f" }],
    ["PublishLayerVersion", { LayerName: "l", Content: Code }],
  ];
  for (const call of calls) await check(started, { name: call[0], call, fault: full });
  const other = contextOf("elsewhere", "111111111111");
  const { AccountUsage } = started.service.operations.GetAccountSettings(other);
  assert.deepEqual(AccountUsage, { FunctionCount: 0, TotalCodeSize: 0 }, "of its own, and of nobody else's");
});

test("UpdateFunctionCode has been seen to succeed and to fail", () => {
  assert.ok(covered.success.has("UpdateFunctionCode") && covered.fault.has("UpdateFunctionCode"));
});
