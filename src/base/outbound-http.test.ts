import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { systemClock } from "./clock.ts";
import { LOOPBACK_NETWORKS, outboundAddresses, outboundNetworkProblem } from "./outbound-addresses.ts";
import { outboundHttp, outboundUrl, shownUrl, type OutboundAddress } from "./outbound-http.ts";

async function startServer(t: TestContext, listener: RequestListener) {
  const server = createServer(listener);
  let connections = 0;
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => {
    server.listen(0, "::", resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

function client(allowed: readonly string[], resolve?: (name: string) => Promise<readonly OutboundAddress[]>) {
  const one = outboundHttp({ clock: systemClock, isAllowed: outboundAddresses(allowed), ...(resolve === undefined ? {} : { resolve }) });
  const post = (url: string, timeoutMs = 5000, publicOnly = false) =>
    one.post({ url, headers: { "x-a": "b" }, body: Buffer.from("{}"), timeoutMs, publicOnly });
  return { ...one, post };
}

/** Spellings of addresses that are not the internet. */
function hostsOfInside(): string[] {
  const quads = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"];
  const more = ["100.64.0.1", "192.0.0.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "224.0.0.1", "240.0.0.1", "255.255.255.255"];
  return [...quads, ...more].flatMap((quad) => {
    const bytes = quad.split(".").map(Number);
    const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    const hex = (from: number) =>
      bytes
        .slice(from, from + 2)
        .map((byte) => byte.toString(16).padStart(2, "0"))
        .join("");
    return [
      quad,
      `${quad}.`,
      String(number),
      `0x${number.toString(16)}`,
      `0${number.toString(8)}`,
      bytes.map((byte) => `0x${byte.toString(16)}`).join("."),
      bytes.map((byte) => `0${byte.toString(8)}`).join("."),
      quad.replaceAll(".", "。"),
      `[::ffff:${quad}]`,
      `[::ffff:${hex(0)}:${hex(2)}]`,
      `[::${quad}]`,
      `[64:ff9b::${quad}]`,
      `[2002:${hex(0)}:${hex(2)}::1]`,
    ];
  });
}

const OTHERS = [
  "[::1]",
  "[::]",
  "[fe80::1]",
  "[fec0::1]",
  "[fc00::1]",
  "[fd12:3456::1]",
  "[ff02::1]",
  "[100::1]",
  "[2001::1]",
  "[2001:db8::1]",
  "[3fff::1]",
  "[64:ff9b:1::1]",
  "localhost",
  "user:password@127.0.0.1",
  "example.com@127.0.0.1",
];

test("no spelling of an inner address is called", async (t) => {
  const { port, connections } = await startServer(t, (_request, response) => response.end());
  const { post } = client([]);
  const urls = [...hostsOfInside(), ...OTHERS].map((host) => `http://${host}:${port}/`);
  assert.ok(urls.length > 200);
  for (const url of urls) assert.equal((await post(url)).kind, "refused", url);
  for (const url of ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://example.com/", "//127.0.0.1/", "nonsense", ""])
    assert.equal((await post(url)).kind, "refused", url);
  assert.equal(connections(), 0);
});

test("public addresses may be called, and networks that the operator allows", () => {
  const isAllowed = outboundAddresses(["10.1.0.0/16", "fd00::/8"]);
  for (const address of ["93.184.216.34", "::ffff:93.184.216.34", "2606:2800:220:1::1", "10.1.2.3", "::ffff:10.1.2.3", "fd12::1"])
    assert.ok(isAllowed(address), address);
  for (const address of ["10.2.0.1", "fc00::1", "fe80::1%eth0", "nonsense", ""]) assert.ok(!isAllowed(address), address);
});

test("networks are read strictly", () => {
  for (const good of ["10.0.0.0/8", "::1/128", "192.168.1.5/32", "0.0.0.0/0"]) assert.equal(outboundNetworkProblem(good), undefined, good);
  for (const bad of ["10.0.0.0", "10.0.0.0/33", "::1/129", "x/8", "10.0.0.0/8/8", "fe80::1%eth0/64", ""])
    assert.equal(outboundNetworkProblem(bad), "is not a network such as 10.1.0.0/16 or fd00::/8", bad);
});

test("a name that leads inside and outside is not called", async (t) => {
  const { port, connections } = await startServer(t, (_request, response) => response.end());
  const both = [
    { address: "93.184.216.34", family: 4 },
    { address: "127.0.0.1", family: 4 },
  ];
  const { post } = client([], () => Promise.resolve(both));
  assert.equal((await post(`http://example.com:${port}/`)).kind, "refused");
  assert.equal(connections(), 0);
});

test("the address that was checked is the one that is called, under the name that was asked for", async (t) => {
  const hosts: (string | undefined)[] = [];
  const { port } = await startServer(t, (request, response) => {
    hosts.push(request.headers.host);
    response.writeHead(204).end();
  });
  let asked = 0;
  const { post } = client(LOOPBACK_NETWORKS, () => {
    asked++;
    return Promise.resolve([{ address: "127.0.0.1", family: 4 }]);
  });
  assert.deepEqual(await post(`http://rebinding.example:${port}/`), { kind: "answered", status: 204 });
  assert.deepEqual([asked, hosts], [1, [`rebinding.example:${port}`]]);
  assert.equal((await post(`http://rebinding.example:${port}/`, 5000, true)).kind, "refused");
});

test("a redirect is an answer, a body is bounded, and waiting has an end", async (t) => {
  const { port, connections } = await startServer(t, (request, response) => {
    if (request.url === "/away") response.writeHead(302, { location: `http://127.0.0.1:${port}/other` }).end();
    else if (request.url === "/endless") {
      const write = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on("drain", write);
      write();
    }
  });
  const one = client(LOOPBACK_NETWORKS);
  const { post } = one;
  const at = (path: string) => `http://127.0.0.1:${port}/${path}`;
  assert.deepEqual(await post(at("away")), { kind: "answered", status: 302 });
  assert.equal(connections(), 1);
  assert.deepEqual(await post(at("endless")), { kind: "answered", status: 200 });
  assert.deepEqual(await post(at("silence"), 50), { kind: "failed", message: "no answer within 50 ms" });
  const slow = client(LOOPBACK_NETWORKS, () => new Promise(() => {}));
  assert.deepEqual(await slow.post("http://slow.example/", 50), { kind: "failed", message: "no answer within 50 ms" });
  const running = post(at("silence"));
  one.close();
  assert.deepEqual(await running, { kind: "failed", message: "the server stops" });
  assert.deepEqual(await post(at("away")), { kind: "failed", message: "the server stops" });
  assert.deepEqual(await post("http://10.0.0.1/"), { kind: "failed", message: "the server stops" });
});

test("a user in the URL becomes an Authorization header, and does not stand in logs", async (t) => {
  const seen: (string | undefined)[] = [];
  const { port } = await startServer(t, (request, response) => {
    seen.push(request.headers.authorization);
    response.end();
  });
  await client(LOOPBACK_NETWORKS).post(`http://user:pass@127.0.0.1:${port}/x?token=1`);
  assert.deepEqual(seen, [`Basic ${Buffer.from("user:pass").toString("base64")}`]);
  assert.equal(shownUrl(`http://user:pass@127.0.0.1:${port}/x?token=1`), `http://127.0.0.1:${port}/x`);
  assert.equal(outboundUrl("mailto:a@b"), "it is neither http nor https");
});

test("a name whose server does not answer keeps no other name waiting, however often it is asked for", async (t) => {
  const { port } = await startServer(t, (_request, response) => void response.end());
  const asked: string[] = [];
  const one = client(LOOPBACK_NETWORKS, (name) => {
    asked.push(name);
    return name === "dead.example" ? new Promise(() => undefined) : Promise.resolve([{ address: "127.0.0.1", family: 4 }]);
  });
  const dead = Array.from({ length: 20 }, () => one.post("http://dead.example/", 60_000));
  assert.deepEqual(await one.post(`http://alive.example:${port}/`), { kind: "answered", status: 200 });
  assert.deepEqual(asked, ["dead.example", "alive.example"]);
  one.close();
  for (const answer of await Promise.all(dead)) assert.deepEqual(answer, { kind: "failed", message: "the server stops" });
});
