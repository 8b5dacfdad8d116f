// Segments reach X-Ray with the rights of the function's role: those of Lambda itself, and what functions send to the daemon's address.
import { authorise } from "./aws/authorise.ts";
import { knownFault } from "./aws/wire-fault.ts";
import { requestId } from "./base/id.ts";
import type { Log } from "./base/log.ts";
import type { SegmentRecorder } from "./base/traces.ts";
import type { DelivererDeps } from "./deliver.ts";
import type { Segments } from "./lambda/invocation-segments.ts";
import type { LambdaDeps } from "./lambda/model.ts";

interface SegmentsDeps {
  readonly senders: Pick<DelivererDeps, "assume" | "identities" | "clock">;
  readonly log: Log;
  readonly recorder: SegmentRecorder;
}

const PRINCIPAL = "lambda.amazonaws.com";
const NEED = { action: "xray:PutTraceSegments", resource: "*" } as const;

export function segmentsOf({ senders, log, recorder }: SegmentsDeps): { readonly segments: Segments } & Pick<LambdaDeps, "mayTrace"> {
  const mayTrace: LambdaDeps["mayTrace"] = ({ account, region }, roleArn) => {
    const caller = senders.assume(roleArn, "tracing", PRINCIPAL);
    if (caller === undefined) return false;
    const { signal } = new AbortController();
    try {
      authorise(undefined, { requestId: requestId(), account, region, caller, endpoint: "https://localhost", signal }, [NEED], senders);
      return true;
    } catch (cause) {
      if (knownFault(cause) === undefined) throw cause;
      return false;
    }
  };
  return {
    mayTrace,
    segments(owner, documents) {
      const { account, region, functionName, roleArn } = owner;
      try {
        if (mayTrace(owner, roleArn)) for (const document of documents) recorder.record({ account, region }, document);
        else log.debug("segments are not kept: the role may not send them", { function: functionName, role: roleArn });
      } catch (cause) {
        log.error("segments could not be kept", { function: functionName, cause });
      }
    },
  };
}
