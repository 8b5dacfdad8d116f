// The first process of a Node sandbox: takes invocations from the control socket, runs the handler, answers. See ../README.md.
//
// It is CommonJS because an ES module that imports Node's own modules costs every cold start 7 ms more, and it loads no more than it
// needs for the same reason.
"use strict";

const { Buffer } = require("node:buffer");
const { patchConsole } = require("./console.cjs");
const { listen, send, sendLater } = require("./control.cjs");
const { RuntimeError, SINCE_24, errorDocument } = require("./errors.cjs");
const { STREAMING, loadHandler } = require("./handler.cjs");

const RESPONSE_BYTES_MAX = 6_291_556;
const HAS_CALLBACKS = !SINCE_24;
/** Exit statuses of AWS's runtime, and Node's own for a top-level await that nothing can settle. */
const EXIT = { unsettled: 13, rejection: 128, exception: 129 };
const UNSETTLED_TEXT =
  "The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes";
const CALLBACK_WARNING =
  "AWS Lambda plans to remove support for callback-based function handlers starting with Node.js 24. You will need to update this function to use an async handler to use Node.js 24 or later. To disable this warning, set the AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING environment variable.";

let handler;
/** Sends what a rehearsal does not. */
let tell = send;
let logFailure = () => {};
/** What stands in log lines before there is an invocation; until 22 that is `undefined`. */
const NO_INVOCATION = SINCE_24 ? { requestId: "-" } : {};
/** What log lines belong to: the invocation that runs or was the last. */
let logged = NO_INVOCATION;
/** The invocation that has no answer yet: `whenDrained` is called when the event loop has nothing left to do. */
let current;
/** An invocation may come before initialisation is done. */
let early;
let isLoading = false;

const socket = listen((type, head, text) => {
  if (type === "P") void rehearse().then(() => send("W", {}));
  else if (type === "B") void boot(head);
  else if (type === "I" && handler === undefined) early = [head, text];
  else if (type === "I") void invoke(head, text);
});

/** Node says that writing to a pipe waits for it, and its streams don't: without this, what is longer than the pipe comes after the answer, or never. */
function writeAtOnce(name) {
  const descriptor = Object.getOwnPropertyDescriptor(process, name);
  let stream;
  const open = () => {
    if (stream === undefined) {
      stream = descriptor.get.call(process);
      stream._handle?.setBlocking?.(true);
    }
    return stream;
  };
  Object.defineProperty(process, name, { ...descriptor, get: open });
}
writeAtOnce("stdout");
writeAtOnce("stderr");

/** Boots and takes an invocation, so that all of this is compiled: a millisecond that a cold start on a prepared sandbox does not wait for. */
async function rehearse() {
  tell = () => {};
  await boot({ handler: "nothing.handler", variables: {} }, __dirname);
  await invoke({}, "{}");
  await turn();
  tell = send;
  handler = undefined;
  logged = NO_INVOCATION;
  delete globalThis.awslambda;
}

/** `place`: where a rehearsal's handler is. */
async function boot({ handler: name, variables }, place) {
  for (const [variable, value] of Object.entries(variables)) process.env[variable] = value;
  // Node reads this one once, when it starts.
  if (variables.NODE_PATH !== undefined) require("node:module")._initPaths();
  const task = place ?? process.env.LAMBDA_TASK_ROOT ?? "/var/task";
  // What was mounted there since the process started is found by entering it again.
  process.chdir(task);
  logFailure = patchConsole(
    (timestampMs, text) => send("L", { timestampMs }, text),
    () => logged,
  );
  offerStreaming();
  // So that a top-level await that nothing can settle is noticed.
  isLoading = true;
  socket.unref();
  try {
    const loaded = await loadHandler(task, name);
    warnOfCallbacks(loaded);
    handler = loaded;
  } catch (error) {
    end(SINCE_24 ? "Init Error" : "Uncaught Exception", error, EXIT.exception);
  }
  isLoading = false;
  socket.ref();
  tell("R", {});
  if (early !== undefined) void invoke(...early);
}

