// Configurations of function URLs: one for a function and for each of its aliases.
import { randomBytes } from "node:crypto";
import type * as client from "@aws-sdk/client-lambda";
import type { Context, Operations } from "../aws/operations.ts";
import { StorageError, type Entry, type Key } from "../store/storage.ts";
import { aliasOf } from "./alias-records.ts";
import { formatTime } from "./configuration.ts";
import { conflict, invalidParameter, notFound } from "./faults.ts";
import type { Lambda } from "./model.ts";
import { functionArn, functionReference, type FunctionReference } from "./names.ts";
import { page } from "./page.ts";
import { refuseForTenants } from "./tenancy.ts";

export const FUNCTION_URL_KIND = "lambda.function-url";

export interface FunctionUrlRecord {
  /** First label of the host name: 32 lower-case letters and digits, the same as long as the URL is there. */
  readonly urlId: string;
  readonly AuthType: client.FunctionUrlAuthType;
  readonly Cors?: client.Cors;
  readonly InvokeMode: client.InvokeMode;
  readonly createdMs: number;
  readonly lastModifiedMs: number;
}

type Place = Pick<FunctionReference, "account" | "region" | "name" | "qualifier">;
type Urls = Pick<Lambda, "functionUrls">;

/** A function's name has no slash. */
const functionUrlKey = ({ account, region, name, qualifier = "" }: Place): Key => ({
  account,
  region,
  kind: FUNCTION_URL_KIND,
  id: `${name}/${qualifier}`,
});

/** All of a function's, to be deleted with it. */
export const functionUrlKeysOf = ({ functionUrls }: Urls, { account, region, name }: Place): Key[] =>
  functionUrls.list(account, region, { prefix: `${name}/`, limit: Infinity }).map(({ key }) => key);

export interface FoundUrl extends FunctionUrlRecord {
  readonly account: string;
  readonly region: string;
  readonly functionArn: string;
}

/** For who serves them. */
export function foundUrl({ functionUrls }: Urls, key: Key | undefined): FoundUrl | undefined {
  const record = key === undefined ? undefined : functionUrls.get(key.account, key.region, key.id)?.value;
  if (key === undefined || record === undefined) return undefined;
  const { account, region, id } = key;
  const [name = "", qualifier = ""] = id.split("/");
  return { ...record, account, region, functionArn: functionArn({ account, region, name, ...(qualifier === "" ? {} : { qualifier }) }) };
}

