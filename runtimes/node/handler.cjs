// Finds a function's handler as AWS's Node runtime does: which file, CommonJS or ES module, which export.
"use strict";

const { existsSync, readFileSync } = require("node:fs");
const path = require("node:path");
const { RuntimeError, SINCE_24 } = require("./errors.cjs");

const CALLBACK_TEXT =
  "ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify this function to use a supported handler signature to use Node.js 24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.";
const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");

/** `directory/module.export.nested` → its parts; the first dot after the last slash ends the module's name. */
function splitName(name) {
  if (name.includes(".."))
    throw new RuntimeError(
      "MalformedHandlerName",
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  const file = path.basename(name);
  const dot = file.indexOf(".");
  if (dot === -1) throw new RuntimeError("MalformedHandlerName", "Bad handler");
  const directory = name.slice(0, name.lastIndexOf(file));
  // Since 24 `/index.handler` is below the package as well.
  return { directory: SINCE_24 ? directory.replace(/\/$/, "") : directory, module: file.slice(0, dot), exported: file.slice(dot + 1) };
}

/** `type` of the nearest package.json; a node_modules on the way up ends the search. */
function isModulePackage(directory) {
  if (directory.endsWith("/node_modules")) return false;
  const file = path.join(directory, "package.json");
  if (existsSync(file)) {
    try {
      return JSON.parse(readFileSync(file, "utf8"))?.type === "module";
    } catch (error) {
      console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
      return false;
    }
  }
  return directory !== "/" && isModulePackage(path.dirname(directory));
}

let isHooked = false;

/** ES modules do not look along NODE_PATH by themselves; on Lambda they do: layers and the AWS SDK are there. */
function resolveAlongNodePath() {
  if (isHooked) return;
  isHooked = true;
  let parents;
  require("node:module").registerHooks({
    resolve(specifier, context, next) {
      try {
        return next(specifier, context);
      } catch (error) {
        if (error.code !== "ERR_MODULE_NOT_FOUND" || !/^[@\w]/.test(specifier) || specifier.includes(":")) throw error;
        parents ??= parentsAlongNodePath();
        for (const parentURL of parents)
          try {
            return next(specifier, { ...context, parentURL });
          } catch (other) {
            if (other.code !== "ERR_MODULE_NOT_FOUND") throw other;
          }
        throw error;
      }
    },
  });
}

/** Files for which Node looks into the places of NODE_PATH: beside a directory that is called node_modules, else in it. */
function parentsAlongNodePath() {
  const places = (process.env.NODE_PATH ?? "").split(":").filter((place) => place !== "");
  return places.map((place) => urlOf(path.join(place, place.endsWith("/node_modules") ? ".." : ".", "parent.mjs")));
}

const urlOf = (file) => require("node:url").pathToFileURL(file).href;

const importModule = (file) => import(urlOf(file));

/** An ES module that awaits at its top level can't be required; since Node 24 the runtime imports it then. */
async function requireOrImport(file) {
  try {
    return require(file);
  } catch (error) {
    if (error?.code !== "ERR_REQUIRE_ASYNC_MODULE") throw error;
    return await importModule(file);
  }
}

/** The order is AWS's. TypeScript is what Node itself can strip, since 24. */
async function loadModule(root, directory, name) {
  const file = path.resolve(root, directory, name);
  const isModule = isModulePackage(path.dirname(file));
  const load = SINCE_24 ? requireOrImport : require;
  const byPackage = isModule ? importModule : load;
  const ways = [
    ["", load],
    [".js", byPackage],
    [".mjs", importModule],
    [".cjs", load],
    ...(SINCE_24
      ? [
          [".ts", byPackage],
          [".mts", importModule],
          [".cts", load],
        ]
      : []),
  ];
  for (const [extension, way] of ways) if (existsSync(file + extension)) return await way(file + extension);
  return load(require.resolve(name, { paths: [root, path.join(root, directory)] }));
}

function exportedFrom(module, names) {
  return names.split(".").reduce((nested, name) => nested?.[name], module);
}

/** Since 24 AWS's runtime imports every module: what CommonJS exports as a whole is then its `default`. */
function handlerFrom(loaded, exported) {
  const found = exportedFrom(loaded, exported) || exportedFrom(loaded?.default, exported);
  const isNamespace = loaded?.[Symbol.toStringTag] === "Module";
  return found || (SINCE_24 && !isNamespace ? exportedFrom({ default: loaded }, exported) : undefined);
}

/** Since 24 its stack is the error's own, which shows the line. */
function syntaxError(cause) {
  const error = new RuntimeError("UserCodeSyntaxError", String(cause), { cause });
  if (SINCE_24) error.stack = cause.stack;
  return error;
}

/** Throws RuntimeError for what AWS has a name for, and otherwise whatever the module threw. */
async function loadHandler(root, name) {
  const { directory, module: file, exported } = splitName(name);
  resolveAlongNodePath();
  let loaded;
  try {
    loaded = await loadModule(root, directory, file);
  } catch (cause) {
    if (cause instanceof SyntaxError) throw syntaxError(cause);
    if (cause instanceof Error && cause.code === "MODULE_NOT_FOUND") throw new RuntimeError("ImportModuleError", String(cause), { cause });
    throw cause;
  }
  const handler = handlerFrom(loaded, exported);
  if (!handler) throw new RuntimeError("HandlerNotFound", `${name} is undefined or not exported`);
  if (typeof handler !== "function") throw new RuntimeError("HandlerNotFound", `${name} is not a function`);
  const streams = handler[STREAMING];
  if (streams && streams !== "response") throw new RuntimeError("MalformedStreamingHandler", "Only response streaming is supported.");
  if (SINCE_24 && handler.length >= 3 && !streams) throw new RuntimeError("CallbackHandlerDeprecated", CALLBACK_TEXT);
  return handler;
}

module.exports = { STREAMING, loadHandler };
