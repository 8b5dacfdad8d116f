// SQS's errors with its sentences; those that its API model does not name are common faults.
import {
  InvalidAddress$,
  InvalidAttributeName$,
  InvalidAttributeValue$,
  QueueDoesNotExist$,
  ReceiptHandleIsInvalid$,
  ResourceNotFoundException$,
  UnsupportedOperation$,
} from "@aws-sdk/client-sqs";
import { CommonFault, Fault } from "../../aws/fault.ts";

export const invalidParameter = (message: string) => new CommonFault("InvalidParameterValueException", message, 400);
export const invalidValue = (value: unknown, parameter: string, reason: string) =>
  invalidParameter(`Value ${String(value)} for parameter ${parameter} is invalid. Reason: ${reason}`);
export const missingParameter = (name: string) =>
  new CommonFault("MissingRequiredParameterException", `The request must contain the parameter ${name}.`, 400);
export const noSuchQueue = () => new Fault(QueueDoesNotExist$, "The specified queue does not exist.");
export const invalidAddress = (url: string) =>
  new Fault(InvalidAddress$, `The address ${url.slice(0, 1000)} is not valid for this endpoint.`);
export const unknownAttribute = (name: string) => new Fault(InvalidAttributeName$, `Unknown Attribute ${name}.`);
export const invalidAttribute = (name: string, reason?: string) =>
  new Fault(InvalidAttributeValue$, `Invalid value for the parameter ${name}.${reason === undefined ? "" : ` Reason: ${reason}`}`);
export const invalidHandle = (handle: string) =>
  new Fault(ReceiptHandleIsInvalid$, `The input receipt handle "${handle.slice(0, 1000)}" is not a valid receipt handle.`);
export const notFound = (message: string) => new Fault(ResourceNotFoundException$, message);
export const unsupported = (message: string) => new Fault(UnsupportedOperation$, message);

export const NOT_OF_THIS_TYPE = "The request include parameter that is not valid for this queue type.";
