// Builds everything from a Config, starts it, stops it: the one file that knows all parts.
import { join } from "node:path";
import type { Socket } from "node:net";
import { authorise } from "./aws/authorise.ts";
import type { Deliverer } from "./aws/deliver.ts";
import { frontDoor, type FrontDoor } from "./aws/front-door.ts";
import type { ServiceDefinition } from "./aws/definition.ts";
import { CommonFault } from "./aws/fault.ts";
import { ownApi } from "./aws/own-api.ts";
import type { WireRequest, WireResponse } from "./aws/request.ts";
import { systemClock, type Clock } from "./base/clock.ts";
import { scaledClock } from "./base/scaled-clock.ts";
import { outboundAddresses } from "./base/outbound-addresses.ts";
import { outboundHttp, type OutboundHttp } from "./base/outbound-http.ts";
import { lifecycle, type Lifecycle } from "./base/lifecycle.ts";
import { logLines } from "./base/log-lines.ts";
import { jsonLog, textLog, type Log } from "./base/log.ts";
import type { Config } from "./config.ts";
import { installSecrets, type InstallKeys, type InstallSecrets } from "./install-keys.ts";
import type { Segments } from "./lambda/invocation-segments.ts";
import type { LambdaDeps } from "./lambda/model.ts";
import { lambdaService, type LambdaService } from "./lambda/service.ts";
import { limits } from "./limits.ts";
import { dataPlane, type DataPlane } from "./pool/invoke.ts";
import { deliverer, type DelivererDeps } from "./deliver.ts";
import { eventSources } from "./event-sources.ts";
import { functionUrlsOf } from "./function-urls.ts";
import type { Gateway } from "./gateway/function-urls.ts";
import { deliveries, type Deliveries, type FailedDelivery } from "./deliveries.ts";
import { eventsApi } from "./events-api.ts";
import { FailedEvents } from "./failed-events.ts";
import { keptDelivery, messageForms } from "./failed-messages.ts";
import { prometheus } from "./prometheus.ts";
import { codeDownloads, type CodeDownloads } from "./code-downloads.ts";
import { KNOWN_RUNTIMES } from "./runtime/identifiers.ts";
import { runtimeCatalog, type RuntimeCatalog, type RuntimeState } from "./runtime/managed.ts";
import { linuxSandboxHost } from "./sandbox/linux/host.ts";
import type { SandboxHost } from "./sandbox/sandbox.ts";
import { cloudWatchService, type CloudWatchService } from "./services/cloudwatch/service.ts";
import { snsService, type SnsService } from "./services/sns/service.ts";
import { eventsService, type EventsService } from "./services/events/service.ts";
import { ecrService, type EcrService } from "./services/ecr/service.ts";
import { iamService, type IamService } from "./services/iam/service.ts";
import { logsService } from "./services/logs/service.ts";
import { segmentsOf } from "./segments.ts";
import { s3Service, type S3Service } from "./services/s3/service.ts";
import { schedulerService, type SchedulerService } from "./services/scheduler/service.ts";
import { sqsService, type SqsService } from "./services/sqs/service.ts";
import { stsService, type StsService } from "./services/sts/service.ts";
import { xrayService, type XRayService } from "./services/xray/service.ts";
import type { BlobStore } from "./store/blob-store.ts";
import { startBlobCollection } from "./store/blob-collection.ts";
import { diskBlobs } from "./store/disk-blobs.ts";
import type { LogSink } from "./store/log-sink.ts";
import type { MetricStore } from "./store/metric-store.ts";
import { sqliteLogSink } from "./store/sqlite/sqlite-log-sink.ts";
import { sqliteMetrics } from "./store/sqlite/sqlite-metrics.ts";
import { sqliteStorage } from "./store/sqlite/sqlite-storage.ts";
import { sqliteTraces } from "./store/sqlite/sqlite-traces.ts";
import type { Storage } from "./store/storage.ts";
import type { TraceStore } from "./store/trace-store.ts";

/** Drivers that tests replace by their siblings. */
export interface Parts {
  /** Real time: signatures, sessions, timeouts, SQS, what is shown. */
  readonly clock: Clock;
  /** Of events and deliveries: their ages, retries and delays; faster with `timeScale`. */
  readonly pace: Clock;
  readonly log: Log;
  readonly storage: Storage;
  readonly logs: LogSink;
  readonly metrics: MetricStore;
  readonly traces: TraceStore;
  readonly sandboxes: SandboxHost;
  readonly runtimes: RuntimeCatalog;
}

