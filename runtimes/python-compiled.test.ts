// Code that was compiled ahead, with every Python of this machine: what is compiled, and that the import system takes it for its own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buffer } from "node:stream/consumers";
import type { Readable } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { loadConfig } from "../src/config.ts";
import { findHostPythons, type HostPython } from "../src/runtime/host-pythons.ts";
import { BootstrapProcess } from "./bootstrap-process.ts";

const HERE = join(import.meta.dirname, "python");

async function run({ interpreter }: HostPython, words: readonly string[]): Promise<Buffer> {
  const child = spawn(interpreter, words, { stdio: ["ignore", "inherit", "inherit", "pipe"] });
  const [made, [code]] = await Promise.all([buffer(child.stdio[3] as Readable), once(child, "exit")]);
  assert.equal(code, 0);
  return made;
}

const compile = (python: HostPython, root: string) => run(python, ["-I", "-S", "-W", "error", join(HERE, "compile.py"), root]);

/** Names of the modules in it. */
function modulesOf(made: Buffer): readonly string[] {
  if (made.length === 0) return [];
  const index = JSON.parse(made.toString("utf8", 8, 8 + Number(made.readBigUInt64BE()))) as Record<string, unknown>;
  return Object.keys(index).map((path) => /([^/]+)\.cpython-\d+\.pyc$/.exec(path)?.[1] ?? path);
}

async function packageOf(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-compiled-"));
  t.after(() => rm(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
  return directory;
}

/**
 * Loads the module `one` of a package with what was compiled of it, and with `first` before; answers what it is, and which files were compiled
 * for that.
 */
async function load(t: TestContext, { interpreter }: HostPython, root: string, made: Buffer, first = "import one"): Promise<unknown> {
  const bootstrap = await packageOf(t, {});
  await cp(HERE, bootstrap, { recursive: true });
  await writeFile(join(bootstrap, "opt.compiled"), made);
  const app = [
    `import sys; sys.path.insert(0, ${JSON.stringify(root)}); compiled = []`,
    "sys.addaudithook(lambda event, given: event == 'compile' and compiled.append(given[1].rpartition('/')[2]))",
    first,
    "def handler(event, context): return [one.value, one.f.__code__.co_filename, one.__file__, compiled]",
  ];
  const options = {
    argv: [interpreter, "-S", "-u", join(bootstrap, "bootstrap.py")],
    files: { "app.py": app.join("\n") },
    handler: "app.handler",
  };
  const process = await BootstrapProcess.start(options);
  try {
    assert.equal((await process.frame()).type, "R");
    return (await process.invoke({})).value;
  } finally {
    await process.dispose();
  }
}

const ONE = "value = 1\ndef f(): pass\n";

for (const python of findHostPythons(loadConfig().pythonSearchPath))
  describe(python.runtime, () => {
    test("what was compiled is used, under the source's name", async (t) => {
      const root = await packageOf(t, { "one.py": ONE, "package/two.py": "" });
      const made = await compile(python, root);
      assert.deepEqual(modulesOf(made), ["one", "two"]);
      const file = join(root, "one.py");
      assert.deepEqual(await load(t, python, root, made), [1, file, file, []]);
    });

    test("who compiles sources in a way of their own is given sources", async (t) => {
      const root = await packageOf(t, { "one.py": ONE });
      const made = await compile(python, root);
      const file = join(root, "one.py");
      const own = "lambda self, data, path, **given: compile(data.replace(b'value = 1', b'value = 9'), path, 'exec')";
      const firsts = [
        `from importlib.machinery import SourceFileLoader\nclass Own(SourceFileLoader): source_to_code = ${own}\nimport importlib.util as u\nspec = u.spec_from_file_location('one', ${JSON.stringify(file)}, loader=Own('one', ${JSON.stringify(file)}))\none = u.module_from_spec(spec); spec.loader.exec_module(one)`,
        `from importlib.machinery import SourceFileLoader\nSourceFileLoader.source_to_code = ${own}\nimport one`,
      ];
      for (const first of firsts) {
        const [value] = (await load(t, python, root, made, first)) as [number];
        assert.equal(value, 9);
      }
    });

    test("of a source that has changed it is not used", async (t) => {
      const root = await packageOf(t, { "one.py": ONE });
      const made = await compile(python, root);
      await writeFile(join(root, "one.py"), "value = 22\ndef f(): pass\n");
      const file = join(root, "one.py");
      assert.deepEqual(await load(t, python, root, made), [22, file, file, ["one.py"]]);
    });

    test("a compiled file of the package's own is not made again, unless it is of another time", async (t) => {
      const root = await packageOf(t, { "one.py": ONE, "two.py": "" });
      await run(python, ["-m", "compileall", "-q", root]);
      assert.deepEqual(modulesOf(await compile(python, root)), []);
      const [when, file] = [new Date(1_700_000_000_000), join(root, "one.py")];
      await utimes(file, when, when);
      const made = await compile(python, root);
      assert.deepEqual(modulesOf(made), ["one"]);
      assert.deepEqual(await load(t, python, root, made), [1, file, file, []]);
    });

    test("what does not compile, what is warned about and what a link leads to are left out", async (t) => {
      const files = {
        "broken.py": "def (",
        "zero.py": "x = 1\0",
        "warns.py": "x = 1 is 1",
        "huge.py": "#".repeat(2 ** 20 + 1),
        "one.py": ONE,
      };
      const root = await packageOf(t, files);
      await symlink("one.py", join(root, "link.py"));
      await symlink(".", join(root, "loop"));
      assert.deepEqual(modulesOf(await compile(python, root)), ["one"]);
      assert.deepEqual(modulesOf(await compile(python, join(root, "absent"))), []);
    });

    test("whatever is in its place, the sources are loaded", async (t) => {
      const root = await packageOf(t, { "one.py": ONE });
      const made = await compile(python, root);
      const file = join(root, "one.py");
      for (const broken of [
        Buffer.from("nonsense"),
        made.subarray(0, 20),
        Buffer.alloc(2 ** 20, 0xff),
        made.subarray(0, -10),
        Buffer.alloc(9),
      ])
        assert.deepEqual(await load(t, python, root, broken), [1, file, file, ["one.py"]]);
    });
  });
