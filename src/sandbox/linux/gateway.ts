// The way to the internet: loads the packet filter into the launcher's gateway namespace, and keeps the process alive that carries packets.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import type { Clock, Timer } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { SandboxError } from "../sandbox.ts";
import { CARRIER_INTERFACE, CARRIER_NETWORK, hostUpdate, localNetworks, packetFilter } from "./packet-filter.ts";
import { findTool, missingGatewayPackages, runTool } from "./tools.ts";

/** As in native/gateway.h: the launcher's descriptor of the namespace. */
const GATEWAY_DESCRIPTOR = 9;
const READY_MS_MAX = 10_000;
const RESTART_MS = 1_000;
/** How long an address that the host has just got can be reached from inside, at most. */
const ADDRESSES_MS = 1_000;
const COMPLAINT_BYTES_MAX = 4_096;

export interface GatewayOptions {
  readonly launcherPid: number;
  /** The namespace belongs to the launcher's user namespace, which has to be entered first. */
  readonly isRootless: boolean;
  /** Networks that functions may reach besides public addresses, as `10.1.0.0/16`. */
  readonly allowed: readonly string[];
  readonly log: Log;
  readonly clock: Clock;
}

/** Opens it. Throws SandboxError when a program is missing or fails; then nothing can get out. */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const missing = missingGatewayPackages();
  if (missing.length > 0) throw new SandboxError(`network internet needs ${missing.join(" and ")}: apt install ${missing.join(" ")}`);
  const gateway = new Gateway(options);
  try {
    await gateway.open();
    return gateway;
  } catch (error) {
    await gateway.close();
    throw error;
  }
}

/** What a program complains about, up to a bound. */
function complaints(stream: Readable | null): () => string {
  let text = "";
  stream?.on("data", (piece: Buffer) => (text = (text + piece.toString()).slice(-COMPLAINT_BYTES_MAX)));
  return () => text.trim();
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #namespace: string;
  /** Enters the user namespace that the other one belongs to; empty with root. */
  readonly #entering: readonly string[];
  #carrier: ChildProcess | undefined;
  #timer: Timer | undefined;
  #restart: Timer | undefined;
  #host: readonly string[] = [];
  #update: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#entering = options.isRootless ? [`--user=/proc/${options.launcherPid}/ns/user`, "--preserve-credentials"] : [];
    this.#namespace = `/proc/${options.launcherPid}/fd/${GATEWAY_DESCRIPTOR}`;
  }

  /** The filter is there before the first packet can be carried. */
  async open(): Promise<void> {
    this.#host = ownAddresses();
    await this.#filter(packetFilter({ host: this.#host, allowed: this.#options.allowed }));
    await this.#carry();
    this.#watchAddresses();
  }

  /** Takes in which addresses the host has now. Rejects with SandboxError when the filter can't be changed. */
  async refresh(): Promise<void> {
    const now = ownAddresses();
    if (now.join() !== this.#host.join()) {
      this.#host = now;
      this.#update = this.#update.catch(() => undefined).then(() => this.#filter(hostUpdate(now)));
    }
    await this.#update;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#restart?.cancel();
    const carrier = this.#carrier;
    if (carrier === undefined || carrier.exitCode !== null || carrier.signalCode !== null) return;
    const exited = once(carrier, "exit");
    carrier.kill("SIGKILL");
    await exited;
  }

  #watchAddresses(): void {
    this.#timer = this.#options.clock.after(ADDRESSES_MS, () => {
      void this.refresh()
        .catch((cause: unknown) => {
          this.#host = []; // tried again
          if (!this.#isClosed) this.#options.log.error("the host's addresses can't be kept from functions", { cause });
        })
        .then(() => (this.#isClosed ? undefined : this.#watchAddresses()));
    });
  }

  async #filter(rules: string): Promise<void> {
    const words = [...this.#entering, `--net=${this.#namespace}`, findTool("nft") ?? "nft", "-f", "-"];
    try {
      await runTool(findTool("nsenter") ?? "nsenter", words, this.#options.clock, rules);
    } catch (cause) {
      throw new SandboxError(`the gateway's packet filter can't be loaded: ${(cause as Error).message}`, { cause });
    }
  }

  /** Resolves when packets are carried. It ends with this process, whose end of its descriptor 0 closes then. */
  async #carry(): Promise<void> {
    const words = ["--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"];
    words.push(`--cidr=${CARRIER_NETWORK}`, "--exit-fd=0", "--ready-fd=3", "--netns-type=path", this.#namespace, CARRIER_INTERFACE);
    words.unshift(...this.#entering, findTool("slirp4netns") ?? "slirp4netns");
    const stdio = ["pipe", "ignore", "pipe", "pipe"] as const;
    // A session of its own: Ctrl-C is for the server, which lets functions finish.
    const child = spawn(findTool("nsenter") ?? "nsenter", words, { env: {}, cwd: "/", detached: true, stdio: [...stdio] });
    this.#carrier = child;
    const complaint = complaints(child.stderr);
    child.stdin?.on("error", () => undefined); // its exit is told below
    const ended = new Promise<Error>((resolve) => {
      child.once("error", (cause) => resolve(new SandboxError("slirp4netns can't be started", { cause })));
      child.once("close", (code, signal) =>
        resolve(new SandboxError(`slirp4netns ended with ${signal ?? `code ${code}`}: ${complaint()}`)),
      );
    });
    await this.#isReady(child.stdio[3] as Readable, ended);
    void ended.then((cause) => this.#ended(cause));
  }

  async #isReady(ready: Readable, ended: Promise<Error>): Promise<void> {
    const late = Promise.withResolvers<Error>();
    const deadline = this.#options.clock.after(READY_MS_MAX, () => late.resolve(new SandboxError("slirp4netns does not get ready")));
    ready.on("error", () => undefined); // its exit says why
    const failed = await Promise.race([once(ready, "data").then(() => undefined), ended, late.promise]);
    deadline.cancel();
    ready.destroy();
    if (failed !== undefined) throw failed;
  }

  #ended(cause: Error): void {
    if (this.#isClosed) return;
    this.#options.log.error("functions have lost their way to the internet; it is opened again", { cause });
    this.#restart = this.#options.clock.after(RESTART_MS, () => {
      this.#carry().catch((error: unknown) => {
        this.#carrier?.kill("SIGKILL");
        this.#ended(error as Error);
      });
    });
  }
}

const ownAddresses = () => localNetworks(readFileSync("/proc/net/fib_trie", "utf8"));
