// Amazon SNS: standard and FIFO topics, whose messages go to functions, queues and web endpoints.
import * as client from "@aws-sdk/client-sns";
import type { ServiceDefinition } from "../../aws/definition.ts";
import { notBuilt, type Operations } from "../../aws/operations.ts";
import type { WireResponse } from "../../aws/request.ts";
import { View } from "../../store/view.ts";
import { accessOf, LINKS } from "./access.ts";
import { FifoTopics } from "./fifo-topics.ts";
import {
  removeLeftovers,
  SUBSCRIPTION_KIND,
  TOPIC_KIND,
  type SnsDeps,
  type SnsParts,
  type SubscriptionRecord,
  type TopicRecord,
} from "./model.ts";
import { permissions } from "./permissions.ts";
import { publishing } from "./publishing.ts";
import { signing } from "./signing.ts";
import { subscriptions } from "./subscriptions.ts";
import { tags } from "./tags.ts";
import { Throttle } from "./throttle.ts";
import { topics } from "./topics.ts";

/** 256 KB, of which a form can make three times as much; a batch names its members at length. */
const PUBLISH_BYTES_MAX = 2 ** 20;

function operationsOf(parts: SnsParts, fifo: FifoTopics, throttle: Throttle) {
  return {
    ...topics(parts, fifo),
    ...permissions(parts),
    ...tags(parts),
    ...subscriptions(parts),
    ...publishing(parts, fifo, throttle),
    GetDataProtectionPolicy: notBuilt,
    PutDataProtectionPolicy: notBuilt,
    CreatePlatformApplication: notBuilt,
    DeletePlatformApplication: notBuilt,
    GetPlatformApplicationAttributes: notBuilt,
    ListPlatformApplications: notBuilt,
    SetPlatformApplicationAttributes: notBuilt,
    CreatePlatformEndpoint: notBuilt,
    DeleteEndpoint: notBuilt,
    GetEndpointAttributes: notBuilt,
    ListEndpointsByPlatformApplication: notBuilt,
    SetEndpointAttributes: notBuilt,
    CheckIfPhoneNumberIsOptedOut: notBuilt,
    GetSMSAttributes: notBuilt,
    ListOriginationNumbers: notBuilt,
    ListPhoneNumbersOptedOut: notBuilt,
    OptInPhoneNumber: notBuilt,
    SetSMSAttributes: notBuilt,
    CreateSMSSandboxPhoneNumber: notBuilt,
    DeleteSMSSandboxPhoneNumber: notBuilt,
    GetSMSSandboxAccountStatus: notBuilt,
    ListSMSSandboxPhoneNumbers: notBuilt,
    VerifySMSSandboxPhoneNumber: notBuilt,
  } satisfies Operations<typeof client>;
}

export interface SnsService {
  readonly definition: ServiceDefinition;
  readonly operations: ReturnType<typeof operationsOf>;
  /** The certificate of what it signs, by its path; undefined for other paths. */
  document(path: string): Promise<WireResponse> | undefined;
  /** Messages of FIFO topics are delivered from now on. */
  begin(): Promise<void>;
  /** Messages of FIFO topics are delivered no more; resolves when those on their way have arrived, or are back. */
  pause(): Promise<void>;
  stop(): void;
}

export async function snsService(deps: SnsDeps): Promise<SnsService> {
  const parts: SnsParts = {
    ...deps,
    topics: await View.open<TopicRecord>(deps.meta, TOPIC_KIND),
    subscriptions: await View.open<SubscriptionRecord>(deps.meta, SUBSCRIPTION_KIND),
    signing: signing(deps.meta),
  };
  const throttle = new Throttle(deps.clock);
  const fifo = new FifoTopics(parts, throttle);
  const operations = operationsOf(parts, fifo, throttle);
  return {
    operations,
    definition: {
      name: "sns",
      client,
      clientClass: "SNSClient",
      operations,
      constraints: "sns",
      access: accessOf(parts),
      faultCodes: { AccessDeniedException: "AuthorizationError" },
      anonymous: LINKS,
      bodyBytesMax: (operation) => (operation.startsWith("Publish") || operation === "" ? PUBLISH_BYTES_MAX : 2 ** 19),
    },
    document(path) {
      const headers = { "content-type": "application/x-pem-file" };
      return parts.signing.certificate(path)?.then((body) => ({ status: 200, headers, body }));
    },
    async begin() {
      await removeLeftovers(parts);
      await fifo.begin();
    },
    pause: () => fifo.stop(),
    stop() {
      parts.topics.close();
      parts.subscriptions.close();
    },
  };
}
