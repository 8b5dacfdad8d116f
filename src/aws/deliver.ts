// How a service hands an event to a resource of another one: a destination, a dead-letter queue, a notification; server.ts supplies it.

/** Whose rights count. */
export interface DeliverySender {
  /** `lambda.amazonaws.com`: without a role the target's own policy must admit it, for this source. */
  readonly principal: string;
  /** A role that the principal assumes: then the role's policies count. */
  readonly role?: { readonly arn: string; readonly sessionName: string };
}

/** Who sends, and what goes with the event besides its bytes. */
export interface DeliveryContext {
  /** UUID; the same when the delivery is tried again. */
  readonly id: string;
  readonly account: string;
  readonly region: string;
  /** What sends: the qualified ARN of a function, a topic, a rule, a bucket. */
  readonly sourceArn: string;
  readonly sender: DeliverySender;
  readonly traceHeader?: string;
  /** Topics. */
  readonly subject?: string;
  /** Queues and topics: message attributes. */
  readonly attributes?: Readonly<Record<string, MessageAttribute>>;
  /** FIFO queues and topics. */
  readonly messageGroupId?: string;
  readonly deduplicationId?: string;
  /** Event buses: the event is the detail of an entry with these members. Absent: it is an event of another bus, passed on as it is. */
  readonly busEntry?: BusEntry;
  /** Buckets. */
  readonly objectKey?: string;
  /** Web addresses. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Web addresses: not those that the operator allows beside the public ones. */
  readonly publicOnly?: boolean;
}

export interface BusEntry {
  readonly source: string;
  readonly detailType: string;
  readonly resources: readonly string[];
}

export interface MessageAttribute {
  readonly DataType: string;
  readonly StringValue?: string;
  /** Base64. */
  readonly BinaryValue?: string;
}

export type DeliveryOutcome =
  | { readonly kind: "delivered" }
  /** Trying again would not help: there is no such target, or it may not be reached with these rights. `code` is the target's fault. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "unavailable"; readonly code: string; readonly message: string };

/** `target` is an ARN or a web address. Delivers at least once; never rejects but for bugs. */
export type Deliver = (target: string, event: Uint8Array, context: DeliveryContext) => Promise<DeliveryOutcome>;

export interface Deliverer {
  /** Whether there is a way to targets of this kind: for who stores the ARN. */
  readonly supports: (target: string) => boolean;
  readonly deliver: Deliver;
  /** What `deliver` would come to as far as rights go; nothing is delivered. Functions must be there, too. */
  readonly mayDeliver: Deliver;
}
