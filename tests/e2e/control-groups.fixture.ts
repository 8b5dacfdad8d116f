// Run in namespaces of its own by cgroups.test.ts: makes a host for sandboxes and one sandbox, says so, and leaves.
import { run, sh, startHost } from "../acceptance/containment/sandbox.fixture.ts";

const host = await startHost();
const { output } = await run(host, sh("echo made"));
await host.stop();
process.stdout.write(output);
