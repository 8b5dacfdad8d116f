// Tags of log groups, by ARN and by name: the older operations, which name the group, have the older errors.
import { TooManyTagsException$ } from "@aws-sdk/client-cloudwatch-logs";
import type * as client from "@aws-sdk/client-cloudwatch-logs";
import { Fault } from "../../aws/fault.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { changeGroup, existingGroup, invalid, ownGroupName, type LogsDeps } from "./model.ts";

const TAGS_MAX = 50;
const TOO_MANY = `A log group can have no more than ${TAGS_MAX} tags.`;

type Names = "ListTagsForResource" | "TagResource" | "UntagResource" | "ListTagsLogGroup" | "TagLogGroup" | "UntagLogGroup";

export function groupTags(deps: LogsDeps) {
  const tagsOf = async (context: Context, name: string) => ({ tags: { ...(await existingGroup(deps, context, name)).record.tags } });
  const add = async (context: Context, name: string, tags: Readonly<Record<string, string>> | undefined, refusal: () => Fault) => {
    await changeGroup(deps, context, name, (record) => {
      const all = { ...record.tags, ...tags };
      if (Object.keys(all).length > TAGS_MAX) throw refusal();
      return { ...record, tags: all };
    });
    return {};
  };
  const remove = async (context: Context, name: string, keys: readonly string[] = []) => {
    await changeGroup(deps, context, name, (record) => ({
      ...record,
      tags: Object.fromEntries(Object.entries(record.tags).filter(([key]) => !keys.includes(key))),
    }));
    return {};
  };
  return {
    ListTagsForResource: async (context, { resourceArn = "" }) => await tagsOf(context, ownGroupName(context, resourceArn)),
    TagResource: async (context, { resourceArn = "", tags }) =>
      await add(
        context,
        ownGroupName(context, resourceArn),
        tags,
        () => new Fault(TooManyTagsException$, TOO_MANY, { resourceName: resourceArn }),
      ),
    UntagResource: async (context, { resourceArn = "", tagKeys }) => await remove(context, ownGroupName(context, resourceArn), tagKeys),
    ListTagsLogGroup: (context, { logGroupName = "" }) => tagsOf(context, logGroupName),
    TagLogGroup: (context, { logGroupName = "", tags }) => add(context, logGroupName, tags, () => invalid(TOO_MANY)),
    UntagLogGroup: (context, { logGroupName = "", tags }) => remove(context, logGroupName, tags),
  } satisfies Pick<Operations<typeof client>, Names>;
}
