// EventBridge Scheduler's errors with its sentences.
import {
  ConflictException$,
  ResourceNotFoundException$,
  ServiceQuotaExceededException$,
  ValidationException$,
} from "@aws-sdk/client-scheduler";
import { Fault } from "../../aws/fault.ts";

export const validation = (message: string) => new Fault(ValidationException$, message);
export const notFound = (message: string) => new Fault(ResourceNotFoundException$, message);
export const conflict = (message: string) => new Fault(ConflictException$, message);
export const quota = (message: string) => new Fault(ServiceQuotaExceededException$, message);
export const noSuchGroup = (name: string) => notFound(`Schedule group ${name} does not exist.`);
export const noSuchSchedule = (name: string) => notFound(`Schedule ${name} does not exist.`);
