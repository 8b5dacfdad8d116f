// Operations that Lambent refuses as a whole: what each is about, and what to use instead.
import { refused } from "../aws/operations.ts";

const DURABLE = refused(
  "durable executions: no function here is durable, so there is none to ask about. Use the retries of asynchronous invocations, or keep the state of a workflow in a queue or a bucket",
);
const CAPACITY = refused(
  "capacity providers, which run functions on EC2 instances of the account: functions run on the machine of this server. Leave CapacityProviderConfig out, and reserve concurrency with PutFunctionConcurrency",
);

export const REFUSED_OPERATIONS = {
  CheckpointDurableExecution: DURABLE,
  GetDurableExecution: DURABLE,
  GetDurableExecutionHistory: DURABLE,
  GetDurableExecutionState: DURABLE,
  ListDurableExecutionsByFunction: DURABLE,
  SendDurableExecutionCallbackFailure: DURABLE,
  SendDurableExecutionCallbackHeartbeat: DURABLE,
  SendDurableExecutionCallbackSuccess: DURABLE,
  StopDurableExecution: DURABLE,
  CreateCapacityProvider: CAPACITY,
  DeleteCapacityProvider: CAPACITY,
  GetCapacityProvider: CAPACITY,
  ListCapacityProviders: CAPACITY,
  ListFunctionVersionsByCapacityProvider: CAPACITY,
  UpdateCapacityProvider: CAPACITY,
} as const;
