// GetAccountSettings: the account's limits and what it uses of them.
import { CodeStorageExceededException$ } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { limits } from "../limits.ts";
import { unreservedConcurrency } from "./concurrency-records.ts";
import type { LayerVersionRecord } from "./layer-records.ts";
import type { FunctionRecord, Lambda } from "./model.ts";
import type { VersionRecord } from "./version-records.ts";

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
      AccountUsage: lambda.usage.of(context),
    }),
  } satisfies Pick<Operations<typeof client>, "GetAccountSettings">;
}

/** Throws CodeStorageExceededException when the account has no room for so many bytes more: of a package, or of a version of one. */
export function assertStorage({ usage }: Pick<Lambda, "usage">, place: Pick<Context, "account" | "region">, bytes: number): void {
  if (usage.of(place).TotalCodeSize + bytes > limits.totalCodeBytes)
    throw new Fault(CodeStorageExceededException$, "Code storage limit exceeded.", { Type: "User" });
}

interface Used {
  readonly functions: number;
  readonly bytes: number;
}

const NOTHING: Used = { functions: 0, bytes: 0 };

/** What each account uses in each region, summed up as it changes: every upload asks. */
export class CodeUsage {
  readonly #used = new Map<string, Used>();

  /** What one function, version or layer version is has changed; the bytes are those of its own code. */
  change({ account: id, region }: Pick<Context, "account" | "region">, before: Used = NOTHING, after: Used = NOTHING): void {
    const { functions, bytes } = this.#of(id, region);
    this.#used.set(`${id}/${region}`, {
      functions: functions + after.functions - before.functions,
      bytes: bytes + after.bytes - before.bytes,
    });
  }

  of({ account: id, region }: Pick<Context, "account" | "region">) {
    const { functions: FunctionCount, bytes: TotalCodeSize } = this.#of(id, region);
    return { TotalCodeSize, FunctionCount };
  }

  #of(id: string, region: string): Used {
    return this.#used.get(`${id}/${region}`) ?? NOTHING;
  }
}

export const usedBy = {
  function: (record: FunctionRecord | undefined): Used | undefined => record && { functions: 1, bytes: record.wanted.code.bytes },
  version: (record: VersionRecord | undefined): Used | undefined => record && { functions: 0, bytes: record.deployed.code.bytes },
  layer: (record: LayerVersionRecord | undefined): Used | undefined => record && { functions: 0, bytes: record.content.bytes },
};
