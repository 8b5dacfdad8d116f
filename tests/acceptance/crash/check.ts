// Compares the ledger with what arrived and what the server says: acknowledged and lost = 0, order kept, nothing back that was deleted.
import assert from "node:assert/strict";
import { GetObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { DeleteMessageBatchCommand, GetQueueAttributesCommand, ReceiveMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import type { Line, Step } from "./ledger.ts";
import { BUCKET, failsFor, GROUPS } from "./resources.ts";

const DRAINS = 4;

/** Bodies of all messages, each as often as it came. */
export async function drain(sqs: SQSClient, QueueUrl: string): Promise<readonly string[]> {
  const bodies: string[] = [];
  const one = async () => {
    for (;;) {
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 60 }));
      if (Messages.length === 0) return;
      bodies.push(...Messages.map(({ Body = "" }) => Body));
      const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
      const { Failed = [] } = await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
      assert.deepEqual(Failed, []);
    }
  };
  await Promise.all(Array.from({ length: DRAINS }, one));
  return bodies;
}

/** Visible, delayed or held by somebody. */
export async function depth(sqs: SQSClient, QueueUrl: string): Promise<number> {
  const names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible"] as const;
  const { Attributes = {} } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...names] }));
  return names.reduce((sum, name) => sum + Number(Attributes[name]), 0);
}

export class Seen {
  readonly #lines: readonly Line[];
  #again = 0;

  constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  /** Deliveries beyond the first. */
  get again(): number {
    return this.#again;
  }

  ids(what: string, step: Step): readonly string[] {
    return this.#lines.flatMap((line) => (line.what === what && line.step === step ? [line.id] : []));
  }

  /** Everything acknowledged came, and nothing that nobody has asked for. */
  arrived(what: string, came: readonly string[], label = what): void {
    const there = new Set(came);
    const wanted = new Set(this.ids(what, "intent"));
    this.#again += came.length - there.size;
    assert.deepEqual(
      this.ids(what, "ack").filter((id) => !there.has(id)),
      [],
      `${label}: acknowledged and lost`,
    );
    assert.deepEqual(
      [...there].filter((id) => !wanted.has(id)),
      [],
      `${label}: from nowhere`,
    );
  }

  nothingRefused(): void {
    assert.deepEqual(
      this.#lines.filter(({ step }) => step === "refused"),
      [],
    );
  }

  /** Received in the order in which it was sent, one after the other, and never again after its removal was acknowledged. */
  inOrder(what: string): void {
    for (const group of GROUPS) {
      let highest = 0;
      let deleted = 0;
      for (const { what: did, id, step } of this.#lines) {
        const [of, text] = id.split("/");
        const n = Number(text);
        if (of !== group || step !== "ack") continue;
        if (did === `${what}-delete`) deleted = Math.max(deleted, n);
        if (did !== `${what}-receive`) continue;
        assert.ok(n > deleted, `${id} was received again after message ${deleted} of its group was deleted`);
        assert.ok(n <= highest + 1, `${id} was received, and ${group}/${highest + 1} was not`);
        highest = Math.max(highest, n);
      }
      const sent = this.ids(what, "ack").filter((id) => id.startsWith(`${group}/`)).length;
      assert.ok(highest >= sent, `of ${sent} messages of ${group} the last received is ${highest}`);
    }
  }

  /** Deleted once is deleted for good. */
  notBack(what: string): void {
    const deleted = new Set<string>();
    for (const { what: did, id } of this.#lines) {
      if (did === `${what}-delete`) deleted.add(id);
      if (did === `${what}-receive`) assert.ok(!deleted.has(id), `${what} ${id} was received after it was deleted`);
    }
  }
}

interface InvocationRecord {
  readonly requestContext: { readonly condition: string };
  readonly requestPayload: { readonly n?: number; readonly detail?: { readonly n: number } };
}

/** Numbers of the events whose results came: of direct invocations, and of those through the bus. */
export function resultsOf(bodies: readonly string[]): { readonly invoked: string[]; readonly fromBus: string[] } {
  const [invoked, fromBus]: [string[], string[]] = [[], []];
  for (const body of bodies) {
    const { requestContext, requestPayload } = JSON.parse(body) as InvocationRecord;
    const n = requestPayload.n ?? requestPayload.detail?.n ?? 0;
    assert.equal(requestContext.condition, failsFor(n) ? "RetriesExhausted" : "Success", `the end of ${n}`);
    (requestPayload.n === undefined ? fromBus : invoked).push(String(n));
  }
  return { invoked, fromBus };
}

/** Numbers of the ticks; all that came of one have the same execution. */
export function ticksOf(bodies: readonly string[]): string[] {
  const executions = new Map<number, string>();
  return bodies.map((body) => {
    const { n, execution } = JSON.parse(body) as { n: number; execution: string };
    assert.equal(executions.get(n) ?? execution, execution, `schedule ${n} fired twice`);
    executions.set(n, execution);
    return String(n);
  });
}

interface S3Event {
  readonly Event?: string;
  readonly Records?: readonly { readonly eventName: string; readonly s3: { readonly object: { readonly key: string } } }[];
}

/** Numbers of the objects that were told to be made, and to be removed. */
export function notificationsOf(bodies: readonly string[]): { readonly made: string[]; readonly removed: string[] } {
  const [made, removed]: [string[], string[]] = [[], []];
  for (const body of bodies)
    for (const { eventName, s3 } of (JSON.parse(body) as S3Event).Records ?? [])
      (eventName.startsWith("ObjectCreated") ? made : removed).push(s3.object.key.slice(1));
  return { made, removed };
}

/** Each object is whole and there, or gone when that was acknowledged. */
export async function checkObjects(s3: S3Client, seen: Seen): Promise<void> {
  const removedOrNot = new Set(seen.ids("remove", "intent"));
  const removed = new Set(seen.ids("remove", "ack"));
  for (const id of seen.ids("put", "ack")) {
    const found = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: `o${id}` })).catch((cause: Error) => cause.name);
    const content = typeof found === "string" ? found : await found.Body?.transformToString();
    if (removed.has(id)) assert.equal(content, "NoSuchKey", `object ${id} is back`);
    else if (!removedOrNot.has(id)) assert.equal(content, `object ${id}`);
    else assert.match(content ?? "", /^NoSuchKey$|^object \d+$/);
  }
}
