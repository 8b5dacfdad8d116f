// A server that has no file descriptor left: that is its own trouble and no function's, it says what to do, and it recovers.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { skip } from "../acceptance/containment/sandbox.fixture.ts";
import { call, makeFunction, makeRole } from "../support/functions.ts";
import { startLambent } from "../support/lambent-process.ts";

const CODE = "def handler(event, context):\n    return 'answered'\n";
const hasPrlimit = spawnSync("prlimit", ["--version"]).status === 0;

test("a server without file descriptors fails no function", { skip: skip || (hasPrlimit ? false : "needs prlimit") }, async (t) => {
  const server = await startLambent();
  t.after(() => server.dispose());
  const pid = server.child.pid ?? 0;
  const [, soft, hard] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8")) ?? [];
  assert.equal(soft, hard, "Node raises its own limit as far as it may");
  const limit = (files: number) => assert.equal(spawnSync("prlimit", ["--pid", String(pid), `--nofile=${files}:`]).status, 0);
  const { lambda, iam } = server.clients();
  const role = await makeRole(iam);
  const names = Array.from({ length: 8 }, (_, at) => `f${at}`);
  for (const name of ["warm", ...names]) await makeFunction(lambda, { name, role, code: CODE });
  assert.equal((await call(lambda, "warm")).value, "answered");
  // At each of these a start gets a little further.
  for (const [at, name] of names.entries()) {
    limit(readdirSync(`/proc/${pid}/fd`).length + at * 5);
    assert.equal((await call(lambda, "warm")).value, "answered");
    const told = await call(lambda, name).then(
      ({ functionError, value }) => functionError ?? value,
      (fault: Error) => fault.name,
    );
    assert.match(String(told), /^(?:ServiceException|answered)$/, `with ${at * 5} more: ${String(told)}`);
  }
  assert.match(server.stderr(), /no file descriptor.*LimitNOFILE/);
  limit(Number(soft));
  for (const name of names) assert.equal((await call(lambda, name)).value, "answered");
});
