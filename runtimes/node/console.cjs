// console.* as AWS's Node runtime has it: each call is one log event with time, request id and level, as text or as JSON.
"use strict";

const { SINCE_24, asError, errorLine } = require("./errors.cjs");

const RANK = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const LEVEL_OF = { trace: "TRACE", debug: "DEBUG", info: "INFO", log: "INFO", warn: "WARN", error: "ERROR", fatal: "FATAL" };

/** Most functions that log nothing never need it. */
const format = (...words) => require("node:util").format(...words);

function textLine(timestamp, { requestId }, level, words) {
  return `${timestamp}\t${requestId}\t${level}\t${format(...words)}`;
}

const errorMembers = (error) => ({
  errorType: error.constructor?.name ?? "UnknownError",
  errorMessage: error.message,
  stackTrace: typeof error.stack === "string" ? error.stack.split("\n") : [],
});

const withErrorMembers = (_key, value) => (value instanceof Error ? Object.assign(errorMembers(value), value) : value);

function jsonLine(timestamp, { requestId, tenantId }, level, words) {
  const event = { timestamp, level, requestId, ...(tenantId === undefined ? {} : { tenantId }) };
  if (words.length === 1) {
    try {
      return JSON.stringify({ ...event, message: words[0] }, withErrorMembers);
    } catch {
      // Circular, or something that JSON has no form for.
      return JSON.stringify({ ...event, message: format(words[0]) });
    }
  }
  const error = words.find((word, index) => word instanceof Error && (index > 0 || !SINCE_24));
  return JSON.stringify({ ...event, message: format(...words), ...(error === undefined ? {} : errorMembers(error)) });
}

/**
 * Replaces the methods of `console`. `write` takes the time and the text of one event; `current` tells the invocation that logs.
 * Returns what logs a failure under a title, in the same format.
 */
function patchConsole(write, current) {
  const isJson = process.env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === "JSON";
  const least = RANK[process.env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? RANK.TRACE;
  const line = isJson ? jsonLine : textLine;
  for (const [method, level] of Object.entries(LEVEL_OF))
    console[method] =
      RANK[level] < least
        ? () => {}
        : (...words) => {
            const now = new Date();
            // Without any word it logs `undefined`, as on AWS.
            write(now.getTime(), line(now.toISOString(), current(), level, words.length === 0 ? [undefined] : words));
          };
  return (title, thrown) => console.error(isJson ? asError(thrown) : errorLine(title, thrown));
}

module.exports = { patchConsole };
