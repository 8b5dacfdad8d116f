// Runs the SandboxHost contract over its drivers: the fake one, and the Linux one where it can run.
import { randomUUID } from "node:crypto";
import { fakeSandboxHost, type FakeFunction } from "../../src/sandbox/fake.ts";
import { python, skip, spec as linuxSpec, startHost } from "../acceptance/containment/sandbox.fixture.ts";
import { sandboxContract, type Program } from "./sandbox.contract.ts";

const FAKES: Readonly<Record<Program, FakeFunction["init"]>> = {
  answers: () => undefined, // the fake answers R when initialisation is done
  exits: ({ exit }) => exit(7),
  crashes: ({ crash }) => crash("SIGSEGV"),
  speaks: ({ print, exit }) => {
    print("last words");
    return exit(0);
  },
  async connects({ sandbox }) {
    (await sandbox.connect(4566)).write("hello");
  },
  sends({ sandbox }) {
    for (const text of ["first", "second"]) sandbox.sendDatagram(2000, Buffer.from(text));
  },
  looks: ({ sandbox, exit }) => (sandbox.spec.mounts.length > 0 ? undefined : exit(1)),
};

sandboxContract({
  name: "fake",
  skip: false,
  host: () =>
    Promise.resolve(
      fakeSandboxHost(({ env }) => ({
        init: FAKES[(env["PROGRAM"] ?? "answers") as Program] ?? (() => undefined),
        handler: () => undefined,
      })),
    ),
  spec: (program, changes) => linuxSpec({ id: randomUUID(), env: { PROGRAM: program }, ...changes }),
});

const WAIT = "os.read(3, 65536)\n";
const ANSWER = 'os.write(3, b"\\0\\0\\0\\x07R\\0\\0\\0\\x02{}")\nos.read(3, 1)';
const PROGRAMS: Readonly<Record<Program, string>> = {
  answers: `${WAIT}${ANSWER}`,
  exits: `${WAIT}os._exit(7)`,
  crashes: `${WAIT}ctypes.string_at(0)`,
  speaks: `${WAIT}os.write(1, b"last words")`,
  connects: `${WAIT}s = socket.create_connection(("127.0.0.1", 4566))\ns.send(b"hello")\ns.recv(1)`,
  sends: `${WAIT}s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for text in b"first", b"second": s.sendto(text, ("169.254.100.1", 2000))
${ANSWER}`,
  looks: `${WAIT}os.path.exists("/var/task/doc") or os._exit(1)\n${ANSWER}`,
};

sandboxContract({
  name: "linux",
  skip,
  host: startHost,
  spec: (program, changes) => linuxSpec({ argv: python(PROGRAMS[program]), ...changes }),
});
