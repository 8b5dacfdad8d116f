// Aliases: names for versions, with a share of the traffic for a second one.
import { InvalidParameterValueException$ } from "@aws-sdk/client-lambda";
import type * as client from "@aws-sdk/client-lambda";
import { Fault } from "../aws/fault.ts";
import type { Context, Operations } from "../aws/operations.ts";
import { requestId } from "../base/id.ts";
import type { Entry, Write } from "../store/storage.ts";
import { eventInvokeKey } from "./event-invoke.ts";
import { conflict, invalidParameter, notFound, revisionMismatch, validation } from "./faults.ts";
import type { Configuration, Lambda } from "./model.ts";
import { provisionedKey } from "./concurrency-records.ts";
import { aliasKey, aliasOf, aliasesOf, aliasTurn, type AliasRecord } from "./alias-records.ts";
import { functionArn, type FunctionReference } from "./names.ts";
import { page } from "./page.ts";
import { policyKey } from "./permissions.ts";
import { checkProvisionedAlias } from "./provisioned-concurrency.ts";
import { findFunction, findVersion, writeBeside, type FoundVersion } from "./records.ts";

type Names = "CreateAlias" | "GetAlias" | "UpdateAlias" | "DeleteAlias" | "ListAliases";

export function aliases(lambda: Lambda) {
  return {
    CreateAlias: (context, input) => createAlias(lambda, context, input),
    GetAlias(context, { FunctionName = "", Name = "" }) {
      const { reference } = findFunction(lambda, context, FunctionName);
      const entry = aliasOf(lambda, reference, Name);
      if (entry === undefined) throw notFound(`Cannot find alias arn: ${functionArn({ ...reference, qualifier: Name })}`);
      return describe(reference, Name, entry.value);
    },
    UpdateAlias: (context, input) => updateAlias(lambda, context, input),
    async DeleteAlias(context, { FunctionName = "", Name = "" }) {
      const { reference } = findFunction(lambda, context, FunctionName);
      const place = { ...reference, qualifier: Name };
      const belongings = [eventInvokeKey(place), policyKey(place), provisionedKey(reference, Name)];
      await lambda.meta.write([aliasKey(reference, Name), ...belongings].map((key) => ({ key })));
      return {};
    },
    ListAliases: (context, input) => listAliases(lambda, context, input),
  } satisfies Pick<Operations<typeof client>, Names>;
}

async function createAlias(lambda: Lambda, context: Context, input: client.CreateAliasCommandInput) {
  const { FunctionName = "", Name = "", FunctionVersion = "", Description = "", RoutingConfig } = input;
  const { reference } = findFunction(lambda, context, FunctionName);
  const weights = weightsOf(RoutingConfig);
  const record = recordOf(FunctionVersion, Description, weights);
  const write = { key: aliasKey(reference, Name), value: record, expect: "absent" } as const;
  await pointing(lambda, reference, write, () => {
    const targets = targetsOf(lambda, context, reference, FunctionVersion, weights);
    if (aliasOf(lambda, reference, Name) === undefined) return targets;
    throw conflict(`Alias already exists: ${functionArn({ ...reference, qualifier: Name })}`);
  });
  return describe(reference, Name, record);
}

