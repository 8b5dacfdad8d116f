// A function's life as a list of changes: after each the function is fully as it was before it, or fully as it is after it.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import {
  CreateAliasCommand,
  CreateFunctionCommand,
  DeleteFunctionCommand,
  GetAliasCommand,
  GetFunctionConfigurationCommand,
  ListVersionsByFunctionCommand,
  PublishVersionCommand,
  UpdateAliasCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionActiveV2,
  waitUntilFunctionUpdatedV2,
  type LambdaClient,
} from "@aws-sdk/client-lambda";
import { zipOf } from "../../support/zip.ts";
import type { Attempts } from "./attempts.ts";
import type { Line } from "./ledger.ts";
import { ROLE } from "./resources.ts";

interface State {
  /** Absent: there is no such function. */
  readonly description?: string;
  /** Descriptions of the published versions, from 1 on. */
  readonly versions: readonly string[];
  readonly alias?: string;
}

interface Change {
  readonly make: (lambda: LambdaClient, FunctionName: string) => Promise<unknown>;
  readonly after: (before: State) => State;
}

const describe = (Description: string): Change => ({
  make: (lambda, FunctionName) => lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, Description })),
  after: (before) => ({ ...before, description: Description }),
});

const publish: Change = {
  make: (lambda, FunctionName) => lambda.send(new PublishVersionCommand({ FunctionName })),
  after: (before) => ({ ...before, versions: [...before.versions, before.description ?? ""] }),
};

const pointTo = (FunctionVersion: string): Change => ({
  make(lambda, FunctionName) {
    const alias = { FunctionName, Name: "live", FunctionVersion };
    return FunctionVersion === "1" ? lambda.send(new CreateAliasCommand(alias)) : lambda.send(new UpdateAliasCommand(alias));
  },
  after: (before) => ({ ...before, alias: FunctionVersion }),
});

const create: Change = {
  async make(lambda, FunctionName) {
    const ZipFile = await zipOf({ "app.py": `# ${FunctionName}\ndef handler(event, context): pass` });
    const input = { FunctionName, Runtime: "python3.11" as const, Handler: "app.handler", Role: ROLE, Code: { ZipFile } };
    return await lambda.send(new CreateFunctionCommand({ ...input, Description: "new" }));
  },
  after: () => ({ description: "new", versions: [] }),
};

const remove: Change = {
  make: (lambda, FunctionName) => lambda.send(new DeleteFunctionCommand({ FunctionName })),
  after: () => ({ versions: [] }),
};

const LIFE: readonly Change[] = [create, describe("first"), publish, pointTo("1"), describe("second"), publish, pointTo("2"), remove];
/** The others stay as they were before the last change. */
const isRemoved = (name: string) => Number(name.slice(-1)) % 3 === 0;

const stateAfter = (changes: number): State => LIFE.slice(0, changes).reduce<State>((state, { after }) => after(state), { versions: [] });

/** One function after the other; one whose change had no answer is left as it is, for the check. */
export async function changeFunctions(lambda: LambdaClient, attempts: Attempts, prefix: string): Promise<void> {
  for (let n = 0; !attempts.isOver; n++) {
    const name = `${prefix}-${n}`;
    for (const [index, { make }] of LIFE.entries()) {
      if (index === LIFE.length - 1 && !isRemoved(name)) break;
      if (attempts.isOver || (await attempts.once("control", name, () => make(lambda, name), index + 1)) === undefined) break;
      if (!(await isSettled(lambda, name, index))) break;
    }
    await pause(100);
  }
}

/** What AWS's waiters wait for after a change; false when the server went away meanwhile. */
async function isSettled(client: LambdaClient, FunctionName: string, index: number): Promise<boolean> {
  const waiter = { client, maxWaitTime: 10, minDelay: 0.01, maxDelay: 0.1 };
  const wait = index === 0 ? waitUntilFunctionActiveV2 : waitUntilFunctionUpdatedV2;
  if (index === LIFE.length - 1) return true;
  return await wait(waiter, { FunctionName }).then(
    () => true,
    () => false,
  );
}

async function stateOf(lambda: LambdaClient, FunctionName: string): Promise<State> {
  const absent = (cause: Error) => {
    assert.equal(cause.name, "ResourceNotFoundException");
    return undefined;
  };
  const found = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName })).catch(absent);
  if (found === undefined) return { versions: [] };
  const { Versions = [] } = await lambda.send(new ListVersionsByFunctionCommand({ FunctionName }));
  const alias = await lambda.send(new GetAliasCommand({ FunctionName, Name: "live" })).catch(absent);
  return {
    description: found.Description ?? "",
    versions: Versions.filter(({ Version }) => Version !== "$LATEST").map(({ Description = "" }) => Description),
    ...(alias?.FunctionVersion === undefined ? {} : { alias: alias.FunctionVersion }),
  };
}

/** Throws when a function is neither as after the last change that was acknowledged, nor as after the one that had no answer. */
export async function checkFunctions(lambda: LambdaClient, lines: readonly Line[]): Promise<void> {
  const names = new Map<string, { wanted: number; done: number }>();
  for (const { what, id, step, detail } of lines) {
    if (what !== "control") continue;
    const { wanted, done } = names.get(id) ?? { wanted: 0, done: 0 };
    if (step !== "refused") names.set(id, step === "ack" ? { wanted, done: Number(detail) } : { wanted: Number(detail), done });
  }
  for (const [name, { wanted, done }] of names) {
    const state = await stateOf(lambda, name);
    const possible = [stateAfter(done), stateAfter(wanted)].map((one) => JSON.stringify(one));
    const shown = JSON.stringify({
      ...(state.description === undefined ? {} : { description: state.description }),
      versions: state.versions,
      ...(state.alias === undefined ? {} : { alias: state.alias }),
    });
    assert.ok(possible.includes(shown), `${name} is ${shown}, not ${possible.join(" or ")}`);
  }
}
