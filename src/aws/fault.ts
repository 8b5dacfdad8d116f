// Errors that a caller made: named by the service's API model, or common to all services.
import type { StaticErrorSchema } from "@smithy/types";

/** An error that the service's API model names; the wire turns it into the response. */
export class Fault extends Error {
  readonly schema: StaticErrorSchema;
  readonly members: Readonly<Record<string, unknown>>;
  constructor(schema: StaticErrorSchema, message: string, members: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = schema[2];
    this.schema = schema;
    this.members = members;
  }
}

/** An error that no service model has: ValidationException, AccessDenied, S3's codes and their like. */
export class CommonFault extends Error {
  readonly code: string;
  /** HTTP status, 400 to 599. */
  readonly status: number;
  /** Further members of the error document, in the order in which they are written. */
  readonly members: Readonly<Record<string, unknown>>;
  constructor(code: string, message: string, status: number, members: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = code;
    this.code = code;
    this.status = status;
    this.members = members;
  }
}