export interface Server {
  /** `http://127.0.0.1:4566` */
  readonly endpoint: string;
  /** The key pair of the account's root. */
  readonly keys: InstallKeys;
  runtimes(): readonly RuntimeState[];
  /** What it serves: for the compatibility page, and for tests that leave no operation out. */
  services(): Promise<readonly ServiceDefinition[]>;
  /** Resolves when the server can't go on: the store or the launcher has failed. */
  readonly failed: Promise<Error>;
  /** Running invocations get a little time; then everything is gone but the data. */
  stop(): Promise<void>;
}

interface Started extends Parts {
  readonly blobs: BlobStore;
  readonly secrets: InstallSecrets;
  readonly fail: (cause: Error) => void;
}

async function startParts(config: Config, given: Partial<Parts>, life: Lifecycle, fail: (cause: Error) => void): Promise<Started> {
  const clock = given.clock ?? systemClock;
  const pace = given.pace ?? (config.timeScale === 1 ? clock : scaledClock(clock, config.timeScale));
  const log = given.log ?? serverLog(config, clock, life);
  const secrets = await installSecrets(config.dataDirectory);
  const storage = given.storage ?? (await sqliteStorage({ directory: config.dataDirectory, clock, pace, log, failed: fail }));
  life.onStop("store", () => storage.close());
  const logs = given.logs ?? sqliteLogSink({ directory: config.dataDirectory, clock, log });
  life.onStop("function logs", () => logs.close());
  const metrics = given.metrics ?? sqliteMetrics({ directory: config.dataDirectory });
  life.onStop("metrics", () => metrics.close());
  const traces = given.traces ?? sqliteTraces({ directory: config.dataDirectory });
  life.onStop("traces", () => traces.close());
  const blobs = await diskBlobs({ directory: join(config.dataDirectory, "blobs"), clock });
  const sandboxes = given.sandboxes ?? (await startSandboxes(config, log, fail));
  life.onStop("sandboxes", () => sandboxes.stop());
  const runtimes = given.runtimes ?? runtimeCatalog(config);
  return { clock, pace, log, storage, logs, metrics, traces, blobs, sandboxes, runtimes, secrets, fail };
}

function serverLog({ logLevel: level }: Config, clock: Clock, life: Lifecycle): Log {
  const { write, flush } = logLines(clock, (text) => void process.stderr.write(text));
  process.once("exit", flush);
  life.onStop("log", () => {
    process.off("exit", flush);
    flush();
  });
  return (process.stderr.isTTY ? textLog : jsonLog)({ clock, level, write });
}

async function startSandboxes(config: Config, log: Log, fail: (cause: Error) => void): Promise<SandboxHost> {
  const internet = config.network === "internet" ? { internet: { allowed: config.networkAllow } } : {};
  const host = await linuxSandboxHost({ launcherPath: config.launcherPath, log, ...internet });
  void host.died.then(fail);
  return host;
}

/** `test`/`test` for people who come from emulators; the configuration allows it on loopback only. */
const TEST_KEYS: InstallKeys = { accessKeyId: "test", secretAccessKey: "test" };

interface IdentityServices {
  readonly iam: IamService;
  readonly sts: StsService;
}

async function identityServices(config: Config, parts: Started, life: Lifecycle): Promise<IdentityServices> {
  const pairs = config.acceptTestCredentials ? [parts.secrets, TEST_KEYS] : [parts.secrets];
  const rootKeys = pairs.map(({ accessKeyId, secretAccessKey }) => ({ account: config.account, accessKeyId, secretAccessKey }));
  const { clock } = parts;
  const { sealingKey } = parts.secrets;
  const iam = await iamService({ meta: parts.storage.meta, clock, sealingKey, rootKeys });
  life.onStop("iam", () => iam.stop());
  const sts = stsService({ clock, sealingKey, roles: iam.roles });
  return { iam, sts };
}

const LAMBDA_PRINCIPAL = "lambda.amazonaws.com";
const SCHEDULER_PRINCIPAL = "scheduler.amazonaws.com";

function startDataPlane(
  config: Config,
  parts: Started,
  sts: StsService,
  port: number,
  accept: (socket: Socket, sandboxId: string) => void,
  segments: Segments,
): DataPlane {
  return dataPlane({
    sandboxes: parts.sandboxes,
    runtimes: parts.runtimes,
    logs: parts.logs,
    async credentials(roleArn, functionName) {
      const found = sts.assumeAsService(roleArn, functionName, LAMBDA_PRINCIPAL);
      if (typeof found === "string")
        throw new CommonFault("AccessDeniedException", "The role defined for the function cannot be assumed by Lambda.", 403);
      return found;
    },
    endpoint: { port, onConnection: accept },
    network: config.network,
    segments: (owner, document) => segments(owner, [document]),
    clock: parts.clock,
    log: parts.log,
    limits: { accountConcurrency: limits.accountConcurrency, environmentsMax: config.environmentsMax, idleExpiryMs: config.idleExpiryMs },
  });
}