/** `http://<url-id>.lambda-url.<region>.<host>:<port>/` under the name by which the client reached the server; an address has no names below it. */
function functionUrl({ endpoint }: Pick<Context, "endpoint">, region: string, urlId: string): string {
  const url = new URL(endpoint);
  const isAddress = /^[\d.]+$|^\[/.test(url.hostname);
  url.hostname = `${urlId}.lambda-url.${region}.${isAddress ? "localhost" : url.hostname}`;
  return url.href;
}

type Names =
  | "CreateFunctionUrlConfig"
  | "GetFunctionUrlConfig"
  | "UpdateFunctionUrlConfig"
  | "DeleteFunctionUrlConfig"
  | "ListFunctionUrlConfigs";

export function urls(lambda: Lambda) {
  return {
    CreateFunctionUrlConfig: (context, input) => createUrl(lambda, context, input),
    GetFunctionUrlConfig(context, { FunctionName = "", Qualifier }) {
      const { reference, entry } = present(lambda, context, FunctionName, Qualifier);
      return describe(context, reference, entry.value);
    },
    UpdateFunctionUrlConfig: (context, input) => updateUrl(lambda, context, input),
    async DeleteFunctionUrlConfig(context, { FunctionName = "", Qualifier }) {
      const { entry } = present(lambda, context, FunctionName, Qualifier);
      await lambda.meta.write([{ key: entry.key }]);
      return {};
    },
    ListFunctionUrlConfigs: (context, input) => listUrls(lambda, context, input),
  } satisfies Pick<Operations<typeof client>, Names>;
}

/** The function, and the alias if one is named, must be there. */
function owner(lambda: Lambda, context: Context, name: string, qualifier: string | undefined) {
  const reference = functionReference(context, name, qualifier);
  const entry = lambda.functions.get(reference.account, reference.region, reference.name);
  const { qualifier: alias } = reference;
  if (entry === undefined || (alias !== undefined && aliasOf(lambda, reference, alias) === undefined))
    throw notFound("Function does not exist");
  return { reference, entry };
}

function present(lambda: Lambda, context: Context, name: string, qualifier: string | undefined) {
  const reference = functionReference(context, name, qualifier);
  const { account, region, id } = functionUrlKey(reference);
  const entry: Entry<FunctionUrlRecord> | undefined = lambda.functionUrls.get(account, region, id);
  if (entry === undefined) throw notFound("The resource you requested does not exist.");
  return { reference, entry };
}

const METHODS: ReadonlySet<string> = new Set(["GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*"]);

function checkCors({ AllowMethods = [], AllowOrigins = [], AllowCredentials = false }: client.Cors = {}): void {
  const wrong = AllowMethods.find((method) => !METHODS.has(method));
  if (wrong !== undefined)
    throw invalidParameter(`Value ${wrong} at 'cors.allowMethods' is none of the methods [${[...METHODS].join(", ")}].`);
  if (AllowCredentials && AllowOrigins.includes("*")) throw invalidParameter("AllowCredentials is not supported if AllowOrigins is *.");
}

/** The alphabet has 32 characters, so that each is as likely as every other. */
const newUrlId = (): string => Array.from(randomBytes(32), (byte) => "abcdefghijklmnopqrstuvwxyz234567"[byte & 31]).join("");

async function createUrl(lambda: Lambda, context: Context, input: client.CreateFunctionUrlConfigCommandInput) {
  const { FunctionName = "", Qualifier, AuthType = "AWS_IAM", Cors, InvokeMode = "BUFFERED" } = input;
  const { reference, entry } = owner(lambda, context, FunctionName, Qualifier);
  refuseForTenants(entry.value.wanted.configuration, "Function URL");
  checkCors(Cors);
  const nowMs = lambda.clock.now();
  const record: FunctionUrlRecord = {
    urlId: newUrlId(),
    AuthType,
    ...(Cors === undefined ? {} : { Cors }),
    InvokeMode,
    createdMs: nowMs,
    lastModifiedMs: nowMs,
  };
  const key = functionUrlKey(reference);
  await write(lambda, reference, [
    { key, value: record, expect: "absent" },
    { key: entry.key, keep: true, expect: entry.revision },
  ]);
  const { LastModifiedTime: _modified, InvokeMode: _mode, ...created } = describe(context, reference, record);
  return { ...created, ...(input.InvokeMode === undefined ? {} : { InvokeMode }) };
}

/** Members that are not given stay as they are; empty rules take the rules away. */
async function updateUrl(lambda: Lambda, context: Context, input: client.UpdateFunctionUrlConfigCommandInput) {
  const { FunctionName = "", Qualifier, AuthType, Cors, InvokeMode } = input;
  const { reference, entry } = present(lambda, context, FunctionName, Qualifier);
  checkCors(Cors);
  const { Cors: rules, ...before } = entry.value;
  const after = Cors ?? rules;
  const record: FunctionUrlRecord = {
    ...before,
    AuthType: AuthType ?? before.AuthType,
    InvokeMode: InvokeMode ?? before.InvokeMode,
    ...(after === undefined || Object.keys(after).length === 0 ? {} : { Cors: after }),
    lastModifiedMs: lambda.clock.now(),
  };
  await write(lambda, reference, [{ key: entry.key, value: record, expect: entry.revision }]);
  return describe(context, reference, record);
}

async function write(lambda: Lambda, reference: FunctionReference, writes: Parameters<Lambda["meta"]["write"]>[0]): Promise<void> {
  try {
    await lambda.meta.write(writes);
  } catch (cause) {
    if (!(cause instanceof StorageError && cause.failure === "Conflict")) throw cause;
    const { account, region, id } = functionUrlKey(reference);
    const isNew = writes[0]?.expect === "absent" && lambda.functionUrls.get(account, region, id) !== undefined;
    throw isNew ? exists(reference) : inProgress(reference);
  }
}

/** AWS has the two spaces. */
const exists = (reference: FunctionReference) =>
  conflict(
    `Failed to create function url config for [functionArn = ${functionArn(reference)}]. Error message:  FunctionUrlConfig exists for this Lambda function`,
  );
const inProgress = (reference: FunctionReference) =>
  conflict(`The operation cannot be performed at this time. An update is in progress for resource: ${functionArn(reference)}`);

function describe(context: Context, reference: FunctionReference, record: FunctionUrlRecord): client.FunctionUrlConfig {
  const { urlId, AuthType, Cors, InvokeMode, createdMs, lastModifiedMs } = record;
  return {
    FunctionUrl: functionUrl(context, reference.region, urlId),
    FunctionArn: functionArn(reference),
    AuthType,
    ...(Cors === undefined ? {} : { Cors }),
    CreationTime: formatTime(createdMs),
    LastModifiedTime: formatTime(lastModifiedMs),
    InvokeMode,
  };
}

function listUrls(lambda: Lambda, context: Context, input: client.ListFunctionUrlConfigsCommandInput) {
  const { reference } = owner(lambda, context, input.FunctionName ?? "", undefined);
  const { account, region, name } = reference;
  const list = (after: string | undefined, limit: number) =>
    lambda.functionUrls.list(account, region, { prefix: `${name}/`, limit, ...(after === undefined ? {} : { after }) });
  const { found, more } = page(`function-urls/${name}`, input, ({ key }) => key.id, list);
  const described = found.map(({ key, value }) => {
    const qualifier = key.id.slice(name.length + 1);
    return describe(context, { account, region, name, ...(qualifier === "" ? {} : { qualifier }) }, value);
  });
  return { FunctionUrlConfigs: described, ...more };
}
