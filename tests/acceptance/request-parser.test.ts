// The launcher's parser of requests under mutated frames, built with the address and undefined-behaviour sanitizers.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { commandFrame, prepareFrame, rootFields, startFrame, type Place } from "../../src/sandbox/linux/frames.ts";
import { processorView } from "../../src/sandbox/linux/processors.ts";
import { hostParts } from "../../src/sandbox/linux/root-parts.ts";
import { systemCallFilter } from "../../src/sandbox/linux/system-call-filter.ts";
import type { SandboxSpec } from "../../src/sandbox/sandbox.ts";
import { random } from "../support/hostile-requests.ts";

const NATIVE = join(import.meta.dirname, "..", "..", "native");
const FRAMES = 50_000;
const SEED = Number(process.env["SEED"] ?? 20_261_123);
/** What a length or a number at the edge of its type looks like. */
const ODD_BYTES = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff];

const SPEC: SandboxSpec = {
  id: "sandbox-1",
  argv: ["/opt/node", "--flag", "index.js"],
  env: { PATH: "/bin", EMPTY: "", LONG: "x".repeat(300) },
  workingDirectory: "/var/task",
  mounts: [
    { source: "/var/lib/lambent/code", target: "/var/task" },
    { source: "/usr", target: "/usr" },
  ],
  memoryBytes: 128 * 2 ** 20,
  cpuMillis: 72,
  processors: 2,
  processesMax: 1024,
  openFilesMax: 1024,
  tmpBytes: 512 * 2 ** 20,
  tmpInodes: 10_000,
  listeners: [{ port: 9001, onConnection: () => undefined }],
  datagrams: { port: 2000, onDatagram: () => true },
  network: "endpoint",
};

const PARTS = hostParts();
const TEXTS = { cpuinfo: "processor\t: 0\nflags\t: fpu\n\nprocessor\t: 5\nflags\t: fpu\n\n", stat: "btime 1\n", lists: [] };
const PLACE: Place = { uid: 70_000, slot: 0, processors: [0, 5], files: processorView(TEXTS)([0, 5]), root: rootFields(PARTS.root) };
const IMAGE = { ...SPEC, mounts: [{ source: "/var/lib/lambent/image", target: "/" }], emulator: "/usr/bin/qemu-aarch64-static" };

function mutated(frames: readonly Buffer[], chance: () => number): Buffer {
  const below = (limit: number) => Math.floor(chance() * limit);
  let body = Buffer.from(frames[below(frames.length)]?.subarray(4) ?? []);
  for (let change = below(4); change >= 0; change--) {
    const at = below(body.length);
    const kind = below(5);
    if (kind === 0) body[at] = ODD_BYTES[below(ODD_BYTES.length)] ?? 0;
    else if (kind === 1) body[at] = (body[at] ?? 0) ^ (1 << below(8));
    else if (kind === 2) body = body.subarray(0, at);
    else if (kind === 3) body = Buffer.concat([body.subarray(0, at), body.subarray(below(body.length))]);
    else body = Buffer.concat([body.subarray(0, at), Buffer.from([ODD_BYTES[below(ODD_BYTES.length)] ?? 0]), body.subarray(at)]);
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  return Buffer.concat([length, body]);
}

test(
  `${FRAMES} mutated frames: each is parsed or refused, and no byte is read that is not there (SEED=${SEED})`,
  { timeout: 900_000 },
  (t) => {
    execFileSync("make", ["-s", "-C", NATIVE, "build/fuzz-request"], { stdio: ["ignore", "inherit", "inherit"] });
    const frames = [
      prepareFrame(systemCallFilter("x64").subarray(0, 64), PARTS.shared),
      startFrame(1, SPEC, PLACE),
      startFrame(1, IMAGE, PLACE),
      commandFrame(2, "kill", "sandbox-1"),
      commandFrame(3, "limitCpu", "sandbox-1", { cpuMillis: 500 }),
      commandFrame(4, "specialise", "sandbox-1", {
        mounts: [{ source: "/srv/code", target: "/var/task" }],
        memoryBytes: 2 ** 27,
        cpuMillis: 72,
        processesMax: 1024,
        tmpBytes: 2 ** 29,
        tmpInodes: 65_536,
      }),
    ];
    const chance = random(SEED);
    const input = Buffer.concat([...frames, ...Array.from({ length: FRAMES }, () => mutated(frames, chance))]);
    const { status, stdout, stderr } = spawnSync(join(NATIVE, "build", "fuzz-request"), { input, encoding: "utf8", timeout: 600_000 });
    assert.equal(status, 0, stderr.slice(0, 4000));
    const [, tried, refused] = /^(\d+) frames, (\d+) refused/.exec(stdout) ?? [];
    assert.equal(Number(tried), FRAMES + frames.length, stdout);
    // A suite that refuses everything, or nothing, tries nothing.
    assert.ok(Number(refused) > FRAMES / 10 && Number(refused) < FRAMES, stdout);
    t.diagnostic(stdout.trim());
  },
);
