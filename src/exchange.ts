// What services have to do with one another: whose rights they act with, how they reach each other, and what becomes of that when it fails.
import type { ServiceDefinition } from "./aws/definition.ts";
import type { Deliverer } from "./aws/deliver.ts";
import type { Lifecycle } from "./base/lifecycle.ts";
import { outboundAddresses } from "./base/outbound-addresses.ts";
import { outboundHttp, type OutboundHttp } from "./base/outbound-http.ts";
import type { Config } from "./config.ts";
import { deliverer, type DelivererDeps } from "./deliver.ts";
import { deliveries, type Deliveries, type FailedDelivery } from "./deliveries.ts";
import { FailedEvents } from "./failed-events.ts";
import { keptDelivery } from "./failed-messages.ts";
import type { InstallKeys } from "./install-keys.ts";
import type { LambdaService } from "./lambda/service.ts";
import type { Started } from "./parts.ts";
import type { DataPlane } from "./pool/invoke.ts";
import { iamService, type IamService } from "./services/iam/service.ts";
import { stsService, type StsService } from "./services/sts/service.ts";

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

export interface Exchange extends IdentityServices {
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

export async function startExchange(config: Config, parts: Started, life: Lifecycle): Promise<Exchange> {
  const identity = await identityServices(config, parts, life);
  const services: Exchange["services"] = new Map();
  const web = outboundHttp({ clock: parts.clock, isAllowed: outboundAddresses(config.webhookAllow) });
  const senders = sendersOf(services, web, parts, identity);
  const ways = deliverer(senders);
  const { pace, log, storage } = parts;
  const failures = await FailedEvents.open({ meta: storage.meta, clock: pace, log });
  life.onStop("failed events", () => failures.stop());
  const late: Exchange["late"] = {};
  const failed = (one: FailedDelivery) => {
    late.lambda?.deliveryFailed(one.delivery.context.sourceArn, one.delivery.purpose);
    return keptDelivery(failures, one);
  };
  const outgoing = deliveries({ queue: storage.queue, clock: pace, log, deliver: ways.deliver, failed });
  return { ...identity, parts, services, senders, ways, outgoing, web, failures, late };
}
