// What of a sandbox is decided before it is known whom it serves, and what afterwards: so that its runtime can be booted ahead.
import type { Socket } from "node:net";
import {
  SandboxError,
  type Sandbox,
  type SandboxDatagrams,
  type SandboxHost,
  type SandboxSpec,
  type Specialisation,
} from "../sandbox/sandbox.ts";
import { COMPILED_TARGETS } from "./compiled-code.ts";
import { bootFrame } from "./control-link.ts";
import { entrypointOf } from "./entrypoint.ts";
import { externalExtensions } from "./extensions.ts";
import { sandboxSpec, type SandboxSpecInput } from "./sandbox-spec.ts";
import { usesSdk } from "./sdk-use.ts";
import type { FunctionSettings, RuntimeLayout } from "./settings.ts";
import { startVariables } from "./variables.ts";

/** What of a sandbox leads to who it serves. */
type Ears = Pick<SandboxSpec, "listeners" | "datagrams">;

interface Ports {
  readonly listeners: readonly number[];
  readonly datagrams?: number;
}

/** Sandboxes with equal keys are alike until they serve somebody. */
export interface SandboxKind {
  readonly key: string;
  /** Without what is the single sandbox's own. */
  readonly spec: Omit<SandboxSpec, "id" | keyof Ears>;
  readonly ports: Ports;
  /** What its runtime loads while it waits. */
  readonly loads?: string;
}

