// After a whole run: every operation that is built has been seen to succeed through the official client, and to fail with each error
// that its documentation names, or the reason stands here.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startApi } from "../support/api.ts";

const directory = process.env["LAMBENT_SEEN_OPERATIONS"];

test("dump", async (t) => {
  assert.ok(directory);
  const seen = new Set(readdirSync(directory).flatMap((f) => readFileSync(join(directory, f), "utf8").split("\n")));
  const { server } = await startApi(t);
  for (const { client, clientClass, operations, name } of await server.services()) {
    const service = clientClass.replace(/Client$/, "");
    const pkg = { lambda: "lambda", s3: "s3", iam: "iam", sts: "sts", logs: "cloudwatch-logs", sqs: "sqs" }[name];
    for (const [op, perform] of Object.entries(operations)) {
      if (typeof perform !== "function") continue;
      const text = readFileSync(`node_modules/@aws-sdk/client-${pkg}/dist-types/commands/${op}Command.d.ts`, "utf8");
      const errors = [...text.matchAll(/@throws \{@link (\w+)\}/g)]
        .map((m) => m[1])
        .filter((e) => !e?.endsWith(`${service}ServiceException`));
      const missing = [
        ...(seen.has(`${service} ${op} success`) ? [] : ["SUCCESS"]),
        ...errors.filter((e) => !seen.has(`${service} ${op} ${e}`)),
      ];
      if (missing.length) console.log(service, op, missing.join(" "));
    }
  }
});
