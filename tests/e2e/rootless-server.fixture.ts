// Run as an ordinary user by rootless-cases.fixture.ts: a server of that user's own, with functions that look at who they are and go outside.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { eventually } from "../support/eventually.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent } from "../support/lambent-process.ts";
import { MACHINE, SITE } from "./internet.fixture.ts";
import { USER } from "./rootless.fixture.ts";
import { below, isLauncher, launcherOf, processes } from "../acceptance/containment/sandbox.fixture.ts";

assert.notEqual(process.getuid?.(), 0);
const server = await startLambent({ flags: ["--network", "internet"] });

/** The host's user ids of what runs in this user's sandboxes. */
function inside(): readonly number[] {
  const owners = processes().flatMap(({ pid }) => {
    try {
      return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
    } catch {
      return []; // it has ended since the listing
    }
  });
  return [...new Set(owners.filter((uid) => uid >= USER.idFirst && uid < USER.idFirst + USER.idCount))];
}

async function cases(): Promise<void> {
  const { lambda, iam } = server.clients();
  const role = await makeRole(iam);
  const settings = { Timeout: 60, MemorySize: 128 };
  await makeFunction(lambda, {
    name: "node",
    role,
    runtime: "nodejs24.x",
    code: "export const handler = async ({ url }) => { try { return await (await fetch(url)).text() } catch (e) { return e.cause?.code } }",
    settings,
  });
  await makeFunction(lambda, {
    name: "python",
    role,
    code: `import urllib.request
def handler(event, context):
    if event.get("hog"): return len(bytearray(400 * 2**20))
    try: return urllib.request.urlopen(event["url"], timeout=30).read().decode()
    except OSError as e: return str(e)`,
    settings,
  });
  for (const name of ["node", "python"]) {
    assert.equal((await call(lambda, name, { url: "http://site.example/" })).value, `hello ${MACHINE} at site.example`);
    assert.equal((await call(lambda, name, { url: `http://${SITE}/` })).value, `hello ${MACHINE} at ${SITE}`);
    for (const address of [`${MACHINE}:8080`, "10.20.0.1", "169.254.169.254"])
      assert.match(String((await call(lambda, name, { url: `http://${address}/` })).value), /EHOSTUNREACH|No route to host/, address);
  }
  const own = () => below(launcherOf(server.child.pid));
  const isRuntime = (command: string) => command.includes("/var/rapid/bootstrap") && !command.startsWith("/var/supervisor");
  const runtimes = () => {
    const among = own();
    return processes().filter(({ pid, command }) => among.has(pid) && isRuntime(command)).length;
  };
  await eventually("each sandbox has a user of its own, of the subordinate ones", () => runtimes() >= 2 && inside().length === runtimes());
  assert.match(JSON.stringify((await call(lambda, "python", { hog: true })).value), /Runtime\.(?:OutOfMemory|ExitError)/);
}

try {
  await cases();
} catch (error) {
  process.stderr.write(server.stderr());
  await server.dispose();
  throw error;
}
const launcher = launcherOf(server.child.pid);
const carrier = () => processes().some(({ command }) => command.includes("slirp4netns") && command.includes(`/proc/${launcher}/fd/`));
assert.ok(carrier());
await server.end("SIGKILL");
await eventually("a killed server leaves no process", () => inside().length === 0 && !carrier() && !isLauncher(launcher));
await server.dispose();
