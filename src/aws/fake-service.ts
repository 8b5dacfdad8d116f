// A front door with services made of a few operations: for tests and benches of what stands around operations.
import assert from "node:assert/strict";
import { systemClock } from "../base/clock.ts";
import { silentLog } from "../base/log.ts";
import type { ServiceDefinition } from "./definition.ts";
import { frontDoor, type FrontDoor, type FrontDoorOptions } from "./front-door.ts";
import { memoryIdentities, type FixedIdentity } from "./memory-identities.ts";
import type { Operations } from "./operations.ts";

export const FAKE_ACCOUNT = "000000000000";

/** May do anything. */
export const FAKE_ROOT = {
  secretAccessKey: "secret/of+root",
  caller: { kind: "root", account: FAKE_ACCOUNT, arn: `arn:aws:iam::${FAKE_ACCOUNT}:root`, userId: FAKE_ACCOUNT, accessKeyId: "AKIAROOT" },
} as const satisfies FixedIdentity;

/** Has no policy. */
export const FAKE_STRANGER = {
  secretAccessKey: "secret-of-stranger",
  caller: { kind: "user", account: FAKE_ACCOUNT, arn: `arn:aws:iam::${FAKE_ACCOUNT}:user/x`, userId: "AIDAX", accessKeyId: "AKIAX" },
} as const satisfies FixedIdentity;

/** The other operations are not built; each needs `service:Operation` on everything. */
export function fakeService<C extends object>(
  name: string,
  client: C,
  clientClass: string,
  operations: Partial<Operations<C>>,
  more: Partial<ServiceDefinition> = {},
): ServiceDefinition {
  return {
    name,
    client: client as Readonly<Record<string, unknown>>,
    clientClass,
    operations: operations as ServiceDefinition["operations"],
    constraints: name,
    access: (operation) => [{ action: `${name}:${operation}`, resource: "*" }],
    ...more,
  };
}

export interface FakeDoor {
  readonly door: FrontDoor;
  readonly port: number;
  readonly endpoint: string;
  /** Configuration of an SDK client. */
  readonly settings: (who?: FixedIdentity) => {
    endpoint: string;
    region: string;
    credentials: { accessKeyId: string; secretAccessKey: string };
    maxAttempts: number;
  };
}

/** Listens on a free port of the loopback address; the caller closes it. */
export async function fakeDoor(services: readonly ServiceDefinition[], options: Partial<FrontDoorOptions> = {}): Promise<FakeDoor> {
  const door = frontDoor({
    services: new Map(services.map((service) => [service.name, () => Promise.resolve(service)])),
    identities: memoryIdentities([FAKE_ROOT, FAKE_STRANGER]),
    clock: systemClock,
    log: silentLog,
    account: FAKE_ACCOUNT,
    region: "us-east-1",
    hostNames: [],
    ...options,
  });
  const { port } = await door.listen(0, "127.0.0.1");
  const endpoint = `http://127.0.0.1:${port}`;
  const settings = (who: FixedIdentity = FAKE_ROOT) => ({
    endpoint,
    region: "eu-west-1",
    credentials: { accessKeyId: who.caller.accessKeyId, secretAccessKey: who.secretAccessKey },
    maxAttempts: 1,
  });
  return { door, port, endpoint, settings };
}

/** What an SDK client throws. */
export interface ClientError {
  readonly name: string;
  readonly message: string;
  readonly $metadata: { readonly httpStatusCode?: number; readonly requestId?: string };
}

/** Asserts that the call fails with this error and status, and returns the error. */
export async function assertRefused(
  call: Promise<unknown>,
  name: string,
  status: number,
  message: string | RegExp = /(?:)/,
): Promise<ClientError> {
  const error = await call.then(
    () => assert.fail(`expected ${name}`),
    (cause: ClientError) => cause,
  );
  assert.deepEqual([error.name, error.$metadata.httpStatusCode], [name, status], error.message);
  if (typeof message === "string") assert.equal(error.message, message);
  else assert.match(error.message, message);
  return error;
}
