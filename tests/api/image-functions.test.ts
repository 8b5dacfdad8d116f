// Functions whose code is a container image: what the API takes, shows and refuses. That they run: tests/e2e/images.test.ts.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { CreateRepositoryCommand, SetRepositoryPolicyCommand } from "@aws-sdk/client-ecr";
import {
  CreateFunctionCommand,
  GetFunctionCommand,
  ListFunctionsCommand,
  PublishVersionCommand,
  UpdateFunctionCodeCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionUpdatedV2,
  type CreateFunctionCommandInput,
} from "@aws-sdk/client-lambda";
import { CreateAccessKeyCommand, CreateUserCommand, PutUserPolicyCommand } from "@aws-sdk/client-iam";
import { assertRefused } from "../../src/aws/fake-service.ts";
import { tarOfEntries } from "../../src/images/tar.fixture.ts";
import { startApi } from "../support/api.ts";
import { makeRole } from "../support/functions.ts";
import { digestOf, INDEX, MANIFEST, pushBlob, pushLayers, putManifest, registryClient } from "../support/registry.ts";
import { zipOf } from "../support/zip.ts";

const INVALID = "InvalidParameterValueException";
const layerOf = (text: string) => tarOfEntries([{ name: "text", data: text }]);

async function start(t: TestContext) {
  const { server, clients } = await startApi(t);
  const { lambda, iam, ecr } = clients();
  const role = await makeRole(iam);
  await ecr.send(new CreateRepositoryCommand({ repositoryName: "app" }));
  const registry = await registryClient(server.endpoint, ecr);
  const host = new URL(server.endpoint).host;
  const create = (FunctionName: string, ImageUri: string | undefined, more: Partial<CreateFunctionCommandInput> = {}, client = lambda) => {
    const Code = ImageUri === undefined ? {} : { ImageUri };
    return client.send(new CreateFunctionCommand({ FunctionName, Role: role, PackageType: "Image", Code, ...more }));
  };
  const ready = (FunctionName: string) =>
    waitUntilFunctionUpdatedV2({ client: lambda, maxWaitTime: 10, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName });
  const push = async (reference: string, text: string, config: object = {}): Promise<string> => {
    const manifest = await pushLayers(registry, "app", [layerOf(text)], config);
    assert.equal((await putManifest(registry, "app", reference, manifest)).status, 201);
    return manifest;
  };
  return { server, clients, lambda, iam, ecr, role, registry, host, create, ready, push };
}

test("what the API shows of an image: its digest, no runtime and no handler; ImageConfig set, kept and taken back", async (t) => {
  const { lambda, host, create, ready, push } = await start(t);
  const manifest = await push("v1", "one");
  const hex = digestOf(manifest).slice("sha256:".length);
  const made = await create("f", `${host}/app:v1`, { ImageConfig: { Command: ["a"], EntryPoint: ["/b"], WorkingDirectory: "/c" } });
  assert.deepEqual(
    [made.PackageType, made.CodeSha256, made.CodeSize, made.Runtime, made.Handler, made.RuntimeVersionConfig],
    ["Image", hex, 0, undefined, undefined, undefined],
  );
  assert.deepEqual(made.ImageConfigResponse, { ImageConfig: { EntryPoint: ["/b"], Command: ["a"], WorkingDirectory: "/c" } });
  await ready("f");
  const { Code } = await lambda.send(new GetFunctionCommand({ FunctionName: "f" }));
  assert.deepEqual(Code, { RepositoryType: "ECR", ImageUri: `${host}/app:v1`, ResolvedImageUri: `${host}/app@sha256:${hex}` });
  const { Functions } = await lambda.send(new ListFunctionsCommand({}));
  assert.deepEqual([Functions?.[0]?.PackageType, Functions?.[0]?.Runtime], ["Image", undefined]);
  const changed = await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: "f", Timeout: 9 }));
  assert.deepEqual(changed.ImageConfigResponse?.ImageConfig?.Command, ["a"]);
  await ready("f");
  const cleared = await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: "f", ImageConfig: {} }));
  assert.equal(cleared.ImageConfigResponse, undefined);
  await ready("f");

  const second = await push("v1", "two");
  await lambda.send(new PublishVersionCommand({ FunctionName: "f", CodeSha256: hex }));
  await assertRefused(
    lambda.send(new PublishVersionCommand({ FunctionName: "f", CodeSha256: digestOf(second).slice(7) })),
    INVALID,
    400,
    /is different from current CodeSHA256/,
  );
  assert.equal((await lambda.send(new GetFunctionCommand({ FunctionName: "f" }))).Configuration?.CodeSha256, hex, "the tag has moved");
  const dry = await lambda.send(new UpdateFunctionCodeCommand({ FunctionName: "f", ImageUri: `${host}/app:v1`, DryRun: true }));
  assert.equal(dry.CodeSha256, hex);
  const updated = await lambda.send(new UpdateFunctionCodeCommand({ FunctionName: "f", ImageUri: `${host}/app:v1` }));
  assert.equal(`sha256:${updated.CodeSha256}`, digestOf(second));
  await ready("f");
  const version = await lambda.send(new GetFunctionCommand({ FunctionName: "f", Qualifier: "1" }));
  assert.deepEqual([version.Configuration?.CodeSha256, version.Code?.ResolvedImageUri], [hex, `${host}/app@sha256:${hex}`]);
});

