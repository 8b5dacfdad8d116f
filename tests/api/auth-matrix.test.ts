// Nobody gets past the signature or IAM: every operation that is built, under every way to be someone that one is not.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request } from "node:http";
import { test } from "node:test";
import {
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  UpdateAccessKeyCommand,
} from "@aws-sdk/client-iam";
import { GetSessionTokenCommand } from "@aws-sdk/client-sts";
import { SignatureV4 } from "@smithy/signature-v4";
import { Sha256 } from "../../bench/support/signed-requests.ts";
import type { ServiceDefinition } from "../../src/aws/definition.ts";
import { serviceModel } from "../../src/aws/model.ts";
import { startApi, type Credentials } from "../support/api.ts";
import { hostileRequest } from "../support/hostile-requests.ts";

type Headers = Readonly<Record<string, string>>;
interface Sent {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}
interface Signing {
  readonly credentials?: Credentials;
  readonly service?: string;
  readonly atMs?: number;
  readonly headers?: Headers;
  readonly unsignableHeaders?: Set<string>;
}
interface Case {
  readonly plain: Sent;
  readonly isS3: boolean;
  readonly sign: (how?: Signing) => Promise<Sent>;
  readonly presign: (expiresIn: number, atMs?: number) => Promise<Sent>;
  readonly keys: Credentials;
  readonly others: Others;
}
/** Whose keys are right, and may do nothing here. */
interface Others {
  /** A user without a permission. */
  readonly stranger: Credentials;
  /** Of users who may do everything. */
  readonly deleted: Credentials;
  readonly inactive: Credentials;
  /** The root's session, made by the server of another account. */
  readonly foreign: Credentials;
}

/** Who has no permission may call the first two, which tell of the caller; a plain request of the last names no role, whose trust decides. */
const NOT_ASKED = new Set(["sts:GetCallerIdentity", "sts:GetSessionToken", "sts:AssumeRole"]);
const MINUTE_MS = 60_000;
const NO_PERMISSION = "a user without a permission";
/** What is not built is refused by the same code: that no signature is missed there. */
const WAYS_OF_ALL: ReadonlySet<string> = new Set(["no signature", "a wrong secret"]);
const OTHER_SERVICE = "a signature for another service";

const changed = (sent: Sent, headers: Headers): Sent => ({ ...sent, headers: { ...sent.headers, ...headers } });
const authorization = (sent: Sent) => sent.headers["authorization"] ?? "";

