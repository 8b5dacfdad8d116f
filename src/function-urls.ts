// Function URLs: gives the gateway what it needs of Lambda, so that neither knows the other.
import { CommonFault } from "./aws/fault.ts";
import type { Identities } from "./aws/identity.ts";
import type { Clock } from "./base/clock.ts";
import type { Log } from "./base/log.ts";
import type { Config } from "./config.ts";
import { functionUrlGateway, type Gateway } from "./gateway/function-urls.ts";
import type { LambdaService } from "./lambda/service.ts";

type Events = Awaited<ReturnType<LambdaService["operations"]["InvokeWithResponseStream"]>>["EventStream"];

async function* chunksOf(events: Events): AsyncGenerator<Uint8Array> {
  for await (const { PayloadChunk, InvokeComplete } of events ?? []) {
    if (PayloadChunk?.Payload !== undefined) yield PayloadChunk.Payload;
    if (InvokeComplete?.ErrorCode !== undefined) throw new CommonFault("BadGateway", "The function failed.", 502);
  }
}

export function functionUrlsOf(
  lambda: LambdaService,
  { account, region, bodyBytesMax }: Pick<Config, "account" | "region" | "bodyBytesMax">,
  parts: { readonly clock: Clock; readonly log: Log; readonly identities: Identities },
): Gateway {
  return functionUrlGateway({
    account,
    region,
    bodyBytesMax,
    ...parts,
    find(host) {
      const found = lambda.findUrl(host.urlId);
      return found?.region === host.region ? found : undefined;
    },
    access: async (context, FunctionName) => await lambda.definition.access("Invoke", context, { FunctionName }),
    async invoke(context, FunctionName, Payload) {
      const { Payload: payload = Buffer.from("null"), FunctionError } = await lambda.operations.Invoke(context, { FunctionName, Payload });
      return { payload, hasFailed: FunctionError !== undefined };
    },
    async stream(context, FunctionName, Payload) {
      const answer = await lambda.operations.InvokeWithResponseStream(context, { FunctionName, Payload });
      return { contentType: answer.ResponseStreamContentType, chunks: chunksOf(answer.EventStream) };
    },
  });
}
