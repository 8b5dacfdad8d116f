// A small internet for tests, in a network namespace of its own: web, DNS and echo on public, private and link-local addresses.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createTcpServer, type Socket } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Public addresses in it (of the ranges for documentation), and those that a function must not reach. */
export const SITE = "203.0.113.1";
const RESOLVER = "203.0.113.53";
export const FORBIDDEN = ["10.20.0.1", "172.16.5.5", "192.168.7.7", "100.64.0.9", "192.0.0.8", "169.254.169.254"] as const;
/** The machine's own address there, and a second one that a test may add. */
export const MACHINE = "198.51.100.2";
const NAMES = { "site.example": SITE, "inside.example": "10.20.0.1", "metadata.example": "169.254.169.254", "machine.example": MACHINE };

// The program that is the internet: HTTP on 80, TCP that greets on 25 and 8443, DNS and an echo over UDP.
const WORLD = `
import http.server, socket, socketserver, struct, sys, threading
NAMES = dict(pair.split("=") for pair in sys.argv[1].split(","))
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("hello %s at %s" % (self.client_address[0], self.headers["host"])).encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
class Greeter(socketserver.BaseRequestHandler):
    def handle(self): self.request.sendall(b"220 hello")
def answer(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode()); at += 1 + query[at]
    question, (kind,) = query[12:at + 5], struct.unpack(">H", query[at + 1:at + 3])
    address = NAMES.get(".".join(labels).lower())
    found = address if address and kind == 1 else None
    head = query[:2] + struct.pack(">HHHHH", 0x8180 if address else 0x8183, 1, 1 if found else 0, 0, 0)
    return head + question + (b"\\xc0\\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(found) if found else b"")
def udp(address, port, reply):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((address, port))
    while True:
        data, sender = s.recvfrom(4096)
        try: s.sendto(reply(data), sender)
        except Exception: pass
def serve(what, *a): threading.Thread(target=what, args=a, daemon=True).start()
serve(http.server.ThreadingHTTPServer(("", 80), Web).serve_forever)
for port in (25, 8443): serve(socketserver.ThreadingTCPServer(("", port), Greeter).serve_forever)
serve(udp, "${RESOLVER}", 53, answer); serve(udp, "${SITE}", 53, answer); serve(udp, "${SITE}", 7, lambda data: data)
print("ready", flush=True); sys.stdin.read()
`;

export function shell(script: string): string {
  const { status, stdout, stderr } = spawnSync("/bin/sh", ["-euc", script], { encoding: "utf8", timeout: 120_000 });
  if (status !== 0) throw new Error(`${script}: ${stderr}`);
  return stdout;
}

export interface Internet {
  /** Runs a line of shell inside it. */
  there(line: string): void;
  close(): Promise<void>;
}

/** To be called in a network and a mount namespace of the test's own: this becomes a machine with one public address and a way to that internet. */
export async function connectMachine(): Promise<Internet> {
  const directory = await mkdtemp(join(tmpdir(), "lambent-internet-"));
  const holder = spawn("unshare", ["--net", "/bin/sh", "-c", "echo there; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  const there = `nsenter --net=/proc/${holder.pid}/ns/net`;
  const addresses = [SITE, RESOLVER, ...FORBIDDEN].map((address) => `${there} ip address add ${address}/32 dev lo`).join("\n");
  shell(`ip link set lo up
    ip link add up0 type veth peer name eth0 netns ${holder.pid}
    ip address add ${MACHINE}/24 dev up0; ip link set up0 up
    ${there} ip link set lo up; ${there} ip address add 198.51.100.1/24 dev eth0; ${there} ip link set eth0 up
    ${addresses}
    ip route add default via 198.51.100.1`);
  writeFileSync(join(directory, "resolv.conf"), `nameserver ${RESOLVER}\n`);
  shell(`mount --bind ${directory}/resolv.conf "$(readlink -f /etc/resolv.conf)"`);
  const names = Object.entries(NAMES).map((pair) => pair.join("="));
  const words = [`--net=/proc/${holder.pid}/ns/net`, "/usr/bin/python3", "-ISuc", WORLD, names.join(",")];
  const world = spawn("nsenter", words, { stdio: ["pipe", "pipe", "inherit"] });
  await Promise.race([once(world.stdout, "data"), once(world, "exit").then(() => Promise.reject(new Error("the internet ended")))]);
  const host = createTcpServer((socket: Socket) => socket.end("220 the machine"));
  await new Promise<void>((resolve) => void host.listen(8080, "0.0.0.0", resolve));
  return {
    there: (line) => void shell(`${there} ${line}`),
    async close() {
      host.close();
      for (const child of [world, holder]) {
        const ended = once(child, "exit");
        child.stdin.end();
        await ended;
      }
      shell(`umount "$(readlink -f /etc/resolv.conf)"`);
      await rm(directory, { recursive: true });
    },
  };
}

/**
 * Runs a file of tests, as root, in a network and a mount namespace of its own: a process can't move there by itself. After `limitMs` it is killed;
 * then `code` is null, and `output` tells how far it came.
 */
export async function runIsolated(file: string, limitMs: number): Promise<{ code: number | null; output: string }> {
  const words = ["--net", "--mount", process.execPath, "--test-reporter=tap", file];
  const child = spawn("unshare", words, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NODE_TEST_CONTEXT: "" } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => (output += piece.toString()));
  const late = setTimeout(() => child.kill("SIGKILL"), limitMs);
  const [code] = (await once(child, "exit")) as [number | null];
  clearTimeout(late);
  for (const stream of [child.stdout, child.stderr]) if (!stream.readableEnded) await Promise.race([once(stream, "end"), pause(10_000)]);
  for (const stream of [child.stdout, child.stderr]) stream.destroy();
  return { code, output };
}
