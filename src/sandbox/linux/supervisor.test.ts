// A supervisor that never comes, as one that its function has stopped: whoever asks it hears so.
import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "../../base/manual-clock.ts";
import { Supervisor } from "./supervisor.ts";

const SPEC = { role: "main", argv: ["/bin/true"], env: {}, workingDirectory: "/" } as const;

test("what is asked of a supervisor that never connects is refused after two seconds", async () => {
  const clock = manualClock();
  const supervisor = new Supervisor(clock);
  const told: string[] = [];
  const asked = [supervisor.clear(), supervisor.spawn(SPEC), supervisor.dial(4243)].map((one) =>
    one.then(
      () => "done",
      (cause: Error) => told.push(cause.message),
    ),
  );
  for (let step = 0; step < 30 && told.length < 3; step++) {
    clock.advance(100);
    await new Promise(setImmediate);
  }
  assert.deepEqual(
    told,
    Array.from({ length: 3 }, () => "the sandbox's supervisor does not answer"),
  );
  await Promise.all(asked);
  supervisor.close();
});