/** Absent answers: the way is not one of this service's. */
const WAYS: Readonly<Record<string, (one: Case) => Promise<Sent | undefined> | Sent | undefined>> = {
  "no signature": ({ plain }) => plain,
  "an unknown key": ({ sign, keys }) => sign({ credentials: { ...keys, accessKeyId: "AKIAIOSFODNN7EXAMPLE" } }),
  "a wrong secret": ({ sign, keys }) => sign({ credentials: { ...keys, secretAccessKey: `${keys.secretAccessKey}x` } }),
  "one bit of the signature": async ({ sign }) => {
    const sent = await sign();
    const text = authorization(sent);
    return changed(sent, { authorization: text.slice(0, -1) + (text.endsWith("0") ? "1" : "0") });
  },
  "an unsigned x-amz header": async ({ sign }) => changed(await sign(), { "x-amz-extra": "1" }),
  "a host that is not signed": ({ sign }) => sign({ unsignableHeaders: new Set(["host"]) }),
  "a body that is not the signed one": async ({ sign }) => {
    const sent = await sign();
    return sent.body === "" ? undefined : { ...sent, body: `${sent.body} ` };
  },
  "a path that is not the signed one": async ({ sign, isS3 }) => {
    const sent = await sign();
    return sent.path === "/" || !isS3 ? undefined : { ...sent, path: sent.path.replace("/", "/x") };
  },
  "a query that is not the signed one": async ({ sign }) => {
    const sent = await sign();
    return { ...sent, path: sent.path + (sent.path.includes("?") ? "&" : "?") + "added=1" };
  },
  "a body that nobody signed": ({ sign, isS3 }) => (isS3 ? undefined : sign({ headers: { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } })),
  "a stream with a wrong signature": async ({ sign, isS3 }) =>
    isS3
      ? changed(await sign({ headers: { "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER" } }), {
          authorization: authorization(await sign()),
        })
      : undefined,
  "a credential in the query alone": ({ plain, keys }) => ({
    ...plain,
    path: `${plain.path}${plain.path.includes("?") ? "&" : "?"}X-Amz-Credential=${keys.accessKeyId}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request`,
  }),
  "a signature in the header and one in the query": async ({ sign, presign }) => ({ ...(await sign()), path: (await presign(60)).path }),
  "a header that is not the signed one": async ({ sign }) => {
    const sent = await sign();
    const date = sent.headers["x-amz-date"] ?? "";
    return changed(sent, { "x-amz-date": date.replace(/\d(?=\dZ$)/, (digit) => String((Number(digit) + 1) % 6)) });
  },
  "a region that is not the signed one": async ({ sign }) => {
    const sent = await sign();
    return changed(sent, { authorization: authorization(sent).replace("/us-east-1/", "/eu-west-1/") });
  },
  "a presigned URL that has expired": async ({ presign, isS3 }) => (isS3 ? await presign(1, Date.now() - MINUTE_MS) : undefined),
  "a signature of 16 minutes ago": ({ sign }) => sign({ atMs: Date.now() - 16 * MINUTE_MS }),
  "a signature of the future": ({ sign }) => sign({ atMs: Date.now() + 16 * MINUTE_MS }),
  [OTHER_SERVICE]: ({ sign, isS3 }) => sign({ service: isS3 ? "lambda" : "s3" }),
  "a session without its token": ({ sign, keys }) => sign({ credentials: { ...keys, accessKeyId: `ASIA${keys.accessKeyId.slice(4)}` } }),
  "a token that is none": ({ sign, keys }) => sign({ credentials: { ...keys, sessionToken: "Zm9yZ2Vk" } }),
  "two signatures": async ({ sign }) => {
    const sent = await sign();
    return changed(sent, { authorization: `${authorization(sent)},${authorization(sent)}` });
  },
  "a deleted key": ({ sign, others }) => sign({ credentials: others.deleted }),
  "a key that was switched off": ({ sign, others }) => sign({ credentials: others.inactive }),
  "a session of another account": ({ sign, others }) => sign({ credentials: others.foreign }),
  // Without a digest S3 looks no further at some of its bodies.
  [NO_PERMISSION]: ({ sign, others, isS3, plain }) =>
    sign({
      credentials: others.stranger,
      ...(isS3 ? { headers: { "content-md5": createHash("md5").update(plain.body).digest("base64") } } : {}),
    }),
};

function send(endpoint: URL, { method, path, headers, body }: Sent): Promise<{ status: number; body: string }> {
  const options = { host: endpoint.hostname, port: endpoint.port, method, path };
  return new Promise((resolve, reject) => {
    const sending = request({ ...options, headers: { ...headers, "content-length": String(Buffer.byteLength(body)) } }, (response) => {
      let text = "";
      const status = response.statusCode ?? 0;
      // What is accepted may be a stream without an end.
      if (status < 400) response.destroy();
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("close", () => resolve({ status, body: text }));
    });
    sending.on("error", reject);
    sending.end(body);
  });
}

const VERSIONS: Readonly<Record<string, string>> = { iam: "2010-05-08", sts: "2011-06-15", sns: "2010-03-31" };

/** A request of the operation as a client would send it, with each of its required members. */
function plainRequest({ name, client, clientClass }: ServiceDefinition, operation: string, host: string): Sent {
  // A draw of nearly 1 takes no chance: nothing optional, nothing odd.
  const made = hostileRequest(serviceModel(name, client, clientClass), [operation], VERSIONS[name] ?? "", () => 0.999_999);
  const query = new URLSearchParams(made.query).toString().replaceAll("+", "%20");
  return { ...made, path: query === "" ? made.path : `${made.path}?${query}`, headers: { ...made.headers, host } };
}

function signerOf(service: string, credentials: Credentials): SignatureV4 {
  const options = { region: "us-east-1", sha256: Sha256, uriEscapePath: service !== "s3", applyChecksum: true };
  return new SignatureV4({ ...options, service, credentials });
}

