// Loaded before every test file of a whole run: notes which operations SDK clients saw succeed, and with which errors they saw them fail.
//
// All official clients send through one class, so no test can call an operation past it, and none has to say that it did.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@smithy/core/client";

/** Tests beside the source have services made of a few operations, which prove nothing of the real ones. */
const isOfTests = process.argv[1]?.startsWith(join(import.meta.dirname, "..")) === true;
/** Where each process leaves a file: lines of `lambda Invoke success` or `lambda Invoke ResourceNotFoundException`. */
const directory = process.env["LAMBENT_SEEN_OPERATIONS"];

interface Failure {
  readonly name: string;
  /** Absent: it never came from a server. */
  readonly $metadata?: { readonly httpStatusCode?: number };
}

type Send = (this: Client<never, never, never, never>, command: object, ...more: unknown[]) => unknown;

if (directory !== undefined && isOfTests) {
  const seen = new Set<string>();
  const prototype = Client.prototype as unknown as { send: Send };
  const { send } = prototype;
  prototype.send = function noted(command, ...more) {
    const service = this.constructor.name.replace(/Client$/, "");
    const operation = command.constructor.name.replace(/Command$/, "");
    const sent = send.call(this, command, ...more);
    if (sent instanceof Promise)
      sent.then(
        () => seen.add(`${service} ${operation} success`),
        ({ name, $metadata }: Failure) => $metadata?.httpStatusCode !== undefined && seen.add(`${service} ${operation} ${name}`),
      );
    return sent;
  };
  process.on("exit", () => appendFileSync(join(directory, String(process.pid)), [...seen].map((line) => `${line}\n`).join("")));
}
