// Failed events over Lambent's own API: list, show, send again.
import { parseArn } from "./aws/arn.ts";
import { CommonFault } from "./aws/fault.ts";
import type { OwnCall, OwnRoute } from "./aws/own-api.ts";
import type { FailedEntry, FailedEvents, MessageForms } from "./failed-events.ts";

const PAGE = 100;
/** Enough to share a commit of the store; an event may be a megabyte. */
const REDRIVEN_AT_ONCE = 50;
const FUNCTION_NAME = /^[\w-]{1,64}$/;

const notFound = (id: string) =>
  new CommonFault("ResourceNotFoundException", `There is no failed event ${id}; it may have been sent again, or have grown old.`, 404);
const invalid = (message: string) => new CommonFault("InvalidParameterValueException", message, 400);

/** What a list shows of an event. */
function shown({ key, value }: FailedEntry) {
  const { kind, sourceArn, target, requestId, reason, error, attempts, acceptedMs, failedMs, bytes } = value;
  const times = { AcceptedAt: new Date(acceptedMs).toISOString(), FailedAt: new Date(failedMs).toISOString() };
  const where = target === undefined ? {} : { Target: target };
  return {
    Id: key.id,
    Kind: kind,
    Source: sourceArn,
    ...where,
    RequestId: requestId,
    Reason: reason,
    Error: error,
    Attempts: attempts,
    ...times,
    Bytes: bytes,
  };
}

function arnOf({ context: { account, region } }: OwnCall, name: string | null | undefined): string | undefined {
  if (name === null || name === undefined || name === "") return undefined;
  if (!FUNCTION_NAME.test(name)) throw invalid("FunctionName is not the name of a function.");
  return `arn:aws:lambda:${region}:${account}:function:${name}`;
}

function redriveInput(call: OwnCall): { readonly FunctionName?: string } {
  try {
    const input = (call.body === "" ? {} : JSON.parse(call.body)) as unknown;
    const name = typeof input === "object" && input !== null && "FunctionName" in input ? input.FunctionName : undefined;
    if (typeof input === "object" && input !== null && (name === undefined || typeof name === "string"))
      return name === undefined ? {} : { FunctionName: name };
  } catch {
    // Told below.
  }
  throw invalid('The body is a JSON object; {"FunctionName": "…"} sends only the events of that function again.');
}

export function eventsApi(events: FailedEvents, forms: MessageForms): readonly OwnRoute[] {
  const found = ({ context, id }: OwnCall): FailedEntry => {
    const entry = events.get(context, id);
    if (entry === undefined) throw notFound(id);
    return entry;
  };
  /** Of one that is not there, who may not see any learns nothing. */
  const resource = ({ context, id }: OwnCall) => functionOf(events.get(context, id)?.value.sourceArn);
  return [
    {
      method: "GET",
      path: "/_lambent/events/failed",
      action: "lambent:ListFailedEvents",
      resource: (call) => arnOf(call, call.query.get("FunctionName")) ?? "*",
      run(call) {
        const functionArn = arnOf(call, call.query.get("FunctionName"));
        const after = call.query.get("After") ?? "";
        const page = events.list(call.context, { after, limit: PAGE + 1, ...(functionArn === undefined ? {} : { functionArn }) });
        const some = page.slice(0, PAGE);
        return { Events: some.map(shown), ...(page.length > PAGE ? { After: some.at(-1)?.key.id } : {}) };
      },
    },
    {
      method: "GET",
      path: "/_lambent/events/failed/{id}",
      action: "lambent:GetFailedEvent",
      resource,
      async run(call) {
        const entry = found(call);
        const message = await events.message(entry);
        if (message === undefined) throw notFound(call.id);
        return { ...shown(entry), Payload: Buffer.from(forms.payloadOf(entry.value.kind, message.body)).toString() };
      },
    },
    {
      method: "POST",
      path: "/_lambent/events/failed/{id}/redrive",
      action: "lambent:RedriveFailedEvents",
      resource,
      async run(call) {
        if (!(await events.redrive(found(call), forms))) throw notFound(call.id);
        return { Redriven: 1 };
      },
    },
    {
      method: "POST",
      path: "/_lambent/events/redrive",
      action: "lambent:RedriveFailedEvents",
      resource: (call) => arnOf(call, redriveInput(call).FunctionName) ?? "*",
      async run(call) {
        const functionArn = arnOf(call, redriveInput(call).FunctionName);
        let Redriven = 0;
        // Those that are there now: what fails again meanwhile is for the next call.
        const all = events.list(call.context, functionArn === undefined ? {} : { functionArn });
        for (let at = 0; at < all.length && !call.context.signal.aborted; at += REDRIVEN_AT_ONCE) {
          const some = all.slice(at, at + REDRIVEN_AT_ONCE).map((entry) => events.redrive(entry, forms));
          Redriven += (await Promise.all(some)).filter((isDone) => isDone).length;
        }
        return { Redriven };
      },
    },
  ];
}

/** The ARN without a qualifier, as policies name functions; other sources as they are. */
function functionOf(sourceArn: string | undefined): string {
  if (sourceArn === undefined) return "*";
  const arn = parseArn(sourceArn);
  return arn?.service === "lambda" ? sourceArn.split(":").slice(0, 7).join(":") : sourceArn;
}
