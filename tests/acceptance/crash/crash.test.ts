// The server is killed at random points of a mixed load, started again, and asked afterwards: what was acknowledged is there, was delivered, in order.
//
// CRASH_KILLS=1000 for a long run, SEED for another course of kills. Most servers have fake sandboxes, so that there are many kills; every
// twelfth has real ones. Every third one has a slow disk, so that it is killed while clients wait for it.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import { spawnLambent, type LambentProcess } from "../../support/lambent-process.ts";
import { leftovers, nothingLeftSince } from "../../support/leftovers.ts";
import { compileLibrary } from "../../support/preload.ts";
import { seededRandom, type SeededRandom } from "../../support/seeded-random.ts";
import { Attempts } from "./attempts.ts";
import { checkObjects, depth, drain, notificationsOf, resultsOf, Seen, ticksOf } from "./check.ts";
import { consume } from "./consume.ts";
import { checkFunctions } from "./control-plane.ts";
import { acknowledgedIn, openLedger, readLedger } from "./ledger.ts";
import { DELIVERIES, FIFO, makeResources, queueUrl, STANDARD, type Clients } from "./resources.ts";

const KILLS = Number(env["CRASH_KILLS"] ?? 60);
const SEED = Number(env["SEED"] ?? 20_261_127);
const FAKE = join(import.meta.dirname, "../../support/fake-lambent.ts");
const SLOW_DISK = join(import.meta.dirname, "slow-disk.c");
const LOAD = join(import.meta.dirname, "load.ts");
/** Time under load before a kill. */
const LOADED_MS = { least: 100, most: 700 };
/** A kill while the server starts comes so soon. */
const STARTING_MS = 300;
const REAL_EVERY = 12;
const SLOW_EVERY = 3;
const CHECKED_EVERY = 20;
/** What the load does, as the ledger calls it. */
const KINDS = ["invoke", "standard", "fifo", "topic", "events", "ticks", "put", "remove", "control"] as const;

/** How a server ends: killed under load, while it starts, after it was asked to stop, or as it was asked. */
type End = "killed" | "killed starting" | "killed stopping" | "stopped";

function endOf(random: SeededRandom): End {
  const choice = random.below(10);
  if (choice === 0) return "killed starting";
  if (choice === 1) return "killed stopping";
  return choice === 2 ? "stopped" : "killed";
}

class Course {
  readonly dataDirectory: string;
  readonly #random = seededRandom(SEED);
  readonly #startsMs: number[] = [];
  readonly ends = new Map<End, number>();
  /** Undefined: there is no compiler to make it. */
  readonly #slowDisk: string | undefined;
  #port = 0;
  #count = 0;
  server: ChildProcess | undefined;

  constructor(directory: string) {
    this.dataDirectory = join(directory, "data");
    this.#slowDisk = compileLibrary(SLOW_DISK, directory);
  }

  get hasSlowDisk(): boolean {
    return this.#slowDisk !== undefined;
  }

  get startsMs(): readonly number[] {
    return this.#startsMs.toSorted((a, b) => a - b);
  }

  /** A server on the same port and directory. */
  #spawn() {
    const count = this.#count++;
    const isReal = count % REAL_EVERY === REAL_EVERY - 1;
    const isSlow = !isReal && count % SLOW_EVERY === SLOW_EVERY - 1;
    const spawned = spawnLambent({
      dataDirectory: this.dataDirectory,
      port: this.#port,
      ...(isReal ? {} : { program: FAKE }),
      ...(isSlow && this.#slowDisk !== undefined ? { variables: { LD_PRELOAD: this.#slowDisk } } : {}),
    });
    this.server = spawned.child;
    return spawned;
  }

  async start(): Promise<LambentProcess> {
    const beganMs = performance.now();
    const server = await this.#spawn().ready;
    this.#startsMs.push(performance.now() - beganMs);
    this.#port = Number(new URL(server.endpoint).port);
    return server;
  }

