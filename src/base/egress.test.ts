// Networks that an operator may allow, and what is said about the others.
import assert from "node:assert/strict";
import { test } from "node:test";
import { networkProblem } from "./egress.ts";

void test("networks of the operator's own can be allowed", () => {
  for (const good of ["10.0.0.0/8", "10.1.2.3/32", "192.168.4.0/22", "172.16.0.0/12", "203.0.113.0/24", "100.64.0.0/10"])
    assert.equal(networkProblem(good), undefined, good);
});

void test("what is no IPv4 network is refused", () => {
  const bad = [
    "",
    "10.0.0.0",
    "10.0.0.0/33",
    "10.0.0.256/32",
    "010.0.0.0/8",
    "fd00::/8",
    "10.0.0.0/8 ",
    "10.0.0.0/8\n",
    "a/8",
    "10.0.0/8",
    "} drop; {",
  ];
  for (const text of bad) assert.match(networkProblem(text) ?? "", /IPv4 network/, text);
});

void test("a network with bits beyond its length is refused: it is most likely a typing error", () => {
  assert.match(networkProblem("10.1.0.0/8") ?? "", /beyond its \/8/);
});

void test("loopback, link-local, multicast and the sandboxes' own network can't be allowed", () => {
  for (const bad of [
    "127.0.0.0/8",
    "127.0.0.1/32",
    "169.254.169.254/32",
    "0.0.0.0/0",
    "198.18.0.0/16",
    "198.19.1.0/24",
    "224.0.0.0/4",
    "255.255.255.255/32",
  ])
    assert.match(networkProblem(bad) ?? "", /can't be allowed/, bad);
});
