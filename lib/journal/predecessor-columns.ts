// predecessor-columns.ts — which operations each operation of a change overwrites, as the format's group of three columns.
// Invariant: an operation's predecessors ascend by counter, then actor id, however they came. Actors stand in a change by an index
// into its own table, which is known only when the change ends; until then they are indexes in order of appearance.
// Spec: https://automerge.org/automerge-binary-format-spec/ ("Change Chunks": "Other actors", "Predecessor group")

import { DeltaColumn, UintColumn } from '../codec/column-writer.js';
import type { ActorId } from '../crdt/ids.js';

export class PredecessorColumns {
  /** How many each operation has. */
  readonly group = new UintColumn();
  readonly actor = new UintColumn();
  readonly counter = new DeltaColumn();

  private readonly counters: number[] = [];
  /** Indexes into `ids`, one for each of `counters`. */
  private readonly actors: number[] = [];
  private readonly ids: ActorId[] = [];
  private readonly indexes = new Map<ActorId, number>();
  /** Where the last operation's begin; -1 before the first operation. */
  private opAt = -1;

  nextOp(): void {
    if (this.opAt >= 0) this.group.append(this.counters.length - this.opAt);
    this.opAt = this.counters.length;
  }

  /** Gives the last operation a predecessor. */
  add(counter: number, id: ActorId): void {
    const { counters, actors, ids } = this;
    const index = this.indexOf(id);
    let at = counters.length;
    for (; at > this.opAt; at--) {
      const other = counters[at - 1]!;
      if (other < counter || (other === counter && ids[actors[at - 1]!]! <= id)) break;
      counters[at] = other;
      actors[at] = actors[at - 1]!;
    }
    counters[at] = counter;
    actors[at] = index;
  }

  /**
   * Fills the columns.
   * @returns the change's other actors, ascending: the author has index 0, the first of these 1
   */
  finish(author: ActorId): readonly ActorId[] {
    if (this.opAt >= 0) this.nextOp();
    const others = this.ids.filter((id) => id !== author).toSorted();
    const places = new Map(others.map((id, i) => [id, i + 1]));
    const placeOf = this.ids.map((id) => places.get(id) ?? 0);
    for (const index of this.actors) this.actor.append(placeOf[index]!);
    for (const counter of this.counters) this.counter.append(counter);
    return others;
  }

  reset(): void {
    this.group.reset();
    this.actor.reset();
    this.counter.reset();
    this.counters.length = 0;
    this.actors.length = 0;
    this.ids.length = 0;
    this.indexes.clear();
    this.opAt = -1;
  }

  private indexOf(id: ActorId): number {
    if (id === this.ids.at(-1)) return this.ids.length - 1;
    let index = this.indexes.get(id);
    if (index === undefined) {
      index = this.ids.length;
      this.ids.push(id);
      this.indexes.set(id, index);
    }
    return index;
  }
}
