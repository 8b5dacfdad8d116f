// Installing with a program in npm's place: what is there afterwards, and what is said when it fails.
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { NODE_SDK_VERSION, NODE_VERSIONS, pythonBootstrapName } from "../runtime/pins.ts";
import { runtimeCatalog } from "../runtime/managed.ts";
import { HERE } from "../runtime/program-machine.ts";
import type { RawTarEntry } from "../images/tar.fixture.ts";
import { writeLayout } from "../../tests/support/oci-layout.ts";
import { installFromImage, installRuntime, renewPythonBootstrap } from "./runtime-install.ts";
import { CliError } from "./terminal.ts";

const VERSION = NODE_VERSIONS.get("nodejs24.x") ?? "";
const path = process.env["PATH"];
let work: string;
let bin: string;
let told: string[];
before(async () => (work = await mkdtemp(join(tmpdir(), "lambent-install-"))));
after(() => rm(work, { recursive: true }));
beforeEach(async () => {
  bin = await mkdtemp(join(work, "bin-"));
  process.env["PATH"] = `${bin}:/usr/bin:/bin`;
  told = [];
});
afterEach(() => (process.env["PATH"] = path));

/** Installs what it is asked for: an interpreter that says `version`, and anything else as an empty SDK. */
async function npmWith(version: string, extra = ""): Promise<void> {
  const script = `#!/bin/sh
${extra}
echo "$*" >> ${bin}/calls
for last; do :; done
case $last in
  node-linux-*) d=node_modules/\${last%@*}; mkdir -p $d/bin $d/include $d/share; printf '#!/bin/sh\\necho v${version}\\n' > $d/bin/node; chmod 700 $d/bin/node ;;
  *) mkdir -p node_modules/@aws-sdk ;;
esac
`;
  await writeFile(join(bin, "npm"), script);
  await chmod(join(bin, "npm"), 0o755);
}

const options = async () => ({
  runtimesDirectory: join(await mkdtemp(join(work, "home-")), "runtimes"),
  bootstrapsDirectory: join(work, "repo"),
  pythonSearchPath: [join(work, "nowhere")],
  javaSearchPath: [join(work, "nowhere")],
  rubySearchPath: [join(work, "nowhere")],
  onProgress: (line: string) => void told.push(line),
});

test("Node and its SDK are put in place, readable for everybody, and only once", async () => {
  await npmWith(VERSION);
  const given = await options();
  await installRuntime("nodejs24.x", given);
  assert.deepEqual((await readdir(given.runtimesDirectory)).toSorted(), ["node-sdk", "nodejs24.x"]);
  assert.equal(await readFile(join(given.runtimesDirectory, "nodejs24.x/version"), "utf8"), `${VERSION}\n`);
  assert.equal(await readFile(join(given.runtimesDirectory, "node-sdk/version"), "utf8"), `${NODE_SDK_VERSION}\n`);
  assert.deepEqual((await readdir(join(given.runtimesDirectory, "nodejs24.x"))).toSorted(), ["bin", "version"]);
  assert.equal((await stat(join(given.runtimesDirectory, "nodejs24.x/bin/node"))).mode & 0o777, 0o755);
  assert.equal(told.length, 2);
  await installRuntime("nodejs24.x", given);
  assert.equal(told.length, 2);
  for (const call of (await readFile(join(bin, "calls"), "utf8")).trim().split("\n")) assert.match(call, /--ignore-scripts/);
});

test("another version in the place is replaced", async () => {
  await npmWith(VERSION);
  const given = await options();
  await mkdir(join(given.runtimesDirectory, "nodejs24.x/bin"), { recursive: true });
  await writeFile(join(given.runtimesDirectory, "nodejs24.x/version"), "24.0.0\n");
  await installRuntime("nodejs24.x", given);
  assert.equal(await readFile(join(given.runtimesDirectory, "nodejs24.x/version"), "utf8"), `${VERSION}\n`);
  assert.deepEqual((await readdir(given.runtimesDirectory)).toSorted(), ["node-sdk", "nodejs24.x"]);
});

test("what a killed installation has left is removed by a later one, but not what another is at work on", async () => {
  await npmWith(VERSION);
  const given = await options();
  for (const name of [".new-old", ".old-old", ".new-now", "mine"])
    await mkdir(join(given.runtimesDirectory, name, "x"), { recursive: true });
  for (const name of [".new-old", ".old-old", "mine"]) await utimes(join(given.runtimesDirectory, name), 0, 0);
  await installRuntime("nodejs24.x", given);
  assert.deepEqual((await readdir(given.runtimesDirectory)).toSorted(), [".new-now", "mine", "node-sdk", "nodejs24.x"]);
});

test("two at once both succeed", async () => {
  await npmWith(VERSION);
  const given = await options();
  await Promise.all([installRuntime("nodejs24.x", given), installRuntime("nodejs24.x", given)]);
  assert.deepEqual((await readdir(given.runtimesDirectory)).toSorted(), ["node-sdk", "nodejs24.x"]);
});

