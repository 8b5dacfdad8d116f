// Programs for arm64 in a sandbox that brings an emulator: they run there, and nowhere else.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { arm64Emulation } from "../../src/sandbox/linux/emulator.ts";
import type { LinuxSandboxHost } from "../../src/sandbox/linux/host.ts";
import { arm64Program } from "../support/arm64-program.ts";
import { run, sh, skip as missing, spec, startHost } from "../acceptance/containment/sandbox.fixture.ts";

const found = arm64Emulation();
const bringing = process.arch === "x64" && "emulator" in found ? { emulator: found.emulator } : undefined;
const skip = missing !== false ? missing : bringing === undefined && "needs an emulator for arm64 that a sandbox can bring";
const REGISTRATIONS = "/proc/sys/fs/binfmt_misc";
const registrations = () => (existsSync(REGISTRATIONS) ? readdirSync(REGISTRATIONS) : []);

let host: LinuxSandboxHost;
let directory: string;
before(async () => {
  if (skip !== false) return;
  host = await startHost();
  directory = await mkdtemp(join(tmpdir(), "lambent-emulator-"));
  await chmod(directory, 0o755);
  await writeFile(join(directory, "program"), arm64Program(42), { mode: 0o755 });
  await writeFile(join(directory, "script"), "#!/var/task/program\n", { mode: 0o755 });
});
after(async () => {
  if (skip !== false) return;
  await host.stop();
  await rm(directory, { recursive: true });
});

const mounts = () => [{ source: directory, target: "/var/task" }];

test("a program, one that a shell starts, and a script that asks for one", { skip }, async () => {
  const atFirst = registrations();
  const given = { mounts: mounts(), ...bringing };
  const code = async (argv: readonly string[]) => (await run(host, argv, given)).exit.code;
  assert.equal(await code(["/var/task/program"]), 42);
  assert.equal(await code(sh("/var/task/program; [ $? = 42 ] && exec /var/task/script")), 42);
  assert.equal(await code(["/var/emulator", "/var/task/program"]), 42);
  assert.deepEqual(registrations(), atFirst, "the machine itself is as it was");
});

test("one that is started beside the function, as extensions are", { skip }, async () => {
  const sandbox = await host.start(spec({ argv: sh("exec sleep 60"), mounts: mounts(), isSupervised: true, ...bringing }));
  const { exited } = await sandbox.spawn({ role: "beside", argv: ["/var/task/program"], env: {}, workingDirectory: "/" });
  assert.equal((await exited).code, 42);
  await sandbox.kill();
});

test("a sandbox that brings none, beside one that does, does not run them", { skip }, async (t) => {
  if (registrations().some((name) => /aarch64|arm64/.test(name))) return t.skip("this machine runs them by itself");
  await host.start(spec({ argv: sh("exec sleep 60"), mounts: mounts(), ...bringing }));
  await assert.rejects(run(host, ["/var/task/program"], { mounts: mounts() }), /Exec format error/);
  return undefined;
});
