// ListMetrics: what has got data in the last two weeks, in pages.
import { InvalidNextToken$ } from "@aws-sdk/client-cloudwatch";
import type * as client from "@aws-sdk/client-cloudwatch";
import { Fault } from "../../aws/fault.ts";
import type { Operations } from "../../aws/operations.ts";
import { decodeMarker, encodeMarker } from "../../aws/page.ts";
import { invalidValue, missing, type CloudWatch } from "./model.ts";

const PAGE = 500;
const LISTED_MS = 14 * 86_400_000;
const RECENT_MS = 3 * 3_600_000;
const LIST = "ListMetrics";

export const invalidToken = () => new Fault(InvalidNextToken$, "The next token is not one that this operation gave out.");

export function listMetrics(cloudWatch: CloudWatch) {
  return {
    async ListMetrics({ account, region }, input) {
      const { Namespace: namespace, MetricName: name, Dimensions = [], RecentlyActive, NextToken } = input;
      if (input.IncludeLinkedAccounts === true || (input.OwningAccount !== undefined && input.OwningAccount !== account))
        throw invalidValue("There are no linked accounts.");
      const after = NextToken === undefined ? 0 : Number(decodeMarker(LIST, NextToken));
      if (!Number.isSafeInteger(after)) throw invalidToken();
      const dimensions = Dimensions.map(({ Name, Value }, index) => {
        if (Name === undefined) throw missing(`Dimensions.member.${index + 1}.Name`);
        return { Name, ...(Value === undefined ? {} : { Value }) };
      });
      await cloudWatch.flush();
      const found = await cloudWatch.metrics.list({
        account,
        region,
        ...(namespace === undefined ? {} : { namespace }),
        ...(name === undefined ? {} : { name }),
        dimensions,
        activeSinceMs: cloudWatch.clock.now() - (RecentlyActive === undefined ? LISTED_MS : RECENT_MS),
        after,
        limit: PAGE + 1,
      });
      const page = found.slice(0, PAGE);
      return {
        Metrics: page.map(({ metric }) => ({ Namespace: metric.namespace, MetricName: metric.name, Dimensions: [...metric.dimensions] })),
        ...(found.length > PAGE ? { NextToken: encodeMarker(LIST, String(page.at(-1)?.id)) } : {}),
      };
    },
  } satisfies Pick<Operations<typeof client>, "ListMetrics">;
}