test("an interpreter of another version is not put in place", async () => {
  await npmWith("24.0.0");
  const given = await options();
  await assert.rejects(
    installRuntime("nodejs24.x", given),
    new RegExp(`node-linux-\\w+@${VERSION.replaceAll(".", "\\.")} holds Node v24\\.0\\.0`),
  );
  assert.deepEqual(await readdir(given.runtimesDirectory), []);
});

test("what npm says when it fails is passed on, and nothing is left", async () => {
  await npmWith(VERSION, "echo 'no such version' >&2; exit 1");
  const given = await options();
  await assert.rejects(installRuntime("nodejs24.x", given), /^CliError: npm install .* failed \(status 1\):\nno such version$/s);
  assert.deepEqual(await readdir(given.runtimesDirectory), []);
});

test("without npm the sentence says so", async () => {
  process.env["PATH"] = bin;
  await assert.rejects(installRuntime("nodejs24.x", await options()), /npm can't be started: is it installed\?/);
});

test("what cannot be installed is refused with what to do, or with what can", async () => {
  for (const [runtime, sentence] of [
    ["java21", /^There is no Java 21 on this machine: .* lambent runtime install java21 --from IMAGE/],
    ["ruby3.4", /^There is no ruby3\.4 on this machine: .* lambent runtime install ruby3\.4 --from IMAGE/],
    ["dotnet8", /^The runtime dotnet8 comes only with AWS's own image: run {2}lambent runtime install dotnet8 --from IMAGE/],
    ["nodejs20.x", /^The runtime nodejs20\.x needs an image that has it: run {2}lambent runtime install nodejs20\.x --from IMAGE/],
    ["../evil", /can't be installed by itself\. What can: nodejs22\.x/],
  ] as const)
    await assert.rejects(installRuntime(runtime, await options()), (error: unknown) => {
      assert.ok(error instanceof CliError);
      assert.equal(error.exitCode, 2);
      assert.match(error.message, sentence);
      return true;
    });
  await assert.rejects(installRuntime("python3.12", await options()), /There is no python3\.12 on this machine/);
  await installRuntime("provided.al2023", await options());
  assert.match(told[0] ?? "", /needs nothing/);
});

test("an image without a runtime of its own: its Ruby or Java is found, and linked to", async () => {
  const given = await options();
  const configuration = 'CONFIG["MAJOR"] = "3"\nCONFIG["MINOR"] = "4"\nCONFIG["TEENY"] = "7"\nCONFIG["ruby_version"] = "3.4.0"\n';
  const ruby = [
    { name: "usr/local/bin/ruby", data: "", mode: 0o755 },
    {
      name: "usr/local/lib/ruby/3.4.0/x86_64-linux/rbconfig.rb",
      data: `${configuration}CONFIG["RUBY_INSTALL_NAME"] = "$(RUBY_BASE_NAME)"\n`,
    },
    { name: "var/lang", type: "2" as const, link: "/etc" },
  ];
  const java = (program: RawTarEntry) => [{ name: "opt/java/openjdk/release", data: 'JAVA_VERSION="21.0.9"\n' }, program];
  const layoutOf = async (name: string, layer: readonly RawTarEntry[], config: object = {}) => {
    await writeLayout(join(work, name), { only: { layers: [layer], config } });
    return join(work, name);
  };
  const withRuby = await layoutOf("with-ruby", ruby, { Env: ["GEM_HOME=/usr/local/bundle"] });
  const withJava = await layoutOf("with-java", java({ name: "opt/java/openjdk/bin/java", data: "", mode: 0o755 }));
  const trap = await layoutOf("trap", java({ name: "opt/java/openjdk/bin/java", type: "2", link: "/bin/sh" }));
  await installFromImage("ruby3.4", withRuby, given);
  const root = join(given.runtimesDirectory, "images", "ruby3.4", "root");
  assert.equal(await readlink(join(root, "var/lang/bin/ruby")), "/usr/local/bin/ruby");
  const found = runtimeCatalog(given).resolve("ruby3.4");
  assert.ok(found !== undefined && !("missing" in found));
  assert.deepEqual([found.argv[0], found.protocol, found.version], ["/var/lang/bin/ruby", "framed", "3.4.7"]);
  assert.deepEqual(
    found.mounts.map(({ target }) => target),
    ["/", "/var/rapid"],
  );
  assert.equal(
    found.env["GEM_PATH"],
    "/var/task/vendor/bundle/ruby/3.4.0:/opt/ruby/gems/3.4.0:/var/runtime:/var/runtime/ruby/3.4.0:/usr/local/bundle:",
  );
  await assert.rejects(installFromImage("ruby3.3", withRuby, given), /it has no ENTRYPOINT, and nothing that ruby3\.3 could be run with/);
  // Java needs AWS's client besides: without it, nothing is ready.
  await writeFile(join(bin, "mvn"), "#!/bin/sh\necho no such artifact >&2; exit 1\n", { mode: 0o755 });
  await assert.rejects(installFromImage("java21", withJava, given), /mvn .* failed \(status 1\):\nno such artifact/);
  assert.ok("missing" in (runtimeCatalog(given).resolve("java21") ?? {}));
  await assert.rejects(installFromImage("java21", trap, given), /nothing that java21 could be run with/);
  await assert.rejects(installFromImage("python3.12", withRuby, given), /nothing that python3\.12 could be run with/);
  await installFromImage("provided.al2023", withRuby, given);
});

test("a runtime from an image on this disk: its root with places to mount over, its program and its variables", async () => {
  const given = await options();
  const layout = join(work, "layout");
  const layers = [
    [
      { name: "entry", data: "first" },
      { name: "gone", data: "" },
      { name: "tmp", type: "2", link: "/etc" },
    ],
    [{ name: ".wh.gone", data: "" }],
  ];
  const config = { Entrypoint: ["/entry"], Env: ["A=1=2"] };
  await writeLayout(layout, { one: { layers, config }, relative: { layers, config: { Entrypoint: ["entry"] } } });
  await assert.rejects(installFromImage("ruby3.4", layout, given), /name one of its images: one, relative/);
  await rm(layout, { recursive: true });
  await writeLayout(layout, { one: { layers, config } });
  await installFromImage("ruby3.4", layout, given);
  const directory = join(given.runtimesDirectory, "images", "ruby3.4");
  assert.deepEqual((await readdir(join(directory, "root"))).toSorted(), ["dev", "entry", "etc", "opt", "proc", "sys", "tmp", "var"]);
  assert.deepEqual(await readdir(join(directory, "root", "tmp")), []);
  assert.deepEqual(JSON.parse(await readFile(join(directory, "image.json"), "utf8")), { Entrypoint: ["/entry"], Env: { A: "1=2" } });
  const catalog = runtimeCatalog(given);
  const found = catalog.resolve("ruby3.4");
  assert.ok(found !== undefined && !("missing" in found));
  assert.deepEqual([found.argv, found.takesHandler, found.mounts[0]?.target, found.env], [["/entry"], true, "/", { A: "1=2" }]);
  assert.ok(catalog.list().some(({ runtime, state }) => runtime === "ruby3.4" && state === "ready"));
  assert.deepEqual(
    (await readdir(given.runtimesDirectory)).filter((name) => name.startsWith(".")),
    [],
  );
  await assert.rejects(installFromImage("ruby3.4", layout, given, HERE === "arm64" ? "x86_64" : "arm64"), /it is for amd64, not for arm64/);
  await assert.rejects(installFromImage("cobol85", layout, given), /no runtime of Lambda's/);
  await assert.rejects(
    installFromImage("ruby3.3", join(work, "nowhere"), given),
    /^CliError: .*can't be installed: there is no .*nowhere$/,
  );
  await assert.rejects(installFromImage("ruby3.3", work, given), /neither index.json nor manifest.json/);
});

/** Compiles nothing: it writes the file that says so, and its calls. */
const PYTHON = (calls: string) => `#!/bin/sh
echo "$*" >> ${calls}
for last; do :; done
case $last in *.py) mkdir -p "$(dirname "$last")/__pycache__"; touch "$(dirname "$last")/__pycache__/runtime.cpython-312.pyc" ;; esac
`;

test("a bootstrap that an update has changed is compiled anew, once, beside the one that another server may run on", async () => {
  const given = { ...(await options()), pythonSearchPath: [join(bin, "pythons")], bootstrapsDirectory: join(bin, "repo") };
  const source = join(given.bootstrapsDirectory, "python");
  for (const directory of [source, join(bin, "pythons/3.12.1/bin"), given.runtimesDirectory]) await mkdir(directory, { recursive: true });
  await writeFile(join(source, "runtime.py"), "# of today\n");
  await writeFile(join(bin, "pythons/3.12.1/bin/python3.12"), PYTHON(join(bin, "calls")), { mode: 0o755 });
  // Where Python has never been installed, there is nothing to renew.
  await renewPythonBootstrap(given);
  assert.deepEqual(await readdir(given.runtimesDirectory), []);
  await mkdir(join(given.runtimesDirectory, "python-sdk"));
  await renewPythonBootstrap(given);
  const [first = ""] = await readdir(given.runtimesDirectory);
  assert.equal(first, pythonBootstrapName(given.bootstrapsDirectory));
  assert.deepEqual(told, ["installing the Python bootstrap, compiled for each Python"]);
  assert.ok((await readdir(join(given.runtimesDirectory, first, "__pycache__"))).includes("runtime.cpython-312.pyc"));
  await renewPythonBootstrap(given);
  assert.equal(told.length, 1);
  await writeFile(join(source, "runtime.py"), "# of tomorrow\n");
  await renewPythonBootstrap(given);
  assert.equal(told.length, 2);
  const second = pythonBootstrapName(given.bootstrapsDirectory);
  assert.deepEqual((await readdir(given.runtimesDirectory)).toSorted(), [first, second, "python-sdk"].toSorted());
  assert.equal(await readFile(join(given.runtimesDirectory, first, "runtime.py"), "utf8"), "# of today\n");
  assert.equal(await readFile(join(given.runtimesDirectory, second, "runtime.py"), "utf8"), "# of tomorrow\n");
});
