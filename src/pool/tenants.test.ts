// Environments of a function that isolates its tenants: one tenant each, whatever the schedule.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FakeContext } from "../sandbox/fake.ts";
import { deployment, describe, eventually, plane, request } from "./data-plane.fixture.ts";

test("an environment serves one tenant, under load, evictions and crashes; the function is told whom", async () => {
  const owners = new Map<string, string>();
  const problems: string[] = [];
  const handler = async (event: unknown, { sandbox, tenantId = "nobody", exit }: FakeContext) => {
    const { tenant, kind, turns } = event as { tenant: string; kind: string; turns: number };
    if (tenantId !== tenant) problems.push(`${tenant}'s invocation was ${tenantId}'s`);
    const owner = owners.get(sandbox.id) ?? tenant;
    owners.set(sandbox.id, owner);
    if (owner !== tenant) problems.push(`${tenant} was served where ${owner} was before`);
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    return kind === "exit" ? exit(1) : tenant;
  };
  const { plane: one, clock, host } = plane(() => handler, { environmentsMax: 6, waitMsMax: 100_000 });
  const answers: Promise<string>[] = [];
  for (let step = 0; step < 2000; step++) {
    const tenant = `t${(step * 7) % 11}`;
    const event = { tenant, kind: step % 13 === 0 ? "exit" : "return", turns: step % 4 };
    answers.push(one.invoke(deployment("f", { tenantId: tenant }), request(event)).then(describe));
    if (step % 8 === 0) await Promise.race(answers.slice(-8));
  }
  const outcomes = await Promise.all(answers);
  clock.advance(0);
  assert.deepEqual(problems, []);
  assert.ok(outcomes.filter((outcome) => outcome.startsWith("returned")).length > 500);
  assert.ok(new Set(owners.values()).size === 11 && host.ledger().runningMost <= 6);
  await one.stop();
  assert.equal(host.ledger().runningNow, 0);
});

test("a tenant's next invocation finds its environment; a retired deployment's go, whosever they are", async () => {
  const { plane: one, host } = plane(
    () =>
      (_event, { sandbox }) =>
        sandbox.id,
  );
  const of = (tenantId: string) => one.invoke(deployment("f", { tenantId }), request()).then(describe);
  const blue = await of("blue");
  const green = await of("green");
  assert.notEqual(blue, green);
  assert.deepEqual([await of("blue"), await of("green")], [blue, green]);
  assert.equal(host.ledger().started, 2);
  one.retire(["f-1"]);
  await eventually(() => host.ledger().runningNow === 0);
  await one.stop();
});