/** Of the environments and of the account's concurrency: what is left is for those who wait for an answer. */
const ASYNC_SHARE = 0.75;

/** What services do in one another, they do in the name of a role or of themselves. */
function sendersOf(
  services: DelivererDeps["services"],
  web: OutboundHttp,
  { clock }: Started,
  { iam: { identities }, sts }: IdentityServices,
): DelivererDeps {
  return {
    web,
    clock,
    identities,
    services,
    assume(roleArn, sessionName, principal) {
      const session = sts.assumeAsService(roleArn, sessionName, principal);
      const found = typeof session === "string" ? session : identities.credential(session.accessKeyId, session.sessionToken);
      return typeof found === "string" ? undefined : found.caller;
    },
  };
}

/** Rejects with what went wrong, with everything that was started stopped again. */
export async function startServer(config: Config, given: Partial<Parts> = {}): Promise<Server> {
  const failure = Promise.withResolvers<Error>();
  const parts: { log?: Log } = {};
  const life = lifecycle((name, cause) => parts.log?.error("stopping a part failed", { name, cause }));
  try {
    const started = await startParts(config, given, life, (cause) => failure.resolve(cause));
    parts.log = started.log;
    return { ...(await startServices(config, started, life)), failed: failure.promise, stop: () => life.stop() };
  } catch (error) {
    await life.stop();
    throw error;
  }
}

/** In the caller's name: who may not read an object may not make a function of it. */
function objectsFor(s3: S3Service, { identities }: IamService, clock: Clock): LambdaDeps["getObject"] {
  return async (context, Bucket, Key, VersionId) => {
    authorise(undefined, context, await s3.definition.access("GetObject", context, { Bucket, Key, VersionId }), { identities, clock });
    return await s3.getObject(context, Bucket, Key, VersionId);
  };
}

function imagesFrom(ecr: EcrService, { hostNames }: Config): LambdaDeps["getImage"] {
  return async (context, ImageUri, architecture) => {
    const found = await ecr.image(context, ImageUri, hostNames, architecture);
    if (typeof found === "string") return found;
    const { sha256, resolvedUri: ResolvedImageUri, ...image } = found;
    return { sha256, image: { ImageUri, ResolvedImageUri, ...image } };
  };
}

/** What the services around Lambda and Lambda itself share. */
interface Common extends IdentityServices {
  readonly parts: Started;
  /** By signing name; complete before the first request or delivery is taken. */
  readonly services: Map<string, () => Promise<ServiceDefinition>>;
  readonly senders: DelivererDeps;
  readonly ways: Deliverer;
  readonly outgoing: Deliveries;
  readonly failures: FailedEvents;
  /** Known when Lambda is there, which is before anything is delivered. */
  readonly late: { lambda?: LambdaService; plane?: DataPlane };
  /** For addresses that users name. */
  readonly web: OutboundHttp;
}

type Own = (request: WireRequest) => Promise<WireResponse>;

async function commonOf(config: Config, parts: Started, life: Lifecycle): Promise<Common> {
  const identity = await identityServices(config, parts, life);
  const services: Common["services"] = new Map();
  const web = outboundHttp({ clock: parts.clock, isAllowed: outboundAddresses(config.webhookAllow) });
  const senders = sendersOf(services, web, parts, identity);
  const ways = deliverer(senders);
  const { pace, log, storage } = parts;
  const failures = await FailedEvents.open({ meta: storage.meta, clock: pace, log });
  life.onStop("failed events", () => failures.stop());
  const late: Common["late"] = {};
  const failed = (one: FailedDelivery) => {
    late.lambda?.deliveryFailed(one.delivery.context.sourceArn, one.delivery.purpose);
    return keptDelivery(failures, one);
  };
  const outgoing = deliveries({ queue: storage.queue, clock: pace, log, deliver: ways.deliver, failed });
  return { ...identity, parts, services, senders, ways, outgoing, web, failures, late };
}

function ownRoutes(config: Config, common: Common, { cloudWatch }: Neighbours): Own {
  const { parts, iam, failures, late, outgoing } = common;
  const { clock, log } = parts;
  const { account, region } = config;
  const forms = messageForms((kind, messages) => (kind === "invocation" ? late.lambda?.wake(messages) : outgoing.wake(messages)));
  const running = () => late.plane?.total() ?? { invocations: 0, environments: 0 };
  const routes = [...eventsApi(failures, forms), prometheus({ clock, totals: () => cloudWatch.recorder.totals(), running })];
  return ownApi(routes, { identities: iam.identities, clock, log, account, region });
}

