// IAM over a store in memory, and contexts of those who call it.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type * as client from "@aws-sdk/client-iam";
import { CommonFault, Fault } from "../../aws/fault.ts";
import type { Caller } from "../../aws/identity.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { manualClock, type ManualClock } from "../../base/manual-clock.ts";
import { memoryStorage } from "../../store/memory/memory-storage.ts";
import type { Storage } from "../../store/storage.ts";
import { iamService, type IamService } from "./service.ts";

export const ACCOUNT = "000000000000";
export const SEALING_KEY = new Uint8Array(32).fill(7);
export const ROOT_KEY = { account: ACCOUNT, accessKeyId: "AKIAROOT", secretAccessKey: "secret" };
export const ROOT: Caller = {
  kind: "root",
  account: ACCOUNT,
  arn: `arn:aws:iam::${ACCOUNT}:root`,
  userId: ACCOUNT,
  accessKeyId: "AKIAROOT",
};

type Built = { [N in keyof IamService["operations"]]: Extract<IamService["operations"][N], (...words: never[]) => unknown> };
type Call<N extends keyof Operations<typeof client>> = Extract<Operations<typeof client>[N], (...words: never[]) => unknown>;

export interface Started {
  readonly iam: IamService;
  readonly storage: Storage;
  readonly clock: ManualClock;
  readonly call: <N extends keyof Built>(name: N, input: Parameters<Call<N>>[1], caller?: Caller) => Promise<Awaited<ReturnType<Call<N>>>>;
}

export const contextOf = (caller: Caller = ROOT): Context => ({
  requestId: "r",
  account: caller.account,
  region: "us-east-1",
  caller,
  endpoint: "http://localhost",
  signal: new AbortController().signal,
});

export async function startIam(t: TestContext, storage?: Storage): Promise<Started> {
  const clock = manualClock();
  const store = storage ?? memoryStorage({ clock });
  const iam = await iamService({ meta: store.meta, clock, sealingKey: SEALING_KEY, rootKeys: [ROOT_KEY] });
  t.after(async () => {
    iam.stop();
    if (storage === undefined) await store.close();
  });
  return {
    iam,
    storage: store,
    clock,
    call: (async (name: keyof Built, input: never, caller?: Caller) =>
      await (iam.operations[name] as (context: Context, input: never) => unknown)(contextOf(caller), input)) as Started["call"],
  };
}

export const policyText = (Action = "s3:GetObject", Resource = "*", Effect = "Allow"): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect, Action, Resource }] });

export const trustText = (Principal: object = { Service: "lambda.amazonaws.com" }): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal }] });

/** Asserts that the call fails with this fault: its name without `Exception`. */
export async function refused(call: Promise<unknown>, name: string, message: string | RegExp = /(?:)/): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof Fault || error instanceof CommonFault, String(error));
    assert.equal(error.name.replace(/Exception$/, ""), name, error.message);
    if (typeof message === "string") assert.equal(error.message, message);
    else assert.match(error.message, message);
    return true;
  });
}
