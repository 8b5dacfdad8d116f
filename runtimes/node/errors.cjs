// Errors as AWS's Node runtime reports them: its own kinds, and the documents and log lines made of any thrown value.
"use strict";

/** AWS wrote its runtime anew for Node 24: where the two differ, each version does what it does there. */
const SINCE_24 = Number.parseInt(process.versions.node, 10) >= 24;

/** The runtime's own failures: `errorType` is `Runtime.` and the name. */
class RuntimeError extends Error {
  constructor(kind, message, options) {
    super(message, options);
    // Log lines have it beside errorType since 24.
    Object.defineProperty(this, "name", { value: `Runtime.${kind}`, enumerable: SINCE_24 });
    this.stack = `${this.name}: ${this.message}${framesOf(options?.cause ?? this)}`;
  }
}

/** The part of a stack that lists the calls. */
function framesOf(error) {
  const stack = typeof error?.stack === "string" ? error.stack : "";
  const start = stack.search(/\n {4}at /);
  return start === -1 ? "" : stack.slice(start);
}

/** Until 22 also errors of another realm, and what only looks like one. */
const isErrorLike = (value) =>
  value instanceof Error ||
  (!SINCE_24 &&
    typeof value === "object" &&
    value !== null &&
    typeof value.name === "string" &&
    typeof value.message === "string" &&
    typeof value.stack === "string");

/** The one character that AWS's runtime replaces. What is no text throws. */
const withoutDelete = (text) => text?.replaceAll("\x7f", "%7F");

/** What the caller gets: any value can be thrown, and any property of it may throw in turn. */
function errorDocument(thrown) {
  try {
    if (!isErrorLike(thrown)) return { errorType: typeof thrown, errorMessage: String(thrown), trace: [] };
    const { name, message, stack } = thrown;
    return { errorType: withoutDelete(name), errorMessage: withoutDelete(message), trace: withoutDelete(stack)?.split("\n") ?? [] };
  } catch {
    // The sentence is AWS's, for a getter or a toString that throws, and for members that are no texts.
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

module.exports = { RuntimeError, SINCE_24, asError, errorDocument, errorLine };
