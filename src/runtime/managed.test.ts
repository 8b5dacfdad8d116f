// Which runtimes are ready, what starts them, and what is said of those that are not.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { KNOWN_RUNTIMES } from "./identifiers.ts";
import { imageDirectory } from "./installed.ts";
import { runtimeCatalog } from "./managed.ts";
import {
  JAVA_CLIENT_VERSION,
  NODE_SDK_VERSION,
  NODE_VERSIONS,
  PYTHON_SDKS,
  pythonBootstrapName,
  pythonSdkOf,
  pythonSdkVersion,
} from "./pins.ts";
import { HERE } from "./program-machine.ts";
import type { RuntimeLayout } from "./settings.ts";

let work: string;
before(async () => (work = await mkdtemp(join(tmpdir(), "lambent-catalogue-"))));
after(() => rm(work, { recursive: true }));

const NO_EMULATION = { missing: "qemu is not installed", remedy: "apt install qemu" };

let count = 0;
async function machine(files: Readonly<Record<string, string>>) {
  const root = join(work, String(count++));
  for (const [name, text] of Object.entries({ "repo/python/bootstrap.py": "", "repo/node/bootstrap.cjs": "", ...files })) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  const options = {
    runtimesDirectory: join(root, "runtimes"),
    bootstrapsDirectory: join(root, "repo"),
    pythonSearchPath: ["usr", "pyenv", "nowhere"].map((name) => join(root, name)),
    javaSearchPath: [join(root, "jvm")],
    rubySearchPath: [join(root, "rbenv")],
    emulation: () => NO_EMULATION,
  };
  return { root, options, catalog: runtimeCatalog(options) };
}

const NODE_READY = { "runtimes/nodejs24.x/version": `${NODE_VERSIONS.get("nodejs24.x")}\n`, "runtimes/node-sdk/version": NODE_SDK_VERSION };
const SDKS_READY = Object.fromEntries(PYTHON_SDKS.map((sdk) => [`runtimes/${sdk.name}/version`, pythonSdkVersion(sdk)]));

function layout(found: ReturnType<ReturnType<typeof runtimeCatalog>["resolve"]>): RuntimeLayout {
  assert.ok(found !== undefined && !("missing" in found), JSON.stringify(found));
  return found;
}

const settings = (memoryMiB: number, variables: Readonly<Record<string, string>> = {}) => ({ memoryMiB, variables });

test("Node is ready when exactly the pinned interpreter and SDK are there", async () => {
  const missing = { missing: "The runtime nodejs24.x is not installed: run  lambent runtime install nodejs24.x" };
  assert.deepEqual((await machine({})).catalog.resolve("nodejs24.x"), missing);
  for (const part of ["runtimes/nodejs24.x/version", "runtimes/node-sdk/version"] as const)
    assert.deepEqual((await machine({ [part]: NODE_READY[part] })).catalog.resolve("nodejs24.x"), missing);
  const { catalog, options } = await machine(NODE_READY);
  const { argv, mounts, env, protocol, version } = layout(catalog.resolve("nodejs24.x"));
  assert.deepEqual(argv, ["/var/lang/bin/node", "/var/rapid/bootstrap.cjs"]);
  assert.deepEqual(mounts, [
    { source: join(options.runtimesDirectory, "nodejs24.x"), target: "/var/lang" },
    { source: join(options.bootstrapsDirectory, "node"), target: "/var/rapid" },
    { source: join(options.runtimesDirectory, "node-sdk"), target: "/var/runtime" },
  ]);
  assert.equal(
    env["NODE_PATH"],
    "/opt/nodejs/node24/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task",
  );
  assert.deepEqual([protocol, version], ["framed", NODE_VERSIONS.get("nodejs24.x")]);
});

