// awaited-versions.ts — up to which of its changes a site lets others have them, while a version is being made of a file that got a name.
// A program that replaces a file writes another one and renames it (rename(2)): nobody at its site ever finds less than a whole file. A
// large file becomes a version some time after the rename, and a site that heard of the rename first would show an empty one.
// Invariant: the changes of a run are shared in their order; none waits for longer than LONGEST_MS.

import type { VersionVector } from '../crdt/change.js';
import type { ActorId } from '../crdt/ids.js';
import type { Draft } from './draft.js';

/** Some 500 MB can be made a version of in this time; to wait longer would keep all that is done at the site from the others. */
const LONGEST_MS = 2_000;

interface Awaited {
  /** The last change before the name was given. */
  readonly seq: number;
  readonly untilMs: number;
}

export class AwaitedVersions {
  private readonly byDraft = new Map<Draft, Awaited>();

  constructor(
    /** This run of the site. */
    private readonly actorId: ActorId,
    /** The number of its last change that is complete. */
    private readonly lastSeqOf: (actor: ActorId) => number,
    private readonly monotonicMs: () => number,
  ) {}

  /**
   * A name leads to the draft since the change that is being written.
   * @param replaced the draft of what it took the place of: no version comes of that, so what waited for one waits for this one
   */
  add(draft: Draft, replaced: Draft | undefined): void {
    const inherited = replaced && this.byDraft.get(replaced);
    if (replaced) this.byDraft.delete(replaced);
    const own = this.byDraft.get(draft) ?? {
      seq: this.lastSeqOf(this.actorId),
      untilMs: this.monotonicMs() + LONGEST_MS,
    };
    this.byDraft.set(draft, {
      seq: Math.min(own.seq, inherited?.seq ?? Infinity),
      untilMs: Math.min(own.untilMs, inherited?.untilMs ?? Infinity),
    });
  }

  /** The change that is being written names a version of the draft. */
  came(draft: Draft): void {
    this.byDraft.delete(draft);
  }

  /** Gives up what has taken too long, or will not come. @returns whether there was any */
  giveUp(isComing: (draft: Draft) => boolean): boolean {
    const before = this.byDraft.size;
    for (const [draft, { untilMs }] of this.byDraft)
      if (this.monotonicMs() >= untilMs || !isComing(draft)) this.byDraft.delete(draft);
    return this.byDraft.size < before;
  }

  get isEmpty(): boolean {
    return this.byDraft.size === 0;
  }

  /** Of the changes that are here, those that other sites may have. */
  lower(held: VersionVector): VersionVector {
    const seq = Math.min(...[...this.byDraft.values()].map((awaited) => awaited.seq));
    if (seq >= (held.get(this.actorId) ?? 0)) return held;
    const lowered = new Map(held);
    if (seq > 0) lowered.set(this.actorId, seq);
    else lowered.delete(this.actorId);
    return lowered;
  }
}