function caseOf(service: string, plain: Sent, keys: Credentials, others: Others): Case {
  const [path = "/", search = ""] = plain.path.split("?");
  const query = Object.fromEntries(new URLSearchParams(search));
  const message = { method: plain.method, protocol: "http:", hostname: "127.0.0.1", path, query, body: plain.body };
  return {
    plain,
    isS3: service === "s3",
    keys,
    others,
    async sign({ credentials = keys, service: scope = service, atMs = Date.now(), headers = {}, unsignableHeaders } = {}) {
      const options = { signingDate: new Date(atMs), ...(unsignableHeaders === undefined ? {} : { unsignableHeaders }) };
      const signed = await signerOf(scope, credentials).sign({ ...message, headers: { ...plain.headers, ...headers } }, options);
      return { ...plain, headers: signed.headers };
    },
    async presign(expiresIn, atMs = Date.now()) {
      const signingDate = new Date(atMs);
      const signed = await signerOf(service, keys).presign({ ...message, headers: plain.headers }, { expiresIn, signingDate });
      const pairs = Object.entries(signed.query ?? {}).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
      return { ...plain, path: `${path}?${pairs.join("&")}`, headers: signed.headers };
    },
  };
}

type Clients = ReturnType<Awaited<ReturnType<typeof startApi>>["clients"]>;

async function keyOf({ iam }: Clients, UserName: string): Promise<Credentials> {
  await iam.send(new CreateUserCommand({ UserName }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" };
}

async function othersOf(clients: Clients, elsewhere: Clients): Promise<Others> {
  const { iam } = clients;
  const stranger = await keyOf(clients, "stranger");
  const [deleted, inactive] = [await keyOf(clients, "deleted"), await keyOf(clients, "inactive")];
  for (const UserName of ["deleted", "inactive"])
    await iam.send(new AttachUserPolicyCommand({ UserName, PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess" }));
  await iam.send(new DeleteAccessKeyCommand({ UserName: "deleted", AccessKeyId: deleted.accessKeyId }));
  await iam.send(new UpdateAccessKeyCommand({ UserName: "inactive", AccessKeyId: inactive.accessKeyId, Status: "Inactive" }));
  const { Credentials: session } = await elsewhere.sts.send(new GetSessionTokenCommand());
  assert.ok(session?.AccessKeyId !== undefined && session.SecretAccessKey !== undefined && session.SessionToken !== undefined);
  const foreign = { accessKeyId: session.AccessKeyId, secretAccessKey: session.SecretAccessKey, sessionToken: session.SessionToken };
  return { stranger, deleted, inactive, foreign };
}

test("no way to be someone else is accepted by any operation", { timeout: 900_000 }, async (t) => {
  const { server, clients } = await startApi(t);
  const endpoint = new URL(server.endpoint);
  const elsewhere = await startApi(t, undefined, { account: "222222222222" });
  const others = await othersOf(clients(), elsewhere.clients());
  let sentCount = 0;
  const wrong: string[] = [];
  for (const definition of await server.services())
    for (const [operation, perform] of Object.entries(definition.operations)) {
      const isBuilt = typeof perform === "function";
      const one = caseOf(definition.name, plainRequest(definition, operation, endpoint.host), server.keys, others);
      for (const [way, make] of Object.entries(WAYS)) {
        if (!isBuilt && !WAYS_OF_ALL.has(way)) continue;
        const name = `${definition.name}:${operation}`;
        if (way === NO_PERMISSION && NOT_ASKED.has(name)) continue;
        const sent = await make(one);
        if (sent === undefined) continue;
        sentCount += 1;
        const { status, body } = await send(endpoint, sent);
        // There it is a right signature, for something that the other service does not know.
        const isRefused =
          status === 400 || status === 403 || (!isBuilt && status === 501) || (way === OTHER_SERVICE && (status === 404 || status === 405));
        // Refused for what it asks it would have been heard. An answer to HEAD has no body.
        const isDenied = way !== NO_PERMISSION || body.includes("not authorized to perform") || (sent.method === "HEAD" && status === 403);
        // Nobody has judged what the request says before it was known who sent it.
        const isJudged = body.includes("validation error");
        if (!isRefused || !isDenied || isJudged) wrong.push(`${name} with ${way}: ${status} ${body.slice(0, 200)}`);
      }
      const { status, body } = await send(endpoint, await one.sign());
      // The same request with a right signature comes as far as its operation.
      if (status === 403) wrong.push(`${definition.name}:${operation} with a right signature: ${status} ${body.slice(0, 200)}`);
    }
  assert.deepEqual(wrong, []);
  assert.ok(sentCount > 5_000, String(sentCount));
  t.diagnostic(`${sentCount} requests`);
});
