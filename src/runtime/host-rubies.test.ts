// An identifier is served by its own version of Ruby and by no other, as the interpreter's own configuration says.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { findHostRuby } from "./host-rubies.ts";

let work: string;
let home: string;
before(async () => (work = await mkdtemp(join(tmpdir(), "lambent-rubies-"))));
after(() => rm(work, { recursive: true }));
beforeEach(async () => (home = await mkdtemp(join(work, "home-"))));

async function put(path: string, text = ""): Promise<void> {
  await mkdir(dirname(join(home, path)), { recursive: true });
  await writeFile(join(home, path), text);
}

async function install(prefix: string, version: string, place: string, suffix = ""): Promise<void> {
  const [major = "", minor = "", teeny = ""] = version.split(".");
  const members = { MAJOR: major, MINOR: minor, TEENY: teeny, ruby_version: `${major}.${minor}.0` };
  const lines = Object.entries({ ...members, RUBY_INSTALL_NAME: `$(RUBY_BASE_NAME)${suffix}` });
  await put(join(prefix, place, "rbconfig.rb"), lines.map(([name, value]) => `  CONFIG["${name}"] = "${value}"\n`).join(""));
  await put(join(prefix, "bin", `ruby${suffix}`));
}

const found = (runtime: string) => findHostRuby([join(home, "usr"), join(home, "versions"), join(home, "nowhere")], runtime);

test("Debian's, whose program has the version in its name", async () => {
  await install("usr", "3.3.8", "lib/x86_64-linux-gnu/ruby/3.3.0", "3.3");
  await install("usr", "3.1.2", "lib/x86_64-linux-gnu/ruby/3.1.0", "3.1");
  assert.deepEqual([found("ruby3.3")?.version, found("ruby3.3")?.interpreter], ["3.3.8", join(home, "usr/bin/ruby3.3")]);
  for (const runtime of ["ruby3.1", "ruby3.2", "ruby3.4", "ruby2.7", "ruby", "../evil"]) assert.equal(found(runtime), undefined, runtime);
});

test("rbenv's, of which the newest of the version counts", async () => {
  for (const version of ["3.4.1", "3.4.10", "3.4.9", "3.2.4"]) await install(`versions/${version}`, version, "lib/ruby/3.4.0/x86_64-linux");
  const ruby = found("ruby3.4");
  assert.equal(ruby?.prefix, join(home, "versions/3.4.10"));
  assert.deepEqual(ruby.libraries, [join(ruby.prefix, "lib/ruby/3.4.0"), join(ruby.prefix, "lib/ruby/3.4.0/x86_64-linux")]);
});

test("one that another has replaced, or whose program is a link or not there, does not count", async () => {
  await install("usr", "3.3.1", "lib/ruby/3.3.0/x86_64-linux");
  await install("usr", "3.4.2", "lib/ruby/3.4.0/x86_64-linux");
  assert.deepEqual([found("ruby3.3"), found("ruby3.4")?.version], [undefined, "3.4.2"]);
  await rm(join(home, "usr/bin/ruby"));
  assert.equal(found("ruby3.4"), undefined);
  await symlink("/bin/sh", join(home, "usr/bin/ruby"));
  assert.equal(found("ruby3.4"), undefined);
});
