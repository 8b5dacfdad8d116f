// Mailboxes: queues whose messages stand in groups, count how often they were received, and are taken once per key; what SQS is made of.
//
// Beside DurableQueue because its promises differ: a claim outlives its time until somebody else receives the message, one group is never
// received twice at once, and a message that was received too often moves to another mailbox in the same transaction.

export interface NewMail {
  readonly mailbox: string;
  readonly id: string;
  readonly body: Uint8Array;
  /** Messages of one group are received in order; none while one of them is claimed. Absent: any order, oldest first. */
  readonly group?: string;
  /** Wall time in ms before which it is not received. */
  readonly dueAtMs?: number;
  /** A later message of the same mailbox with the same key is dropped, for so long after the first was sent; also when that is gone. */
  readonly once?: { readonly key: string; readonly forMs: number };
}

export interface SentMail {
  /** Of the first message with the same key, where there was one. */
  readonly id: string;
  /** Rises with every message of the store; never given twice. */
  readonly sequence: number;
}

export interface ReceiveOptions {
  readonly limit: number;
  readonly visibilityMs: number;
  /** Messages that were sent longer ago are removed instead. */
  readonly keptMs: number;
  /** Nothing more is received while so many are claimed. */
  readonly claimedMax: number;
  /** The same key within the time gets the same messages and tokens again, their claims renewed; once any was touched, nothing. */
  readonly attempt?: { readonly key: string; readonly forMs: number };
  /** Messages that were received `receives` times before move there instead. */
  readonly deadLetter?: {
    readonly mailbox: string;
    readonly receives: number;
    /** Kept with the message, whose receives count from 0 again: where it comes from. */
    readonly source: string;
    /** Its age counts from the move. */
    readonly renewsAge: boolean;
  };
}

export interface ReceivedMail {
  readonly id: string;
  readonly sequence: number;
  readonly body: Uint8Array;
  readonly group?: string;
  /** Random per claim. */
  readonly token: string;
  /** 1 at the first. */
  readonly receives: number;
  readonly sentAtMs: number;
  readonly firstReceivedAtMs: number;
  /** Of the mailbox that it was moved from as a dead letter. */
  readonly source?: string;
}

export interface Received {
  readonly mail: readonly ReceivedMail[];
  /** As many are claimed as may be. */
  readonly isFull: boolean;
  /** More may be there: the call has done what one call may. */
  readonly isCut: boolean;
  /** The attempt can't be repeated: something that it got was removed, or its claim changed. */
  readonly isAttemptOver?: true;
  /** How many went to the dead letters instead. */
  readonly deadLetters: number;
  /** Wall time in ms at which the next hidden message becomes visible, when nothing was received. */
  readonly nextAtMs?: number;
}

/** `gone`: there is no such message any more; `stale`: it was received again since; `over`: the claim of a grouped message has ended. */
export type Removal = "removed" | "gone" | "stale" | "over";
/** `stale`: the token is not the last one, or the claim of a grouped message has ended; `beyond`: it would be claimed longer than `totalMs`. */
export type Hiding = "hidden" | "gone" | "stale" | "beyond";

export interface Forwarded {
  readonly moved: number;
  /** Why it stopped: a message came from nowhere, or from a mailbox that is no more. */
  readonly stop?: "no-source" | "no-target";
}

export interface Mailboxes {
  /** Resolves when durable; one answer per message, in order. */
  send(mail: readonly NewMail[]): Promise<readonly SentMail[]>;
  receive(mailbox: string, options: ReceiveOptions): Promise<Received>;
  /** One answer per token; a message without a group may be removed after its claim has ended, as long as nobody has received it since. */
  remove(mailbox: string, tokens: readonly string[]): Promise<readonly Removal[]>;
  /**
   * Keeps claimed messages hidden for so long from now, 0 gives them back; at most `totalMs` since they were received. One without a group
   * may be hidden again after its claim has ended, as long as nobody has received it since.
   */
  hide(mailbox: string, claims: readonly { token: string; visibilityMs: number }[], totalMs: number): Promise<readonly Hiding[]>;
  counts(mailbox: string): Promise<{ visible: number; claimed: number; delayed: number }>;
  /** Removes up to `limit` messages sent at `untilMs` or before, whatever their state; how many. */
  expire(mailbox: string, untilMs: number, limit: number): Promise<number>;
  /**
   * Moves visible messages as new ones, under the given ids, at most one for each id: to one mailbox, or to that which stands in the map for
   * the source of each.
   */
  forward(mailbox: string, ids: readonly string[], to: string | Readonly<Record<string, string>>): Promise<Forwarded>;
  /** Removes the keys of a mailbox that is no more. */
  forget(mailbox: string): Promise<void>;
  /** All that have messages. */
  names(): Promise<readonly string[]>;
  /** Calls `wake` soon after messages of the mailbox become visible or a group may be free again; lossy. */
  onHint(mailbox: string, wake: () => void): { stop(): void };
}
