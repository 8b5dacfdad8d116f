// Requests that no client would send, made from the API's own model: a seed gives the same ones again.
import type { OperationModel, ServiceModel } from "../../src/aws/model.ts";
import type { Member, Shape } from "../../src/aws/shape.ts";

export interface HostileRequest {
  readonly operation: string;
  readonly method: string;
  /** Percent-encoded. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** mulberry32: small, seeded, good enough to choose with. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });

const ODD: readonly unknown[] = [
  null,
  "",
  " ",
  "../../etc/passwd",
  "%2e%2e%2fkeys.json",
  "a\u0000b",
  "\u{1f600}",
  "\ud800",
  "x".repeat(5_000),
  "__proto__",
  "constructor",
  "arn:aws:lambda:us-east-1:111111111111:function:other",
  "arn:aws:iam::000000000000:role/none",
  "$LATEST",
  -1,
  0,
  1e308,
  2 ** 53 + 1,
  0.5,
  true,
  [],
  [null],
  {},
  JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as unknown,
  deep(100),
];

const NAMES = ["greeter", "test-role", "bucket-1", "/aws/lambda/greeter", "key/1", "1", "basic"];

/** What these members must be for a request to come as far as the operation itself. */
const BY_NAME = new Map<string, readonly unknown[]>([
  ["Role", ["arn:aws:iam::000000000000:role/basic"]],
  ["Runtime", ["nodejs24.x", "python3.13", "cobol1.0"]],
  ["Handler", ["index.handler"]],
  ["ZipFile", ["UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="]],
  ["QueueUrl", ["greeter", "basic", "none"].map((name) => `http://localhost/000000000000/${name}`)],
  ["EventPattern", ['{"source":["basic"]}', '{"a":[{"numeric":["=",1]}]}', "{}", '{"a":[{"wildcard":"**"}]}']],
  ["ScheduleExpression", ["rate(1 minute)", "cron(0 0 29 2 ? *)", "at(2199-12-31T23:59:59)", "rate(0 days)", "cron(* * * * * *)"]],
  ["ScheduleExpressionTimezone", ["Europe/Berlin", "../etc/passwd", "UTC"]],
  ["EventBusName", ["default", "basic"]],
  ["FlexibleTimeWindow", [{ Mode: "OFF" }, { Mode: "FLEXIBLE", MaximumWindowInMinutes: 5 }]],
  ["Detail", ["{}", '{"a":1}', "[1", "null"]],
  ["WaitTimeSeconds", [0, 21]],
  ["TopicArn", ["greeter", "basic", "none"].map((name) => `arn:aws:sns:us-east-1:000000000000:${name}`)],
  ["Protocol", ["sqs", "lambda", "http", "email", "sms"]],
  [
    "Endpoint",
    ["arn:aws:sqs:us-east-1:000000000000:basic", "arn:aws:lambda:us-east-1:000000000000:function:greeter", "http://127.0.0.1:1/"],
  ],
  ["AttributeName", ["DisplayName", "Policy", "FilterPolicy", "RawMessageDelivery"]],
  ["AssumeRolePolicyDocument", ['{"Version":"2012-10-17","Statement":[]}']],
]);

class Maker {
  readonly #random: () => number;
  constructor(chance: () => number) {
    this.#random = chance;
  }
  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }
  chance(share: number): boolean {
    return this.#random() < share;
  }
  /** Something of the right kind, as far as the model says. */
  plausible(shape: Shape, depth = 0): unknown {
    switch (shape.kind) {
      case "structure":
        return depth > 4
          ? {}
          : Object.fromEntries(
              shape.members.filter((one) => one.isRequired || this.chance(0.3)).map((one) => [one.name, this.value(one, depth + 1)]),
            );
      case "list":
        return depth > 4 ? [] : [this.plausible(shape.item, depth + 1)];
      case "map":
        return { key: depth > 4 ? "x" : this.plausible(shape.value, depth + 1) };
      case "boolean":
        return this.chance(0.5);
      case "string":
        return this.pick(NAMES);
      case "blob":
        return "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";
      case "integer":
      case "double":
      case "timestamp":
      case "document":
        return this.pick([1, 3, 128, 1_700_000_000]);
    }
  }
  value(member: Member, depth: number): unknown {
    if (this.chance(0.25)) return this.pick(ODD);
    const fitting = BY_NAME.get(member.name);
    return fitting === undefined || this.chance(0.3) ? this.plausible(member.shape, depth) : this.pick(fitting);
  }
}

