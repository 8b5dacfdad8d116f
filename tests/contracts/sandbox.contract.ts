// What every SandboxHost promises. A driver brings the same small programs, each of which waits for one frame on its control socket.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { encodeFrame, FrameReader } from "../../src/sandbox/control-frames.ts";
import {
  SandboxError,
  type Sandbox,
  type SandboxHost,
  type SandboxProcess,
  type SandboxSpec,
  type Specialisation,
} from "../../src/sandbox/sandbox.ts";

/** What a program does when it gets a `B` frame; before that it does nothing. */
export type Program =
  /** Answers an `R` frame. */
  | "answers"
  /** Ends with status 7. */
  | "exits"
  /** Ends by SIGSEGV. */
  | "crashes"
  /** Writes `last words` to its output and ends with status 0. */
  | "speaks"
  /** Connects to port 4566 and writes `hello`. */
  | "connects"
  /** Sends `first` and `second` to UDP port 2000 of 169.254.100.1 and answers an `R` frame. */
  | "sends"
  /** Answers an `R` frame if something is mounted at /var/task, and ends with status 1 if not. */
  | "looks";

interface SandboxDriver {
  readonly name: string;
  /** Why it can't be tested here, or false. */
  readonly skip: string | false;
  readonly host: () => Promise<SandboxHost>;
  readonly spec: (program: Program, changes?: Partial<SandboxSpec>) => SandboxSpec;
}

type WithControl = Pick<Sandbox, "control">;

function boot(sandbox: WithControl): void {
  for (const piece of encodeFrame("B", { handler: "any", variables: {} })) sandbox.control.write(piece);
}

/** Resolves with the letter of the next frame from inside. */
function nextFrame(sandbox: WithControl): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const reader = new FrameReader(
    {
      frame: (type) => resolve(String.fromCharCode(type)),
      oversize: () => reject(new Error("oversize")),
      broken: (why) => reject(new Error(why)),
    },
    () => ({ bytesMax: 1024, beyond: "skip" }),
  );
  sandbox.control.on("data", (chunk: Buffer) => reader.push(chunk));
  sandbox.control.once("close", () => reject(new Error("the control socket is closed")));
  return promise;
}

async function ids(host: SandboxHost): Promise<readonly string[]> {
  return (await host.inventory()).map(({ id }) => id);
}

