// Amazon SQS: standard and FIFO queues on the store's mailboxes.
import * as client from "@aws-sdk/client-sqs";
import type { ServiceDefinition } from "../../aws/definition.ts";
import type { Operations } from "../../aws/operations.ts";
import { View } from "../../store/view.ts";
import { accessOf } from "./access.ts";
import { missingParameter } from "./faults.ts";
import { Leftovers } from "./leftovers.ts";
import { LongPolls } from "./long-polls.ts";
import { QUEUE_KIND, type QueueRecord, type SqsDeps, type SqsParts } from "./model.ts";
import { MoveTasks, moveTasks } from "./move-tasks.ts";
import { permissions } from "./permissions.ts";
import { queues } from "./queues.ts";
import { receiving } from "./receiving.ts";
import { sending } from "./sending.ts";
import { settling } from "./settling.ts";
import { tags } from "./tags.ts";

/** SendMessage takes 1 MiB, of which JSON and forms can make six times as much. */
const SEND_BYTES_MAX = 6 * 2 ** 20 + 65_536;

function operationsOf(parts: SqsParts, polls: LongPolls, leftovers: Leftovers, tasks: MoveTasks) {
  return {
    ...queues(parts, leftovers, polls),
    ...sending(parts),
    ...receiving(parts, polls),
    ...settling(parts),
    ...permissions(parts),
    ...tags(parts),
    ...moveTasks(parts, tasks),
  } satisfies Operations<typeof client>;
}

export interface SqsService {
  readonly definition: ServiceDefinition;
  readonly operations: ReturnType<typeof operationsOf>;
  /** Receivers that wait get nothing, at once: before the front door waits for their requests. */
  endWaits(): void;
  stop(): Promise<void>;
}

export async function sqsService(deps: SqsDeps): Promise<SqsService> {
  const view = await View.open<QueueRecord>(deps.meta, QUEUE_KIND);
  const parts: SqsParts = { ...deps, queues: view };
  const polls = new LongPolls(parts);
  const leftovers = new Leftovers(parts);
  const tasks = new MoveTasks(parts);
  await tasks.resume();
  const operations = operationsOf(parts, polls, leftovers, tasks);
  return {
    operations,
    definition: {
      name: "sqs",
      client,
      clientClass: "SQSClient",
      operations,
      constraints: "sqs",
      access: accessOf(parts),
      missing: missingParameter,
      // Clients from before 2023 send forms, some to the queue's own path.
      query: {
        xmlNamespace: "http://queue.amazonaws.com/doc/2012-11-05/",
        membersOf: (rawPath): Readonly<Record<string, string>> => (/^\/\d{12}\/[\w.-]+\/?$/.test(rawPath) ? { QueueUrl: rawPath } : {}),
      },
      bodyBytesMax: (operation) => (operation.startsWith("SendMessage") || operation === "" ? SEND_BYTES_MAX : 2 ** 20),
    },
    endWaits: () => polls.stop(),
    async stop() {
      polls.stop();
      await tasks.stop();
      await leftovers.stop();
      view.close();
    },
  };
}
