// SNS's errors with its sentences.
import {
  BatchEntryIdsNotDistinctException$,
  BatchRequestTooLongException$,
  EmptyBatchRequestException$,
  InvalidBatchEntryIdException$,
  InvalidParameterException$,
  InvalidParameterValueException$,
  NotFoundException$,
  ResourceNotFoundException$,
  TagLimitExceededException$,
  TooManyEntriesInBatchRequestException$,
} from "@aws-sdk/client-sns";
import { Fault } from "../../aws/fault.ts";

export const invalid = (what: string) => new Fault(InvalidParameterException$, `Invalid parameter: ${what}`);
export const invalidValue = (message: string) => new Fault(InvalidParameterValueException$, message);
export const malformedToken = () => new Fault(InvalidParameterException$, "Invalid token");
export const noSuchTopic = () => new Fault(NotFoundException$, "Topic does not exist");
export const noSuchSubscription = () => new Fault(NotFoundException$, "Subscription does not exist");
export const noSuchResource = () => new Fault(ResourceNotFoundException$, "Resource does not exist");
export const tooManyTags = () => new Fault(TagLimitExceededException$, "Could not complete request: tag quota of per resource exceeded");

export const emptyBatch = () => new Fault(EmptyBatchRequestException$, "The batch request doesn't contain any entries.");
export const tooManyEntries = () =>
  new Fault(TooManyEntriesInBatchRequestException$, "The batch request contains more entries than permissible.");
export const sameEntryIds = () =>
  new Fault(BatchEntryIdsNotDistinctException$, "Two or more batch entries in the request have the same Id.");
export const invalidEntryId = () =>
  new Fault(InvalidBatchEntryIdException$, "The Id of a batch entry in a batch request doesn't abide by the specification.");
export const batchTooLong = () =>
  new Fault(BatchRequestTooLongException$, "The length of all the messages put together is more than the limit.");