test("what another version of Lambent has installed is told apart from what is not there", async () => {
  const jdk = { "jvm/java-17/bin/java": "", "jvm/java-17/release": 'JAVA_VERSION="17.0.1"\n', "runtimes/java-17/version": "17.0.0" };
  for (const [runtime, files] of [
    ["nodejs24.x", { ...NODE_READY, "runtimes/nodejs24.x/version": "24.0.0" }],
    ["nodejs24.x", { ...NODE_READY, "runtimes/node-sdk/version": "others" }],
    ["python3.12", { "pyenv/3.12.1/bin/python3.12": "", "runtimes/python-sdk/version": "others" }],
    ["java17", { ...jdk, "runtimes/java-client/version": "others" }],
  ] as const) {
    const { catalog } = await machine(files);
    const detail = `The runtime ${runtime} was installed by another version of Lambent: run  lambent runtime install ${runtime}`;
    assert.deepEqual(catalog.resolve(runtime), { missing: detail });
    assert.deepEqual(
      catalog.list().find((one) => one.runtime === runtime && one.architecture === HERE),
      { runtime, architecture: HERE, state: "outdated", detail },
    );
  }
});

test("what is installed later is found, and what was found is not looked for again", async () => {
  const { catalog, root } = await machine({});
  assert.ok("missing" in (catalog.resolve("nodejs24.x") ?? {}));
  for (const [name, text] of Object.entries(NODE_READY)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  const found = layout(catalog.resolve("nodejs24.x"));
  assert.equal(catalog.resolve("nodejs24.x"), found);
});

test("the heap follows the memory unless the user sets it, as on AWS", async () => {
  const { argvFor } = layout((await machine(NODE_READY)).catalog.resolve("nodejs24.x"));
  const flags = (memoryMiB: number, NODE_OPTIONS?: string) =>
    argvFor?.(settings(memoryMiB, NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS })).slice(1, -1);
  assert.deepEqual(flags(128), ["--max-semi-space-size=6", "--max-old-space-size=116"]);
  assert.deepEqual(flags(3008), ["--max-semi-space-size=150", "--max-old-space-size=2708"]);
  assert.deepEqual(flags(128, "--max_old_space_size=64"), []);
  assert.deepEqual(flags(128, "--enable-source-maps"), ["--max-semi-space-size=6", "--max-old-space-size=116"]);
});

test("an exec wrapper gets the command", async () => {
  const { catalog } = await machine(NODE_READY);
  const argv = layout(catalog.resolve("nodejs24.x")).argvFor?.(settings(128, { AWS_LAMBDA_EXEC_WRAPPER: "/opt/wrapper" }));
  assert.deepEqual(argv?.slice(0, 6), ["/bin/sh", "-c", 'exec "$@"', "sh", "/opt/wrapper", "/var/lang/bin/node"]);
});

test("a Python of exactly that version is found in a prefix or below a place of prefixes, the newest first", async () => {
  const { catalog, root } = await machine({
    "pyenv/3.12.1/bin/python3.12": "",
    "pyenv/3.12.10/bin/python3.12": "",
    "pyenv/3.12.9/bin/python3.12": "",
    ...SDKS_READY,
  });
  const { argv, mounts, version } = layout(catalog.resolve("python3.12"));
  assert.deepEqual(argv, ["/var/lang/bin/python3.12", "-S", "-u", "/var/rapid/bootstrap.py"]);
  assert.deepEqual(mounts[0], { source: join(root, "pyenv", "3.12.10"), target: "/var/lang" });
  assert.equal(version, "3.12");
  assert.match(
    (catalog.resolve("python3.11") as { missing: string }).missing,
    /^There is no python3\.11 on this machine: .*lambent runtime install python3\.11$/,
  );
});

test("a link to another version's interpreter does not count", async () => {
  const { catalog, root } = await machine({ "pyenv/3.12.1/bin/python3.12": "", ...SDKS_READY });
  await symlink("python3.12", join(root, "pyenv/3.12.1/bin/python3.13"));
  assert.ok("missing" in (catalog.resolve("python3.13") ?? {}));
  await symlink(join(root, "pyenv/3.12.1"), join(root, "usr"));
  layout(catalog.resolve("python3.12"));
});

