// Sampling: the rule that every account has, and what clients that ask for it may sample by it.
// https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sampling.html
import type * as client from "@aws-sdk/client-xray";
import type { Operations } from "../../aws/operations.ts";
import { invalidRequest, type XRay } from "./model.ts";

/** "The default rule: the first request each second, and five percent of any additional requests" */
const DEFAULT = { RuleName: "Default", FixedRate: 0.05, ReservoirSize: 1 };
/** Seconds after which clients ask again. */
const INTERVAL = 10;
/** The rule was there from the beginning, as on AWS. */
const MADE = new Date(0);

export function sampling({ clock }: XRay) {
  return {
    GetSamplingRules({ account, region }, { NextToken }) {
      if (NextToken !== undefined) throw invalidRequest("The next token is not one that this operation gave out.");
      return { SamplingRuleRecords: [{ SamplingRule: defaultRule(account, region), CreatedAt: MADE, ModifiedAt: MADE }] };
    },
    GetSamplingTargets(_context, { SamplingStatisticsDocuments = [], SamplingBoostStatisticsDocuments = [] }) {
      const names = new Set(SamplingStatisticsDocuments.map(({ RuleName = "" }) => RuleName));
      return {
        SamplingTargetDocuments: names.has(DEFAULT.RuleName) ? [target(clock.now())] : [],
        LastRuleModification: MADE,
        UnprocessedStatistics: [...names].filter((name) => name !== DEFAULT.RuleName).map(unknownRule),
        // No rule has a boost.
        UnprocessedBoostStatistics: SamplingBoostStatisticsDocuments.map(({ RuleName = "" }) => unknownRule(RuleName)),
      };
    },
  } satisfies Pick<Operations<typeof client>, "GetSamplingRules" | "GetSamplingTargets">;
}

const defaultRule = (account: string, region: string): client.SamplingRule => ({
  ...DEFAULT,
  RuleARN: `arn:aws:xray:${region}:${account}:sampling-rule/${DEFAULT.RuleName}`,
  ResourceARN: "*",
  Priority: 10_000,
  ServiceName: "*",
  ServiceType: "*",
  Host: "*",
  HTTPMethod: "*",
  URLPath: "*",
  Version: 1,
  Attributes: {},
});

const target = (nowMs: number): client.SamplingTargetDocument => ({
  RuleName: DEFAULT.RuleName,
  FixedRate: DEFAULT.FixedRate,
  ReservoirQuota: DEFAULT.ReservoirSize,
  ReservoirQuotaTTL: new Date(nowMs + INTERVAL * 1000),
  Interval: INTERVAL,
});

const unknownRule = (RuleName: string): client.UnprocessedStatistics => ({
  RuleName,
  ErrorCode: "404",
  Message: "There is no such sampling rule.",
});
