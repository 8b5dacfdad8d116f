// Amazon EventBridge Scheduler: schedules in groups, which send to their targets in the name of a role.
import * as client from "@aws-sdk/client-scheduler";
import type { ServiceDefinition } from "../../aws/definition.ts";
import type { Operations } from "../../aws/operations.ts";
import type { TimerWorkers } from "../../store/timer-workers.ts";
import { View } from "../../store/view.ts";
import { access } from "./access.ts";
import { scheduleWorkers } from "./firing.ts";
import { forgotten } from "./forgotten.ts";
import { groups } from "./groups.ts";
import { GROUP_KIND, SCHEDULE_KIND, type GroupRecord, type ScheduleRecord, type SchedulerDeps, type SchedulerParts } from "./model.ts";
import { schedules } from "./schedules.ts";

export interface SchedulerService {
  readonly definition: ServiceDefinition;
  /** Schedules fire; before that they only become durable. */
  begin(): void;
  /** Nothing more fires; resolves when what was begun has ended. */
  stop(): Promise<void>;
}

export async function schedulerService(deps: SchedulerDeps): Promise<SchedulerService> {
  const parts: SchedulerParts = {
    ...deps,
    groups: await View.open<GroupRecord>(deps.meta, GROUP_KIND),
    schedules: await View.open<ScheduleRecord>(deps.meta, SCHEDULE_KIND),
  };
  const deleted = forgotten();
  let workers: TimerWorkers | undefined;
  return {
    definition: {
      name: "scheduler",
      client,
      clientClass: "SchedulerClient",
      operations: { ...schedules(parts, deleted), ...groups(parts, deleted) } satisfies Operations<typeof client>,
      constraints: "scheduler",
      access,
    },
    begin() {
      workers = scheduleWorkers(parts);
    },
    async stop() {
      await workers?.stop();
      for (const view of [parts.groups, parts.schedules]) view.close();
    },
  };
}
