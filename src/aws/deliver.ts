// How a service hands an event to a resource of another one: a destination, a dead-letter queue, a notification; server.ts supplies it.

/** Who sends, and what goes with the event besides its bytes. */
export interface DeliveryContext {
  /** UUID; the same when the delivery is tried again. */
  readonly id: string;
  readonly account: string;
  readonly region: string;
  /** What sends: the qualified ARN of a function. */
  readonly sourceArn: string;
  /** Whose rights count. */
  readonly roleArn: string;
  /** Names the session of the role. */
  readonly sessionName: string;
  readonly traceHeader?: string;
  /** Queues and topics: message attributes. */
  readonly attributes?: Readonly<Record<string, MessageAttribute>>;
  /** Event buses: `detail-type`; the event is the detail. */
  readonly detailType?: string;
  /** Buckets. */
  readonly objectKey?: string;
}

export interface MessageAttribute {
  readonly DataType: "String" | "Number";
  readonly StringValue: string;
}

export type DeliveryOutcome =
  | { readonly kind: "delivered" }
  /** Trying again would not help: there is no such target, or it may not be reached with these rights. */
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "unavailable"; readonly message: string };

/** `target` is an ARN. Delivers at least once; never rejects but for bugs. */
export type Deliver = (target: string, event: Uint8Array, context: DeliveryContext) => Promise<DeliveryOutcome>;

export interface Deliverer {
  /** Whether there is a way to targets of this kind: for who stores the ARN. */
  readonly supports: (target: string) => boolean;
  readonly deliver: Deliver;
}
