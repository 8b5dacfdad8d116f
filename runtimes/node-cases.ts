// What handlers of all kinds lead to on Node: the tables of node.test.ts.
import type { InvocationHead } from "./bootstrap-process.ts";

const RESPONSE_BYTES_MAX = 6_291_556;

export interface Case {
  readonly title: string;
  readonly files: Readonly<Record<string, string>>;
  readonly handler?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly event?: unknown;
  readonly head?: InvocationHead;
  /** Major versions that it applies to. */
  readonly only?: (major: number) => boolean;
  /** Initialisation fails with this document and status. */
  readonly init?: { readonly errorType: string; readonly errorMessage: string | RegExp; readonly status: number };
  readonly result?: unknown;
  readonly error?: { readonly errorType: string; readonly errorMessage: string };
  readonly logs?: readonly RegExp[];
  /** Status with which the process ends by itself after the answer. */
  readonly status?: number;
}

const upTo22 = (major: number) => major < 24;
const since24 = (major: number) => major >= 24;
const NEVER =
  "The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes";

const moduleOf = (source: string) => `data:text/javascript,${encodeURIComponent(source)}`;
const HOOKS =
  "export const load = async (url, context, next) => { const loaded = await next(url, context); return url.endsWith('/index.mjs') ? { ...loaded, source: String(loaded.source).replace('as written', 'as hooked') } : loaded }";

