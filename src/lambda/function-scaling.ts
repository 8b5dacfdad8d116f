// Scaling of functions on capacity providers: there are none here, so both operations say what AWS says of any other function.
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import { invalidParameter } from "./faults.ts";
import type { Lambda } from "./model.ts";
import { findVersion } from "./records.ts";

type Names = "GetFunctionScalingConfig" | "PutFunctionScalingConfig";

export function functionScaling(lambda: Lambda) {
  return {
    GetFunctionScalingConfig: (context, input) => refuse(lambda, context, input),
    PutFunctionScalingConfig: (context, input) => refuse(lambda, context, input),
  } satisfies Pick<Operations<typeof client>, Names>;
}

function refuse(lambda: Lambda, context: Context, { FunctionName = "", Qualifier }: client.GetFunctionScalingConfigCommandInput): never {
  findVersion(lambda, context, FunctionName, Qualifier);
  throw invalidParameter("FunctionScalingConfig isn't supported for Lambda Default functions.");
}
