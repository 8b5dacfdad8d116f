// A server of its own and the whole IAM client beside it: what the tests of IAM's resources start from.
import type { TestContext } from "node:test";
import { IAM } from "@aws-sdk/client-iam";
import { startApi, type Credentials } from "../support/api.ts";

export const ACCOUNT = "000000000000";
export const AWS_MANAGED = "arn:aws:iam::aws:policy/AdministratorAccess";

/** Has every kind of character that percent-encoding treats in its own way. */
export const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Sid: "Read", Effect: "Allow", Action: "s3:Get*", Resource: "arn:aws:s3:::it's/a b+c/(é)~$&=%41*" }],
});

export const TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
});

export async function startIamApi(t: TestContext) {
  const { server, clients } = await startApi(t);
  const as = (credentials: Credentials = server.keys) => {
    const iam = new IAM({ endpoint: server.endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
    t.after(() => iam.destroy());
    return iam;
  };
  return { server, clients, as, iam: as() };
}

/** Everything that a paginator of the SDK finds. */
export async function pagesOf<P, T>(paginator: AsyncIterable<P>, itemsOf: (page: P) => readonly T[] | undefined): Promise<T[][]> {
  const pages: T[][] = [];
  for await (const page of paginator) pages.push([...(itemsOf(page) ?? [])]);
  return pages;
}
