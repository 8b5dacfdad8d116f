import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, loadConfig, type Environment, type Flags } from "./config.ts";

const networks = (flags: Flags, environment: Environment = {}) => loadConfig({ data: "/tmp/none", ...flags }, environment).webhookAllow;

test("webhooks reach loopback where only loopback reaches the server, and what the operator names", () => {
  assert.deepEqual(networks({}), ["127.0.0.0/8", "::1/128"]);
  assert.deepEqual(networks({ host: "0.0.0.0", insecureNetwork: true }), []);
  assert.deepEqual(networks({ webhookAllow: ["10.1.0.0/16"] }), ["10.1.0.0/16"]);
  assert.deepEqual(networks({}, { LAMBENT_WEBHOOK_ALLOW: "10.1.0.0/16,fd00::/8" }), ["10.1.0.0/16", "fd00::/8"]);
  assert.deepEqual(networks({ webhookAllow: ["none"] }), []);
  assert.throws(
    () => networks({ webhookAllow: ["10.1.0.0/16", "home"] }),
    new ConfigError(['webhook allow: "home" is not a network such as 10.1.0.0/16 or fd00::/8']),
  );
});
