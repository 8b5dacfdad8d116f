// Ruby 3.3 of a Debian that this machine is not, as an image without any runtime of AWS's: functions in real sandboxes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import {
  InvokeCommand,
  InvokeWithResponseStreamCommand,
  PublishLayerVersionCommand,
  type CreateFunctionCommandInput,
  type LambdaClient,
} from "@aws-sdk/client-lambda";
import { debianImage } from "../support/debian-image.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent, type LambentProcess } from "../support/lambent-process.ts";
import { zipOf } from "../support/zip.ts";

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const image = await debianImage({ suite: "trixie", packages: ["ruby3.3", "libc-bin", "dash"] });
const skip = "missing" in image && `NOT RUN: ${image.missing}`;

let server: LambentProcess;
let lambda: LambdaClient;
let role: string;
let work: string;

before(async () => {
  if ("missing" in image) return;
  work = await mkdtemp(join(tmpdir(), "lambent-ruby-"));
  const runtimes = ["--runtimes", join(work, "runtimes")];
  await run(process.execPath, [MAIN, "runtime", "install", "ruby3.3", "--from", image.layout, ...runtimes]);
  server = await startLambent({ flags: runtimes });
  const clients = server.clients();
  lambda = clients.lambda;
  role = await makeRole(clients.iam);
});
after(async () => {
  if ("missing" in image) return;
  await server.dispose();
  await rm(work, { recursive: true, force: true });
});

const def = (...lines: readonly string[]) => `def handler(event:, context:)\n${lines.map((line) => `  ${line}\n`).join("")}end\n`;

type Settings = Partial<CreateFunctionCommandInput> & { readonly files?: Readonly<Record<string, string>> };

async function make(name: string, code: string, { files = {}, ...settings }: Settings = {}): Promise<void> {
  const ZipFile = await zipOf({ "app.rb": code, ...files });
  const given = { Handler: "app.handler", Timeout: 30, MemorySize: 512, Code: { ZipFile }, ...settings };
  await makeFunction(lambda, { name, role, runtime: "ruby3.3", code: "", settings: given });
}

async function answer(name: string, event: unknown = {}): Promise<unknown> {
  const { value, functionError, log } = await call(lambda, name, event);
  assert.equal(functionError, undefined, `${JSON.stringify(value)}\n${log}`);
  return value;
}

async function failure(name: string, event: unknown = {}) {
  const { value, functionError, log, requestId } = await call(lambda, name, event);
  assert.equal(functionError, "Unhandled", log);
  return { ...(value as { errorType: string; errorMessage: string; stackTrace?: readonly string[] }), log, requestId };
}

async function layer(LayerName: string, files: Readonly<Record<string, string>>): Promise<string> {
  const Content = { ZipFile: await zipOf(files) };
  return (await lambda.send(new PublishLayerVersionCommand({ LayerName, Content }))).LayerVersionArn ?? "";
}

test("a handler gets its event, its context and AWS's variables, cold and warm", { skip }, async () => {
  const code = def(
    "{ event: event, version: RUBY_VERSION[0, 3], pwd: Dir.pwd, encoding: [Encoding.default_external.name, ENV['TEXT'].encoding.name, ENV['TEXT']],",
    "  env: %w[AWS_EXECUTION_ENV GEM_HOME GEM_PATH RUBYLIB _HANDLER LANG TZ].to_h { |name| [name, ENV[name]] },",
    "  context: [context.function_name, context.memory_limit_in_mb, context.function_version, context.invoked_function_arn, context.client_context],",
    "  ids: [context.aws_request_id, context.log_stream_name], left: context.get_remaining_time_in_millis, deadline: context.deadline_ms,",
    "  root: [File.writable?('/'), File.writable?('/tmp'), File.exist?('/usr/bin/node'), system('ruby', '-e', 'exit')] }",
  );
  await make("context", code, { Environment: { Variables: { TEXT: "ü" } } });
  for (const name of ["cold", "warm"]) {
    const request = { FunctionName: "context", Payload: JSON.stringify({ name }) };
    const ClientContext = Buffer.from('{"custom":{"a":"b"}}').toString("base64");
    const { Payload, FunctionError, $metadata } = await lambda.send(new InvokeCommand({ ...request, ClientContext }));
    const text = Buffer.from(Payload ?? []).toString();
    assert.equal(FunctionError, undefined, text);
    const { env, ids, left, deadline, ...rest } = JSON.parse(text) as Record<string, never> & { env: object; ids: string[] };
    assert.deepEqual(rest, {
      event: { name },
      version: "3.3",
      pwd: "/var/task",
      encoding: ["UTF-8", "UTF-8", "ü"],
      context: ["context", "512", "$LATEST", "arn:aws:lambda:us-east-1:000000000000:function:context", { custom: { a: "b" } }],
      root: [false, true, false, true],
    });
    assert.deepEqual(env, {
      AWS_EXECUTION_ENV: "AWS_Lambda_ruby3.3",
      GEM_HOME: "/var/runtime",
      GEM_PATH: "/var/task/vendor/bundle/ruby/3.3.0:/opt/ruby/gems/3.3.0:/var/runtime:/var/runtime/ruby/3.3.0:",
      RUBYLIB: "/var/task:/var/runtime/lib:/opt/ruby/lib",
      _HANDLER: "app.handler",
      LANG: "en_US.UTF-8",
      TZ: ":UTC",
    });
    assert.equal(ids[0], $metadata.requestId);
    assert.match(String(ids[1]), /^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][0-9a-f]{32}$/);
    assert.ok(Number(left) > 1000 && Number(left) <= 30_000, String(left));
    assert.ok(Number(deadline) > 1_700_000_000_000);
  }
});

