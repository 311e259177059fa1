// settling-calls.ts — a person at one simulated site who settles conflicts (`weft resolve`), and takes that back.
// Who settles does away with bytes of the two sides, and of nothing else; who takes it back, with nothing. What is refused changes nothing.

import { type Conflict, listConflicts } from '../crdt/conflicts.js';
import type { Ino } from '../crdt/ids.js';
import { conflictId } from '../volume/conflict-id.js';
import type { UndoStep } from '../volume/reversible-changes.js';
import { choicesOf } from '../volume/settlement.js';
import { FileCalls } from './file-calls.js';

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
    const choices = choicesOf(conflict).filter((one) => one !== 'merge');
    const kept = choice % choices.length;
    const decision = { id: conflictId(conflict), directory: conflict.at.parent, keep: choices[kept]!, merged: null };
    return this.unlessRefused(() => {
      const given = this.givenUp(conflict, kept).filter((ino) => this.isFile(ino));
      for (const ino of given) this.account.discards(ino, this.seen(ino));
      const { done, undo } = this.volume.settlement.resolve(decision);
      for (const ino of given) this.account.removed(ino);
      this.account.acknowledged();
      if (undo.length > 0) this.settled.push(undo);
      this.site.around.totals.add(`settled: ${conflict.kind}`);
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

  /** What a person does away with who keeps the shown side (0), the other one (1), or both (2). */
  private givenUp({ kind, ino, other }: Conflict, kept: number): Ino[] {
    const { store } = this.volume.journal;
    switch (kind) {
      case 'copy':
        return kept === 0 ? [ino] : kept === 1 ? [store.copy(ino)!.source] : [];
      case 'name': {
        const winner = store.lookup(other!.parent, other!.name);
        return kept === 0 ? [ino] : kept === 1 && winner ? [winner.ino] : [];
      }
      case 'revived':
      case 'removed-elsewhere':
        return kept === 1 ? [ino, ...store.copiesOf(ino)] : [];
      default:
        return [];
    }
  }
}
