// What goes wrong with a request, in the one form that every protocol writes from: named fault, common fault, or bug.
import { CommonFault, Fault } from "./fault.ts";
import { errorModel, type ErrorModel } from "./model.ts";

export interface WireFault {
  readonly code: string;
  readonly status: number;
  readonly message: string;
  readonly members: Readonly<Record<string, unknown>>;
  /** Present when the service's API model names the error. */
  readonly model?: ErrorModel;
}

/** `undefined`: a bug, which the caller must log and hide. */
export function knownFault(cause: unknown): WireFault | undefined {
  if (cause instanceof Fault) {
    const model = errorModel(cause.schema);
    return { code: model.code, status: model.status, message: cause.message, members: cause.members, model };
  }
  if (cause instanceof CommonFault) return { code: cause.code, status: cause.status, message: cause.message, members: cause.members };
  return undefined;
}

/** Members of the error's document by name, with the message under the name that this error spells it. */
export function faultMembers(fault: WireFault): Record<string, unknown> {
  if (fault.model !== undefined) {
    const { messageMember } = fault.model;
    return messageMember === undefined ? { ...fault.members } : { ...fault.members, [messageMember.name]: fault.message };
  }
  // Of the errors that no model names, only this one has the capital letter.
  return { [fault.code === "AccessDeniedException" ? "Message" : "message"]: fault.message, ...fault.members };
}
