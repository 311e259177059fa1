// settling-calls.ts — a person at one simulated site who settles conflicts (`weft resolve`), and takes that back.
// Who settles does away with bytes of the two sides, and of nothing else; who takes it back, with nothing. What is refused changes nothing.

import { type Conflict, listConflicts } from '../crdt/conflicts.js';
import type { Ino } from '../crdt/ids.js';
import { conflictId } from '../volume/conflict-id.js';
import type { UndoStep } from '../volume/reversible-changes.js';
import { choicesOf } from '../volume/settlement.js';
import { marksIn } from './contents.js';
import { FileCalls } from './file-calls.js';

/** What the person sees of a file; null: its bytes are not here. */
type Side = readonly [ino: Ino, content: Buffer | null];

export class SettlingCalls extends FileCalls {
  /** What takes back what was settled here, the latest last. */
  private readonly settled: (readonly UndoStep[])[] = [];

  /**
   * Settles one of the conflicts that are there, if any are.
   * @param which among these, and `choice` among what can be kept: any numbers
   * @returns what was done, or why it cannot be
   */
  settle(which: number, choice: number): string {
    const { store, actors } = this.volume.journal;
    const conflicts = listConflicts(store, actors);
    const conflict = conflicts[which % Math.max(conflicts.length, 1)];
    if (!conflict) return 'no conflict';
    const choices = choicesOf(conflict).filter((keep) => keep !== 'merge');
    const keep = choices[choice % choices.length]!;
    const decision = { id: conflictId(conflict), directory: conflict.at.parent, keep, merged: null };
    const sides = this.sidesOf(conflict);
    const { totals } = this.site.around;
    return this.unlessRefused(() => {
      const { done, undo } = this.volume.settlement.resolve(decision);
      this.settledSides(sides);
      if (undo.length > 0) this.settled.push(undo);
      totals.add(`settled: ${conflict.kind}`);
      return done;
    });
  }

  /** Takes back what was settled here last. */
  undo(): string {
    const steps = this.settled.pop();
    if (!steps) return 'nothing was settled';
    return this.unlessRefused(() => {
      this.volume.reversible.undo(steps);
      this.account.acknowledged();
      this.site.around.totals.add('settled: undone');
      return 'undone';
    });
  }

  private unlessRefused(act: () => string): string {
    const before = this.shown();
    try {
      return act();
    } catch (error) {
      // A refusal is an Error of no further kind, with words for people.
      if ((error as object).constructor !== Error) throw error;
      const after = this.shown();
      if (after !== before) throw new Error(`refused, and yet ${before} became ${after}`, { cause: error });
      this.site.around.totals.add('settled: refused');
      return (error as Error).message;
    }
  }

  private shown(): string {
    return JSON.stringify(this.paths());
  }

  /** The files that a conflict is between, and those that are shown as one with them. */
  private sidesOf({ ino, at, other }: Conflict): Side[] {
    const { store } = this.volume.journal;
    const inos = new Set<Ino>([ino]);
    const source = store.copy(ino)?.source;
    if (source !== undefined) inos.add(source);
    for (const { parent, name } of other ? [at, other] : [at]) {
      const found = store.lookup(parent, name);
      if (found) inos.add(found.ino);
      for (const claim of store.claims(parent, name)) inos.add(claim.ino);
    }
    return [...inos].filter((each) => this.isFile(each)).map((each) => [each, this.seen(each)]);
  }

  private settledSides(sides: readonly Side[]): void {
    const left = new Set(this.contents().flatMap((content) => [...marksIn(content)]));
    for (const [ino, content] of sides) {
      const gone = content && [...marksIn(content)].filter((mark) => this.site.image !== null || !left.has(mark));
      if (gone === null || gone.length > 0) this.account.discards(ino, gone && Buffer.from(gone.join('')));
      this.account.removed(ino);
    }
    this.account.acknowledged();
  }
}
