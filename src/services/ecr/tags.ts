// Tags of repositories, which are not those of images.
import type * as client from "@aws-sdk/client-ecr";
import { parseArn } from "../../aws/arn.ts";
import type { Context, Operations } from "../../aws/operations.ts";
import { invalidParameter, tooManyTags } from "./faults.ts";
import { changeRepository, existingRepository, nameOf, type Ecr, type RepositoryName } from "./model.ts";

const TAGS_MAX = 50;

type Tags = Readonly<Record<string, string>>;

/** Together with what is there; throws ECR's faults. */
export function checkTags(before: Tags, given: readonly client.Tag[]): Tags {
  for (const { Key = "", Value = "" } of given)
    if (Key === "" || Key.length > 128 || Value.length > 256 || /^aws:/i.test(Key))
      throw invalidParameter(`Invalid parameter at 'tags' failed to satisfy constraint: 'the tag ${Key.slice(0, 200)} is not valid'`);
  const after = { ...before, ...Object.fromEntries(given.map(({ Key = "", Value = "" }) => [Key, Value])) };
  if (Object.keys(after).length > TAGS_MAX) throw tooManyTags();
  return after;
}

function named(context: Context, arn: string): RepositoryName {
  const found = parseArn(arn);
  const [, name] = /^repository\/(.+)$/.exec(found?.resource ?? "") ?? [];
  if (found?.service !== "ecr" || found.region !== context.region || name === undefined)
    throw invalidParameter(`Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'`);
  return nameOf(context, found.account, name);
}

type Names = "ListTagsForResource" | "TagResource" | "UntagResource";

export function tags(ecr: Ecr) {
  return {
    ListTagsForResource(context, { resourceArn = "" }) {
      const { record } = existingRepository(ecr, named(context, resourceArn));
      return { tags: Object.entries(record.tags).map(([Key, Value]) => ({ Key, Value })) };
    },

    async TagResource(context, { resourceArn = "", tags: given = [] }) {
      await changeRepository(ecr, named(context, resourceArn), (record) => ({ ...record, tags: checkTags(record.tags, given) }));
      return {};
    },

    async UntagResource(context, { resourceArn = "", tagKeys = [] }) {
      const kept = ([key]: [string, string]) => !tagKeys.includes(key);
      await changeRepository(ecr, named(context, resourceArn), (record) => ({
        ...record,
        tags: Object.fromEntries(Object.entries(record.tags).filter(kept)),
      }));
      return {};
    },
  } satisfies Pick<Operations<typeof client>, Names>;
}
