// A real server with functions that run whatever a case gives them, and what must be so outside after each case.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DetachRolePolicyCommand } from "@aws-sdk/client-iam";
import { FilterLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import type { CreateFunctionCommandInput } from "@aws-sdk/client-lambda";
import { call, makeFunction, makeRole, type Answer } from "../../support/functions.ts";
import { startLambent, type LambentProcess } from "../../support/lambent-process.ts";
import { leftovers, nothingLeftSince } from "../../support/leftovers.ts";
import { launcherOf } from "./sandbox.fixture.ts";

// A signed call to an AWS service with the function's own keys, or others: its status and body.
const SIGNED_CALL = `
def aws(service, method, path, body=b"", keys=None, headers={}):
    import datetime, hashlib, hmac, http.client, os
    from urllib.parse import urlparse
    key, secret, token = keys or (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_SESSION_TOKEN"])
    host, now = urlparse(os.environ["AWS_ENDPOINT_URL"]).netloc, datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    sent = {"host": host, "x-amz-date": now, "x-amz-content-sha256": digest, "x-amz-security-token": token, **headers}
    names = ";".join(sorted(sent))
    request = "\\n".join([method, path, "", *[f"{n}:{sent[n]}" for n in sorted(sent)], "", names, digest])
    scope = f"{now[:8]}/{os.environ['AWS_REGION']}/{service}/aws4_request"
    text = "\\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
    signing = ("AWS4" + secret).encode()
    for part in [*scope.split("/"), text]: signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    sent["authorization"] = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signing.hex()}"
    api = http.client.HTTPConnection(host, timeout=50)
    api.request(method, path, body, sent)
    reply = api.getresponse()
    return reply.status, reply.read().decode()
`;

const PYTHON = `
import ctypes, errno, json, os, signal, socket, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def name(e): return errno.errorcode.get(e, str(e))
def tries(f, *a):
    try: r = f(*a)
    except OSError as e: return name(e.errno)
    return "done" if r is None else r
${SIGNED_CALL}
def handler(event, context):
    globals().update(event=event, context=context)
    exec(event["code"], globals())
    return globals().pop("out", None)
`;

const OWN_RUNTIME = `#!/usr/bin/python3 -ISu
import http.client, json, os, socket, sys, time
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
INVOCATION = "/2018-06-01/runtime/invocation/"
def http_call(method, path, body=None, headers={}):
    api = http.client.HTTPConnection(host, int(port))
    api.request(method, path, body, headers)
    reply = api.getresponse()
    return reply.status, reply.read().decode(), reply.headers
def respond(value, to=None): return http_call("POST", f"{INVOCATION}{to or id}/response", value if isinstance(value, (bytes, str)) else json.dumps(value))[0]
def raw(text):
    s = socket.create_connection((host, int(port)))
    s.sendall(text if isinstance(text, bytes) else text.encode())
    return s
past = []
while True:
    _, body, headers = http_call("GET", INVOCATION + "next")
    id = headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(body)
    exec(event["code"], globals())
    past.append(id)
    if "out" in globals(): respond(json.dumps(globals().pop("out")))
`;

const text = (value: unknown): string => JSON.stringify(value) ?? "";

export class Target {
  readonly server: LambentProcess;
  readonly role: string;
  /** Strings that no function but the canary may ever see, and no log may ever hold. */
  readonly secrets: readonly string[];
  readonly #launcher: number;
  readonly #before: ReturnType<typeof leftovers>;
  readonly #folder: string;

  private constructor(server: LambentProcess, role: string, canary: string, before: ReturnType<typeof leftovers>, folder: string) {
    const keys = JSON.parse(readFileSync(join(server.dataDirectory, "keys.json"), "utf8")) as { secretAccessKey: string };
    this.server = server;
    this.role = role;
    this.secrets = [canary, keys.secretAccessKey];
    this.#launcher = launcherOf(server.child.pid);
    this.#before = before;
    this.#folder = folder;
  }

  /** A server, and a function whose variables, memory and /tmp hold a secret. */
  static async start(): Promise<Target> {
    const before = leftovers();
    // Other servers of this machine have temporary folders, too: this one has a place of its own for them.
    const folder = mkdtempSync(join(tmpdir(), "lambent-containment-"));
    const usual = process.env["TMPDIR"];
    process.env["TMPDIR"] = folder;
    const server = await startLambent().finally(() => {
      if (usual === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = usual;
    });
    const canary = randomBytes(24).toString("hex");
    const role = await makeRole(server.clients().iam);
    const target = new Target(server, role, canary, before, folder);
    const code = `import os\nopen("/tmp/secret", "w").write(os.environ["SECRET"])\ndef handler(event, context): return len(os.environ["SECRET"])\n`;
    const settings = { Environment: { Variables: { SECRET: canary } } };
    await makeFunction(server.clients().lambda, { name: "canary", role, code, settings });
    await target.isWell();
    return target;
  }

  python(name: string, settings: Partial<CreateFunctionCommandInput> = {}): Promise<void> {
    return this.#make(name, "python3.11", PYTHON, settings);
  }

  /** A runtime of its own: its code has `id`, `event`, `respond`, `http_call`, `raw`; what is left in `out` is its answer. */
  ownRuntime(name: string, settings: Partial<CreateFunctionCommandInput> = {}): Promise<void> {
    return this.#make(name, "provided.al2023", OWN_RUNTIME, settings);
  }

  async #make(name: string, runtime: "python3.11" | "provided.al2023", code: string, settings: Partial<CreateFunctionCommandInput>) {
    const made = { name, role: this.role, runtime, code, settings: { Timeout: 60, MemorySize: 256, ...settings } };
    await makeFunction(this.server.clients().lambda, made);
  }

  /** A role of this name that may do what AWS's managed policies say. */
  roleWith(name: string, policies: readonly string[]): Promise<string> {
    return makeRole(this.server.clients().iam, name, policies);
  }

  async detach(RoleName: string, policies: readonly string[]): Promise<void> {
    for (const policy of policies)
      await this.server.clients().iam.send(new DetachRolePolicyCommand({ RoleName, PolicyArn: `arn:aws:iam::aws:policy/${policy}` }));
  }

  /** Runs `code` inside; whatever comes back has no secret in it. */
  async run(name: string, code: string, event: object = {}): Promise<Answer> {
    const answer = await call(this.server.clients().lambda, name, { ...event, code });
    for (const secret of this.secrets) assert.ok(!(text(answer.value) + answer.log).includes(secret), "a secret came out");
    return answer;
  }

  /** What a function answers, that must not fail. */
  async value(name: string, code: string, event: object = {}): Promise<unknown> {
    const answer = await this.run(name, code, event);
    assert.equal(answer.functionError, undefined, text(answer.value));
    return answer.value;
  }

  async messages(name: string): Promise<readonly string[]> {
    const found: string[] = [];
    let nextToken: string | undefined;
    do {
      const page = await this.server.clients().logs.send(new FilterLogEventsCommand({ logGroupName: `/aws/lambda/${name}`, nextToken }));
      found.push(...(page.events ?? []).map(({ message = "" }) => message));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
    return found;
  }

  /** After every case: the same server with the same launcher serves others, and said nothing. */
  async isWell(): Promise<void> {
    const { child } = this.server;
    assert.deepEqual([child.exitCode, child.signalCode], [null, null], this.server.stderr());
    assert.equal(launcherOf(child.pid), this.#launcher, "the launcher is the same");
    const canary = await call(this.server.clients().lambda, "canary");
    assert.equal(canary.value, this.secrets[0]?.length, text(canary));
    for (const secret of this.secrets) assert.ok(!this.server.stderr().includes(secret), "a secret stands in the server's log");
  }

  async dispose(): Promise<void> {
    await this.server.dispose();
    await nothingLeftSince(this.#before);
    const left = readdirSync(this.#folder).filter((name) => name !== "node-compile-cache"); // Node's own, shared by all that run
    assert.deepEqual(left, [], "no temporary folder is left");
    rmSync(this.#folder, { recursive: true });
  }
}
