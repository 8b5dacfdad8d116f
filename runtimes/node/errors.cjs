// Errors as AWS's Node runtime reports them: its own kinds, and the documents and log lines made of any thrown value.
"use strict";

/** The runtime's own failures: `errorType` is `Runtime.` and the name. */
class RuntimeError extends Error {
  constructor(kind, message, options) {
    super(message, options);
    // Not enumerable, so that log lines don't repeat it beside errorType.
    Object.defineProperty(this, "name", { value: `Runtime.${kind}` });
    this.stack = `${this.name}: ${this.message}${framesOf(options?.cause ?? this)}`;
  }
}

/** The part of a stack that lists the calls. */
function framesOf(error) {
  const stack = typeof error?.stack === "string" ? error.stack : "";
  const start = stack.search(/\n {4}at /);
  return start === -1 ? "" : stack.slice(start);
}

/** Also true of errors of another realm, and of what only looks like one. */
const isErrorLike = (value) =>
  value instanceof Error ||
  (typeof value === "object" &&
    value !== null &&
    typeof value.name === "string" &&
    typeof value.message === "string" &&
    typeof value.stack === "string");

/** What the caller gets: any value can be thrown, and any property of it may throw in turn. */
function errorDocument(thrown) {
  try {
    if (!isErrorLike(thrown)) return { errorType: typeof thrown, errorMessage: String(thrown), trace: [] };
    const { name, message, stack } = thrown;
    return { errorType: name, errorMessage: message, trace: typeof stack === "string" ? stack.split("\n") : [] };
  } catch {
    // The sentence is AWS's, for a getter or a toString that throws.
    const errorMessage =
      "callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack";
    return { errorType: "handled", errorMessage, trace: [] };
  }
}

const asError = (thrown) => (thrown instanceof Error ? thrown : new Error(String(thrown)));

function withOwnMembers(_key, value) {
  if (!(value instanceof Error)) return value;
  const members = { errorType: value.name, errorMessage: value.message, code: value.code };
  Object.assign(members, value);
  return typeof value.stack === "string" ? { ...members, stack: value.stack.split("\n") } : members;
}

/** One line for a text log: `Invoke Error \t{"errorType":…}`; the tab is AWS's. */
function errorLine(title, thrown) {
  try {
    return `${title} \t${JSON.stringify(asError(thrown), withOwnMembers)}`;
  } catch {
    // A circular member, or one that JSON has no form for.
    return `${title} \t${JSON.stringify(errorDocument(thrown))}`;
  }
}

module.exports = { RuntimeError, asError, errorDocument, errorLine };
