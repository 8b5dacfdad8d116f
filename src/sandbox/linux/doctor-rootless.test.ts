// Where a process is in the hierarchies of control groups, as the kernel tells it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ownGroups } from "./doctor-rootless.ts";

void test("version 1 hierarchies have names, version 2 has none, and a path may hold a colon", () => {
  assert.deepEqual(ownGroups("12:cpu,cpuacct:/user.slice\n1:name=systemd:/a\n0::/user.slice/user@1000.service/a:b.scope\n"), [
    { controllers: ["cpu", "cpuacct"], path: "/user.slice" },
    { controllers: ["name=systemd"], path: "/a" },
    { controllers: [], path: "/user.slice/user@1000.service/a:b.scope" },
  ]);
  assert.deepEqual(ownGroups(""), []);
});
