// Builds a whole server from a Config: starts its parts in their order, and stops them in the other.
import { join } from "node:path";
import type { Socket } from "node:net";
import { authorise } from "./aws/authorise.ts";
import { frontDoor, type FrontDoor } from "./aws/front-door.ts";
import type { ServiceDefinition } from "./aws/definition.ts";
import { CommonFault } from "./aws/fault.ts";
import { ownApi } from "./aws/own-api.ts";
import type { WireRequest, WireResponse } from "./aws/request.ts";
import type { Clock } from "./base/clock.ts";
import { lifecycle, type Lifecycle } from "./base/lifecycle.ts";
import type { Log } from "./base/log.ts";
import type { Config } from "./config.ts";
import type { InstallKeys } from "./install-keys.ts";
import type { Segments } from "./lambda/invocation-segments.ts";
import type { LambdaDeps } from "./lambda/model.ts";
import { lambdaService, type LambdaService } from "./lambda/service.ts";
import { limits } from "./limits.ts";
import { dataPlane, type DataPlane } from "./pool/invoke.ts";
import { eventSources } from "./event-sources.ts";
import { startExchange, type Exchange } from "./exchange.ts";
import { startNeighbours, type Neighbours } from "./neighbours.ts";
import { startParts, type Parts, type Started } from "./parts.ts";
import { functionUrlsOf } from "./function-urls.ts";
import type { Gateway } from "./gateway/function-urls.ts";
import { eventsApi } from "./events-api.ts";
import { messageForms } from "./failed-messages.ts";
import { prometheus } from "./prometheus.ts";
import { KNOWN_RUNTIMES } from "./runtime/identifiers.ts";
import type { RuntimeState } from "./runtime/managed.ts";
import type { EcrService } from "./services/ecr/service.ts";
import type { IamService } from "./services/iam/service.ts";
import { segmentsOf } from "./segments.ts";
import type { S3Service } from "./services/s3/service.ts";
import type { StsService } from "./services/sts/service.ts";
import { startBlobCollection } from "./store/blob-collection.ts";

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

const LAMBDA_PRINCIPAL = "lambda.amazonaws.com";

/** Of the environments and of the account's concurrency: what is left is for those who wait for an answer. */
const ASYNC_SHARE = 0.75;

const endpointAt = (host: string, port: number) => `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
const ANY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

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

async function startServices(config: Config, parts: Started, life: Lifecycle): Promise<Omit<Server, "failed" | "stop">> {
  const { clock, log, blobs } = parts;
  const exchange = await startExchange(config, parts, life);
  const { services, sts, outgoing, web } = exchange;
  const place = { port: config.port };
  const neighbours = await startNeighbours(exchange, life, () => publicEndpoint(config, place.port));
  const lambdaDefinition = Promise.withResolvers<ServiceDefinition>();
  services.set("lambda", () => lambdaDefinition.promise);
  const gateway = Promise.withResolvers<Gateway>();
  // After the front door: what still comes through it may not be answered from what was.
  life.onStop("lambda's records", () => exchange.late.lambda?.close());
  const door = openDoor(config, exchange, neighbours, async (request, host) => (await gateway.promise)(request, host), life);
  const { port } = await door.listen(config.port, config.host);
  place.port = port;
  // After the data plane, which ends what runs: the events of it go back into the queue.
  life.onStop("deliveries", () => outgoing.stop());
  life.onStop("lambda", () => exchange.late.lambda?.stop());
  const tracing = segmentsOf({ senders: exchange.senders, log, recorder: neighbours.xray.recorder });
  const plane = startDataPlane(config, parts, sts, port, (socket, sandboxId) => door.accept(socket, { sandboxId }), tracing.segments);
  life.onStop("data plane", () => plane.stop());
  exchange.late.plane = plane;
  const lambda = await startLambda(config, exchange, neighbours, plane, tracing);
  exchange.late.lambda = lambda;
  life.onStop("asynchronous invocations", async () => {
    lambda.pause();
    outgoing.pause();
    // Nobody waits for a web endpoint: what it was to get is tried again after the next start.
    web.close();
    await neighbours.sns.pause();
  });
  lambdaDefinition.resolve(lambda.definition);
  outgoing.begin();
  gateway.resolve(functionUrlsOf(lambda, config, { clock, log, identities: exchange.iam.identities }));
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

/** For links in what goes out: the name that the operator has given, else the address. */
function publicEndpoint({ host, hostNames }: Config, port: number): string {
  const [name] = hostNames.filter((one) => !one.startsWith("*"));
  return endpointAt(name ?? (ANY_ADDRESS.has(host) ? "localhost" : host), port);
}

type Own = (request: WireRequest) => Promise<WireResponse>;

function ownRoutes(config: Config, exchange: Exchange, { cloudWatch }: Neighbours): Own {
  const { parts, iam, failures, late, outgoing } = exchange;
  const { clock, log } = parts;
  const { account, region } = config;
  const forms = messageForms((kind, messages) => (kind === "invocation" ? late.lambda?.wake(messages) : outgoing.wake(messages)));
  const running = () => late.plane?.total() ?? { invocations: 0, environments: 0, evicted: 0 };
  const routes = [...eventsApi(failures, forms), prometheus({ clock, totals: () => cloudWatch.recorder.totals(), running })];
  return ownApi(routes, { identities: iam.identities, clock, log, account, region });
}

/** Open before Lambda is there, because functions are told the port: Lambda's first requests wait for it. */
function openDoor(config: Config, exchange: Exchange, neighbours: Neighbours, functionUrls: Gateway, life: Lifecycle): FrontDoor {
  const { parts, services, iam } = exchange;
  const own = ownRoutes(config, exchange, neighbours);
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

async function startLambda(
  config: Config,
  exchange: Exchange,
  neighbours: Neighbours,
  plane: DataPlane,
  tracing: ReturnType<typeof segmentsOf>,
): Promise<LambdaService> {
  const { parts, iam, sts, senders, ways, outgoing } = exchange;
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
    keepFailed: (failed, message) => exchange.failures.keep(failed, message),
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
