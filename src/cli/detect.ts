// What a directory of code is: its runtime and its handler, from the files that people usually write.

/** How to read a file of the package: its text, or `undefined` where there is none. */
type ReadFile = (name: string) => Promise<string | undefined>;

export interface Detected {
  readonly family: "nodejs" | "python" | "ruby" | "provided";
  readonly handler: string;
  readonly because: string;
}

const NODE_FILES = ["index.mjs", "index.js", "index.cjs", "handler.mjs", "handler.js", "app.mjs", "app.js", "main.mjs", "main.js"];
const PYTHON_FILES = ["lambda_function.py", "handler.py", "app.py", "main.py", "index.py"];
const RUBY_FILES = ["lambda_function.rb", "handler.rb", "app.rb", "main.rb", "index.rb"];
const NODE_EXPORT = /\bexports\.(\w+)\s*=|\bexport\s+(?:const|let|var|async\s+function|function)\s+(\w+)|\bexport\s*\{\s*(\w+)/g;
const PYTHON_DEF = /^(?:async\s+)?def\s+(\w+)\s*\(\s*\w+\s*,\s*\w+/gm;
const RUBY_DEF = /^def\s+(\w+)\s*\(\s*event:/gm;

function bestName(names: readonly string[]): string | undefined {
  return names.find((name) => name === "handler" || name === "lambda_handler") ?? names[0];
}

/** Looks at the package's top level; `undefined` when nothing looks like a handler. */
export async function detect(files: readonly string[], read: ReadFile): Promise<Detected | undefined> {
  if (files.includes("bootstrap")) return { family: "provided", handler: "bootstrap", because: "there is a bootstrap" };
  for (const [family, candidates, pattern] of [
    ["nodejs", NODE_FILES, NODE_EXPORT],
    ["python", PYTHON_FILES, PYTHON_DEF],
    ["ruby", RUBY_FILES, RUBY_DEF],
  ] as const)
    for (const file of candidates) {
      if (!files.includes(file)) continue;
      const text = (await read(file)) ?? "";
      const name = bestName([...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? ""));
      if (name !== undefined) return { family, handler: `${file.replace(/\.\w+$/, "")}.${name}`, because: `${file} has ${name}` };
    }
  return undefined;
}