const text = (value: unknown) => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
/** What an HTTP client lets through in a header. */
const headerText = (value: unknown) =>
  text(value)
    .replaceAll(/[^\u0020-\u007e]/g, "?")
    .slice(0, 2_000);
const encoded = (value: unknown) => encodeURIComponent(text(value).toWellFormed()).slice(0, 4_000);

function form(prefix: string, value: unknown, into: Record<string, string>): void {
  if (Array.isArray(value)) value.forEach((one, index) => form(`${prefix}.member.${index + 1}`, one, into));
  else if (typeof value === "object" && value !== null)
    for (const [name, one] of Object.entries(value)) form(prefix === "" ? name : `${prefix}.${name}`, one, into);
  else if (value !== undefined) into[prefix] = text(value).toWellFormed();
}

function xml(name: string, value: unknown): string {
  const tag = /^[A-Za-z]\w*$/.test(name) ? name : "x";
  if (Array.isArray(value)) return value.map((one) => xml(name, one)).join("");
  if (typeof value === "object" && value !== null)
    return `<${tag}>${Object.entries(value)
      .map(([key, one]) => xml(key, one))
      .join("")}</${tag}>`;
  // eslint-disable-next-line no-control-regex -- XML has no way to write these characters
  return `<${tag}>${text(value).replaceAll(/[<&\u0000-\u001f]/g, "_")}</${tag}>`;
}

function rest(model: ServiceModel, operation: OperationModel, input: Record<string, unknown>, maker: Maker): HostileRequest {
  const [template = "/", literal = ""] = (operation.http?.uri ?? "/").split("?");
  const query: Record<string, string> = Object.fromEntries(new URLSearchParams(literal));
  const headers: Record<string, string> = {};
  const body: Record<string, unknown> = {};
  let path =
    model.name === "s3" && input["Bucket"] !== undefined ? `/${encoded(input["Bucket"])}${template === "/" ? "" : template}` : template;
  let payload: string | undefined;
  for (const { name, binding, shape, jsonName, xmlName } of operation.input?.members ?? []) {
    const value = input[name];
    if (binding.place === "label") path = path.replace(`{${name}}`, encoded(value)).replace(`{${name}+}`, encoded(value));
    else if (value === undefined) continue;
    else if (binding.place === "query") query[binding.name] = text(value).toWellFormed().slice(0, 2_000);
    else if (binding.place === "header") headers[binding.name] = headerText(value);
    else if (binding.place === "payload")
      payload = shape.kind === "structure" ? (model.protocol === "rest-xml" ? xml(name, value) : text(value)) : text(value);
    else body[model.protocol === "rest-xml" ? xmlName : jsonName] = value;
  }
  const document = model.protocol === "rest-xml" ? (Object.keys(body).length === 0 ? "" : xml(operation.name, body)) : JSON.stringify(body);
  const broken = maker.chance(0.05) ? document.slice(0, -1) + maker.pick(["", "{", "<", "\u0000", "]"]) : document;
  return {
    operation: operation.name,
    method: operation.http?.method ?? "POST",
    path: path.replaceAll(/\{[^}]*\}/g, "x"),
    query,
    headers,
    body: payload ?? broken,
  };
}

/** One request of a built operation. */
export function hostileRequest(model: ServiceModel, names: readonly string[], version: string, chance: () => number): HostileRequest {
  const maker = new Maker(chance);
  const operation = model.operations.get(maker.pick(names));
  if (operation === undefined) throw new Error("an operation that the model does not have");
  const input = (operation.input === undefined ? {} : maker.plausible(operation.input)) as Record<string, unknown>;
  for (const member of operation.input?.members ?? []) if (maker.chance(0.15)) delete input[member.name];
  if (maker.chance(0.1)) input["Unknown"] = maker.pick(ODD);
  if (model.protocol.startsWith("rest")) return rest(model, operation, input, maker);
  const shared = { operation: operation.name, method: "POST", path: "/", query: {} };
  if (model.protocol === "query") {
    const fields: Record<string, string> = { Action: operation.name, Version: version };
    form("", input, fields);
    return { ...shared, headers: { "content-type": "application/x-www-form-urlencoded" }, body: new URLSearchParams(fields).toString() };
  }
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `${model.target}.${operation.name}` };
  return { ...shared, headers, body: maker.chance(0.05) ? "{" : JSON.stringify(input) };
}
