// Tags of functions, event source mappings and code signing configurations.
import type * as client from "@aws-sdk/client-lambda";
import { parseArn } from "../aws/arn.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { requestId } from "../base/id.ts";
import { StorageError, type Entry } from "../store/storage.ts";
import { codeSigningConfigOf } from "./code-signing.ts";
import { mappingArn } from "./event-source-mapping-records.ts";
import { conflict, invalidParameter, notFound } from "./faults.ts";
import { checkTags } from "./tag-bounds.ts";
import { assertChangeable, changeFunction, findFunction } from "./records.ts";
import type { Lambda } from "./model.ts";
import { functionReference } from "./names.ts";

type Tags = Readonly<Record<string, string>>;

interface Tagged {
  readonly tags: Tags;
  change(after: Tags): Promise<void>;
}

export function tags(lambda: Lambda) {
  const change = async (context: Context, arn: string, edit: (before: Tags) => Tags) => {
    const found = tagged(lambda, context, arn);
    const after = edit(found.tags);
    checkTags(after);
    await found.change(after);
    return {};
  };
  return {
    ListTags: (context, { Resource = "" }) => ({ Tags: { ...tagged(lambda, context, Resource).tags } }),
    TagResource(context, { Resource = "", Tags = {} }) {
      if (Object.keys(Tags).length === 0) throw invalidParameter("An error occurred and the request cannot be processed.");
      return change(context, Resource, (before) => ({ ...before, ...Tags }));
    },
    UntagResource: (context, { Resource = "", TagKeys = [] }) =>
      change(context, Resource, (before) => Object.fromEntries(Object.entries(before).filter(([key]) => !TagKeys.includes(key)))),
  } satisfies Pick<Operations<typeof client>, "ListTags" | "TagResource" | "UntagResource">;
}

function tagged(lambda: Lambda, context: Context, arn: string): Tagged {
  const { resource = "" } = parseArn(arn) ?? {};
  const [type = "", id = ""] = resource.split(":");
  if (type === "function") return taggedFunction(lambda, context, arn);
  if (type === "event-source-mapping") {
    const entry = arn === mappingArn(context, id) ? lambda.mappings.get(context.account, context.region, id) : undefined;
    if (entry === undefined) throw notFound(`Event source mapping not found: ${arn}`);
    return taggedRecord(lambda, entry, arn);
  }
  if (type === "code-signing-config") {
    const entry = codeSigningConfigOf(lambda, context, arn);
    if (entry === undefined) throw notFound(`The Lambda code signing configuration ${arn} can not be found.`);
    return taggedRecord(lambda, entry, arn);
  }
  throw notFound(type === "capacity-provider" ? `Capacity provider not found: ${arn}` : "The resource you requested does not exist.");
}

function taggedFunction(lambda: Lambda, context: Context, arn: string): Tagged {
  if (functionReference(context, arn).qualifier !== undefined)
    throw invalidParameter("Tags on function aliases and versions are not supported. Please specify a function ARN.");
  const found = findFunction(lambda, context, arn);
  const { value } = found.entry;
  return {
    tags: value.tags,
    async change(after) {
      assertChangeable(found);
      await changeFunction(lambda, found, { ...value, tags: after, revisionId: requestId() });
    },
  };
}

const taggedRecord = (lambda: Lambda, { key, value, revision }: Entry<{ readonly tags: Tags }>, arn: string): Tagged => ({
  tags: value.tags,
  async change(after) {
    try {
      await lambda.meta.write([{ key, value: { ...value, tags: after }, expect: revision }]);
    } catch (cause) {
      if (!(cause instanceof StorageError && cause.failure === "Conflict")) throw cause;
      throw conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${arn}`);
    }
  },
});
