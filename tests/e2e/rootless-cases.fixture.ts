// The cases of rootless.test.ts, which starts this in namespaces of its own: run it by itself with `unshare --net --mount node FILE`, as root.
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { connectMachine, shell, type Internet } from "./internet.fixture.ts";
import { canEmulate, ordinaryUser, type Ordinary } from "./rootless.fixture.ts";

const HERE = import.meta.dirname;
const MAIN = join(HERE, "..", "..", "src", "main.ts");

let machine: Internet | undefined;
let user: Ordinary;
before(async () => {
  machine = await connectMachine();
  user = ordinaryUser();
});
after(async () => {
  await (user as Ordinary | undefined)?.close(); // there is none when the beginning failed
  await machine?.close();
});

async function asUser(words: readonly string[], options = {}): Promise<{ code: number | null; output: string }> {
  const child = user.run(
    [process.execPath, ...words].map((word) => user.reachable(word)),
    options,
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (piece: Buffer) => (output += piece.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

const CONTAINMENT = join(HERE, "..", "acceptance", "containment");
const FILES = [
  join(HERE, "..", "contracts", "sandbox"),
  ...["first-request", "inside", "resources", "life", "posture", "ledger"].map((name) => join(CONTAINMENT, name)),
  ...["layers", "processors", ...(canEmulate() ? ["emulator"] : [])].map((name) => join(HERE, name)),
];
for (const file of FILES)
  void test(`${basename(file)}.test.ts passes for an ordinary user`, async () => {
    const { code, output } = await asUser(["--test-reporter=tap", `${file}.test.ts`]);
    assert.equal(code, 0, output);
    assert.match(output, /^# pass [1-9]/m);
    assert.match(output, /^# skipped 0$/m);
  });

void test("an ordinary user's functions run in Node and Python, reach the internet if asked for, and leave nothing", async () => {
  const { code, output } = await asUser([join(HERE, "rootless-server.fixture.ts")]);
  assert.equal(code, 0, output);
});

void test("doctor finds nothing missing", async () => {
  const { code, output } = await asUser([MAIN, "doctor"]);
  assert.equal(code, 0, output);
  assert.match(output, /cgroup memory +version \d, delegated/);
});

const up = () => asUser([MAIN, "up", "--port", "0", "--data", join(user.home, "refused")]);

void test("without delegated control groups nothing starts: limits could not be enforced", async () => {
  const refused = await asUser([MAIN, "up", "--port", "0", "--data", join(user.home, "refused")], { delegated: false });
  assert.equal(refused.code, 1, refused.output);
  assert.match(refused.output, /can't make the control group .*Permission denied.*lambent doctor/s);
  const doctor = await asUser([MAIN, "doctor"], { delegated: false });
  assert.equal(doctor.code, 1);
  assert.match(
    doctor.output,
    /MISSING +cgroup memory +not delegated to this user.*\n.*enable-linger 54321, then systemd-run --user --scope -p Delegate=yes/,
  );
});

void test("without subordinate ids, or the programs that map them, nothing starts: sandboxes would share a user", async () => {
  const nobody = join(user.home, "nobody");
  writeFileSync(nobody, "somebody-else:100000:65536\n");
  shell(`mount --bind ${nobody} /etc/subgid`);
  const refused = await up();
  const doctor = await asUser([MAIN, "doctor"]);
  shell("umount /etc/subgid");
  rmSync(nobody);
  assert.equal(refused.code, 1);
  assert.match(refused.output, /has 0 subordinate user and group ids.*usermod --add-subuids/);
  assert.match(doctor.output, /MISSING +subordinate ids .*\n.*usermod/);
  shell("mount --bind /dev/null /usr/bin/newuidmap");
  const helpless = await up();
  shell("umount /usr/bin/newuidmap; mount --bind /usr/bin/false /usr/bin/newgidmap");
  const failing = await up();
  shell("umount /usr/bin/newgidmap");
  assert.match(helpless.output, /newuidmap and newgidmap are not installed.*apt install uidmap/);
  assert.match(failing.output, /the subordinate ids.*can't be mapped: Command failed: \/usr\/bin\/newgidmap/);
  assert.deepEqual([helpless.code, failing.code], [1, 1]);
});
