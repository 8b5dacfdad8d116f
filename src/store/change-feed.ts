// Tells followers of records what was written, in the order in which it was.
import type { Change } from "./storage.ts";
import type { StoredWrite } from "./stored.ts";

type Seen = (changes: readonly Change[]) => void;

const changeOf = ({ key, text }: StoredWrite, revision: number): Change =>
  text === undefined ? { key, revision } : { key, revision, value: JSON.parse(text) as unknown };

export class ChangeFeed {
  readonly #followers = new Set<{ readonly kinds: ReadonlySet<string>; readonly seen: Seen }>();

  publish(writes: readonly StoredWrite[], revisions: readonly number[]): void {
    const changes = new Map<StoredWrite, Change>();
    for (const { kinds, seen } of this.#followers) {
      const wanted: Change[] = [];
      for (const [index, write] of writes.entries()) {
        if (write.keep === true || write.add !== undefined || !kinds.has(write.key.kind)) continue;
        const change = changes.get(write) ?? changeOf(write, revisions[index] ?? 0);
        changes.set(write, change);
        wanted.push(change);
      }
      if (wanted.length > 0) seen(wanted);
    }
  }

  follow(kinds: readonly string[], seen: Seen): { stop(): void } {
    const follower = { kinds: new Set(kinds), seen };
    this.#followers.add(follower);
    return { stop: () => void this.#followers.delete(follower) };
  }
}