  /** One server's life, of which only its end is known beforehand. */
  async round(): Promise<void> {
    const end = endOf(this.#random);
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1);
    if (end === "killed starting") {
      const { child, ready } = this.#spawn();
      await Promise.all([ready.catch(() => undefined), this.#endAfter(child, this.#random.below(STARTING_MS), "SIGKILL")]);
      return;
    }
    const server = await this.start();
    await pause(LOADED_MS.least + this.#random.below(LOADED_MS.most - LOADED_MS.least));
    if (end === "killed") return void (await server.end("SIGKILL"));
    server.child.kill("SIGTERM");
    if (end === "stopped") assert.equal(await server.end("SIGCONT"), 0, server.stderr());
    else await this.#endAfter(server.child, this.#random.below(50), "SIGKILL");
  }

  async #endAfter(child: ChildProcess, delayMs: number, signal: NodeJS.Signals): Promise<void> {
    const exited = once(child, "exit");
    await pause(delayMs);
    child.kill(signal);
    await exited;
  }
}

/** What SQLite says of a copy: opening the file itself would change what the next server finds. */
async function checkIntegrity(dataDirectory: string): Promise<void> {
  const copy = await mkdtemp(join(tmpdir(), "lambent-copy-"));
  const isDatabase = (path: string) => path === dataDirectory || /\/(?:store|metrics|traces)\.db(?:-wal)?$/.test(path);
  await cp(dataDirectory, copy, { recursive: true, filter: isDatabase });
  for (const name of ["store.db", "metrics.db", "traces.db"]) {
    const database = new DatabaseSync(join(copy, name));
    assert.equal(database.prepare("PRAGMA integrity_check").get()?.["integrity_check"], "ok", name);
    database.close();
  }
  await rm(copy, { recursive: true });
}

/** Looks past the server: nothing waits in any queue of its own, and no schedule is to fire any more. */
function isWorkedOff(dataDirectory: string): boolean {
  const database = new DatabaseSync(join(dataDirectory, "store.db"), { readOnly: true });
  try {
    const count = (sql: string) => Number(database.prepare(sql).get()?.["n"]);
    return (
      count("SELECT count(*) AS n FROM message") + count("SELECT count(*) AS n FROM timer WHERE timer_group = 'scheduler.schedule'") === 0
    );
  } finally {
    database.close();
  }
}

function startLoad(server: LambentProcess, ledger: string): ChildProcess {
  const { AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "" } = server.environment;
  const words = [LOAD, server.endpoint, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ledger, "f"];
  return spawn(process.execPath, words, { stdio: ["ignore", "inherit", "inherit"] });
}

/** Takes what the consumers of the load have left. */
async function consumeRest({ sqs }: Clients, endpoint: string, path: string): Promise<void> {
  const ledger = openLedger(path);
  const attempts = new Attempts(ledger);
  for (const [what, name] of [
    ["standard", STANDARD],
    ["fifo", FIFO],
  ] as const) {
    const url = queueUrl(endpoint, name);
    await eventually(
      `${name} is empty`,
      async () => {
        await consume(sqs, attempts, url, what);
        return (await depth(sqs, url)) === 0;
      },
      300_000,
    );
  }
  ledger.close();
}

async function check(server: LambentProcess, ledger: string): Promise<Seen> {
  const clients = server.clients();
  await consumeRest(clients, server.endpoint, ledger);
  const lines = readLedger(ledger);
  const seen = new Seen(lines);
  const came = new Map<string, readonly string[]>();
  for (const name of DELIVERIES) came.set(name, await drain(clients.sqs, queueUrl(server.endpoint, name)));
  const of = (name: (typeof DELIVERIES)[number]) => came.get(name) ?? [];
  seen.nothingRefused();
  const { invoked, fromBus } = resultsOf(of("results"));
  seen.arrived("invoke", invoked);
  seen.arrived("events", fromBus, "events to a function");
  seen.arrived("events", of("events"), "events to a queue");
  seen.arrived("topic", of("topic"));
  seen.arrived("ticks", ticksOf(of("ticks")));
  const { made, removed } = notificationsOf(of("objects"));
  seen.arrived("put", made);
  seen.arrived("remove", removed);
  seen.arrived("standard", seen.ids("standard-receive", "ack"));
  seen.notBack("standard");
  seen.inOrder("fifo");
  await checkObjects(clients.s3, seen);
  await checkFunctions(clients.lambda, lines);
  return seen;
}

test(`${KILLS} kills under a mixed load: acknowledged and lost = 0 (seed ${SEED})`, { timeout: 900_000 + KILLS * 15_000 }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "lambent-crash-"));
  const before = leftovers();
  const course = new Course(directory);
  const ledger = join(directory, "ledger");
  let load: ChildProcess | undefined;
  t.after(async () => {
    for (const child of [load, course.server]) child?.kill("SIGKILL");
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  const first = await course.start();
  await makeResources(first.clients());
  load = startLoad(first, ledger);
  const loadEnded = once(load, "exit");
  await pause(LOADED_MS.most);
  await first.end("SIGKILL");
  for (let round = 1; round < KILLS; round++) {
    await course.round();
    assert.equal(load.exitCode, null, "the load goes on");
    if (round % CHECKED_EVERY === 0) await checkIntegrity(course.dataDirectory);
  }
  // On a slow machine the lives of the servers were too short for some of it.
  let longer: LambentProcess | undefined;
  await eventually("the load has done some of everything", async () => {
    const seen = new Seen(readLedger(ledger));
    if (KINDS.every((what) => seen.ids(what, "ack").length > 0)) return true;
    longer ??= await course.start();
    return false;
  });
  await longer?.end("SIGKILL");
  load.kill("SIGTERM");
  assert.deepEqual(await loadEnded, [0, null]);
  const last = await course.start();
  // Nobody calls anything: what is left is worked off by itself.
  await eventually("all is worked off", () => isWorkedOff(course.dataDirectory), 300_000 + KILLS * 1000);
  const seen = await check(last, ledger);
  assert.equal(await last.end("SIGTERM"), 0);
  await checkIntegrity(course.dataDirectory);
  if (!course.hasSlowDisk) t.diagnostic("NOT TESTED: a slow disk needs a C compiler, cc");
  const { startsMs } = course;
  const lines = readLedger(ledger);
  t.diagnostic([...course.ends].map(([end, count]) => `${count} ${end}`).join(", "));
  t.diagnostic(`${acknowledgedIn(lines)} acknowledged, 0 lost, ${seen.again} delivered more than once`);
  t.diagnostic(`from start to serving: median ${startsMs[startsMs.length >> 1]?.toFixed(0)} ms, most ${startsMs.at(-1)?.toFixed(0)} ms`);
  for (const what of KINDS) assert.ok(seen.ids(what, "ack").length > 0, `the load did nothing of ${what}`);
  await nothingLeftSince(before);
});