export function sandboxContract({ name, skip, host: open, spec }: SandboxDriver): void {
  const promise = (what: string, run: (host: SandboxHost) => Promise<void>): void =>
    void test(`${name}: ${what}`, { skip }, async () => {
      const host = await open();
      try {
        await run(host);
      } finally {
        await host.stop();
      }
    });

  promise("the control socket goes both ways", async (host) => {
    const sandbox = await host.start(spec("answers"));
    const answer = nextFrame(sandbox);
    boot(sandbox);
    assert.equal(await answer, "R");
  });

  promise("the inventory has what runs, until it is killed", async (host) => {
    const [one, two] = await Promise.all([host.start(spec("answers")), host.start(spec("answers"))]);
    assert.deepEqual(new Set(await ids(host)), new Set([one.id, two.id]));
    await one.kill();
    assert.deepEqual(await ids(host), [two.id]);
    assert.deepEqual(await one.exited, { signal: "SIGKILL", outOfMemory: false });
  });

  promise("a kill can be repeated, and asked for twice at once", async (host) => {
    const sandbox = await host.start(spec("answers"));
    await Promise.all([sandbox.kill(), sandbox.kill()]);
    await sandbox.kill();
    assert.deepEqual(await ids(host), []);
  });

  promise("the end of the first process is told: its status", async (host) => {
    const sandbox = await host.start(spec("exits"));
    boot(sandbox);
    assert.deepEqual(await sandbox.exited, { code: 7, outOfMemory: false });
    await sandbox.kill();
    assert.deepEqual(await ids(host), []);
  });

  promise("the end of the first process is told: its signal", async (host) => {
    const sandbox = await host.start(spec("crashes"));
    boot(sandbox);
    assert.deepEqual(await sandbox.exited, { signal: "SIGSEGV", outOfMemory: false });
  });

  promise("the last words can be read after the end", async (host) => {
    const sandbox = await host.start(spec("speaks"));
    boot(sandbox);
    await sandbox.exited;
    let words = "";
    for await (const piece of sandbox.output) words += String(piece);
    assert.equal(words, "last words");
  });

  promise("a frozen sandbox does nothing until it is thawed", async (host) => {
    const sandbox = await host.start(spec("answers"));
    await sandbox.freeze();
    let hasAnswered = false;
    const answer = nextFrame(sandbox).finally(() => (hasAnswered = true));
    boot(sandbox);
    for (let turn = 0; turn < 20; turn++) {
      await sandbox.usage();
      await new Promise((resolve) => void setTimeout(resolve, 5));
    }
    assert.equal(hasAnswered, false);
    await sandbox.thaw();
    assert.equal(await answer, "R");
  });

  promise("a frozen sandbox can be killed", async (host) => {
    const sandbox = await host.start(spec("answers"));
    await sandbox.freeze();
    await sandbox.kill();
    assert.deepEqual(await sandbox.exited, { signal: "SIGKILL", outOfMemory: false });
  });

  promise("a sandbox that is gone can't be frozen or thawed, but tells its memory", async (host) => {
    const sandbox = await host.start(spec("answers"));
    await sandbox.limitCpu(100);
    assert.ok((await sandbox.usage()).memoryPeakBytes > 0);
    await sandbox.kill();
    await assert.rejects(sandbox.freeze());
    await assert.rejects(sandbox.thaw());
    assert.ok((await sandbox.usage()).memoryPeakBytes > 0);
  });

  /** One more main process, with the program of the first. */
  async function again(sandbox: Sandbox, like: SandboxSpec): Promise<WithControl & SandboxProcess> {
    const { argv, env, workingDirectory } = like;
    const process = await sandbox.spawn({ role: "main", argv, env, workingDirectory });
    assert.ok(process.control !== undefined);
    return { ...process, control: process.control };
  }

  promise("a supervised sandbox outlives its first process, and another takes its place", async (host) => {
    const like = spec("exits", { isSupervised: true });
    const sandbox = await host.start(like);
    boot(sandbox);
    assert.deepEqual(await sandbox.exited, { code: 7, outOfMemory: false });
    const second = await again(sandbox, like);
    assert.deepEqual(await ids(host), [sandbox.id]);
    boot(second);
    assert.deepEqual(await second.exited, { code: 7, outOfMemory: false });
    await sandbox.kill();
    assert.deepEqual(await ids(host), []);
  });

  promise("a supervised sandbox is cleared: its processes end, new ones begin, as often as that is asked for", async (host) => {
    const like = spec("answers", { isSupervised: true });
    const sandbox = await host.start(like);
    await sandbox.clear();
    assert.deepEqual(await sandbox.exited, { signal: "SIGKILL", outOfMemory: false });
    for (let time = 0; time < 3; time++) {
      const next = await again(sandbox, like);
      const answer = nextFrame(next);
      boot(next);
      assert.equal(await answer, "R");
      await sandbox.clear();
      assert.deepEqual(await next.exited, { signal: "SIGKILL", outOfMemory: false });
    }
  });

  promise("processes of a supervised sandbox take signals", async (host) => {
    const like = spec("answers", { isSupervised: true });
    const sandbox = await host.start(like);
    sandbox.signal("SIGTERM");
    assert.deepEqual(await sandbox.exited, { signal: "SIGTERM", outOfMemory: false });
    const next = await again(sandbox, like);
    next.signal("SIGKILL");
    assert.deepEqual(await next.exited, { signal: "SIGKILL", outOfMemory: false });
  });

  promise("what can't be run or reached in a supervised sandbox is told", async (host) => {
    const sandbox = await host.start(spec("answers", { isSupervised: true }));
    const { exited, output } = await sandbox.spawn({ role: "beside", argv: ["/etc/passwd"], env: {}, workingDirectory: "/" });
    output?.resume();
    const { code, problem } = await exited;
    assert.deepEqual({ code, problem }, { code: 127, problem: "permission denied" });
    await assert.rejects(sandbox.dial(65_000), SandboxError);
    const answer = nextFrame(sandbox);
    boot(sandbox);
    assert.equal(await answer, "R", "it goes on");
  });

  promise("a sandbox that is not supervised has one process, and its end is the sandbox's", async (host) => {
    const like = spec("answers");
    const sandbox = await host.start(like);
    await assert.rejects(again(sandbox, like), SandboxError);
    await assert.rejects(sandbox.clear(), SandboxError);
    await assert.rejects(sandbox.dial(65_000), SandboxError);
  });

  promise("two sandboxes never have the same id", async (host) => {
    const first = await host.start(spec("answers"));
    await assert.rejects(host.start(spec("answers", { id: first.id })));
    const answer = nextFrame(first);
    boot(first);
    assert.equal(await answer, "R", "the first one goes on");
  });

  promise("a listener takes connections from inside", async (host) => {
    const accepted = Promise.withResolvers<Socket>();
    const sandbox = await host.start(spec("connects", { listeners: [{ port: 4566, onConnection: accepted.resolve }] }));
    boot(sandbox);
    const socket = await accepted.promise;
    const [hello] = (await once(socket, "data")) as [Buffer];
    assert.equal(hello.toString(), "hello");
    socket.destroy();
  });

  promise("datagrams arrive from inside", async (host) => {
    const seen: string[] = [];
    const second = Promise.withResolvers<void>();
    const onDatagram = (bytes: Buffer) => {
      if (seen.push(bytes.toString()) === 2) second.resolve();
      return true;
    };
    boot(await host.start(spec("sends", { datagrams: { port: 2000, onDatagram } })));
    await second.promise;
    assert.deepEqual(seen, ["first", "second"]);
  });

  promise("datagrams that are not wanted any more, or by nobody, are lost", async (host) => {
    const seen: string[] = [];
    const first = Promise.withResolvers<void>();
    const onDatagram = (bytes: Buffer) => {
      seen.push(bytes.toString());
      first.resolve();
      return false;
    };
    for (const changes of [{ datagrams: { port: 2000, onDatagram } }, {}]) {
      const sandbox = await host.start(spec("sends", changes));
      const answer = nextFrame(sandbox);
      boot(sandbox);
      assert.equal(await answer, "R", "it goes on");
      await first.promise;
      await sandbox.kill();
    }
    assert.deepEqual(seen, ["first"]);
  });

  const given = (program: Program): Specialisation => ({
    ...spec(program),
    mounts: [{ source: "/usr/share", target: "/var/task" }],
  });

  promise("a prepared sandbox is completed and thawed at once", async (host) => {
    const sandbox = await host.start(spec("looks", { isPrepared: true }));
    await sandbox.freeze();
    const answer = nextFrame(sandbox);
    boot(sandbox);
    await sandbox.specialise(given("looks"));
    assert.equal(await answer, "R");
  });

  promise("a sandbox is completed once, and only if it was prepared", async (host) => {
    const [prepared, ordinary] = await Promise.all([host.start(spec("answers", { isPrepared: true })), host.start(spec("answers"))]);
    await prepared.specialise(given("answers"));
    for (const sandbox of [prepared, ordinary]) {
      await assert.rejects(sandbox.specialise(given("answers")), SandboxError);
      const answer = nextFrame(sandbox);
      boot(sandbox);
      assert.equal(await answer, "R", "it goes on");
    }
  });

  promise("a prepared sandbox that has ended can't be completed", async (host) => {
    const sandbox = await host.start(spec("answers", { isPrepared: true }));
    await sandbox.kill();
    await assert.rejects(sandbox.specialise(given("answers")), SandboxError);
    assert.deepEqual(await ids(host), []);
  });

  promise("a stopped host has nothing left", async (host) => {
    const sandboxes = await Promise.all([host.start(spec("answers")), host.start(spec("answers"))]);
    await host.stop();
    assert.deepEqual(await ids(host), []);
    for (const { exited } of sandboxes) assert.equal((await exited).signal, "SIGKILL");
  });
}
