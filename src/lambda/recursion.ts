// Whether a function may call itself without end: the configuration, and what it means for an invocation.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
import { RecursiveInvocationException$ } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { Fault } from "../aws/fault.ts";
import type { Operations } from "../aws/operations.ts";
import { isRecursive } from "../pool/recursion.ts";
import type { Lambda } from "./model.ts";
import { functionArn, type FunctionReference } from "./names.ts";
import { changeFunction, findFunction } from "./records.ts";

type Names = "GetFunctionRecursionConfig" | "PutFunctionRecursionConfig";

export function recursion(lambda: Lambda) {
  return {
    GetFunctionRecursionConfig: (context, { FunctionName = "" }) => ({
      RecursiveLoop: findFunction(lambda, context, FunctionName).entry.value.recursiveLoop ?? "Terminate",
    }),
    async PutFunctionRecursionConfig(context, { FunctionName = "", RecursiveLoop = "Terminate" }) {
      const found = findFunction(lambda, context, FunctionName);
      await changeFunction(lambda, found, { ...found.entry.value, recursiveLoop: RecursiveLoop });
      return { RecursiveLoop };
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}

/** Whether an invocation with this trace is one too many of its function. */
export function isStopped(lambda: Pick<Lambda, "functions">, reference: FunctionReference, traceHeader: string | undefined): boolean {
  const { account, region, name } = reference;
  if (!isRecursive(traceHeader, functionArn({ account, region, name }))) return false;
  return lambda.functions.get(account, region, name)?.value.recursiveLoop !== "Allow";
}

export const recursive = (): Fault =>
  new Fault(
    RecursiveInvocationException$,
    "Lambda has detected that your function is being invoked in a recursive loop with other AWS resources and stopped the function's invocation.",
    { Type: "User" },
  );