/** The global that functions use, unless they ask for none; loaded when it is looked at. */
function offerStreaming() {
  const refused = process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA;
  if (refused === "1" || refused === "true") return;
  const define = (descriptor) => Object.defineProperty(globalThis, "awslambda", { configurable: true, enumerable: true, ...descriptor });
  const keep = (value) => define({ value, writable: true });
  define({
    get() {
      const { awslambda } = require("./streaming.cjs");
      if (SINCE_24) awslambda.InvokeStore = invokeStore();
      keep(awslambda);
      return awslambda;
    },
    set: keep,
  });
}

function invokeStore() {
  const { InvokeStore } = require("./invoke-store.cjs");
  return new InvokeStore(() => (logged === NO_INVOCATION ? undefined : logged));
}

function warnOfCallbacks(loaded) {
  const isSilent = process.env.AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING !== undefined;
  if (HAS_CALLBACKS && !isSilent && loaded.length === 3 && !isAsync(loaded) && !loaded[STREAMING]) console.warn(CALLBACK_WARNING);
}

const isAsync = (loaded) => loaded.constructor?.name === "AsyncFunction";

/** What nobody caught: it is the answer to the invocation that runs, or the end of initialisation; then the process ends. */
function end(title, error, status) {
  logFailure(title, error);
  const document = errorDocument(error);
  const { errorType } = document;
  if (current !== undefined) send("E", { requestId: current.requestId, errorType, exits: true }, JSON.stringify(document));
  else if (handler === undefined) send("F", { errorType }, JSON.stringify(document));
  process.exit(status);
}

process.on("uncaughtException", (error) => end("Uncaught Exception", error, EXIT.exception));
process.on("unhandledRejection", (reason, promise) => {
  const error = new RuntimeError("UnhandledPromiseRejection", String(reason), { cause: reason });
  end("Unhandled Promise Rejection", Object.assign(error, { reason, promise }), EXIT.rejection);
});
process.on("beforeExit", () => {
  if (isLoading) process.exit(EXIT.unsettled);
  const drained = current?.whenDrained;
  if (drained === undefined) return;
  current.whenDrained = undefined;
  drained();
});

/** One invocation up to its answer; a second answer is ignored. */
class Invocation {
  constructor({ requestId, tenantId, traceHeader }) {
    this.requestId = requestId;
    this.tenantId = tenantId;
    this.traceHeader = traceHeader;
    this.isAnswered = false;
    this.hasBegun = false;
    this.whenDrained = undefined;
  }

  fail(thrown) {
    if (this.isAnswered) return;
    logFailure("Invoke Error", thrown);
    const document = errorDocument(thrown);
    this.#answer("E", { errorType: document.errorType }, JSON.stringify(document));
  }

  succeed(value) {
    if (this.isAnswered) return;
    let text;
    try {
      text = JSON.stringify(value === undefined ? null : value);
    } catch {
      return this.fail(unserialisable());
    }
    // A function or a symbol: the words are those of AWS's client.
    if (text === undefined) return this.fail(new TypeError("Wrong arguments"));
    this.succeedWith(Buffer.byteLength(text), text);
  }

  succeedWith(bytes, ...body) {
    if (this.isAnswered) return;
    if (bytes <= RESPONSE_BYTES_MAX) return this.#answer("S", {}, ...body);
    const errorType = "Function.ResponseSizeTooLarge";
    const errorMessage = `Response payload size exceeded maximum allowed payload size (${RESPONSE_BYTES_MAX} bytes).`;
    this.#answer("E", { errorType }, JSON.stringify({ errorType, errorMessage }));
  }

  /** A part of a streamed response, taken from the handler no faster than the server takes it. */
  chunk(bytes, contentType, done) {
    if (this.isAnswered) return done();
    const isFirst = !this.hasBegun;
    this.hasBegun = true;
    const type = isFirst && contentType !== undefined ? { contentType } : {};
    sendLater("C", { requestId: this.requestId, ...type }, bytes, done);
  }

  #answer(type, head, ...body) {
    this.isAnswered = true;
    this.whenDrained = undefined;
    current = undefined;
    socket.ref();
    tell(type, { requestId: this.requestId, ...head }, ...body);
  }
}