interface Neighbours {
  readonly ecr: EcrService;
  readonly s3: S3Service;
  readonly sqs: SqsService;
  readonly cloudWatch: CloudWatchService;
  readonly xray: XRayService;
  readonly sns: SnsService;
  readonly events: EventsService;
  readonly scheduler: SchedulerService;
  readonly downloads: CodeDownloads;
}

/** The services around Lambda: each is built, put into `services`, and stopped after all that uses it. */
async function startNeighbours(common: Common, life: Lifecycle, endpoint: () => string): Promise<Neighbours> {
  const { parts, services, iam, sts, ways, outgoing } = common;
  const { clock, log, storage, logs, blobs } = parts;
  const { meta } = storage;
  const add = (definition: ServiceDefinition) => void services.set(definition.name, () => Promise.resolve(definition));
  add(iam.definition);
  add(sts.definition);
  const { events, scheduler } = await startEvents(common, life);
  const s3 = await s3Service({
    meta,
    blobs,
    clock,
    log,
    targets: ways,
    deliveries: outgoing,
    onDefaultBus: (event) => events.effectsOf(event),
  });
  life.onStop("s3", () => s3.stop());
  const downloads = codeDownloads({ blobs, clock, keys: parts.secrets, validSeconds: limits.codeUrlSeconds });
  add(downloads.within(s3.definition));
  const logging = await logsService({ meta, logs, clock });
  life.onStop("logs", () => logging.stop());
  add(logging.definition);
  const sqs = await sqsService({ meta, mailboxes: storage.mailboxes, clock, log });
  life.onStop("sqs", () => sqs.stop());
  add(sqs.definition);
  const { queue, mailboxes } = storage;
  const sns = await snsService({ meta, queue, mailboxes, deliveries: outgoing, deliver: ways.deliver, clock, log, endpoint });
  life.onStop("sns", () => sns.stop());
  add(sns.definition);
  const cloudWatch = cloudWatchService({ metrics: parts.metrics, clock, log });
  life.onStop("cloudwatch", () => cloudWatch.stop());
  add(cloudWatch.definition);
  const xray = xrayService({ traces: parts.traces, clock, log });
  life.onStop("xray", () => xray.stop());
  add(xray.definition);
  const ecr = await ecrService({
    meta,
    blobs,
    clock,
    log,
    identities: iam.identities,
    sealingKey: parts.secrets.sealingKey,
    downloadUrl: (context, sha256) => downloads.urlOf(context, sha256),
  });
  life.onStop("ecr", () => ecr.stop());
  add(ecr.definition);
  return { s3, sqs, sns, ecr, cloudWatch, xray, events, scheduler, downloads };
}

async function startEvents(
  { parts, services, sts, ways, outgoing }: Common,
  life: Lifecycle,
): Promise<Pick<Neighbours, "events" | "scheduler">> {
  const { clock, log, storage } = parts;
  const { meta, queue, timers } = storage;
  const common = { meta, timers, clock, log, deliveries: outgoing, supportsTarget: ways.supports };
  const events = await eventsService({ ...common, queue });
  life.onStop("events", () => events.stop());
  const canAssume = (roleArn: string) => typeof sts.assumeAsService(roleArn, "check", SCHEDULER_PRINCIPAL) !== "string";
  const scheduler = await schedulerService({ ...common, canAssume });
  life.onStop("scheduler", () => scheduler.stop());
  for (const { definition } of [events, scheduler]) services.set(definition.name, () => Promise.resolve(definition));
  return { events, scheduler };
}

/** Open before Lambda is there, because functions are told the port: Lambda's first requests wait for it. */
function openDoor(config: Config, common: Common, neighbours: Neighbours, functionUrls: Gateway, life: Lifecycle): FrontDoor {
  const { parts, services, iam } = common;
  const own = ownRoutes(config, common, neighbours);
  const { account, region, hostNames, bodyBytesMax } = config;
  const { clock, log } = parts;
  const { identities } = iam;
  const documents = (path: string) => neighbours.sns.document(path);
  const registry = (request: WireRequest) => neighbours.ecr.registry(request);
  const routes = { own, functionUrls, documents, registry };
  const door = frontDoor({ services, identities, clock, log, account, region, hostNames, bodyBytesMax, ...routes });
  life.onStop("front door", () => door.close());
  life.onStop("waiting receivers", () => neighbours.sqs.endWaits());
  return door;
}

