// GetAccountSettings: the account's limits and what it uses of them.
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import { limits } from "../limits.ts";
import { unreservedConcurrency } from "./concurrency-records.ts";
import type { Lambda } from "./model.ts";

export function account(lambda: Lambda) {
  return {
    GetAccountSettings: (context) => ({
      AccountLimit: {
        TotalCodeSize: limits.totalCodeBytes,
        CodeSizeUnzipped: limits.unzippedBytesMax,
        CodeSizeZipped: limits.zippedBytesMax,
        ConcurrentExecutions: lambda.accountConcurrency,
        UnreservedConcurrentExecutions: unreservedConcurrency(lambda, context),
      },
      AccountUsage: usage(lambda, context),
    }),
  } satisfies Pick<Operations<typeof client>, "GetAccountSettings">;
}

/** Of one account in one region. */
export function usage(
  lambda: Pick<Lambda, "functions" | "versions" | "layerVersions">,
  { account: id, region }: Pick<Context, "account" | "region">,
) {
  let FunctionCount = 0;
  let TotalCodeSize = 0;
  for (const { key, value } of lambda.functions.all()) {
    if (key.account !== id || key.region !== region) continue;
    FunctionCount += 1;
    TotalCodeSize += value.wanted.code.bytes;
  }
  for (const { key, value } of lambda.versions.all())
    if (key.account === id && key.region === region) TotalCodeSize += value.deployed.code.bytes;
  for (const { key, value } of lambda.layerVersions.all())
    if (key.account === id && key.region === region) TotalCodeSize += value.content.bytes;
  return { TotalCodeSize, FunctionCount };
}