test("methods of classes in modules, files in directories, answers of all kinds", { skip }, async () => {
  const files = { "lib/deep.rb": "module One\n class Two\n  def self.call(event:, context:) = { got: event }\n end\nend" };
  await make("deep", "", { files, Handler: "lib/deep.One::Two.call" });
  assert.deepEqual(await answer("deep", ["é"]), { got: ["é"] });
  await make("raw", def('StringIO.new(\'{"as": "it is"}\')'));
  assert.deepEqual(await answer("raw"), { as: "it is" });
  await make("large", def("'x' * event"));
  assert.deepEqual((await failure("large", 6_291_556)).errorType, "Function.ResponseSizeTooLarge");
  assert.equal(await answer("large", 2), "xx");
});

test("an exception is the answer as AWS gives it, and the environment goes on", { skip }, async () => {
  const code =
    "class Bad < StandardError; end\n$n = 0\ndef deeper = raise(Bad, 'no')\ndef handler(event:, context:)\n  $n += 1\n  deeper if event == 'fail'\n  $n\nend\n";
  await make("raises", code);
  assert.equal(await answer("raises"), 1);
  const { log, requestId: _, ...document } = await failure("raises", "fail");
  assert.deepEqual(document, {
    errorMessage: "no",
    errorType: "Function<Bad>",
    stackTrace: ["/var/task/app.rb:3:in `deeper'", "/var/task/app.rb:6:in `handler'"],
  });
  assert.match(log, /Error raised from handler method\n\{\n {2}"errorMessage": "no",\n {2}"errorType": "Function<Bad>",/);
  assert.equal(await answer("raises"), 3);
});

test("a handler that is not there ends its process, and the next invocation has a new one", { skip }, async () => {
  await make("nobody", "$at = Process.clock_gettime(Process::CLOCK_MONOTONIC)", { Handler: "app.nobody" });
  for (const time of ["first", "again"]) {
    const { errorType, errorMessage, log } = await failure("nobody");
    assert.deepEqual(
      [errorType, errorMessage],
      ["Function<NoMethodError>", "undefined method `nobody' for an instance of LambdaHandler"],
      time,
    );
    assert.match(log, /Critical exception from handler/);
  }
});

test("what fails in initialisation is the answer to the invocation", { skip }, async () => {
  const rows: readonly (readonly [string, string, string, RegExp])[] = [
    ["no-file", "none.handler", "Init<LoadError>", /^cannot load such file -- none$/],
    ["no-method", "app", "Init<ArgumentError>", /^Invalid handler \["app"\], must be of form FILENAME\.METHOD/],
    ["no-gem", "app.handler", "Init<LoadError>", /^cannot load such file -- aws-sdk-s3$/],
  ];
  for (const [name, Handler, errorType, message] of rows) {
    await make(name, "require 'aws-sdk-s3'", { Handler });
    const found = await failure(name);
    assert.equal(found.errorType, errorType);
    assert.match(found.errorMessage, message);
    assert.match(found.log, /Init error when loading handler/);
  }
});

test("exit is an error with its name, exit! ends the runtime", { skip }, async () => {
  await make("exits", def("exit 3 if event == 'exit'", "exit! 4 if event == 'exit!'", "'alive'"));
  const { errorType, errorMessage } = await failure("exits", "exit");
  assert.deepEqual([errorType, errorMessage], ["Function<SystemExit>", "exit"]);
  assert.equal(await answer("exits"), "alive");
  const hard = await failure("exits", "exit!");
  assert.deepEqual(
    [hard.errorType, hard.errorMessage],
    ["Runtime.ExitError", `RequestId: ${hard.requestId} Error: Runtime exited with error: exit status 4`],
  );
  assert.equal(await answer("exits"), "alive");
});

test("a timeout and a lack of memory end the runtime, and the next invocation has a new one", { skip }, async () => {
  await make("slow", def("sleep event", "'awake'"), { Timeout: 2 });
  const { errorType, errorMessage, requestId } = await failure("slow", 20);
  assert.deepEqual([errorType, errorMessage], ["Sandbox.Timedout", `RequestId: ${requestId} Error: Task timed out after 2.00 seconds`]);
  assert.equal(await answer("slow", 0), "awake");
  await make("greedy", def("kept = []", "event.times { kept << Random.bytes(1 << 20) }", "kept.size"), { MemorySize: 128 });
  assert.equal((await failure("greedy", 500)).errorType, "Runtime.OutOfMemory");
  assert.equal(await answer("greedy", 1), 1);
});

test("puts and Logger are log events with the request's id; JSON as the function asks for it", { skip }, async () => {
  const code = def("puts 'said'", "Logger.new($stdout).info('logged')", "$stderr.puts 'err'", 'print "raw\\n"');
  await make("logs", code);
  const { log, requestId } = await call(lambda, "logs");
  assert.match(log, /^said$/m);
  assert.match(log, new RegExp(String.raw`^I, \[\d{4}-\d\d-\d\dT[\d:.]+ #\d+\]  INFO ${requestId} -- : logged$`, "m"));
  for (const line of [/^err$/m, /^raw$/m]) assert.match(log, line);
  await make("json-logs", code, { LoggingConfig: { LogFormat: "JSON", ApplicationLogLevel: "INFO" } });
  const json = await call(lambda, "json-logs");
  const lines = json.log.split("\n").filter((line) => line.includes('"logged"'));
  const { level, message, requestId: id } = JSON.parse(lines[0] ?? "{}") as Record<string, string>;
  assert.deepEqual([level, message, id], ["INFO", "logged", json.requestId]);
});

const gem = (directory: string, name: string, version: string, code: string) => ({
  [`${directory}/specifications/${name}-${version}.gemspec`]: `Gem::Specification.new { |s| s.name = '${name}'; s.version = '${version}'; s.summary = 'x'; s.authors = ['x']; s.require_paths = ['lib'] }`,
  [`${directory}/gems/${name}-${version}/lib/${name}.rb`]: code,
});

test("gems of the package and of layers, libraries of layers, and a wrapper are found", { skip }, async () => {
  const Layers = [
    await layer("gems", gem("ruby/gems/3.3.0", "layered", "1.0.0", "LAYERED = 'gem of a layer'")),
    await layer("lib", { "ruby/lib/plain.rb": "PLAIN = 'library of a layer'", wrap: '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n' }),
  ];
  const files = gem("vendor/bundle/ruby/3.3.0", "bundled", "2.0.0", "BUNDLED = 'gem of the package'");
  const code = `require 'layered'\nrequire 'plain'\nrequire 'bundled'\n${def("[LAYERED, PLAIN, BUNDLED, ENV['WRAPPED']]")}`;
  await make("layers", code, { Layers, files, Environment: { Variables: { AWS_LAMBDA_EXEC_WRAPPER: "/opt/wrap" } } });
  assert.deepEqual(await answer("layers"), ["gem of a layer", "library of a layer", "gem of the package", "yes"]);
});

test("a gem of the package is taken before an older one that Ruby brings", { skip }, async () => {
  const files = gem(
    "vendor/bundle/ruby/3.3.0",
    "logger",
    "99.0.0",
    "class Logger; class Formatter; attr_accessor :datetime_format; end; MINE = 1; end",
  );
  await make("newer", def("[Logger::MINE, Gem.loaded_specs['logger'].version.to_s]"), { files });
  assert.deepEqual(await answer("newer"), [1, "99.0.0"]);
});

test("streaming is not for Ruby: who asks for a stream gets the whole answer, and errors at its end", { skip }, async () => {
  await make("streams", def("raise 'no' if event == 'fail'", "{ got: event }"));
  const streamed = async (event: unknown) => {
    const { EventStream } = await lambda.send(
      new InvokeWithResponseStreamCommand({ FunctionName: "streams", Payload: JSON.stringify(event) }),
    );
    const chunks: string[] = [];
    let code: string | undefined;
    for await (const part of EventStream ?? []) {
      if (part.PayloadChunk) chunks.push(Buffer.from(part.PayloadChunk.Payload ?? []).toString());
      if (part.InvokeComplete) code = part.InvokeComplete.ErrorCode;
    }
    return { chunks, code };
  };
  assert.deepEqual(await streamed("x"), { chunks: ['{"got":"x"}'], code: undefined });
  assert.equal((await streamed("fail")).code, "Unhandled");
});

test("other versions of Ruby stay missing, and say what to do", { skip }, async () => {
  const { stdout } = await run(process.execPath, [MAIN, "runtime", "list", "--runtimes", join(work, "runtimes")]);
  assert.match(stdout, /^ruby3\.3 +x86_64 +ready +3\.3\.\d+ /m);
  await makeFunction(lambda, { name: "other", role, runtime: "ruby4.0", code: "", settings: { Handler: "app.handler" } });
  await assert.rejects(call(lambda, "other"), /There is no ruby4\.0 on this machine: .* lambent runtime install ruby4\.0 --from IMAGE/);
});
