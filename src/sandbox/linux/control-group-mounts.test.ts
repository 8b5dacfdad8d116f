// What the kernel says of control groups, as its texts spell it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mountedHierarchies, ownGroups } from "./control-group-mounts.ts";

void test("version 1 hierarchies have names, version 2 has none, and a path may hold a colon", () => {
  assert.deepEqual(ownGroups("12:cpu,cpuacct:/user.slice\n1:name=systemd:/a\n0::/user.slice/user@1000.service/a:b.scope\n"), [
    { controllers: ["cpu", "cpuacct"], path: "/user.slice" },
    { controllers: ["name=systemd"], path: "/a" },
    { controllers: [], path: "/user.slice/user@1000.service/a:b.scope" },
  ]);
  assert.deepEqual(ownGroups(""), []);
});

void test("only control groups are of interest, in a directory whose name has spaces and backslashes, behind a line of any length", () => {
  const layers = Array.from({ length: 2000 }, (_, at) => `/layers/${at}`).join(":");
  const text = String.raw`overlay / overlay rw,lowerdir=${layers},upperdir=/cgroup2 0 0
cgroup2 /mnt/a\040b\011c\012d\134e\0407 cgroup2 rw,nsdelegate 0 0
proc /proc proc rw 0 0
cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0

torn cgroup`;
  assert.deepEqual(mountedHierarchies(text), [
    { version: 2, directory: "/mnt/a b\tc\nd\\e 7", options: ["rw", "nsdelegate"] },
    { version: 1, directory: "/sys/fs/cgroup/cpu,cpuacct", options: ["rw", "relatime", "cpu", "cpuacct"] },
  ]);
});
