// What these tests hand to the data plane and build it over, where they don't say otherwise.
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import type { Deployment } from "../../src/pool/invocation.ts";
import { dataPlane, type DataPlane, type DataPlaneDeps } from "../../src/pool/invoke.ts";

type Given = Pick<Deployment, "functionName" | "runtime" | "handler" | "codeDirectory"> & Partial<Deployment>;

/** One without a key of its own is known by its name. */
export function deploymentOf(given: Given): Deployment {
  const { functionName, region = "us-east-1" } = given;
  return {
    key: functionName,
    account: "000000000000",
    region,
    version: "$LATEST",
    functionArn: `arn:aws:lambda:${region}:000000000000:function:${functionName}`,
    memoryMiB: 256,
    timeoutMs: 60_000,
    ephemeralStorageMiB: 512,
    architecture: "x86_64",
    variables: {},
    roleArn: "arn:aws:iam::000000000000:role/r",
    logging: { format: "Text", group: `/aws/lambda/${functionName}` },
    ...given,
  };
}

interface Plane extends Pick<DataPlaneDeps, "sandboxes" | "runtimes">, Partial<Omit<DataPlaneDeps, "sandboxes" | "runtimes" | "limits">> {
  readonly limits: Partial<DataPlaneDeps["limits"]>;
}

/** Its functions have keys that are good for nothing, and an endpoint that hangs up. */
export function planeOf({ limits, ...given }: Plane): DataPlane {
  return dataPlane({
    logs: { append: () => undefined },
    credentials: () =>
      Promise.resolve({ accessKeyId: "ASIATEST", secretAccessKey: "s", sessionToken: "t", expiresMs: systemClock.now() + 3_600_000 }),
    endpoint: { port: 4566, onConnection: (socket) => void socket.destroy() },
    clock: systemClock,
    log: silentLog,
    ...given,
    limits: { accountConcurrency: 1000, environmentsMax: 40, idleExpiryMs: 600_000, ...limits },
  });
}
