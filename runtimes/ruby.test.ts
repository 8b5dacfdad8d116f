// The Ruby bootstrap with the Rubies of this machine, and with Debian 12's, which is no runtime of AWS's: handlers, and the frames that they lead to.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadConfig } from "../src/config.ts";
import { findHostRuby, RUBY_RUNTIMES } from "../src/runtime/host-rubies.ts";
import { BootstrapProcess, type BootstrapOptions, type InvocationHead } from "./bootstrap-process.ts";

const BOOTSTRAP = join(import.meta.dirname, "ruby", "bootstrap.rb");
const RESPONSE_BYTES_MAX = 6_291_556;
const DEBIANS = "/usr/bin/ruby3.1";

interface Document {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly stackTrace: readonly string[];
}

interface Case {
  readonly title: string;
  /** Text of app.rb. */
  readonly code?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly handler?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly event?: unknown;
  readonly head?: InvocationHead;
  readonly init?: { readonly errorType: string; readonly errorMessage: string | RegExp };
  /** Text of the answer. */
  readonly text?: string;
  readonly result?: unknown;
  readonly error?: { readonly errorType: string; readonly errorMessage: string | RegExp; readonly exits?: true };
  readonly logs?: readonly RegExp[];
}

const def = (...lines: readonly string[]) => `def handler(event:, context:)\n${lines.map((line) => `  ${line}\n`).join("")}end\n`;

const RESULTS: readonly Case[] = [
  {
    title: "a hash",
    code: def("{ got: event }"),
    event: { a: ["é", 1, 1.5, null, true] },
    result: { got: { a: ["é", 1, 1.5, null, true] } },
  },
  { title: "nil", code: def(""), text: "null" },
  { title: "text as it is", code: def("'é'"), text: '"é"' },
  { title: "no spaces", code: def("{ a: [1, 2.5] }"), text: '{"a":[1,2.5]}' },
  { title: "what is read, as it is", code: def("StringIO.new('raw')"), text: "raw" },
  { title: "to_json of a class of its own", code: `class C\n def to_json(*) = '[7]'\nend\n${def("C.new")}`, text: "[7]" },
  { title: "a file in a directory", files: { "lib/one/app.rb": def("1") }, handler: "lib/one/app.handler", text: "1" },
  {
    title: "a method of a class",
    code: "class Handlers\n def self.process(event:, context:) = [event, context.aws_request_id]\nend",
    handler: "app.Handlers.process",
    head: { requestId: "r" },
    event: 2,
    result: [2, "r"],
  },
  {
    title: "a method of a class in modules",
    code: "module One\n module Two\n  class Three\n   def self.process(event:, context:) = event\n  end\n end\nend",
    handler: "app.One::Two::Three.process",
    event: "x",
    text: '"x"',
  },
  { title: "files beside the handler's", files: { "app.rb": `require 'mine'\n${def("MINE")}`, "mine.rb": "MINE = 3" }, text: "3" },
  { title: "what AWS's runtime has loaded", code: def("[JSON, StringIO, Logger, Net::HTTP, URI].map(&:name).size"), text: "5" },
  {
    title: "context",
    code: def(
      "c = context",
      "left = c.get_remaining_time_in_millis",
      "[c.function_name, c.function_version, c.memory_limit_in_mb, c.log_group_name, c.log_stream_name, c.aws_request_id, c.invoked_function_arn,",
      " c.deadline_ms, left.is_a?(Integer) && left > 10_000, c.client_context['custom']['a'], c.identity['cognitoIdentityId'], c.tenant_id]",
    ),
    env: {
      AWS_LAMBDA_FUNCTION_VERSION: "7",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "128",
      AWS_LAMBDA_LOG_GROUP_NAME: "group",
      AWS_LAMBDA_LOG_STREAM_NAME: "stream",
    },
    head: {
      requestId: "r",
      deadlineMs: 4_000_000_000_000,
      clientContext: '{"custom":{"a":"b"}}',
      cognitoIdentity: '{"cognitoIdentityId":"i"}',
      tenantId: "blue",
    },
    result: [
      "tested",
      "7",
      "128",
      "group",
      "stream",
      "r",
      "arn:aws:lambda:us-east-1:000000000000:function:tested",
      4_000_000_000_000,
      true,
      "b",
      "i",
      "blue",
    ],
  },
  {
    title: "context of a plain invocation, whose time is over",
    code: def("[context.client_context, context.identity, context.tenant_id, context.get_remaining_time_in_millis]"),
    head: { deadlineMs: 1 },
    result: [null, null, null, 0],
  },
  {
    title: "text is UTF-8 wherever it comes from",
    code: def(
      "[ENV['TEXT'], Encoding.default_external.name, ENV['TEXT'].encoding.name, event.encoding.name, File.read('app.rb').encoding.name]",
    ),
    env: { TEXT: "ü" },
    event: "ü",
    result: ["ü", "UTF-8", "UTF-8", "UTF-8", "UTF-8"],
  },
  { title: "the trace header", code: def("ENV['_X_AMZN_TRACE_ID']"), head: { traceHeader: "Root=1" }, text: '"Root=1"' },
  {
    title: "a marshaller of its own",
    code: `module AwsLambda\n class Marshaller\n  def self.marshall_request(raw) = [raw['Content-Type'], raw['Lambda-Runtime-Aws-Request-Id'], raw.body]\n  def self.marshall_response(value) = value.inspect\n end\nend\n${def("event")}`,
    head: { requestId: "r" },
    event: { a: 1 },
    text: String.raw`["application/json", "r", "{\"a\":1}"]`,
  },
];