test("which image a URI means: hosts, digests, the latest one, an index by architecture", async (t) => {
  const { host, create, push, registry } = await start(t);
  const manifest = await push("latest", "one");
  const digest = digestOf(manifest);
  const port = host.split(":")[1];
  for (const [at, uri] of [
    `localhost:${port}/app`,
    `127.0.0.1:${port}/app:latest`,
    `x.localhost:${port}/app@${digest}`,
    `localhost/app:latest@${digest}`,
    "000000000000.dkr.ecr.us-east-1.amazonaws.com/app",
    `000000000000.dkr.ecr.us-east-1.localhost:${port}/app:latest`,
  ].entries())
    assert.equal(`sha256:${(await create(`f${at}`, uri)).CodeSha256}`, digest, uri);
  for (const uri of [
    "docker.io/app:latest",
    "app:latest",
    "http://localhost/app",
    "localhost/APP",
    "localhost/app:",
    "localhost/app@sha256:0",
    "000000000000.dkr.ecr.eu-west-1.amazonaws.com/app",
    "localhost/../app",
    "/app",
    "",
  ])
    await assertRefused(create("no", uri), INVALID, 400, `Source image ${uri} is not valid. Provide a valid source image.`);
  for (const uri of [`${host}/app:none`, `${host}/none`, `${host}/app@${digestOf("no")}`])
    await assertRefused(create("no", uri), INVALID, 400, `Source image ${uri} does not exist. Provide a valid source image.`);

  const index = (architecture: string) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: [{ mediaType: MANIFEST, digest, size: manifest.length, platform: { architecture, os: "linux" } }],
    });
  await putManifest(registry, "app", "index", index("arm64"), INDEX);
  const architecture = { Architectures: ["arm64" as const] };
  assert.equal(`sha256:${(await create("arm", `${host}/app:index`, architecture)).CodeSha256}`, digest);
  await assertRefused(create("no", `${host}/app:index`), INVALID, 400, /does not exist/);
});

