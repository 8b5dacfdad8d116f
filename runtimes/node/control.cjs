// The control socket on file descriptor 3: frames in and out. See ../README.md.
"use strict";

const { Buffer } = require("node:buffer");
const { writeSync } = require("node:fs");
const { Socket } = require("node:net");

const CONTROL = 3;
// A function may replace them for its events and results; what the server reads is not its to write.
const { parse, stringify } = JSON;
const ofAllObjects = Object.prototype;
/** Length, type, length of the head. */
const PREFIX_BYTES = 9;
const READ_BYTES = 64 * 1024;
const PAUSE_MS_MIN = 0.05;
const PAUSE_MS_MAX = 5;

let pausing;
function pause(ms) {
  pausing ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(pausing, 0, 0, ms);
}

/** The frame that `sendLater` has not brought into the socket yet; every other frame comes after it. */
let unsent;

/** Writes what the socket takes now. */
function writeSome(frame) {
  try {
    while (frame.offset < frame.bytes.length) frame.offset += writeSync(CONTROL, frame.bytes, frame.offset);
  } catch (error) {
    if (error.code !== "EAGAIN") process.reallyExit(0);
  }
  return frame.offset === frame.bytes.length;
}

/** Waits for the server when the socket is full, as a write to a pipe does: what was said is said, and nothing piles up in memory. */
function writeAll(bytes) {
  let pauseMs = PAUSE_MS_MIN;
  for (let offset = 0; offset < bytes.length;) {
    try {
      offset += writeSync(CONTROL, bytes, offset);
      pauseMs = PAUSE_MS_MIN;
    } catch (error) {
      // Without a server there is nobody to work for.
      if (error.code !== "EAGAIN") process.reallyExit(0);
      pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
  }
}

/** `body`: text or bytes; in pieces where it is large. */
function send(type, head, ...body) {
  flush();
  writeAll(encode(type, head, body));
}

function flush() {
  if (unsent === undefined) return;
  const { bytes, offset } = unsent;
  unsent = undefined;
  writeAll(bytes.subarray(offset));
}

/** Sends one frame without holding up the event loop when the server takes no more; then calls `done`. */
function sendLater(type, head, body, done) {
  flush();
  const frame = { bytes: encode(type, head, [body]), offset: 0 };
  if (writeSome(frame)) return done();
  unsent = frame;
  let pauseMs = 1;
  const goOn = () => {
    // Another frame had to go out, and this one before it.
    if (unsent !== frame) return done();
    if (!writeSome(frame)) {
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
      return void setTimeout(goOn, pauseMs);
    }
    unsent = undefined;
    done();
  };
  setTimeout(goOn, pauseMs);
}

/** Old libraries give a toJSON to all objects, and to lists methods of their own: heads have none of the former, and here nobody calls the latter. */
const headText = (head) => stringify(ofAllObjects.toJSON === undefined ? head : { __proto__: null, ...head });

function encode(type, head, body) {
  const text = headText(head);
  const headBytes = Buffer.byteLength(text);
  let bytes = PREFIX_BYTES + headBytes;
  for (const piece of body) bytes += Buffer.byteLength(piece);
  const frame = Buffer.allocUnsafe(bytes);
  frame.writeUInt32BE(bytes - 4, 0);
  frame[4] = type.charCodeAt(0);
  frame.writeUInt32BE(headBytes, 5);
  let at = PREFIX_BYTES + frame.write(text, PREFIX_BYTES);
  for (const piece of body) {
    if (typeof piece === "string") at += frame.write(piece, at);
    else {
      frame.set(piece, at);
      at += piece.byteLength;
    }
  }
  return frame;
}

/** Returns what takes bytes as they come, and calls `seen(type, head, text)` for each frame; bodies that come in are JSON texts. */
function frameReader(seen) {
  let partial;
  let partialBytes = 0;
  const deliver = (frame) => {
    const headEnd = PREFIX_BYTES + frame.readUInt32BE(5);
    seen(String.fromCharCode(frame[4]), parse(frame.toString("utf8", PREFIX_BYTES, headEnd)), frame.toString("utf8", headEnd));
  };
  const complete = (block) => {
    partial = undefined;
    partialBytes = 0;
    if (block.length > 4) return deliver(block);
    partial = Buffer.allocUnsafe(4 + block.readUInt32BE(0));
    partialBytes = block.copy(partial);
  };
  return (chunk) => {
    for (let at = 0; at < chunk.length;) {
      const left = chunk.length - at;
      // A length that is cut in two is a block of its own, which becomes the beginning of its frame.
      if (partial === undefined) partial = left < 4 ? Buffer.allocUnsafe(4) : undefined;
      const bytes = partial?.length ?? 4 + chunk.readUInt32BE(at);
      if (partialBytes === 0 && left >= bytes) {
        deliver(chunk.subarray(at, at + bytes));
        at += bytes;
        continue;
      }
      partial ??= Buffer.allocUnsafe(bytes);
      const taken = chunk.copy(partial, partialBytes, at);
      at += taken;
      partialBytes += taken;
      if (partialBytes === partial.length) complete(partial);
    }
  };
}

/** Reads frames until the server closes the socket, which ends the process. `ref` and `unref`: whether it keeps the event loop alive. */
function listen(seen) {
  const take = frameReader(seen);
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const callback = (bytes) => {
    take(buffer.subarray(0, bytes));
    return true;
  };
  const socket = new Socket({ fd: CONTROL, readable: true, writable: false, onread: { buffer, callback } });
  socket.on("close", () => process.exit(0));
  socket.on("error", () => process.exit(0));
  return socket;
}

module.exports = { frameReader, listen, send, sendLater };