/** Members that are not given stay as they are; empty weights take the weights away. */
async function updateAlias(lambda: Lambda, context: Context, input: client.UpdateAliasCommandInput) {
  const { FunctionName = "", Name = "", FunctionVersion, Description, RoutingConfig, RevisionId } = input;
  const { reference } = findFunction(lambda, context, FunctionName);
  const arn = functionArn({ ...reference, qualifier: Name });
  const entry = aliasOf(lambda, reference, Name);
  if (entry === undefined) throw notFound(`Alias not found: ${arn}`);
  const before = entry.value;
  if (RevisionId !== undefined && RevisionId !== before.revisionId) throw revisionMismatch();
  const weights = RoutingConfig === undefined ? before.weights : weightsOf(RoutingConfig);
  const record = recordOf(FunctionVersion ?? before.FunctionVersion, Description ?? before.Description, weights);
  await pointing(lambda, reference, { key: entry.key, value: record, expect: entry.revision }, () => {
    const targets = targetsOf(lambda, context, reference, record.FunctionVersion, weights);
    checkProvisionedAlias(lambda, reference, Name, record);
    if (aliasOf(lambda, reference, Name)?.revision !== entry.revision)
      throw conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${arn}`);
    return targets;
  });
  return describe(reference, Name, record);
}

/** Only while what the alias points to is there: no version is deleted meanwhile (versions.ts takes the same turns). */
const pointing = (lambda: Lambda, place: FunctionReference, write: Write, targets: () => readonly Entry[]): Promise<void> =>
  lambda.turns.run(aliasTurn(place), () => writeBeside(lambda, write, targets));

function recordOf(FunctionVersion: string, Description: string, weights: AliasRecord["weights"]): AliasRecord {
  return { FunctionVersion, Description, ...(weights === undefined ? {} : { weights }), revisionId: requestId() };
}

/** Numbers as Java writes them, which stand in AWS's sentences. */
const doubleText = (value: number) => (Number.isInteger(value) ? `${value}.0` : String(value));

const MAP_KEYS =
  "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]";
const MAP_VALUES =
  "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]";

/** Checked in the order of AWS; undefined when there are none. */
function weightsOf(routing: client.AliasRoutingConfiguration | undefined): AliasRecord["weights"] {
  const given = Object.entries(routing?.AdditionalVersionWeights ?? {});
  const problem = (constraint: string) => {
    const text = given.map(([version, weight]) => `${version}=${doubleText(weight)}`).join(", ");
    return validation(`Value '{${text}}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: ${constraint}`);
  };
  if (given.some(([version]) => !/^[0-9]{1,1024}$/.test(version))) throw problem(MAP_KEYS);
  if (given.some(([, weight]) => !(weight >= 0 && weight <= 1))) throw problem(MAP_VALUES);
  if (given.length > 1) throw invalidParameter("Number of items in AdditionalVersionWeights cannot be greater than 1");
  return given.length === 0 ? undefined : Object.fromEntries(given);
}

/** The function, and the versions that the alias is to point to; throws AWS's faults. */
function targetsOf(
  lambda: Lambda,
  context: Context,
  reference: FunctionReference,
  FunctionVersion: string,
  weights: AliasRecord["weights"] = {},
): readonly Entry[] {
  const find = (version: string) => findVersion(lambda, context, functionArn(reference), version);
  const configurationOf = ({ entry, version }: FoundVersion): Configuration =>
    (version?.value.deployed ?? entry.value.wanted).configuration;
  const main = find(FunctionVersion);
  const others = Object.keys(weights).map((version) => {
    // AWS sends this one without a Type.
    if (FunctionVersion === "$LATEST")
      throw new Fault(InvalidParameterValueException$, "$LATEST is not supported for an alias pointing to more than 1 version");
    if (version === FunctionVersion)
      throw invalidParameter(
        `Invalid function version ${version}. Function version ${version} is already included in routing configuration.`,
      );
    const other = find(version);
    const [one, two] = [configurationOf(main), configurationOf(other)];
    if (one.Role !== two.Role || one.DeadLetterTargetArn !== two.DeadLetterTargetArn)
      throw invalidParameter("The versions that an alias points to must have the same execution role and the same dead-letter queue.");
    return other;
  });
  return [main.entry, ...[main, ...others].map(({ version }) => version).filter((one) => one !== undefined)];
}

function describe(reference: FunctionReference, Name: string, record: AliasRecord): Omit<client.AliasConfiguration, "$metadata"> {
  const { FunctionVersion, Description, weights, revisionId: RevisionId } = record;
  const AliasArn = functionArn({ ...reference, qualifier: Name });
  const routing = weights === undefined ? {} : { RoutingConfig: { AdditionalVersionWeights: { ...weights } } };
  return { AliasArn, Name, FunctionVersion, Description, ...routing, RevisionId };
}

function listAliases(lambda: Lambda, context: Context, input: client.ListAliasesCommandInput) {
  const { reference } = findFunction(lambda, context, input.FunctionName ?? "");
  const { FunctionVersion } = input;
  const isWanted = ({ value }: Entry<AliasRecord>) =>
    FunctionVersion === undefined || value.FunctionVersion === FunctionVersion || value.weights?.[FunctionVersion] !== undefined;
  const list = (after: string | undefined, limit: number) => aliasesOf(lambda, reference, after).filter(isWanted).slice(0, limit);
  const { found, more } = page(`aliases/${reference.name}`, input, ({ key }) => key.id, list);
  return { Aliases: found.map(({ key, value }) => describe(reference, key.id.slice(reference.name.length + 1), value)), ...more };
}
