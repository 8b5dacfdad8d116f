// Flags and environment → one frozen Config; the only reader of process.env.
import { availableParallelism, homedir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { networkProblem } from "./base/egress.ts";
import type { LogLevel } from "./base/log.ts";
import { ENVIRONMENTS_BY_FILES } from "./base/open-files.ts";
import { LOOPBACK_NETWORKS, outboundNetworkProblem } from "./base/outbound-addresses.ts";

export interface Config {
  /** Address to listen on. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Everything that must survive: database, blobs, logs, the install's keys. */
  readonly dataDirectory: string;
  /** Interpreters and SDKs of the managed runtimes; shared by all data directories. */
  readonly runtimesDirectory: string;
  /** Where to look for interpreters that the host has already. */
  readonly pythonSearchPath: readonly string[];
  readonly javaSearchPath: readonly string[];
  readonly rubySearchPath: readonly string[];
  /** Twelve digits. */
  readonly account: string;
  /** For `lambent env`; a request's own region comes from its signature. */
  readonly region: string;
  /** What the command line itself says of the server that is meant goes before what the AWS clients' environment says. */
  readonly given: { readonly server: boolean; readonly region: boolean };
  readonly acceptTestCredentials: boolean;
  /** Names besides localhost under which clients reach the server. */
  readonly hostNames: readonly string[];
  /** What functions can reach besides Lambent: nothing, or the internet. */
  readonly network: "endpoint" | "internet";
  /** With `internet`: networks that are no public addresses and yet may be reached, as `10.1.0.0/16`. */
  readonly networkAllow: readonly string[];
  /** Networks that are no public addresses and yet may be called by the server itself, where a user names a web address (SNS). */
  readonly webhookAllow: readonly string[];
  readonly logLevel: LogLevel;
  /** Execution environments at most; their memory limits may not all be used at once, so this bounds what idle ones hold. */
  readonly environmentsMax: number;
  /** Wall time after which an unused execution environment is destroyed. */
  readonly idleExpiryMs: number;
  /** Bytes of request bodies that the server holds at a time. */
  readonly bodyBytesMax: number;
  /** How many times faster than real time asynchronous events age and are tried again; 1 but for tests and development. */
  readonly timeScale: number;
  readonly launcherPath: string;
  /** The repository's runtimes/ folder: our bootstraps. */
  readonly bootstrapsDirectory: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the command line gave; everything is optional and still text. */
export interface Flags {
  readonly host?: string;
  readonly port?: string;
  readonly data?: string;
  readonly runtimes?: string;
  readonly account?: string;
  readonly region?: string;
  readonly network?: string;
  readonly networkAllow?: readonly string[];
  readonly webhookAllow?: readonly string[];
  readonly logLevel?: string;
  readonly hostName?: readonly string[];
  readonly acceptTestCredentials?: boolean;
  readonly insecureNetwork?: boolean;
  readonly timeScale?: string;
}

/** A setting has a value that can't be used; the message names the setting and what it may be. */
export class ConfigError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
  }
}

const ROOT = resolve(import.meta.dirname, "..");
const LOG_LEVELS: readonly string[] = ["debug", "info", "warn", "error"] satisfies LogLevel[];
/** A back-off of a second is then five milliseconds: faster than that, timers are no longer exact. */
const TIME_SCALE_MAX = 200;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/;
/** A warm Node environment holds about 10 MB and a Python one about 5; a working one up to its limit. */
const MEMORY_PER_ENVIRONMENT_BYTES = 64 * 2 ** 20;

function stateDirectory(environment: Environment): string {
  const isRoot = process.getuid?.() === 0;
  if (isRoot) return "/var/lib/lambent";
  return join(environment["XDG_DATA_HOME"] ?? join(environment["HOME"] ?? homedir(), ".local", "share"), "lambent");
}