test("what is refused: parts of packages, mixed kinds, images that can't be used; and nothing is made", async (t) => {
  const { lambda, role, host, create, ready, push, registry } = await start(t);
  await push("v1", "one");
  const uri = `${host}/app:v1`;
  const handlerless = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.";
  await assertRefused(create("no", uri, { Runtime: "nodejs24.x" }), INVALID, 400, handlerless);
  await assertRefused(create("no", uri, { Handler: "a.b" }), INVALID, 400, handlerless);
  await assertRefused(create("no", uri, { Layers: ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"] }), INVALID, 400, handlerless);
  await assertRefused(create("no", undefined), INVALID, 400, "Please provide ImageUri when creating a function with packageType Image.");
  const ZipFile = await zipOf({ "app.py": "" });
  await assertRefused(create("no", undefined, { Code: { ImageUri: uri, ZipFile } }), INVALID, 400, /^Please provide ImageUri/);
  const zip = { FunctionName: "zip", Role: role, Runtime: "python3.13", Handler: "a.b", Code: { ZipFile } } as const;
  const createZip = (more: object) => lambda.send(new CreateFunctionCommand({ ...zip, ...more }));
  await assertRefused(
    createZip({ Code: { ImageUri: uri } }),
    INVALID,
    400,
    "Please don't provide ImageUri when creating a function with packageType Zip.",
  );
  await assertRefused(createZip({ ImageConfig: { Command: ["x"] } }), INVALID, 400, /ImageConfig/);
  await create("image", uri);
  await createZip({});
  await ready("image");
  await ready("zip");
  const updateCode = (FunctionName: string, more: object) => lambda.send(new UpdateFunctionCodeCommand({ FunctionName, ...more }));
  await assertRefused(
    updateCode("image", { ZipFile }),
    INVALID,
    400,
    "Please provide ImageUri when updating a function with packageType Image.",
  );
  await assertRefused(
    updateCode("zip", { ImageUri: uri }),
    INVALID,
    400,
    "Please don't provide ImageUri when updating a function with packageType Zip.",
  );
  const configure = (more: object) => lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: "image", ...more }));
  await assertRefused(configure({ Handler: "a.b" }), INVALID, 400, handlerless);
  await assertRefused(configure({ ImageConfig: { Command: ["x".repeat(17_000)] } }), INVALID, 400, /16384/);

  const push2 = async (tag: string, manifest: object) => {
    for (const part of ["{}", "not a tar"]) await pushBlob(registry, "app", part);
    const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf("{}"), size: 2 };
    const answer = await putManifest(
      registry,
      "app",
      tag,
      JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers: [], ...manifest }),
    );
    assert.equal(answer.status, 201);
  };
  const layer = (mediaType: string) => ({ layers: [{ mediaType, digest: digestOf("not a tar"), size: 9 }] });
  await push2("chart", layer("application/vnd.cncf.helm.chart.content.v1.tar+gzip"));
  await assertRefused(
    create("no", `${host}/app:chart`),
    INVALID,
    400,
    `The image manifest, config or layer media type for the source image ${host}/app:chart is not supported.`,
  );
  await push2("bad", layer("application/vnd.oci.image.layer.v1.tar"));
  await assertRefused(create("no", `${host}/app:bad`), INVALID, 400, /a layer of it can't be unpacked/);
  const { Functions } = await lambda.send(new ListFunctionsCommand({}));
  assert.deepEqual(Functions?.map((one) => one.FunctionName).toSorted(), ["image", "zip"]);
});

test("the caller needs rights on the image", async (t) => {
  const { clients, iam, ecr, host, create, push } = await start(t);
  await push("v1", "one");
  await iam.send(new CreateUserCommand({ UserName: "maker" }));
  const Statement = { Effect: "Allow", Action: ["lambda:*", "iam:PassRole"], Resource: "*" };
  await iam.send(
    new PutUserPolicyCommand({ UserName: "maker", PolicyName: "p", PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }) }),
  );
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: "maker" }));
  const { lambda } = clients({ accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" });
  await assertRefused(
    create("no", `${host}/app:v1`, {}, lambda),
    "AccessDeniedException",
    403,
    "Lambda does not have permission to access the ECR image. Check the ECR permissions.",
  );
  const Principal = { AWS: "arn:aws:iam::000000000000:user/maker" };
  const Grant = { Effect: "Allow", Principal, Action: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"] };
  const policyText = JSON.stringify({ Version: "2012-10-17", Statement: [Grant] });
  await ecr.send(new SetRepositoryPolicyCommand({ repositoryName: "app", policyText }));
  assert.equal((await create("yes", `${host}/app:v1`, {}, lambda)).PackageType, "Image");
});
