// The power goes: whatever of the unsynced is left on the disk, what was acknowledged is there. Kills can't show this: the kernel, which keeps
// what was written, lives on.
//
// POWER_LOSS_IMAGES=2000 for a long run, SEED for other cuts. A failure prints its seed, cut and kind of loss.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, statSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { after, before, suite, test } from "node:test";
import { checkAcknowledged } from "../../support/acknowledged.ts";
import { eventually } from "../../support/eventually.ts";
import { compileLibrary } from "../../support/preload.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import type { Acknowledged } from "../../support/store-writer.ts";
import { Disk, LOSSES, readNotes, type Loss, type Note } from "./disk.ts";

const IMAGES = Number(env["POWER_LOSS_IMAGES"] ?? 60);
const IMAGES_FOR_A_LOSS = 60;
const SEED = Number(env["SEED"] ?? 20_261_127);
const WRITER = join(import.meta.dirname, "../../support/store-writer.ts");
const RECORDER = join(import.meta.dirname, "recorder.c");
/** Bytes of promises after which each process ends, and how. */
const ROUNDS: readonly { readonly bytes: number; readonly signal: NodeJS.Signals }[] = [
  { bytes: 2000, signal: "SIGKILL" },
  { bytes: 30_000, signal: "SIGTERM" },
  { bytes: 30_000 + IMAGES * 50, signal: "SIGKILL" },
  { bytes: 20_000, signal: "SIGTERM" },
];

interface Recording {
  /** Where the writer thought that its data directory stood. */
  readonly root: string;
  readonly notes: readonly Note[];
}

async function write(root: string, log: string, library: string): Promise<void> {
  for (const [round, { bytes, signal }] of ROUNDS.entries()) {
    const promises = join(root, `../promises-${round}`);
    const output = openSync(promises, "w");
    const environment = { ...env, LD_PRELOAD: library, RECORDED_ROOT: root, RECORDED_LOG: log, UV_USE_IO_URING: "0" };
    const words = [WRITER, join(root, "data"), String(round), "all"];
    const child = spawn(process.execPath, words, { stdio: ["ignore", output, "inherit"], env: environment });
    closeSync(output);
    try {
      await eventually("enough is written", () => child.exitCode !== null || statSync(promises).size >= bytes, 300_000);
      child.kill(signal);
      const ended = () => (child.exitCode ?? child.signalCode) !== null;
      await eventually("the writer has ended", ended, 120_000);
    } finally {
      child.kill("SIGKILL");
    }
    assert.deepEqual([child.exitCode, child.signalCode], signal === "SIGKILL" ? [null, "SIGKILL"] : [7, null]);
  }
}

/** What was promised by the notes up to the end. */
class Promised {
  #text = "";
  readonly acknowledged: Acknowledged[] = [];

  follow({ operation, content }: Note): void {
    if (operation !== "A") return;
    const lines = (this.#text + content.toString()).split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) this.acknowledged.push(JSON.parse(line) as Acknowledged);
  }
}

/** Half of them when something has just been promised, the others anywhere. */
function cutsOf(notes: readonly Note[], count: number, random: { below(limit: number): number }): number[] {
  const promises = notes.flatMap(({ operation }, index) => (operation === "A" ? [index + 1] : []));
  const one = (n: number) => (n % 2 === 0 ? (promises[random.below(promises.length)] ?? 0) : random.below(notes.length));
  return Array.from({ length: count }, (_, n) => one(n)).toSorted((a, b) => a - b);
}

interface Image {
  readonly cut: number;
  readonly loss: Loss;
  /** What was wrong with it. */
  readonly failure?: string;
}

/** Cuts the power at many points, and looks at each disk; `forgets` as in Disk. */
async function* images(
  { root, notes }: Recording,
  directory: string,
  count: number,
  forgets?: (path: string) => boolean,
): AsyncGenerator<Image> {
  const random = seededRandom(SEED);
  const disk = new Disk(root, forgets);
  const promised = new Promised();
  let at = 0;
  for (const [index, cut] of cutsOf(notes, count, random).entries()) {
    for (const note of notes.slice(at, cut)) {
      disk.follow(note);
      promised.follow(note);
    }
    at = cut;
    const loss = LOSSES[index % LOSSES.length] ?? "unsynced";
    const image = join(directory, "image");
    await disk.leave(image, loss, () => random.next());
    const failure = await checkAcknowledged(join(image, "data"), promised.acknowledged).then(
      () => undefined,
      (cause: Error) => cause,
    );
    await rm(image, { recursive: true });
    if (failure === undefined) yield { cut, loss };
    else yield { cut, loss, failure: failure.message.split("\n", 1).join() };
  }
}

suite(`the power goes (seed ${SEED})`, { timeout: 900_000 + IMAGES * 5000 }, () => {
  let directory = "";
  let recording: Recording | undefined;
  before(async () => {
    // In memory, where there is such a place: what is synced on these disks is noted, and need not be waited for.
    directory = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "lambent-power-"));
    const library = compileLibrary(RECORDER, directory);
    if (library === undefined) return;
    const root = join(directory, "root");
    execFileSync("mkdir", [root]);
    await write(root, join(directory, "log"), library);
    recording = { root, notes: readNotes(await readFile(join(directory, "log"))) };
  });
  after(() => rm(directory, { recursive: true }));

  void test(`${IMAGES} times: acknowledged and lost = 0`, async (t) => {
    if (recording === undefined) return t.skip("NOT TESTED: what a power loss leaves needs a C compiler, cc");
    const failed: Image[] = [];
    for await (const image of images(recording, directory, IMAGES)) if (image.failure !== undefined) failed.push(image);
    t.diagnostic(`${recording.notes.length} notes, ${IMAGES} images`);
    assert.deepEqual(failed, []);
  });

  // A test that can't fail shows nothing: the same disk, as if the program left out one of its syncs.
  for (const { what, forgets } of [
    { what: "commits, as with synchronous=NORMAL", forgets: (path: string) => path.endsWith("store.db-wal") },
    { what: "checkpoints", forgets: (path: string) => path.endsWith("store.db") },
    { what: "the directory of the database", forgets: (path: string) => path === "data" },
    { what: "the directory above it", forgets: (path: string) => path === "" },
    { what: "the install's keys", forgets: (path: string) => path.includes("keys.json") },
    { what: "contents of blobs", forgets: (path: string) => path.includes("/incoming/") },
    { what: "names of blobs", forgets: (path: string) => /\/blobs\/[0-9a-f]{2}$/.test(path) },
    { what: "the directories of blobs", forgets: (path: string) => path === "data/blobs" },
  ])
    void test(`without a sync of ${what}, something is lost`, async (t) => {
      if (recording === undefined) return t.skip("NOT TESTED: what a power loss leaves needs a C compiler, cc");
      for await (const { failure } of images(recording, directory, IMAGES_FOR_A_LOSS, forgets)) if (failure !== undefined) return;
      assert.fail("nothing was lost");
    });
});