export const RESULTS: readonly Case[] = [
  {
    title: "CommonJS, async",
    files: { "index.js": "exports.handler = async (event) => ({ got: event })" },
    event: { a: "é" },
    result: { got: { a: "é" } },
  },
  {
    title: "with a JSON of the function's own",
    files: {
      "index.js":
        'const { parse } = JSON; JSON.parse = (text) => [parse(text)]; JSON.stringify = ([{ a }]) => `"own ${a}"`; exports.handler = async (event) => event',
    },
    event: { a: 1 },
    result: "own 1",
  },
  {
    title: "ES module by .mjs",
    files: { "index.mjs": "export const handler = async () => import.meta.url.slice(0, 8)" },
    result: "file:///",
  },
  {
    title: "ES module by package.json, with await at the top",
    files: {
      "package.json": '{"type":"module"}',
      "index.js": "const one = await Promise.resolve(1); export const handler = async () => one",
    },
    result: 1,
  },
  {
    title: "an ES module whose import awaits at the top, run once",
    files: {
      "index.mjs": "import './later.mjs'; globalThis.runs = (globalThis.runs ?? 0) + 1; export const handler = async () => globalThis.runs",
      "later.mjs": "await 0",
    },
    result: 1,
  },
  {
    title: "an ES module with an export that stands for all where it is required",
    files: {
      "index.mjs":
        "const all = { handler: async () => 'required' }; export { all as 'module.exports' }; export const handler = async () => 'imported'",
    },
    result: "imported",
  },
  {
    title: "hooks for ES modules that come with NODE_OPTIONS",
    files: { "index.mjs": "export const handler = async () => 'as written'" },
    env: { NODE_OPTIONS: `--import=${moduleOf(`import { register } from "node:module"; register(${JSON.stringify(moduleOf(HOOKS))})`)}` },
    result: "as hooked",
  },
  {
    title: "an ES module is not in the cache of those that are required",
    files: {
      "index.mjs":
        "import { createRequire } from 'node:module'; export const handler = async () => Object.keys(createRequire(import.meta.url).cache).some((file) => file.endsWith('index.mjs'))",
    },
    result: false,
  },
  { title: ".cjs", files: { "index.cjs": "exports.handler = async () => 2" }, result: 2 },
  {
    title: "nearest package.json decides",
    files: { "package.json": '{"type":"module"}', "lib/package.json": "{}", "lib/a.js": "exports.f = async () => 3" },
    handler: "lib/a.f",
    result: 3,
  },
  { title: "no extension", files: { index: "exports.handler = async () => 4" }, result: 4 },
  { title: "a directory below", files: { "src/app.js": "exports.handler = async () => 5" }, handler: "src/app.handler", result: 5 },
  {
    title: "nested exports",
    files: { "index.js": "exports.a = { b: { handler: async () => 6 } }" },
    handler: "index.a.b.handler",
    result: 6,
  },
  { title: "nested in a default export", files: { "index.mjs": "export default { handler: async () => 7 }" }, result: 7 },
  {
    title: "module found the way of require",
    files: { "node_modules/pack/index.js": "exports.handler = async () => 8" },
    handler: "pack.handler",
    result: 8,
  },
  { title: "undefined becomes null", files: { "index.js": "exports.handler = async () => {}" }, result: null },
  {
    title: "TypeScript",
    only: since24,
    files: { "index.ts": "export const handler = async (event: number): Promise<number> => event + 1" },
    event: 1,
    result: 2,
  },
  { title: "a plain value is the result", only: since24, files: { "index.js": "exports.handler = () => 9" }, result: 9 },
  { title: "a plain value is no result", only: upTo22, files: { "index.js": "exports.handler = () => 9" }, result: null },
  {
    title: "callback",
    only: upTo22,
    files: { "index.js": "exports.handler = (e, c, callback) => setTimeout(() => callback(null, 10), 5)" },
    result: 10,
    logs: [/WARN\tAWS Lambda plans to remove support for callback/],
  },
  {
    title: "callback waits for an empty event loop",
    only: upTo22,
    files: {
      "index.js":
        "exports.handler = (e, c, callback) => { const o = { done: false }; setTimeout(() => { o.done = true }, 40); callback(null, o) }",
    },
    result: { done: true },
  },
  {
    title: "callback does not wait when told so",
    only: upTo22,
    files: {
      "index.js":
        "exports.handler = (e, c, callback) => { c.callbackWaitsForEmptyEventLoop = false; const o = { done: false }; setTimeout(() => { o.done = true }, 40); callback(null, o) }",
    },
    result: { done: false },
  },
  {
    title: "context.succeed",
    only: upTo22,
    files: { "index.js": "exports.handler = (e, c) => { c.succeed(11); c.fail('late') }" },
    result: 11,
  },
  { title: "context.done", only: upTo22, files: { "index.js": "exports.handler = (e, c) => c.done(null, 12)" }, result: 12 },
  {
    title: "the package's working directory and variables",
    files: { "index.js": "exports.handler = async () => [process.cwd() === process.env.LAMBDA_TASK_ROOT, process.env.MINE]" },
    env: { MINE: "x" },
    result: [true, "x"],
  },
  {
    title: "context",
    files: {
      "index.js":
        "exports.handler = async (e, c) => { const left = c.getRemainingTimeInMillis(); return { ...JSON.parse(JSON.stringify(c)), left: left > 0 && left <= 3000 } }",
    },
    env: {
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "128",
      AWS_LAMBDA_LOG_GROUP_NAME: "g",
      AWS_LAMBDA_LOG_STREAM_NAME: "s",
    },
    head: {
      requestId: "id-1",
      clientContext: '{"custom":{"a":1}}',
      cognitoIdentity: '{"cognitoIdentityId":"i"}',
      tenantId: "t",
      traceHeader: "Root=1-2-3",
    },
    only: since24,
    result: {
      xRayTraceId: "Root=1-2-3",
      functionVersion: "$LATEST",
      functionName: "tested",
      memoryLimitInMB: "128",
      logGroupName: "g",
      logStreamName: "s",
      clientContext: { custom: { a: 1 } },
      identity: { cognitoIdentityId: "i" },
      invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000000:function:tested",
      awsRequestId: "id-1",
      tenantId: "t",
      left: true,
    },
  },
  {
    title: "trace header",
    files: { "index.js": "exports.handler = async () => process.env._X_AMZN_TRACE_ID" },
    head: { traceHeader: "Root=1-2-3" },
    result: "Root=1-2-3",
  },
  {
    title: "awslambda.InvokeStore has the invocation",
    only: since24,
    files: {
      "index.js": `const early = [awslambda.InvokeStore.getRequestId(), awslambda.InvokeStore.hasContext()];
        exports.handler = async () => {
          const store = awslambda.InvokeStore;
          store.set("mine", 1);
          const refused = (() => { try { store.set(Symbol.for("_AWS_LAMBDA_REQUEST_ID"), "x"); } catch ({ message }) { return message; } })();
          return [early, store.getRequestId(), store.getXRayTraceId(), store.getTenantId(), store.get("mine"), refused];
        }`,
    },
    head: { requestId: "id-1", traceHeader: "Root=1-2-3", tenantId: "t" },
    result: [["-", false], "id-1", "Root=1-2-3", "t", 1, "Cannot modify protected Lambda context field: Symbol(_AWS_LAMBDA_REQUEST_ID)"],
  },
  {
    title: "a name from the root is below the package",
    only: since24,
    files: { "index.js": "exports.handler = async () => 13" },
    handler: "/index.handler",
    result: 13,
  },
  {
    title: "what CommonJS exports as a whole is its default",
    only: since24,
    files: { "index.js": "module.exports = async () => 14" },
    handler: "index.default",
    result: 14,
  },
  {
    title: "streaming is gathered, with the metadata in front",
    files: {
      "index.mjs":
        "export const handler = awslambda.streamifyResponse(async (e, stream) => { const s = awslambda.HttpResponseStream.from(stream, { statusCode: 201 }); s.setContentType('text/html'); s.write('a'); s.end('b') })",
    },
  },
  { title: "an answer of the greatest size", files: { "index.js": `exports.handler = async () => 'x'.repeat(${RESPONSE_BYTES_MAX - 2})` } },
];