test("Python without its SDK is not ready; 3.9 has an SDK of its own", async () => {
  const { catalog } = await machine({
    "pyenv/3.9.1/bin/python3.9": "",
    "pyenv/3.10.1/bin/python3.10": "",
    [`runtimes/python-sdk/version`]: SDKS_READY["runtimes/python-sdk/version"] ?? "",
  });
  assert.ok("missing" in (catalog.resolve("python3.9") ?? {}));
  assert.equal(layout(catalog.resolve("python3.10")).mounts[2]?.target, "/var/runtime");
  assert.notEqual(pythonSdkOf("python3.9"), pythonSdkOf("python3.10"));
});

test("the compiled bootstrap is used only when it is of the present text", async () => {
  const { options, root } = await machine({ "pyenv/3.12.1/bin/python3.12": "", ...SDKS_READY });
  const rapid = () => layout(runtimeCatalog(options).resolve("python3.12")).mounts[1]?.source;
  assert.equal(rapid(), join(root, "repo/python"));
  const installed = join(root, "runtimes", pythonBootstrapName(options.bootstrapsDirectory));
  await mkdir(installed);
  await writeFile(join(installed, "version"), "complete");
  assert.equal(rapid(), installed);
  await writeFile(join(root, "repo/python/bootstrap.py"), "# newer\n");
  assert.equal(rapid(), join(root, "repo/python"));
});

test("the distribution's interpreter is linked to, in a directory that the sandbox's user may enter", async (context) => {
  const options = { ...(await machine(SDKS_READY)).options, pythonSearchPath: ["/usr"] };
  const catalog = runtimeCatalog(options);
  const here = catalog.list().find(({ runtime, state }) => runtime.startsWith("python") && state === "ready")?.runtime;
  if (here === undefined) return context.skip("there is no Python at /usr/bin");
  const umask = process.umask(0o077);
  const source = layout(catalog.resolve(here)).mounts[0]?.source ?? "";
  process.umask(umask);
  assert.equal(await readlink(join(source, "bin", here)), `/usr/bin/${here}`);
  assert.equal((await stat(join(source, "bin"))).mode & 0o777, 0o755);
  // A link of an interpreter that has moved is made anew.
  await rm(join(source, "bin", here));
  await symlink("/usr/elsewhere", join(source, "bin", here));
  layout(runtimeCatalog(options).resolve(here));
  assert.equal(await readlink(join(source, "bin", here)), `/usr/bin/${here}`);
  return undefined;
});

test("provided.al2023 starts the package's bootstrap on the Runtime API", async () => {
  const { argv, mounts, protocol } = layout((await machine({})).catalog.resolve("provided.al2023"));
  assert.deepEqual([argv, mounts, protocol], [["/var/task/bootstrap"], [], "runtime-api"]);
});

const INSTALLED = {
  version: "0123\n",
  "image.json": JSON.stringify({ Entrypoint: ["/lambda-entrypoint.sh"], Env: { PATH: "/bin" } }),
};
const fromImage = (runtime: string, architecture: "x86_64" | "arm64") =>
  Object.fromEntries(
    Object.entries(INSTALLED).map(([name, text]) => [join("runtimes", imageDirectory(runtime, architecture), name), text]),
  );

test("provided.al2023 on the system of an image starts the package's bootstrap all the same", async () => {
  const { catalog, options } = await machine(fromImage("provided.al2023", HERE));
  const found = layout(catalog.resolve("provided.al2023"));
  const root = join(options.runtimesDirectory, "images", "provided.al2023", "root");
  assert.deepEqual([found.argv, found.takesHandler, found.mounts], [["/var/task/bootstrap"], undefined, [{ source: root, target: "/" }]]);
});

const isIntel = { skip: HERE === "x86_64" ? false : "is about machines for x86_64" };

