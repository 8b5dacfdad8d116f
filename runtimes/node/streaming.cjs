// awslambda.streamifyResponse: what the handler writes goes out as it comes, or is gathered for a caller that takes no stream.
"use strict";

const { Buffer } = require("node:buffer");
const { RuntimeError } = require("./errors.cjs");
const { STREAMING } = require("./handler.cjs");

const PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response";
const PRELUDE_END = Buffer.alloc(8);
const HIGH_WATER_MARK = Symbol.for("aws.lambda.runtime.handler.streaming.highWaterMark");

/** The global `awslambda`. */
const awslambda = {
  streamifyResponse(handler, options) {
    handler[STREAMING] = "response";
    if (typeof options?.highWaterMark === "number") handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
    return handler;
  },
  HttpResponseStream: {
    /** The metadata goes before the first byte; a buffered invocation hands it to the caller as it is. */
    from(stream, metadata) {
      stream.setContentType(PRELUDE_TYPE);
      const prelude = JSON.stringify(metadata);
      stream._onBeforeFirstWrite = (write) => {
        write(prelude);
        write(PRELUDE_END);
      };
      return stream;
    },
  },
};

/** Keeps at most `bytesMax` of what is written to it, and counts the rest. */
function gatherer(bytesMax) {
  const gathered = { pieces: [], bytes: 0 };
  const take = (chunk, _contentType, done) => {
    const piece = Buffer.from(chunk);
    if (gathered.bytes + piece.length <= bytesMax) gathered.pieces.push(piece);
    gathered.bytes += piece.length;
    done();
  };
  return { gathered, take };
}

/** The stream that a handler gets. `take(chunk, contentType, done)` has one chunk at a time. */
function handlerStream(take, highWaterMark) {
  const { Writable } = require("node:stream");
  let hasBegun = false;
  let contentType;
  const stream = new Writable({
    ...(highWaterMark === undefined ? {} : { highWaterMark }),
    write(chunk, _encoding, done) {
      take(chunk, contentType, done);
    },
  });
  const write = stream.write.bind(stream);
  const begin = () => {
    if (hasBegun) return;
    hasBegun = true;
    stream._onBeforeFirstWrite?.(write);
  };
  stream.setContentType = (type) => {
    if (hasBegun) throw new RuntimeError("InvalidStreamingOperation", "Cannot set content-type, too late.");
    contentType = type;
  };
  const asBytes = (chunk) => (typeof chunk === "string" || chunk instanceof Uint8Array ? chunk : JSON.stringify(chunk));
  stream.write = (chunk, ...more) => {
    begin();
    return write(asBytes(chunk), ...more);
  };
  const end = stream.end.bind(stream);
  stream.end = (chunk, ...more) => {
    if (chunk === undefined || chunk === null || typeof chunk === "function") return end(chunk, ...more);
    stream.write(chunk, ...(typeof more[0] === "string" ? [more[0]] : []));
    return end(...more.filter((one) => typeof one === "function"));
  };
  return stream;
}

/** Resolves when both the handler and its stream have ended. */
async function runStreaming(handler, event, context, take) {
  const stream = handlerStream(take, handler[HIGH_WATER_MARK]);
  const finished = new Promise((resolve, reject) => stream.on("finish", resolve).on("error", reject));
  // It may fail while the handler still runs; whoever awaits it below hears of it.
  finished.catch(() => {});
  const running = handler(event, stream, context);
  if (typeof running?.then !== "function") throw new Error("Streaming does not support non-async handlers.");
  if ((await running) !== undefined) console.warn("Streaming handlers ignore return values.");
  await finished;
}

module.exports = { awslambda, gatherer, runStreaming };
