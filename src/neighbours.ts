// The services around Lambda: each is built, put among those that are served, and stopped after all that uses it.
import type { ServiceDefinition } from "./aws/definition.ts";
import type { Lifecycle } from "./base/lifecycle.ts";
import { codeDownloads, type CodeDownloads } from "./code-downloads.ts";
import type { Exchange } from "./exchange.ts";
import { limits } from "./limits.ts";
import { cloudWatchService, type CloudWatchService } from "./services/cloudwatch/service.ts";
import { ecrService, type EcrService } from "./services/ecr/service.ts";
import { eventsService, type EventsService } from "./services/events/service.ts";
import { logsService } from "./services/logs/service.ts";
import { s3Service, type S3Service } from "./services/s3/service.ts";
import { schedulerService, type SchedulerService } from "./services/scheduler/service.ts";
import { snsService, type SnsService } from "./services/sns/service.ts";
import { sqsService, type SqsService } from "./services/sqs/service.ts";
import { xrayService, type XRayService } from "./services/xray/service.ts";

const SCHEDULER_PRINCIPAL = "scheduler.amazonaws.com";

export interface Neighbours {
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

/** `endpoint`: where clients reach the server, known when the first request is. */
export async function startNeighbours(exchange: Exchange, life: Lifecycle, endpoint: () => string): Promise<Neighbours> {
  const { parts, services, iam, sts, ways, outgoing } = exchange;
  const { clock, log, storage, logs, blobs } = parts;
  const { meta } = storage;
  const add = (definition: ServiceDefinition) => void services.set(definition.name, () => Promise.resolve(definition));
  add(iam.definition);
  add(sts.definition);
  const { events, scheduler } = await startEvents(exchange, life);
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
  { parts, services, sts, ways, outgoing }: Exchange,
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