const UNSERIALISABLE_TEXT = "Unable to stringify response body";
const unserialisable = () => (HAS_CALLBACKS ? new Error(UNSERIALISABLE_TEXT) : new RuntimeError("JSONStringifyError", UNSERIALISABLE_TEXT));

const neverSettled = () => new RuntimeError("NodeJsExit", UNSETTLED_TEXT);

function parsed(text, name) {
  if (text === undefined || text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`Cannot parse ${name} as json: ${String(cause)}`, { cause });
  }
}

function addContext(context, head) {
  const { env } = process;
  return Object.assign(context, {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parsed(head.clientContext, "ClientContext"),
    identity: parsed(head.cognitoIdentity, "CognitoIdentity"),
    invokedFunctionArn: head.invokedArn,
    awsRequestId: head.requestId,
    tenantId: head.tenantId,
    ...(SINCE_24 ? { xRayTraceId: head.traceHeader } : {}),
    getRemainingTimeInMillis: () => head.deadlineMs - Date.now(),
  });
}

/** The callback and its kin in the context, of which the first call counts. The callback's answer waits for an empty event loop. */
function callbacksOf(invocation) {
  let waits = true;
  let isCalled = false;
  const once =
    (act) =>
    (...words) => {
      if (isCalled) return;
      isCalled = true;
      act(...words);
    };
  const done = (error, result) => (error === undefined || error === null ? invocation.succeed(result) : invocation.fail(error));
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
    succeed: once((result) => done(null, result)),
    fail: once((error) => done(error ?? "handled")),
    done: once(done),
  };
  const callback = once((error, result) => {
    if (!waits || (error !== undefined && error !== null)) return done(error, result);
    invocation.whenDrained = () => invocation.succeed(result);
  });
  return { context, callback };
}

/** Until Node 22: a promise is awaited, any other result means that a callback will be called, or that there is none. */
function callWithCallbacks(invocation, head, event) {
  const { context, callback } = callbacksOf(invocation);
  invocation.whenDrained = () => (isAsync(handler) ? invocation.fail(neverSettled()) : invocation.succeed(null));
  addContext(context, head);
  let result;
  try {
    result = handler(event, context, callback);
  } catch (error) {
    return callback(error);
  }
  if (typeof result?.then === "function") result.then(context.succeed, context.fail);
}

const turn = () => new Promise((resolve) => void setImmediate(resolve));

/** Since Node 24: what the handler returns or promises is the result. */
async function call(invocation, head, event) {
  invocation.whenDrained = () => invocation.fail(neverSettled());
  const result = await handler(event, addContext({}, head));
  // Rejections that nobody handles are found at the end of the turn, and fail the invocation.
  await turn();
  invocation.succeed(result);
}

async function callStreaming(invocation, head, event) {
  const { gatherer, runStreaming } = require("./streaming.cjs");
  invocation.whenDrained = () => invocation.fail(new Error("Response stream is not finished."));
  const context = addContext({}, head);
  if (head.streams === true) {
    await runStreaming(handler, event, context, (...words) => invocation.chunk(...words));
    return invocation.succeedWith(0);
  }
  const { gathered, take } = gatherer(RESPONSE_BYTES_MAX);
  await runStreaming(handler, event, context, take);
  invocation.succeedWith(gathered.bytes, ...(gathered.bytes <= RESPONSE_BYTES_MAX ? gathered.pieces : []));
}

async function invoke(head, text) {
  const invocation = new Invocation(head);
  current = invocation;
  logged = invocation;
  // Until the answer only what the handler has begun keeps the event loop alive.
  socket.unref();
  if (head.traceHeader === undefined) delete process.env._X_AMZN_TRACE_ID;
  else process.env._X_AMZN_TRACE_ID = head.traceHeader;
  try {
    const event = JSON.parse(text);
    if (handler[STREAMING]) await callStreaming(invocation, head, event);
    else if (HAS_CALLBACKS) callWithCallbacks(invocation, head, event);
    else await call(invocation, head, event);
  } catch (error) {
    invocation.fail(error);
  }
}