export const ERRORS: readonly Case[] = [
  {
    title: "thrown Error",
    files: { "index.js": "exports.handler = async () => { throw new TypeError('bad') }" },
    error: { errorType: "TypeError", errorMessage: "bad" },
    logs: [/ERROR\tInvoke Error \t\{"errorType":"TypeError","errorMessage":"bad","stack":\["TypeError: bad","    at /],
  },
  {
    title: "thrown by a handler that is not async",
    files: { "index.js": "exports.handler = () => { throw new RangeError('out') }" },
    error: { errorType: "RangeError", errorMessage: "out" },
  },
  {
    title: "thrown string",
    files: { "index.js": "exports.handler = async () => { throw 'plain' }" },
    error: { errorType: "string", errorMessage: "plain" },
  },
  {
    title: "error of a class of its own",
    files: { "index.js": "class Mine extends Error { name = 'Mine' }\nexports.handler = async () => { throw new Mine('m') }" },
    error: { errorType: "Mine", errorMessage: "m" },
  },
  {
    title: "what throws when it is looked at",
    files: { "index.js": "exports.handler = async () => { throw Object.defineProperty(new Error(), 'name', { get() { throw 1 } }) }" },
    error: {
      errorType: "handled",
      errorMessage:
        "callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack",
    },
  },
  {
    title: "a name that is no text",
    files: { "index.js": "exports.handler = async () => { throw Object.assign(new Error('x'), { name: 5 }) }" },
    error: {
      errorType: "handled",
      errorMessage:
        "callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack",
    },
  },
  {
    title: "an error of another realm",
    only: since24,
    files: { "index.js": "exports.handler = async () => require('node:vm').runInNewContext('throw new TypeError(`v`)')" },
    error: { errorType: "object", errorMessage: "TypeError: v" },
  },
  {
    title: "an error of another realm",
    only: upTo22,
    files: { "index.js": "exports.handler = async () => require('node:vm').runInNewContext('throw new TypeError(`v`)')" },
    error: { errorType: "TypeError", errorMessage: "v" },
  },
  {
    title: "the character DEL",
    files: { "index.js": "exports.handler = async () => { throw new Error('a\\x7fb') }" },
    error: { errorType: "Error", errorMessage: "a%7Fb" },
  },
  {
    title: "null is thrown",
    files: { "index.js": "exports.handler = async () => { throw null }" },
    only: since24,
    error: { errorType: "object", errorMessage: "null" },
  },
  {
    title: "a function as the result",
    only: since24,
    files: { "index.js": "exports.handler = async () => () => 1" },
    error: { errorType: "TypeError", errorMessage: "Wrong arguments" },
  },
  {
    title: "circular result",
    only: since24,
    files: { "index.js": "exports.handler = async () => { const o = {}; o.o = o; return o }" },
    error: { errorType: "Runtime.JSONStringifyError", errorMessage: "Unable to stringify response body" },
  },
  {
    title: "circular result",
    only: upTo22,
    files: { "index.js": "exports.handler = async () => ({ n: 1n })" },
    error: { errorType: "Error", errorMessage: "Unable to stringify response body" },
  },
  {
    title: "a promise that is never settled",
    files: { "index.js": "exports.handler = async () => new Promise(() => {})" },
    error: { errorType: "Runtime.NodeJsExit", errorMessage: NEVER },
  },
  {
    title: "an answer that is too large",
    files: { "index.js": `exports.handler = async () => 'x'.repeat(${RESPONSE_BYTES_MAX - 1})` },
    error: {
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    },
  },
  {
    title: "a streamed answer that is too large",
    files: {
      "index.js":
        "exports.handler = awslambda.streamifyResponse(async (e, s) => { for (let i = 0; i < 7; i++) s.write(Buffer.alloc(2 ** 20)); s.end() })",
    },
    error: {
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    },
  },
  {
    title: "a stream that is not ended",
    files: { "index.js": "exports.handler = awslambda.streamifyResponse(async (e, s) => { s.write('a') })" },
    error: { errorType: "Error", errorMessage: "Response stream is not finished." },
  },
  {
    title: "an error in the middle of a stream",
    files: { "index.js": "exports.handler = awslambda.streamifyResponse(async (e, s) => { s.write('a'); throw new Error('mid') })" },
    error: { errorType: "Error", errorMessage: "mid" },
  },
  {
    title: "callback(error)",
    only: upTo22,
    files: { "index.js": "exports.handler = (e, c, callback) => callback(new Error('cb'))" },
    error: { errorType: "Error", errorMessage: "cb" },
  },
  {
    title: "context.fail",
    only: upTo22,
    files: { "index.js": "exports.handler = (e, c) => c.fail('f')" },
    error: { errorType: "string", errorMessage: "f" },
  },
  {
    title: "client context that is no JSON",
    files: { "index.js": "exports.handler = async () => 1" },
    head: { clientContext: "{" },
    error: { errorType: "Error", errorMessage: "" },
  },
  {
    title: "uncaught exception",
    files: {
      "index.js":
        "exports.handler = () => { setTimeout(() => { throw new Error('later') }, 1); return new Promise((resolve) => setTimeout(resolve, 1000)) }",
    },
    error: { errorType: "Error", errorMessage: "later" },
    logs: [/ERROR\tUncaught Exception \t/],
    status: 129,
  },
  {
    title: "unhandled rejection",
    files: {
      "index.js":
        "exports.handler = () => { Promise.reject(new Error('lost')); return new Promise((resolve) => setTimeout(resolve, 1000)) }",
    },
    error: { errorType: "Runtime.UnhandledPromiseRejection", errorMessage: "Error: lost" },
    logs: [
      /ERROR\tUnhandled Promise Rejection \t\{"errorType":"Runtime.UnhandledPromiseRejection","errorMessage":"Error: lost",(?:"name":"[^"]*",)?"reason":\{"errorType":"Error"/,
    ],
    status: 128,
  },
  {
    title: "unhandled rejection in the turn of the answer",
    only: since24,
    files: { "index.js": "exports.handler = async () => { Promise.reject(new Error('lost')); return 1 }" },
    error: { errorType: "Runtime.UnhandledPromiseRejection", errorMessage: "Error: lost" },
    status: 128,
  },
];

export const INITS: readonly Case[] = [
  {
    title: "no such module",
    files: {},
    init: { errorType: "Runtime.ImportModuleError", errorMessage: /^Error: Cannot find module 'index'\nRequire stack:\n- /, status: 129 },
  },
  {
    title: "the log line of an init that failed",
    only: upTo22,
    files: {},
    init: { errorType: "Runtime.ImportModuleError", errorMessage: /^Error: Cannot find module 'index'/, status: 129 },
    logs: [
      /\tundefined\tERROR\tUncaught Exception \t\{"errorType":"Runtime.ImportModuleError","errorMessage":"[^"]*'index'[^"]*","stack":/,
    ],
  },
  {
    title: "the log line of an init that failed",
    only: since24,
    files: {},
    init: { errorType: "Runtime.ImportModuleError", errorMessage: /^Error: Cannot find module 'index'/, status: 129 },
    logs: [
      /\t-\tERROR\tInit Error \t\{"errorType":"Runtime.ImportModuleError","errorMessage":"[^"]*'index'[^"]*","name":"Runtime.ImportModuleError","stack":/,
    ],
  },
  {
    title: "a module that is missing in the module",
    files: { "index.js": "require('nowhere')" },
    init: { errorType: "Runtime.ImportModuleError", errorMessage: /^Error: Cannot find module 'nowhere'/, status: 129 },
  },
  {
    title: "a package that is missing in an ES module",
    files: { "index.mjs": "import 'nowhere'" },
    init: { errorType: "Error", errorMessage: /^Cannot find package 'nowhere' imported from /, status: 129 },
  },
  {
    title: "no such export",
    files: { "index.js": "" },
    init: { errorType: "Runtime.HandlerNotFound", errorMessage: "index.handler is undefined or not exported", status: 129 },
  },
  {
    title: "an export that is no function",
    files: { "index.js": "exports.handler = 1" },
    init: { errorType: "Runtime.HandlerNotFound", errorMessage: "index.handler is not a function", status: 129 },
  },
  {
    title: "no dot in the name",
    files: {},
    handler: "index",
    init: { errorType: "Runtime.MalformedHandlerName", errorMessage: "Bad handler", status: 129 },
  },
  {
    title: "a name that climbs",
    files: {},
    handler: "../x.handler",
    init: {
      errorType: "Runtime.MalformedHandlerName",
      errorMessage: "'../x.handler' is not a valid handler name. Use absolute paths when specifying root directories in handler names.",
      status: 129,
    },
  },
  {
    title: "syntax error",
    files: { "index.js": "const = 1" },
    init: { errorType: "Runtime.UserCodeSyntaxError", errorMessage: /^SyntaxError: /, status: 129 },
  },
  {
    title: "syntax error, with its line",
    only: since24,
    files: { "index.js": "const = 1" },
    init: { errorType: "Runtime.UserCodeSyntaxError", errorMessage: /^SyntaxError: /, status: 129 },
    logs: [/"stack":\["[^"]*\/index\.js:1","const = 1","/],
  },
  {
    title: "an exception at the top level",
    files: { "index.js": "throw new RangeError('top')" },
    init: { errorType: "RangeError", errorMessage: "top", status: 129 },
  },
  {
    title: "a rejection during initialisation",
    files: { "index.mjs": "Promise.reject(new Error('early')); await new Promise((r) => setTimeout(r, 1000)); export const handler = 1" },
    init: { errorType: "Runtime.UnhandledPromiseRejection", errorMessage: "Error: early", status: 128 },
  },
  {
    title: "a callback handler",
    only: since24,
    files: { "index.js": "exports.handler = (e, c, cb) => cb(null, 1)" },
    init: {
      errorType: "Runtime.CallbackHandlerDeprecated",
      errorMessage: /^ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node\.js 24\./,
      status: 129,
    },
  },
  {
    title: "ES syntax in a CommonJS file",
    only: upTo22,
    files: { "index.js": "export const handler = 1" },
    init: { errorType: "Runtime.UserCodeSyntaxError", errorMessage: /^SyntaxError: Unexpected token 'export'/, status: 129 },
  },
];
