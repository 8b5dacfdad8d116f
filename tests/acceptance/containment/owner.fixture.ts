// A process that owns sandboxes and does nothing else: it says which launcher it has, and waits to be killed.
import { argv } from "node:process";
import { python, spec, startHost, launcherOf } from "./sandbox.fixture.ts";

const [, , marker = "", countText = "1", cgroupParent] = argv;
const host = await startHost(cgroupParent);
for (let i = 0; i < Number(countText); i++) {
  const sandbox = await host.start(spec({ argv: [...python("os.fork(); os.read(3, 1)"), marker] }));
  if (i === 1) await sandbox.freeze();
}
process.stdout.write(`${launcherOf()}\n`);
setInterval(() => undefined, 60_000);
