// A hundred cold starts of a hundred functions at once, through the real API: how long until the last one has its answer, and each of them.
import { UpdateFunctionConfigurationCommand, waitUntilFunctionUpdatedV2, type Runtime } from "@aws-sdk/client-lambda";
import { summarise, type Result } from "./support/measure.ts";
import { measureKinds, type BenchServer } from "./support/server.ts";
import { connections, send, signedInvoke } from "./support/signed-requests.ts";

const FUNCTIONS = 100;
const ROUNDS = 3;

interface Kind {
  readonly name: string;
  readonly runtime: Runtime;
  readonly handler: string;
  readonly files: Readonly<Record<string, string>>;
}

const KINDS: readonly Kind[] = [
  { name: "node", runtime: "nodejs24.x", handler: "index.handler", files: { "index.mjs": "export const handler = async () => 1;" } },
  {
    name: "python",
    runtime: "python3.11",
    handler: "app.handler",
    files: { "app.py": "def handler(event, context):\n    return 1\n" },
  },
];

/** A change of configuration makes every environment a former one: the next invoke is cold. */
async function makeCold(server: BenchServer, FunctionName: string, round: number): Promise<void> {
  await server.lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, Description: `round ${round}` }));
  await waitUntilFunctionUpdatedV2({ client: server.lambda, maxWaitTime: 20, minDelay: 0.02, maxDelay: 0.1 }, { FunctionName });
}

/** Rejects when one of them fails. */
async function burst(server: BenchServer, names: readonly string[]): Promise<{ last: number; each: readonly number[] }> {
  const agent = connections(FUNCTIONS);
  const signed = await Promise.all(names.map((name) => signedInvoke(server.endpoint, server.keys, name, "{}")));
  const startedMs = performance.now();
  const each = await Promise.all(signed.map((one) => send(one, agent)));
  const last = performance.now() - startedMs;
  agent.destroy();
  return { last, each };
}

async function measure(server: BenchServer, { name: kind, runtime, handler, files }: Kind): Promise<Result[]> {
  const names = Array.from({ length: FUNCTIONS }, (_, index) => `${kind}-${index}`);
  for (const name of names) await server.make(name, runtime, handler, files, { memoryMiB: 128 });
  const lasts: number[] = [];
  const all: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) for (const name of names) await makeCold(server, name, round);
    const { last, each } = await burst(server, names);
    lasts.push(last);
    all.push(...each);
  }
  return [
    summarise(`${FUNCTIONS} cold starts at once: ${kind}, all answered`, "ms", lasts),
    summarise(`${FUNCTIONS} cold starts at once: ${kind}, each`, "ms", all),
  ];
}

export const run = (): Promise<Result[]> => measureKinds(KINDS, measure);
