// All forms of a function's name: name, partial ARN, full ARN, each with or without a qualifier.
import type { Context } from "../aws/operations.ts";
import { invalidParameter, notFound } from "./faults.ts";

export interface FunctionReference {
  readonly account: string;
  readonly region: string;
  readonly name: string;
  /** As the caller gave it, in the name or as a parameter. */
  readonly qualifier?: string;
}

const REGION = /^(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d$/;
const ACCOUNT = /^\d{12}$/;
const FUNCTION = /^function$/;

/** Reads a name without judging it; parts that it leaves out are the request's. In doubt a part is read as AWS's pattern reads it. */
export function readFunctionName(context: Pick<Context, "account" | "region">, text: string): FunctionReference {
  let { account, region } = context;
  if (!text.includes(":")) return { account, region, name: text };
  const parts = text.split(":");
  let at = parts[0] === "arn" && parts[2] === "lambda" ? 3 : 0;
  // The last part is the name, whatever it looks like.
  const isNext = (pattern: RegExp) => at + 1 < parts.length && pattern.test(parts[at] ?? "");
  if (isNext(REGION)) region = parts[at++] ?? region;
  if (isNext(ACCOUNT)) account = parts[at++] ?? account;
  if (isNext(FUNCTION)) at++;
  const [name = "", qualifier] = [parts[at], parts[at + 1]];
  return { account, region, name, ...(qualifier === undefined ? {} : { qualifier }) };
}

/** The reference of a request; throws when name and parameter disagree or the function can't be reached from here. */
export function functionReference(context: Pick<Context, "account" | "region">, text: string, qualifier?: string): FunctionReference {
  const found = readFunctionName(context, text);
  if (found.region !== context.region)
    throw notFound(`Functions from '${found.region}' are not reachable in this region ('${context.region}')`);
  if (qualifier !== undefined && found.qualifier !== undefined && found.qualifier !== qualifier)
    throw invalidParameter("The derived qualifier from the function name does not match the specified qualifier.");
  const given = found.qualifier ?? qualifier;
  return given === undefined ? found : { ...found, qualifier: given };
}

export function functionArn({ account, region, name, qualifier }: FunctionReference): string {
  return `arn:aws:lambda:${region}:${account}:function:${name}${qualifier === undefined ? "" : `:${qualifier}`}`;
}