test("arm64: without an emulator the sentence says what to install", isIntel, async () => {
  const { catalog } = await machine(NODE_READY);
  for (const runtime of ["provided.al2023", "Image", "nodejs24.x"])
    assert.deepEqual(catalog.resolve(runtime, "arm64"), {
      missing:
        "The function is for arm64 and this server runs on x86_64, where qemu is not installed: run  apt install qemu  or update it with Architectures [x86_64], and with code that is built for it.",
    });
  assert.equal(catalog.resolve("cobol68", "arm64"), undefined);
  assert.deepEqual(catalog.list().at(-1), {
    runtime: "provided.al2023",
    architecture: "arm64",
    state: "missing",
    detail: "qemu is not installed: run  apt install qemu",
  });
});

test("arm64: custom runtimes and images run through the emulator, managed runtimes only when an image has them", isIntel, async () => {
  const { options } = await machine({ ...NODE_READY, ...fromImage("ruby3.4", "arm64") });
  const catalog = runtimeCatalog({ ...options, emulation: () => ({ detail: "/usr/bin/qemu", emulator: "/usr/bin/qemu" }) });
  for (const runtime of ["provided.al2023", "Image", "ruby3.4"])
    assert.equal(layout(catalog.resolve(runtime, "arm64")).emulator, "/usr/bin/qemu");
  assert.match((catalog.resolve("ruby3.4") as { missing: string }).missing, /^There is no ruby3\.4 on this machine/);
  assert.match(
    (catalog.resolve("nodejs24.x", "arm64") as { missing: string }).missing,
    /^The runtime nodejs24\.x for arm64 needs an image .* --architecture arm64/,
  );
  assert.equal(layout(catalog.resolve("nodejs24.x")).emulator, undefined);
  const emulated = catalog.list().filter(({ architecture }) => architecture === "arm64");
  assert.deepEqual(
    emulated.map(({ runtime, state, detail }) => [runtime, state, detail]),
    [
      ["provided.al2023", "ready", "through /usr/bin/qemu"],
      ["ruby3.4", "ready", "through /usr/bin/qemu"],
    ],
  );
  const own = runtimeCatalog({ ...options, emulation: () => ({ detail: "the machine's own" }) });
  assert.equal(layout(own.resolve("provided.al2023", "arm64")).emulator, undefined, "the machine runs them by itself");
});

test("AWS's other identifiers are refused with a sentence, and others are none", async () => {
  const { catalog } = await machine({});
  assert.deepEqual(catalog.resolve("java21"), {
    missing:
      "There is no Java 21 on this machine: install it and run  lambent runtime install java21  or, with an image that has it, run  lambent runtime install java21 --from IMAGE  (docs/runtimes.md)",
  });
  for (const nothing of ["nodejs99.x", "python3.8 ", "", "__proto__", "constructor"]) assert.equal(catalog.resolve(nothing), undefined);
  assert.equal(KNOWN_RUNTIMES.size, 51);
  assert.deepEqual(
    [KNOWN_RUNTIMES.get("nodejs20.x"), KNOWN_RUNTIMES.get("python3.10"), KNOWN_RUNTIMES.get("nodejs26.x")],
    ["blocked", "deprecated", "preview"],
  );
});

test("the list names every runtime that can be made ready, and makes nothing", async () => {
  const { catalog, options } = await machine({ ...NODE_READY });
  const list = catalog.list();
  assert.deepEqual(
    list.filter(({ state }) => state === "ready").map(({ runtime }) => runtime),
    ["nodejs24.x", "provided.al2023"],
  );
  const named = list.filter(({ architecture }) => architecture === HERE).map(({ runtime }) => runtime);
  const creatable = [...KNOWN_RUNTIMES].filter(([, support]) => support !== "blocked").map(([runtime]) => runtime);
  assert.deepEqual(named.toSorted(), [...new Set([...creatable, "python3.9"])].toSorted());
  for (const { runtime, state, detail } of list.filter((one) => /^(?:ruby|dotnet|java)/.test(one.runtime)))
    assert.deepEqual([state, /run {2}lambent runtime install \S+ --from IMAGE/.test(detail)], ["missing", true], runtime);
  for (const { detail } of list) assert.notEqual(detail, "");
  await assert.rejects(stat(join(options.runtimesDirectory, "system")), { code: "ENOENT" });
});

