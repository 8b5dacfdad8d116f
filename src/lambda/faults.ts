// Lambda's own errors in the words that AWS uses.
import {
  InvalidParameterValueException$,
  PreconditionFailedException$,
  ResourceConflictException$,
  ResourceNotFoundException$,
} from "@aws-sdk/client-lambda";
import { CommonFault, Fault } from "../aws/fault.ts";

const USER = { Type: "User" } as const;

export const invalidParameter = (message: string, options?: ErrorOptions): Fault =>
  new Fault(InvalidParameterValueException$, message, USER, options);
export const notFound = (message: string): Fault => new Fault(ResourceNotFoundException$, message, USER);
export const conflict = (message: string): Fault => new Fault(ResourceConflictException$, message, USER);
/** `operation` tells the latest revision. */
export const revisionMismatch = (operation = "GetFunction/GetAlias"): Fault =>
  new Fault(
    PreconditionFailedException$,
    `The Revision Id provided does not match the latest Revision Id. Call the ${operation} API to retrieve the latest Revision Id`,
    USER,
  );
/** Where only the function itself will do. */
export const notForVersions = (): Fault =>
  invalidParameter(
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.",
  );
/** The body has only a message, as AWS's validation errors do. */
export const validation = (...problems: readonly string[]): CommonFault =>
  new CommonFault(
    "ValidationException",
    `${problems.length} validation error${problems.length === 1 ? "" : "s"} detected: ${problems.join("; ")}`,
    400,
  );
