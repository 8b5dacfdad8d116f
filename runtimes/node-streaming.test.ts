// Streamed responses of the Node bootstrap, with every installed Node: frames as they are written, and what holds a handler up.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { loadConfig } from "../src/config.ts";
import { NODE_VERSIONS } from "../src/runtime/pins.ts";
import { runtimeCatalog } from "../src/runtime/managed.ts";
import { BootstrapProcess } from "./bootstrap-process.ts";

const config = loadConfig();
const BOOTSTRAP = join(import.meta.dirname, "node", "bootstrap.cjs");

function argvOf(runtime: string): readonly string[] | undefined {
  const layout = runtimeCatalog(config).resolve(runtime);
  if (layout === undefined || "missing" in layout) return undefined;
  const argv = layout.argvFor?.({ memoryMiB: 128, variables: {} }) ?? layout.argv;
  const node = join(config.runtimesDirectory, runtime, "bin", "node");
  return argv.map((word) => (word === "/var/lang/bin/node" ? node : word === "/var/rapid/bootstrap.cjs" ? BOOTSTRAP : word));
}

const streamify = (body: string) => `exports.handler = awslambda.streamifyResponse(async (event, stream, context) => { ${body} })`;

async function started(argv: readonly string[], code: string): Promise<BootstrapProcess> {
  const one = await BootstrapProcess.start({ argv, files: { "index.js": code }, handler: "index.handler" });
  assert.equal((await one.frame()).type, "R");
  return one;
}

for (const runtime of NODE_VERSIONS.keys()) {
  const argv = argvOf(runtime);
  describe(runtime, { skip: argv === undefined ? `run  lambent runtime install ${runtime}` : false }, () => {
    if (argv !== undefined) streams(argv);
  });
}

function streams(argv: readonly string[]): void {
  test("each write is a chunk that goes out while the handler runs", async () => {
    const code = streamify(
      "const go = new Promise((done) => process.once('SIGUSR2', done)); stream.write(`${process.pid}`); await go; stream.end({ two: 2 })",
    );
    const one = await started(argv, `setInterval(() => {}, 1000); ${code}`);
    const id = one.send("{}", { streams: true });
    const first = await one.frame();
    assert.deepEqual([first.type, first.head], ["C", { requestId: id }]);
    // It has not ended: it waits for this.
    process.kill(Number(first.body.toString()), "SIGUSR2");
    const second = await one.frame();
    const last = await one.frame();
    assert.deepEqual([second.type, second.body.toString()], ["C", '{"two":2}']);
    assert.deepEqual([last.type, last.head, last.body.length], ["S", { requestId: id }, 0]);
    await one.dispose();
  });

  test("metadata is the prelude, and its type stands in the first chunk", async () => {
    const code = streamify(
      "const s = awslambda.HttpResponseStream.from(stream, { statusCode: 201 }); s.write('a'); s.end(); await require('node:stream/promises').finished(s)",
    );
    const one = await started(argv, code);
    one.send("{}", { streams: true });
    const frames = [];
    do frames.push(await one.frame());
    while (frames.at(-1)?.type === "C");
    assert.equal(frames[0]?.head["contentType"], "application/vnd.awslambda.http-integration-response");
    assert.ok(frames.slice(1).every(({ head }) => head["contentType"] === undefined));
    assert.equal(Buffer.concat(frames.map(({ body }) => body)).toString(), '{"statusCode":201}\0\0\0\0\0\0\0\0a');
    await one.dispose();
  });

  test("an error after the first chunk is the answer", async () => {
    const one = await started(argv, streamify("stream.write('a'); throw new TypeError('mid')"));
    const id = one.send("{}", { streams: true });
    assert.equal((await one.frame()).type, "C");
    const { type, head } = await one.frame();
    assert.deepEqual([type, head], ["E", { requestId: id, errorType: "TypeError" }]);
    // What the same function streams next is not mixed up with it.
    one.send("{}", { streams: true });
    assert.equal((await one.frame()).type, "C");
    await one.dispose();
  });

  test("a server that does not read holds the handler's writes up, but not its event loop", async () => {
    const code = streamify(`
      let ticks = 0; const timer = setInterval(() => { ticks++; if (ticks === 20) console.log('ticked'); }, 1);
      const part = Buffer.alloc(64 * 1024, 'x');
      let isHeld = false;
      for (let count = 0; count < 64; count++) if (!stream.write(part)) { isHeld = true; await new Promise((go) => stream.once('drain', go)); }
      while (ticks < 20) await new Promise((go) => setTimeout(go, 1));
      clearInterval(timer); stream.end(String(isHeld));`);
    const one = await started(argv, code);
    one.control.pause();
    one.send("{}", { streams: true });
    await new Promise((go) => setTimeout(go, 100));
    one.control.resume();
    let [bytes, last, frame] = [0, "", await one.frame()];
    for (; frame.type === "C"; frame = await one.frame()) [bytes, last] = [bytes + frame.body.length, frame.body.toString("utf8", 0, 10)];
    assert.deepEqual([frame.type, bytes, last], ["S", 64 * 64 * 1024 + 4, "true"]);
    assert.match(one.logs.join(""), /ticked/);
    await one.dispose();
  });
}