async function startLambda(
  config: Config,
  common: Common,
  neighbours: Neighbours,
  plane: DataPlane,
  tracing: ReturnType<typeof segmentsOf>,
): Promise<LambdaService> {
  const { parts, iam, sts, senders, ways, outgoing } = common;
  const { s3, ecr, cloudWatch, downloads } = neighbours;
  const { clock, log, storage, blobs } = parts;
  return await lambdaService({
    meta: storage.meta,
    queue: storage.queue,
    blobs,
    packagesDirectory: join(config.dataDirectory, "packages"),
    invoker: plane,
    supportsTarget: ways.supports,
    mayDeliver: ways.mayDeliver,
    deliveries: outgoing,
    sources: eventSources(senders),
    keepFailed: (failed, message) => common.failures.keep(failed, message),
    recorder: cloudWatch.recorder,
    ...tracing,
    asyncConcurrency: Math.max(1, Math.floor(ASYNC_SHARE * Math.min(config.environmentsMax, limits.accountConcurrency))),
    clock,
    pace: parts.pace,
    log,
    getObject: objectsFor(s3, iam, clock),
    getImage: imagesFrom(ecr, config),
    canAssume: (roleArn) => typeof sts.assumeAsService(roleArn, "check", LAMBDA_PRINCIPAL) !== "string",
    runtimes: {
      state: (runtime) => KNOWN_RUNTIMES.get(runtime),
      names: () => [...KNOWN_RUNTIMES].filter(([, state]) => state !== "blocked").map(([name]) => name),
    },
    codeUrl: (context, sha256) => downloads.urlOf(context, sha256),
    accountConcurrency: limits.accountConcurrency,
  });
}

const endpointAt = (host: string, port: number) => `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
const ANY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** For links in what goes out: the name that the operator has given, else the address. */
function publicEndpoint({ host, hostNames }: Config, port: number): string {
  const [name] = hostNames.filter((one) => !one.startsWith("*"));
  return endpointAt(name ?? (ANY_ADDRESS.has(host) ? "localhost" : host), port);
}

async function startServices(config: Config, parts: Started, life: Lifecycle): Promise<Omit<Server, "failed" | "stop">> {
  const { clock, log, blobs } = parts;
  const common = await commonOf(config, parts, life);
  const { services, sts, outgoing, web } = common;
  const place = { port: config.port };
  const neighbours = await startNeighbours(common, life, () => publicEndpoint(config, place.port));
  const lambdaDefinition = Promise.withResolvers<ServiceDefinition>();
  services.set("lambda", () => lambdaDefinition.promise);
  const gateway = Promise.withResolvers<Gateway>();
  // After the front door: what still comes through it may not be answered from what was.
  life.onStop("lambda's records", () => common.late.lambda?.close());
  const door = openDoor(config, common, neighbours, async (request, host) => (await gateway.promise)(request, host), life);
  const { port } = await door.listen(config.port, config.host);
  place.port = port;
  // After the data plane, which ends what runs: the events of it go back into the queue.
  life.onStop("deliveries", () => outgoing.stop());
  life.onStop("lambda", () => common.late.lambda?.stop());
  const tracing = segmentsOf({ senders: common.senders, log, recorder: neighbours.xray.recorder });
  const plane = startDataPlane(config, parts, sts, port, (socket, sandboxId) => door.accept(socket, { sandboxId }), tracing.segments);
  life.onStop("data plane", () => plane.stop());
  common.late.plane = plane;
  const lambda = await startLambda(config, common, neighbours, plane, tracing);
  common.late.lambda = lambda;
  life.onStop("asynchronous invocations", async () => {
    lambda.pause();
    outgoing.pause();
    // Nobody waits for a web endpoint: what it was to get is tried again after the next start.
    web.close();
    await neighbours.sns.pause();
  });
  lambdaDefinition.resolve(lambda.definition);
  outgoing.begin();
  gateway.resolve(functionUrlsOf(lambda, config, { clock, log, identities: common.iam.identities }));
  await neighbours.sns.begin();
  neighbours.events.begin();
  neighbours.scheduler.begin();
  const code = { has: (sha256: string) => lambda.isReferenced(sha256), release: () => undefined };
  const references = async () => [code, neighbours.ecr.referencedBlobs(), await neighbours.s3.referencedBlobs()];
  const collection = startBlobCollection({ blobs, clock, log, references });
  life.onStop("blob collection", () => collection.stop());
  return {
    endpoint: endpointAt(config.host, port),
    keys: { accessKeyId: parts.secrets.accessKeyId, secretAccessKey: parts.secrets.secretAccessKey },
    runtimes: () => parts.runtimes.list(),
    services: () => Promise.all([...services.values()].map((load) => load())),
  };
}
