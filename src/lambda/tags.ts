// Tags of functions.
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import { requestId } from "../base/id.ts";
import { limits } from "../limits.ts";
import { invalidParameter, notFound } from "./faults.ts";
import { assertChangeable, changeFunction, findFunction, type Found } from "./records.ts";
import type { Lambda } from "./model.ts";
import { functionReference } from "./names.ts";

type Tags = Readonly<Record<string, string>>;

export function tags(lambda: Lambda) {
  const change = async (context: Context, arn: string, edit: (before: Tags) => Tags) => {
    const found = taggable(lambda, context, arn);
    assertChangeable(found);
    const { value } = found.entry;
    const after = edit(value.tags);
    checkTags(after);
    await changeFunction(lambda, found, { ...value, tags: after, revisionId: requestId() });
    return {};
  };
  return {
    ListTags: (context, { Resource = "" }) => ({ Tags: { ...taggable(lambda, context, Resource).entry.value.tags } }),
    TagResource(context, { Resource = "", Tags = {} }) {
      if (Object.keys(Tags).length === 0) throw invalidParameter("An error occurred and the request cannot be processed.");
      return change(context, Resource, (before) => ({ ...before, ...Tags }));
    },
    UntagResource: (context, { Resource = "", TagKeys = [] }) =>
      change(context, Resource, (before) => Object.fromEntries(Object.entries(before).filter(([key]) => !TagKeys.includes(key)))),
  } satisfies Pick<Operations<typeof client>, "ListTags" | "TagResource" | "UntagResource">;
}

export function checkTags(all: Tags): void {
  if (Object.keys(all).length > limits.tagsMax) throw invalidParameter("Number of tags exceeds resource tag limit.");
}

/** Other kinds of resources have tags too, but there are none of them yet. */
function taggable(lambda: Lambda, context: Context, arn: string): Found {
  if (arn.includes(":event-source-mapping:")) throw notFound(`Event source mapping not found: ${arn}`);
  if (arn.includes(":capacity-provider:")) throw notFound(`Capacity provider not found: ${arn}`);
  if (!arn.includes(":function:")) throw notFound("The resource you requested does not exist.");
  if (functionReference(context, arn).qualifier !== undefined)
    throw invalidParameter("Tags on function aliases and versions are not supported. Please specify a function ARN.");
  return findFunction(lambda, context, arn);
}
