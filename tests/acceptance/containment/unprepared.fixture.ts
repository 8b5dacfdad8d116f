// A process that starts a launcher and never sends it a request: it says which one when that waits, and waits itself to be killed.
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { controlGroups } from "../../../src/sandbox/linux/control-groups.ts";
import { Launcher } from "../../../src/sandbox/linux/launcher.ts";
import { LAUNCHER } from "./sandbox.fixture.ts";

const hierarchies = await controlGroups(undefined, systemClock);
const launcher = new Launcher(
  { launcherPath: LAUNCHER, log: silentLog, clock: systemClock, hierarchies },
  { seen: ({ kind }) => void process.stdout.write(`${kind} ${launcher.pid}\n`), handed: () => undefined, missed: () => undefined },
);
setInterval(() => undefined, 60_000);
