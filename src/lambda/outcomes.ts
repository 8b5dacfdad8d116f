// Outcomes of the data plane that are no answer of a function, as the faults that the caller gets.
import { InvalidRuntimeException$, ServiceException$, TooManyRequestsException$ } from "@aws-sdk/client-lambda";
import { CommonFault, Fault } from "../aws/fault.ts";
import type { Outcome } from "../pool/invocation.ts";

type Unavailable = Extract<Outcome, { kind: "unavailable" }>;
type Throttled = Extract<Outcome, { kind: "throttled" }>;

export function refusalOf(outcome: Unavailable | Throttled): Error {
  if (outcome.kind === "unavailable") return unavailable(outcome);
  const retryAfterSeconds = String(outcome.retryAfterSeconds);
  return new Fault(TooManyRequestsException$, "Rate Exceeded.", { Reason: outcome.reason, Type: "User", retryAfterSeconds });
}

function unavailable({ code, message }: Unavailable): Error {
  switch (code) {
    case "runtime-not-installed":
      return new Fault(InvalidRuntimeException$, message, { Type: "Server" });
    case "sandbox-failed":
      return new Fault(ServiceException$, message, { Type: "Service" });
    case "stopping":
    case "overloaded":
      return new CommonFault("ServiceUnavailableException", message, 503, { Type: "Service" });
  }
}