const ERRORS: readonly Case[] = [
  {
    title: "an exception",
    code: def("raise 'no'"),
    error: { errorType: "Function<RuntimeError>", errorMessage: "no" },
    logs: [
      /^Error raised from handler method\n$/,
      /^\{\n  "errorMessage": "no",\n  "errorType": "Function<RuntimeError>",\n  "stackTrace": \[\n/,
    ],
  },
  {
    title: "an exception of a class of its own",
    code: `module M\n class Bad < StandardError\n end\nend\n${def("raise M::Bad, 'ü'")}`,
    error: { errorType: "Function<M::Bad>", errorMessage: "ü" },
  },
  {
    title: "a method that is not there",
    handler: "app.missing",
    code: "",
    error: { errorType: "Function<NoMethodError>", errorMessage: /^undefined method [`']missing' for .*LambdaHandler/, exits: true },
    logs: [/^Critical exception from handler\n$/],
  },
  {
    title: "a class that is not there",
    handler: "app.Missing.call",
    code: "",
    error: { errorType: "Function<NameError>", errorMessage: /^uninitialized constant (?:Kernel::)?Missing/, exits: true },
  },
  {
    title: "arguments that are not event and context",
    code: "def handler(event, context) = 1",
    error: { errorType: "Function<ArgumentError>", errorMessage: /wrong number of arguments/ },
  },
  { title: "exit", code: def("exit 0"), error: { errorType: "Function<SystemExit>", errorMessage: "exit", exits: true } },
  {
    title: "endless recursion",
    code: `def again(n) = again(n + 1)\n${def("again(0)")}`,
    error: { errorType: "Function<SystemStackError>", errorMessage: "stack level too deep", exits: true },
  },
  {
    title: "an answer that JSON can't say",
    code: def("{ a: Float::NAN }"),
    error: { errorType: "Function<JSON::GeneratorError>", errorMessage: /NaN/ },
  },
  {
    title: "text that is not UTF-8",
    code: def(String.raw`raise "a\xff".b`),
    error: { errorType: "Function<RuntimeError>", errorMessage: "a�" },
  },
  {
    title: "an answer that is too large",
    code: def(`'x' * ${RESPONSE_BYTES_MAX}`),
    error: {
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: `Response payload size exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`,
    },
  },
];

const INITS: readonly Case[] = [
  {
    title: "a handler's name of one part",
    handler: "app",
    init: {
      errorType: "Init<ArgumentError>",
      errorMessage:
        'Invalid handler ["app"], must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD where FILENAME corresponds with an existing Ruby source file FILENAME.rb, CLASS is an optional module/class namespace and METHOD is a callable method. If using CLASS, METHOD must be a class-level method.',
    },
  },
  {
    title: "a name of four",
    handler: "a.b.c.d",
    init: { errorType: "Init<ArgumentError>", errorMessage: /^Invalid handler \["a", "b", "c", "d"\]/ },
  },
  { title: "no file", handler: "none.handler", init: { errorType: "Init<LoadError>", errorMessage: "cannot load such file -- none" } },
  { title: "an exception", code: "raise KeyError, 'k'", init: { errorType: "Init<KeyError>", errorMessage: "k" } },
  { title: "a syntax error", code: "def (", init: { errorType: "Init<SyntaxError>", errorMessage: /app\.rb/ } },
  {
    title: "exit",
    code: "exit 3",
    init: { errorType: "Init<SystemExit>", errorMessage: "exit" },
    logs: [/^Init error when loading handler \n$/],
  },
];

const matches = (found: string, expected: string | RegExp) =>
  typeof expected === "string" ? assert.equal(found, expected) : assert.match(found, expected);

const ENVIRONMENT = { LC_CTYPE: "C.UTF-8", LANG: "en_US.UTF-8" };
const argvOf = (interpreter: string) => [interpreter, "-EUTF-8", BOOTSTRAP];

async function check(interpreter: string, one: Case): Promise<void> {
  const started = await BootstrapProcess.start({
    argv: argvOf(interpreter),
    files: { "app.rb": one.code ?? "", ...one.files },
    handler: one.handler ?? "app.handler",
    env: { ...ENVIRONMENT, ...one.env },
  });
  try {
    await checkStarted(started, one);
    for (const pattern of one.logs ?? [])
      assert.ok(
        started.logs.some((text) => pattern.test(text)),
        JSON.stringify(started.logs),
      );
  } finally {
    await started.dispose();
  }
}

async function checkStarted(started: BootstrapProcess, one: Case): Promise<void> {
  const first = await started.frame();
  if (one.init !== undefined) {
    const document = JSON.parse(first.body.toString()) as Document;
    assert.deepEqual([first.type, first.head], ["F", { errorType: one.init.errorType }]);
    assert.deepEqual(Object.keys(document), ["errorMessage", "errorType", "stackTrace"]);
    assert.equal(document.errorType, one.init.errorType);
    matches(document.errorMessage, one.init.errorMessage);
    assert.deepEqual(await started.exited, { code: 252, signal: null });
    return;
  }
  assert.deepEqual([first.type, first.head], ["R", {}], first.body.toString());
  const requestId = started.send(JSON.stringify(one.event ?? {}), one.head);
  const { type, head, body } = await started.frame();
  if (one.error === undefined) {
    assert.deepEqual([type, head], ["S", { requestId }], body.toString().slice(0, 500));
    if (one.text !== undefined) assert.equal(body.toString(), one.text);
    if (one.result !== undefined) assert.deepEqual(JSON.parse(body.toString()), one.result);
    return;
  }
  const { errorType, errorMessage, exits } = one.error;
  assert.deepEqual([type, head], ["E", { requestId, errorType, ...(exits && { exits }) }], body.toString().slice(0, 500));
  matches((JSON.parse(body.toString()) as Document).errorMessage, errorMessage);
  if (exits) assert.deepEqual(await started.exited, { code: 255, signal: null });
}

const config = loadConfig();
const rubies = [...RUBY_RUNTIMES.keys()].flatMap((runtime) => {
  const found = findHostRuby(config.rubySearchPath, runtime);
  return found === undefined ? [] : [[runtime, found.interpreter] as const];
});
if (existsSync(DEBIANS)) rubies.push(["ruby3.1", DEBIANS]);

test(
  "there is a Ruby to test with",
  { skip: rubies.length > 0 ? false : "NOT RUN: no Ruby is here: run  apt-get install ruby" },
  () => undefined,
);
for (const [name, interpreter] of rubies)
  describe(name, { concurrency: 2 }, () => {
    for (const one of [...RESULTS, ...ERRORS, ...INITS]) test(one.title, () => check(interpreter, one));
    others(interpreter);
  });

function others(interpreter: string): void {
  const started: BootstrapProcess[] = [];
  const start = async (code: string, more: Partial<BootstrapOptions> = {}) => {
    const files = { "app.rb": code };
    const env = { ...ENVIRONMENT, ...more.env };
    const one = await BootstrapProcess.start({ argv: argvOf(interpreter), handler: "app.handler", files, ...more, env });
    started.push(one);
    return one;
  };
  after(async () => {
    for (const one of started) await one.dispose();
  });

  test("an environment serves many invocations, and goes on after exceptions", async () => {
    const one = await start(`$n = 0\n${def("$n += 1", "raise 'x' if event == 'fail'", "$n")}`);
    assert.equal((await one.frame()).type, "R");
    const answers = [];
    for (const event of ["a", "fail", "b"]) answers.push(await one.invoke(event));
    assert.deepEqual(
      answers.map(({ type }) => type),
      ["S", "E", "S"],
    );
    assert.equal(answers[2]?.value, 3);
  });

  test("the stack is the function's own", async () => {
    const one = await start(`def inner = raise('x')\n${def("inner")}`);
    await one.frame();
    const { stackTrace } = (await one.invoke(0)).value as Document;
    assert.equal(stackTrace.length, 2, JSON.stringify(stackTrace));
    assert.match(stackTrace[0] ?? "", new RegExp(`^${one.directory}/app\\.rb:1:in [\`'](?:Object#)?inner'$`));
    assert.match(stackTrace[1] ?? "", /app\.rb:3:in [`'](?:Object#)?handler'$/);
  });

  test("one that waits finds what has come since, gems of the function among it", async () => {
    const gem = "vendor/bundle";
    const specification =
      "Gem::Specification.new { |s| s.name = 'mine'; s.version = '1.2.3'; s.summary = 'x'; s.authors = ['x']; s.require_paths = ['lib'] }";
    const files = {
      "app.rb": `require 'mine'\nearly = ENV['LATE']\ndefine_method(:handler) { |event:, context:| [MINE, early, File.exist?('app.rb')] }`,
      [`${gem}/specifications/mine-1.2.3.gemspec`]: specification,
      [`${gem}/gems/mine-1.2.3/lib/mine.rb`]: "MINE = Gem.loaded_specs['mine'].version.to_s",
    };
    // Relative, since the directory has its name only when the process has started; it is entered by then.
    const env = { GEM_PATH: `${gem}:`, GEM_HOME: "/nowhere" };
    const one = await start("", { files, env, isPrepared: true, variables: { LATE: "bound" } });
    const ready = await one.frame();
    assert.equal(ready.type, "R", ready.body.toString());
    assert.deepEqual((await one.invoke(0)).value, ["1.2.3", "bound", true]);
  });

  test("puts and a logger on standard output are events, print and the streams are raw", async () => {
    const code = def(
      "puts 'one', ['two', 3]",
      "puts",
      "l = Logger.new($stdout)",
      'l.info("a\\nb")',
      "l.debug('d')",
      "Logger.new($stderr, progname: 'p', level: 'warn').tap { |e| e.info('no'); e.error('e') }",
      "print 'raw '",
      "$stderr.puts 'err'",
    );
    const one = await start(code);
    await one.frame();
    await one.invoke(0, { requestId: "r" });
    const stamp = String.raw`\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6} #\d+\]`;
    const expected = [
      /^one\ntwo\n3\n$/,
      /^\n$/,
      new RegExp(`^I, ${stamp}  INFO r -- : a\nb\n$`),
      new RegExp(`^D, ${stamp} DEBUG r -- : d\n$`),
      new RegExp(`^E, ${stamp} ERROR r -- p: e\n$`),
    ];
    assert.equal(one.logs.length, expected.length, JSON.stringify(one.logs));
    for (const [at, pattern] of expected.entries()) assert.match(one.logs[at] ?? "", pattern);
    await one.dispose();
    assert.deepEqual([one.output.includes("raw "), one.output.includes("err\n")], [true, true]);
  });

  test("JSON logs have members, exceptions and the function's level; a formatter of its own stays", async () => {
    const code = def(
      "l = Logger.new($stdout)",
      "l.debug('no')",
      "l.info('a')",
      "begin; 1 / 0; rescue => e; l.error(e); end",
      "Logger.new($stdout, formatter: ->(*, m) { m.to_s }).warn('plain')",
    );
    const one = await start(code, { env: { AWS_LAMBDA_LOG_FORMAT: "JSON", AWS_LAMBDA_LOG_LEVEL: "INFO" } });
    await one.frame();
    await one.invoke(0, { requestId: "r" });
    assert.equal(one.logs[2], "plain");
    const lines = one.logs.slice(0, 2).map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map(({ level, message, requestId }) => [level, message, requestId]),
      [
        ["INFO", "a", "r"],
        ["ERROR", "divided by 0", "r"],
      ],
    );
    assert.match(String(lines[0]?.["timestamp"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.deepEqual([lines[1]?.["errorType"], lines[1]?.["errorMessage"]], ["ZeroDivisionError", "divided by 0"]);
    assert.match(String(lines[1]?.["location"]), /app\.rb:.*:5$/);
  });

  test("log events of several threads do not run into each other", async () => {
    const one = await start(def("4.times.map { Thread.new { 200.times { puts 'x' * 3000 } } }.each(&:join)"));
    await one.frame();
    await one.invoke(0);
    assert.equal(one.logs.length, 800);
    for (const text of one.logs) assert.match(text, /^x{3000}\n$/);
  });

  test("a signal's handler may log", async () => {
    const one = await start(def("trap('USR1') { puts 'caught' }", "20.times { Process.kill('USR1', Process.pid); puts 'between' }"));
    await one.frame();
    await one.invoke(0);
    assert.ok(one.logs.includes("caught\n"), JSON.stringify(one.logs));
    assert.equal(one.logs.filter((text) => text === "between\n").length, 20);
  });

  test("exit! ends the process with its status", async () => {
    const one = await start(def("print 'last words'", "exit!(4)"));
    await one.frame();
    one.send("0");
    assert.deepEqual(await one.exited, { code: 4, signal: null });
    assert.equal(one.output, "last words");
  });

  test("the end of the socket is the end of the process, whatever its threads do", async () => {
    const one = await start(`Thread.new { sleep 60 }\n${def("1")}`);
    await one.frame();
    await one.invoke(0);
    assert.deepEqual(await one.dispose(), { code: 0, signal: null });
  });

  test("children of the function do not have the control socket", async () => {
    const one = await start(def("[system('true'), system('test -e /proc/self/fd/3')]"), { env: { PATH: "/usr/bin:/bin" } });
    await one.frame();
    assert.deepEqual((await one.invoke(0)).value, [true, false]);
  });
}
