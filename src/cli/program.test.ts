// What the commands say without a server of theirs: of keys, places and addresses that can't be used, one sentence and no stack.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const MAIN = join(import.meta.dirname, "..", "main.ts");
let work: string;
before(async () => (work = await mkdtemp(join(tmpdir(), "lambent-commands-"))));
after(() => rm(work, { recursive: true }));

interface Ended {
  readonly code: number;
  readonly stderr: string;
}

const lambent = (words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  new Promise((resolve) => {
    const { PATH = "", HOME = "" } = process.env;
    execFile(process.execPath, [MAIN, ...words], { env: { PATH, HOME, ...environment }, cwd: work, timeout: 60_000 }, (error, _, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stderr }),
    );
  });

async function refuses(
  words: readonly string[],
  code: number,
  pattern: RegExp,
  environment?: Readonly<Record<string, string>>,
): Promise<void> {
  const ended = await lambent(words, environment);
  assert.equal(ended.code, code, `${words.join(" ")}: ${ended.stderr}`);
  assert.match(ended.stderr, pattern);
  assert.doesNotMatch(ended.stderr, /\n\s+at /);
}

test("keys that are damaged, or open to everybody, are told with what to do", async () => {
  for (const [name, text, mode] of [
    ["garbage", "garbage", 0o600],
    ["partly", "{}", 0o600],
    ["open", "{}", 0o644],
  ] as const) {
    await mkdir(join(work, name));
    await writeFile(join(work, name, "keys.json"), text, { mode });
  }
  for (const words of [["list"], ["env"], ["up", "--port", "0"]]) {
    await refuses([...words, "--data", "garbage"], 1, /^lambent: .*keys\.json is damaged: put it back from a backup, or move it away/m);
    await refuses([...words, "--data", "open"], 1, /keys\.json can be read by others: run {2}chmod 600/);
  }
  await refuses(["list", "--data", "partly"], 1, /keys\.json is damaged/);
});

test("a place that can't be a directory is told, with what to do", async () => {
  await writeFile(join(work, "file"), "");
  for (const words of [["env"], ["up", "--port", "0"]]) {
    await refuses([...words, "--data", "file"], 1, /^lambent: .*file: there is something else already: name another place/m);
    await refuses(
      [...words, "--data", "file/below"],
      1,
      /^lambent: .*file\/below: something above it is no directory: name another place/m,
    );
  }
  await refuses(["runtime", "install", "nodejs24.x", "--runtimes", "file/below"], 1, /something above it is no directory/);
});

test("an address at which there is no Lambent server is told as that", async (t) => {
  const other = createServer((_, response) => void response.writeHead(404, { "content-type": "text/html" }).end("<!DOCTYPE html>"));
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(() => other.close());
  const keys = { AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret" };
  const to = (endpoint: string) => ({ ...keys, AWS_ENDPOINT_URL: endpoint });
  const html = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  for (const words of [["list"], ["events", "failed"]]) {
    await refuses(words, 1, /^lambent: what answers at http:.* is no Lambent server: name another/, to(html));
    await refuses(words, 1, /^lambent: no Lambent server answers at http:\/\/no\.invalid: start one/, to("http://no.invalid"));
    await refuses(words, 1, /^lambent: no Lambent server answers at http:\/\/127\.0\.0\.1:9: start one/, to("http://127.0.0.1:9"));
    await refuses(words, 2, /^lambent: AWS_ENDPOINT_URL: "127\.0\.0\.1:4566" is no URL such as http/, to("127.0.0.1:4566"));
  }
});

test("a server that the command line names goes before the one of the environment", async () => {
  const environment = { AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret", AWS_ENDPOINT_URL: "http://127.0.0.1:9" };
  await lambent(["env", "--data", "named"]); // makes the keys
  for (const words of [["list"], ["events", "failed"]])
    await refuses(
      [...words, "--data", "named", "--port", "7"],
      1,
      /^lambent: no Lambent server answers at http:\/\/127\.0\.0\.1:7: /,
      environment,
    );
});

test("an event that is no JSON is told how it comes from a file", async () => {
  await refuses(["invoke", "x", "@event.json"], 2, /^lambent: the event is not JSON: .*; of a file: {2}lambent invoke NAME - < FILE$/m);
});
