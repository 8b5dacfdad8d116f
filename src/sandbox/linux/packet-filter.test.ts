// The filter's text: the order of its rules, and the host's own addresses as the kernel lists them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hostUpdate, localNetworks, packetFilter } from "./packet-filter.ts";

const TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
     |-- 198.51.100.2
        /32 host LOCAL
     |-- 198.51.100.255
        /32 link BROADCAST
Local:
     |-- 198.51.100.2
        /32 host LOCAL
     |-- 192.0.2.0
        /24 host LOCAL
        /24 link UNICAST
`;

void test("the host's own addresses are those that the kernel delivers locally, whole networks too", () => {
  assert.deepEqual(localNetworks(TRIE), ["127.0.0.0/8", "127.0.0.1/32", "192.0.2.0/24", "198.51.100.2/32"]);
  assert.deepEqual(localNetworks(""), []);
});

void test("an allowed network opens neither the host nor what is never reached", () => {
  const text = packetFilter({ host: ["10.0.0.5/32"], allowed: ["10.0.0.0/8"] });
  const places = [
    "oifname !=",
    "@never",
    "ip daddr @host",
    "ip daddr @allowed",
    "ip daddr @private",
    "dport { 25",
    "meta nfproto ipv4 accept",
  ].map((rule) => text.indexOf(rule, text.indexOf("chain forward")));
  assert.ok(places.every((place) => place > 0));
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
});

void test("empty lists make no empty elements", () => {
  assert.doesNotMatch(packetFilter({ host: [], allowed: [] }), /elements = \{ {2}\}/);
  assert.equal(hostUpdate([]), "flush set inet lambent host\n");
  assert.match(hostUpdate(["1.2.3.4/32"]), /^flush.*\nadd element inet lambent host \{ 1\.2\.3\.4\/32 \}\n$/);
});
