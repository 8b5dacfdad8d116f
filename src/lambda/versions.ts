// Versions: publish, list, delete.
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import { requestId } from "../base/id.ts";
import { aliasesOf, aliasTurn } from "./alias-records.ts";
import { provisionedKey } from "./concurrency-records.ts";
import { codeSha256, describeFunction, describeVersion } from "./configuration.ts";
import { eventInvokeKey } from "./event-invoke.ts";
import { conflict, invalidParameter } from "./faults.ts";
import type { Lambda } from "./model.ts";
import type { FunctionReference } from "./names.ts";
import { page } from "./page.ts";
import { policyKey } from "./permissions.ts";
import { alreadyPublished, newVersion, versionOf, versionsOf } from "./version-records.ts";
import { assertChangeable, changeFunction, findFunction } from "./records.ts";
import { runtimeManagementKey } from "./runtime-management.ts";
import { refuseUnsupported } from "./unsupported.ts";

export function versions(lambda: Lambda) {
  return {
    PublishVersion: (context, input) => publishVersion(lambda, context, input),
    ListVersionsByFunction: (context, input) => listVersions(lambda, context, input),
  } satisfies Pick<Operations<typeof client>, "PublishVersion" | "ListVersionsByFunction">;
}

async function publishVersion(lambda: Lambda, context: Context, input: client.PublishVersionCommandInput) {
  const { FunctionName = "", CodeSha256, Description, RevisionId } = input;
  const found = findFunction(lambda, context, FunctionName);
  refuseUnsupported(input);
  assertChangeable(found, RevisionId);
  const { reference, entry } = found;
  const { wanted } = entry.value;
  const current = codeSha256(wanted.code);
  if (CodeSha256 !== undefined && CodeSha256 !== "" && CodeSha256 !== current)
    throw invalidParameter(
      `CodeSHA256 (${CodeSha256}) is different from current CodeSHA256 in $LATEST (${current}). Please try again with the CodeSHA256 in $LATEST.`,
    );
  const known = alreadyPublished(lambda, reference, wanted);
  if (known !== undefined) return describeVersion(reference, entry.value, known.value);
  const { version, writes } = await newVersion(lambda, reference, wanted, Description);
  await changeFunction(lambda, found, { ...entry.value, revisionId: requestId() }, writes);
  return describeVersion(reference, entry.value, version);
}

/** `$LATEST` first, then the versions in the order of their numbers. */
function listVersions(lambda: Lambda, context: Context, input: client.ListVersionsByFunctionCommandInput) {
  const { reference, entry } = findFunction(lambda, context, input.FunctionName ?? "");
  const latest = { id: "", described: describeFunction({ ...reference, qualifier: "$LATEST" }, entry.value, "listed") };
  const list = (after: string | undefined, limit: number) => {
    const published = versionsOf(lambda, reference, after, limit).map(({ key, value }) => ({
      id: key.id,
      described: describeVersion(reference, entry.value, value, "listed"),
    }));
    return after === undefined ? [latest, ...published].slice(0, limit) : published;
  };
  const { found, more } = page(`versions/${reference.name}`, input, ({ id }) => id, list);
  return { Versions: found.map(({ described }) => described), ...more };
}

/** Of a function that exists; a version that it does not have is deleted already. No alias begins to point to it meanwhile. */
export const deleteVersion = (lambda: Lambda, reference: FunctionReference, number: string): Promise<void> =>
  lambda.turns.run(aliasTurn(reference), () => removeVersion(lambda, reference, number));

async function removeVersion(lambda: Lambda, reference: FunctionReference, number: string): Promise<void> {
  const entry = versionOf(lambda, reference, number);
  if (entry === undefined) return;
  const version = String(entry.value.number);
  const referring = aliasesOf(lambda, reference).filter(
    ({ value }) => value.FunctionVersion === version || value.weights?.[version] !== undefined,
  );
  if (referring.length > 0) {
    const names = referring.map(({ key }) => key.id.slice(reference.name.length + 1));
    throw conflict(`Unable to delete version because the following aliases reference it: [${names.join(", ")}]`);
  }
  const place = { ...reference, qualifier: version };
  const belongings = [eventInvokeKey(place), policyKey(place), provisionedKey(place, version), runtimeManagementKey(place, version)];
  await lambda.meta.write([entry.key, ...belongings].map((key) => ({ key })));
}