export interface LateBinding {
  /** The one that suits it best comes first. */
  readonly kinds: readonly [best: SandboxKind, ...others: SandboxKind[]];
  readonly given: Specialisation;
  readonly handler: string;
  /** What the process does not have in its environment yet. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Booted and waiting; nobody's code has run in it. */
export interface PreparedSandbox {
  readonly sandbox: Sandbox;
  /** Who takes connections and datagrams from inside, from now on. */
  connect(ears: Ears): void;
}

/** Keeps prepared sandboxes; the pool does. */
export interface PreparedSandboxes {
  /** Of the first kind that there is one of; undefined: there is none now. Either way it is known that the first of these is in use. */
  take(kinds: LateBinding["kinds"]): PreparedSandbox | undefined;
}

const LATE_TARGETS: readonly string[] = ["/var/task", "/opt", ...COMPILED_TARGETS];
/** While it waits: enough for an interpreter, and not much of the machine while it boots. */
const WAITING = { memoryBytes: 128 * 2 ** 20, cpuMillis: 500, tmpBytes: 2 ** 20, tmpInodes: 16 };

/**
 * What interpreters, libc and the libraries below them read once, when they start. NODE_ENV is for packages, Node does not look at it.
 * A wrapper is a program of the function's that has to be first.
 */
const READ_AT_START =
  /^(?:NODE_(?!ENV$)|PYTHON|RUBY|GEM_|LD_|LC_|LANG$|LANGUAGE$|LOCPATH$|NLSPATH$|GCONV_PATH$|TZDIR$|MALLOC_|GLIBC_|OPENSSL_|SSL_CERT_|ICU_|UV_|RES_OPTIONS$|LOCALDOMAIN$|AWS_LAMBDA_EXEC_WRAPPER$)/;

/** `loads`: what the function is likely to import first. Undefined: something about it has to be there when its process starts. */
export function lateBinding(spec: SandboxSpec, settings: FunctionSettings, layout: RuntimeLayout, loads?: string): LateBinding | undefined {
  if (layout.protocol !== "framed" || Object.keys(settings.variables).some((name) => READ_AT_START.test(name))) return undefined;
  const { id: _, listeners, datagrams, mounts, env, memoryBytes, cpuMillis, tmpBytes, tmpInodes, ...rest } = spec;
  const isLate = ({ target }: SandboxSpec["mounts"][number]) => LATE_TARGETS.includes(target);
  const early = mounts.filter((mount) => !isLate(mount));
  if (early.some(({ target }) => LATE_TARGETS.some((place) => target.startsWith(`${place}/`)))) return undefined;
  const started = startVariables(layout);
  const kept = { ...rest, ...WAITING, mounts: early, env: started, isPrepared: true };
  const ports = { listeners: listeners.map(({ port }) => port), ...(datagrams === undefined ? {} : { datagrams: datagrams.port }) };
  const plain = { key: keyOf(settings, kept, ports), spec: kept, ports };
  return {
    kinds: loads === undefined ? [plain] : [{ ...plain, key: `${loads} ${plain.key}`, loads }, plain],
    given: { mounts: mounts.filter(isLate), memoryBytes, cpuMillis, processesMax: spec.processesMax, tmpBytes, tmpInodes },
    handler: settings.handler,
    variables: Object.fromEntries(Object.entries(env).filter(([name, value]) => started[name] !== value)),
  };
}

/** Settings do not change, and what is made of them is alike for all environments: a long text, which a cold start finds ready. */
const keys = new WeakMap<FunctionSettings, string>();

function keyOf(settings: FunctionSettings, spec: SandboxKind["spec"], ports: Ports): string {
  let key = keys.get(settings);
  if (key === undefined) keys.set(settings, (key = JSON.stringify([spec, ports])));
  return key;
}

/** What is a single environment's own comes late, so it makes no difference here. */
const ANYBODY = {
  id: "",
  compiled: [],
  credentials: { accessKeyId: "", secretAccessKey: "", sessionToken: "", expiresMs: 0 },
  logStream: "",
  metadataToken: "",
  onDatagram: () => true,
};

/** The kind of sandbox that a function can be given to; undefined: one has to be made for it. */
export async function kindOf(
  settings: FunctionSettings,
  layout: RuntimeLayout,
  given: Pick<SandboxSpecInput, "endpoint" | "network">,
): Promise<SandboxKind | undefined> {
  if (layout.protocol !== "framed" || (await externalExtensions(settings)).length > 0) return undefined;
  const found = await entrypointOf(layout, settings);
  if ("problem" in found) return undefined;
  const spec = sandboxSpec({ ...ANYBODY, ...given, settings, layout, argv: found.argv, initializationType: "on-demand" });
  const loads = (await usesSdk(settings, layout)) ? layout.sdk : undefined;
  return lateBinding(spec, settings, layout, loads)?.kinds[0];
}

export interface StartedSandbox {
  readonly sandbox: Sandbox;
  /** Its runtime has got its boot frame. */
  readonly isBooting: boolean;
}

/** A prepared sandbox where there is one that fits; else a new one. Throws SandboxError. */
export async function startSandbox(
  sandboxes: SandboxHost,
  spec: SandboxSpec,
  late: LateBinding | undefined,
  prepared: PreparedSandboxes | undefined,
): Promise<StartedSandbox> {
  const ready = late === undefined ? undefined : prepared?.take(late.kinds);
  if (late === undefined || ready === undefined) return { sandbox: await sandboxes.start(spec), isBooting: false };
  const { sandbox } = ready;
  try {
    ready.connect(spec);
    const isServing = sandbox.specialise(late.given);
    // It waits inside until the runtime goes on, which is when everything else is there.
    for (const piece of bootFrame(late.handler, late.variables)) sandbox.control.write(piece);
    await isServing;
    return { sandbox, isBooting: true };
  } catch (cause) {
    await sandbox.kill();
    if (!(cause instanceof SandboxError)) throw cause;
    // It may have died while it waited; what is wrong with the function itself comes out here again.
    return { sandbox: await sandboxes.start(spec), isBooting: false };
  }
}

/** The ears of a sandbox whose user is not known yet: until then nobody inside has a reason to call. */
export function lateEars(ports: Ports): Ears & Pick<PreparedSandbox, "connect"> {
  const targets = new Map<number, (socket: Socket) => void>();
  let onDatagram: SandboxDatagrams["onDatagram"] = () => true;
  const onConnection = (port: number) => (socket: Socket) => {
    const target = targets.get(port);
    if (target === undefined) socket.destroy();
    else target(socket);
  };
  return {
    listeners: ports.listeners.map((port) => ({ port, onConnection: onConnection(port) })),
    ...(ports.datagrams === undefined ? {} : { datagrams: { port: ports.datagrams, onDatagram: (bytes) => onDatagram(bytes) } }),
    connect: ({ listeners, datagrams }) => {
      for (const listener of listeners) targets.set(listener.port, (socket) => listener.onConnection(socket));
      if (datagrams !== undefined) onDatagram = (bytes) => datagrams.onDatagram(bytes);
    },
  };
}