test("Java: the machine's own of exactly the version, copied, with the client beside it", async () => {
  const jvm = {
    "jvm/a/release": 'JAVA_VERSION="17.0.1"\n',
    "jvm/b/release": 'IMPLEMENTOR="x"\nJAVA_VERSION="21.0.2"\n',
    "jvm/c/readme": "",
  };
  const installable = (await machine(jvm)).catalog;
  assert.deepEqual(installable.resolve("java17"), {
    missing: "The runtime java17 is not installed: run  lambent runtime install java17",
  });
  assert.match((installable.resolve("java25") as { missing: string }).missing, /--from IMAGE/);
  assert.deepEqual(
    installable
      .list()
      .filter(({ runtime, detail }) => runtime.startsWith("java") && !detail.includes("--from IMAGE"))
      .map(({ runtime }) => runtime),
    ["java17", "java17.al2023", "java21"],
  );
  const client = { "runtimes/java-client/version": JAVA_CLIENT_VERSION, "runtimes/java-17/version": "17.0.1\n" };
  const found = layout((await machine({ ...jvm, ...client })).catalog.resolve("java17"));
  assert.deepEqual(found.argvFor?.({ memoryMiB: 512, variables: {} })?.slice(0, 2), ["/var/lang/bin/java", "-XX:MaxHeapSize=445644k"]);
  assert.deepEqual([found.takesHandler, found.version, found.protocol], [true, "17.0.1", "runtime-api"]);
  assert.deepEqual(
    found.mounts.map(({ target }) => target),
    ["/var/lang", "/var/runtime"],
  );
});

test("Ruby: the machine's own of exactly the version, told where it is", async () => {
  const members = { MAJOR: "3", MINOR: "4", TEENY: "7", ruby_version: "3.4.0", RUBY_INSTALL_NAME: "$(RUBY_BASE_NAME)" };
  const configuration = Object.entries(members).map(([name, value]) => `  CONFIG["${name}"] = "${value}"\n`);
  const { catalog, options, root } = await machine({
    "rbenv/3.4.7/bin/ruby": "",
    "rbenv/3.4.7/lib/ruby/3.4.0/x86_64-linux/rbconfig.rb": configuration.join(""),
  });
  const { argv, argvFor, mounts, env, protocol, version } = layout(catalog.resolve("ruby3.4"));
  const libraries = ["-I/var/lang/lib/ruby/3.4.0", "-I/var/lang/lib/ruby/3.4.0/x86_64-linux"];
  assert.deepEqual(argv, ["/var/lang/bin/ruby", "-EUTF-8", ...libraries, "/var/rapid/bootstrap.rb"]);
  assert.deepEqual(mounts, [
    { source: join(root, "rbenv/3.4.7"), target: "/var/lang" },
    { source: join(options.bootstrapsDirectory, "ruby"), target: "/var/rapid" },
  ]);
  assert.equal(
    env["GEM_PATH"],
    "/var/task/vendor/bundle/ruby/3.4.0:/opt/ruby/gems/3.4.0:/var/runtime:/var/runtime/ruby/3.4.0:/var/lang/lib/ruby/gems/3.4.0:",
  );
  assert.deepEqual([env["GEM_HOME"], env["RUBYLIB"]], ["/var/runtime", "/var/task:/var/runtime/lib:/opt/ruby/lib"]);
  assert.deepEqual([protocol, version], ["framed", "3.4.7"]);
  assert.equal(argvFor?.(settings(128, { AWS_LAMBDA_EXEC_WRAPPER: "/opt/wrapper" }))[4], "/opt/wrapper");
  assert.deepEqual(
    catalog.list().find(({ runtime }) => runtime === "ruby3.4"),
    { runtime: "ruby3.4", architecture: HERE, state: "ready", detail: `3.4.7  ${join(root, "rbenv/3.4.7/bin/ruby")}` },
  );
  for (const other of ["ruby3.2", "ruby3.3", "ruby4.0"]) assert.ok("missing" in (catalog.resolve(other) ?? {}), other);
});
