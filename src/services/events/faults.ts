// EventBridge's errors with its sentences.
import {
  IllegalStatusException$,
  InvalidEventPatternException$,
  LimitExceededException$,
  PolicyLengthExceededException$,
  ResourceAlreadyExistsException$,
  ResourceNotFoundException$,
} from "@aws-sdk/client-eventbridge";
import { CommonFault, Fault } from "../../aws/fault.ts";

export const validation = (message: string) => new CommonFault("ValidationException", message, 400);
export const invalidParameter = (name: string, reason: string) => validation(`Parameter ${name} is not valid. Reason: ${reason}`);
export const notFound = (message: string) => new Fault(ResourceNotFoundException$, message);
export const alreadyExists = (what: string, name: string) => new Fault(ResourceAlreadyExistsException$, `${what} ${name} already exists.`);
export const invalidPattern = (reason: string) => new Fault(InvalidEventPatternException$, `Event pattern is not valid. Reason: ${reason}`);
export const tooMany = () => new Fault(LimitExceededException$, "The requested resource exceeds the maximum number allowed.");
export const policyTooLong = () => new Fault(PolicyLengthExceededException$, "The policy is longer than the maximum of 10240 bytes.");
export const illegalState = (message: string) => new Fault(IllegalStatusException$, message);
export const noSuchBus = (name: string) => notFound(`Event bus ${name} does not exist.`);
export const noSuchRule = (name: string, bus: string) => notFound(`Rule ${name} does not exist on EventBus ${bus}.`);