/** Reads settings in the order flag, `LAMBENT_*` variable, default; throws ConfigError with one line per bad setting. */
export function loadConfig(flags: Flags = {}, environment: Environment = process.env): Config {
  const problems: string[] = [];
  const state = stateDirectory(environment);
  const text = (flag: string | undefined, variable: string, fallback: string) => flag ?? environment[variable] ?? fallback;
  const matching = (name: string, value: string, pattern: RegExp, what: string) => {
    if (!pattern.test(value)) problems.push(`${name}: "${value}" is not ${what}`);
    return value;
  };
  const host = text(flags.host, "LAMBENT_HOST", "127.0.0.1");
  const portText = matching("port", text(flags.port, "LAMBENT_PORT", "4566"), /^\d{1,5}$/, "a number from 0 to 65535");
  if (Number(portText) > 65_535) problems.push(`port: ${portText} is more than 65535`);
  const network = matching(
    "network",
    text(flags.network, "LAMBENT_NETWORK", "endpoint"),
    /^(?:endpoint|internet)$/,
    "endpoint or internet",
  );
  const networkAllow = flags.networkAllow ?? list(environment["LAMBENT_NETWORK_ALLOW"]);
  problems.push(...networkProblems(network, networkAllow));
  const logLevel = text(flags.logLevel, "LAMBENT_LOG_LEVEL", "info");
  if (!LOG_LEVELS.includes(logLevel)) problems.push(`log level: "${logLevel}" is none of ${LOG_LEVELS.join(", ")}`);
  const acceptTestCredentials = flags.acceptTestCredentials ?? environment["LAMBENT_ACCEPT_TEST_CREDENTIALS"] === "1";
  const isLoopback = LOOPBACK.test(host);
  const webhookAllow = webhookNetworks(flags.webhookAllow ?? list(environment["LAMBENT_WEBHOOK_ALLOW"]), isLoopback);
  problems.push(...webhookProblems(webhookAllow));
  if (!isLoopback && !(flags.insecureNetwork ?? false))
    problems.push(`host: ${host} is not a loopback address; without TLS this needs --insecure-network, and a network that you trust`);
  if (!isLoopback && acceptTestCredentials) problems.push(`host: test credentials are accepted on loopback only, not on ${host}`);
  const timeScale = Number(text(flags.timeScale, "LAMBENT_TIME_SCALE", "1"));
  if (!(timeScale >= 1 && timeScale <= TIME_SCALE_MAX)) problems.push(`time scale: it is a number from 1 to ${TIME_SCALE_MAX}`);
  if (!isLoopback && timeScale !== 1) problems.push(`host: time runs faster on loopback only, not on ${host}`);
  const config: Config = {
    host,
    port: Number(portText),
    dataDirectory: resolve(text(flags.data, "LAMBENT_DATA", join(state, "data"))),
    runtimesDirectory: resolve(text(flags.runtimes, "LAMBENT_RUNTIMES", join(state, "runtimes"))),
    pythonSearchPath: pythonPlaces(environment),
    javaSearchPath: JAVA_PLACES,
    rubySearchPath: rubyPlaces(environment),
    account: matching("account", text(flags.account, "LAMBENT_ACCOUNT", "000000000000"), /^\d{12}$/, "twelve digits"),
    region: matching("region", text(flags.region, "LAMBENT_REGION", "us-east-1"), /^[a-z]{2}(?:-[a-z]+)+-\d$/, "a region's name"),
    given: { server: (flags.host ?? flags.port ?? flags.data) !== undefined, region: flags.region !== undefined },
    acceptTestCredentials,
    hostNames: flags.hostName ?? list(environment["LAMBENT_HOST_NAMES"]),
    network: network === "internet" ? "internet" : "endpoint",
    networkAllow,
    webhookAllow,
    logLevel: logLevel as LogLevel,
    environmentsMax: Math.min(
      ENVIRONMENTS_BY_FILES,
      Math.max(8 * availableParallelism(), Math.min(1000, Math.floor((totalmem() * 0.8) / MEMORY_PER_ENVIRONMENT_BYTES))),
    ),
    idleExpiryMs: 10 * 60_000,
    bodyBytesMax: Math.max(256 * 2 ** 20, Math.floor(totalmem() / 16)),
    timeScale,
    launcherPath: join(ROOT, "native", "build", "launcher"),
    bootstrapsDirectory: join(ROOT, "runtimes"),
  };
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config);
}

/** Of a variable: words between commas. */
const list = (value = ""): readonly string[] => value.split(",").filter((word) => word !== "");

function networkProblems(network: string, allowed: readonly string[]): readonly string[] {
  if (allowed.length > 0 && network !== "internet") return ["network allow: needs the network setting internet"];
  return allowed.flatMap((one) => {
    const problem = networkProblem(one);
    return problem === undefined ? [] : [`network allow: "${one}" ${problem}`];
  });
}

/** What nobody chose: on a machine of one's own, one's own endpoints; nothing where others can ask for calls. `none` is nothing in any case. */
function webhookNetworks(given: readonly string[], isLoopback: boolean): readonly string[] {
  if (given.length === 0) return isLoopback ? LOOPBACK_NETWORKS : [];
  return given.length === 1 && given[0] === "none" ? [] : given;
}

function webhookProblems(networks: readonly string[]): readonly string[] {
  return networks.flatMap((one) => {
    const problem = outboundNetworkProblem(one);
    return problem === undefined ? [] : [`webhook allow: "${one}" ${problem}`];
  });
}

const JAVA_PLACES: readonly string[] = ["/usr/lib/jvm", "/usr/local/lib/jvm"];

function pythonPlaces(environment: Environment): readonly string[] {
  const home = environment["HOME"] ?? homedir();
  const pyenv = environment["PYENV_ROOT"] ?? join(home, ".pyenv");
  return ["/usr", "/usr/local", join(pyenv, "versions"), "/opt"];
}

function rubyPlaces(environment: Environment): readonly string[] {
  const home = environment["HOME"] ?? homedir();
  const rbenv = environment["RBENV_ROOT"] ?? join(home, ".rbenv");
  return ["/usr", "/usr/local", join(rbenv, "versions"), join(home, ".rubies"), "/opt", "/opt/rubies"];
}

/** What the environment says about the AWS client side: for the commands that talk to a server. */
interface ClientEnvironment {
  readonly endpoint?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  readonly region?: string;
  readonly wantsColour: boolean;
}

export function clientEnvironment(environment: Environment = process.env): ClientEnvironment {
  const pick = (name: string) => (environment[name] === undefined || environment[name] === "" ? undefined : environment[name]);
  const found = {
    endpoint: pick("AWS_ENDPOINT_URL"),
    accessKeyId: pick("AWS_ACCESS_KEY_ID"),
    secretAccessKey: pick("AWS_SECRET_ACCESS_KEY"),
    sessionToken: pick("AWS_SESSION_TOKEN"),
    region: pick("AWS_REGION") ?? pick("AWS_DEFAULT_REGION"),
  };
  const present = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
  return { ...present, wantsColour: pick("NO_COLOR") === undefined && pick("TERM") !== "dumb" };
}
