// Amazon Resource Names: arn:partition:service:region:account:resource.

interface Arn {
  readonly partition: string;
  readonly service: string;
  readonly region: string;
  readonly account: string;
  /** Everything behind the fifth colon: `role/path/name`, `function:name:alias`. */
  readonly resource: string;
}

export function parseArn(text: string): Arn | undefined {
  const [prefix, partition = "", service = "", region = "", account = "", ...resource] = text.split(":");
  if (prefix !== "arn" || partition === "" || service === "" || resource.length === 0) return undefined;
  return { partition, service, region, account, resource: resource.join(":") };
}
