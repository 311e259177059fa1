// settlement.ts — `weft resolve`: settles one conflict as a person decided.
// Invariant: nothing but ordinary operations, so that every site follows; whatever takes something away says how it comes back
// (reversible-changes.ts). A conflict is looked up anew when it is settled: what somebody settled meanwhile is not settled again.

import { posixError } from '../errno.js';
import { settingsOf } from '../crdt/attribute-conflicts.js';
import { type Conflict, conflictsIn } from '../crdt/conflicts.js';
import { DirectoryTree } from '../crdt/directory-tree.js';
import { parseLink, type Place, xattrField } from '../crdt/fields.js';
import { attributesOf } from '../crdt/inode-attributes.js';
import { type Ino, type Name, type ObjectId, ROOT_INO } from '../crdt/ids.js';
import { sameOp } from '../crdt/register.js';
import { placeAsShown } from '../crdt/settle-writes.js';
import type { Step } from './commits.js';
import { conflictId } from './conflict-id.js';
import type { Core } from './core.js';
import type { InodeChanges } from './inode-changes.js';
import type { Namespace } from './namespace.js';
import type { Numeric, ReversibleChanges, UndoStep } from './reversible-changes.js';

/** A content that takes the place of both versions; its objects are held here. */
export interface MergedContent {
  readonly manifest: ObjectId;
  readonly size: number;
  /** st_blocks, if it has holes. */
  readonly blocks?: number | undefined;
}

/** What a person decided. */
export interface Decision {
  /** See conflict-id.ts. */
  readonly id: string;
  /** The directory whose entry is in conflict. */
  readonly directory: Ino;
  /** See {@link choicesOf}. */
  readonly keep: string;
  /** What `merge` puts in the place of both. */
  readonly merged: MergedContent | null;
}

export interface Settled {
  /** What was done, for people; names are latin1 strings of their bytes. */
  readonly done: string;
  /** What takes it back, in the order in which it is to be carried out; empty when nothing was taken away. */
  readonly undo: readonly UndoStep[];
}

/** What can be kept: one side by its site (or as `shown`, `hidden`), both as they are, or a content that replaces both. */
type Choice = 'shown' | 'hidden' | 'both' | 'merge';

const FIELDS = { mode: 'mode', owner: 'uid', group: 'gid' } as const;

/** What `weft resolve --keep` takes for a conflict. */
export function choicesOf({ kind, winner, loser }: Conflict): string[] {
  const sides = winner.site === loser.site ? ['shown', 'hidden'] : [winner.site, loser.site];
  if (kind === 'copy') return [...sides, 'both', 'merge'];
  if (kind === 'name') return [...sides, 'both', ...(winner.type === 'f' && loser.type === 'f' ? ['merge'] : [])];
  return kind === 'mode' ? [...sides, 'both'] : sides;
}

function choiceOf(conflict: Conflict, keep: string): Choice {
  const choices = choicesOf(conflict);
  const { winner, loser } = conflict;
  if (keep === 'shown' || keep === 'hidden') return keep;
  if ((keep === 'both' || keep === 'merge') && choices.includes(keep)) return keep;
  if (winner.site !== loser.site && keep === winner.site) return 'shown';
  if (winner.site !== loser.site && keep === loser.site) return 'hidden';
  throw new Error(`this conflict cannot be settled by --keep ${keep}: choose one of ${choices.join(', ')}`);
}

export class Settlement {
  constructor(
    private readonly core: Core,
    private readonly names: Namespace,
    private readonly changes: InodeChanges,
    private readonly reversible: ReversibleChanges,
  ) {}

  /** @throws Error that says why it cannot be done, with nothing changed */
  resolve({ id, directory, keep, merged }: Decision): Settled {
    const { store, actors } = this.core;
    const conflict = conflictsIn(store, actors, directory).find((one) => conflictId(one) === id);
    if (!conflict) throw new Error(`conflict ${id} is settled already, or is another now: weft conflicts lists them`);
    const choice = choiceOf(conflict, keep);
    if ((choice === 'merge') !== (merged !== null)) {
      throw new Error(
        '--keep merge needs --from FILE, the content that takes the place of both, and nothing else does',
      );
    }
    try {
      const { result: done, undo } = this.reversible.whole(() => this.settle(conflict, choice, merged, keep));
      return { done, undo };
    } catch (error) {
      throw explained(error, conflict.path);
    }
  }

  /** @returns what was done, in words */
  private settle(conflict: Conflict, choice: Choice, merged: MergedContent | null, keep: string): string {
    const path = pathText(conflict.winner.path ?? conflict.path);
    switch (conflict.kind) {
      case 'copy':
        return this.settleCopy(conflict, choice, merged);
      case 'name':
        return this.settleName(conflict, choice, merged);
      case 'revived':
      case 'removed-elsewhere':
        if (choice === 'shown') return this.keepShown(conflict, `${path}: kept`);
        this.reversible.remove(conflict.at);
        return `${path}: removed`;
      case 'moved-elsewhere':
        if (choice === 'shown') return this.keepShown(conflict, `${path}: stays`);
        return this.move(conflict);
      case 'move-deferred':
        if (choice === 'shown') return this.keepShown(conflict, `${path}: stays, and the other move is given up`);
        return this.moveDeferred(conflict);
      case 'mode':
      case 'owner':
      case 'group':
      case 'attribute':
        return this.settleAttribute(conflict, choice, keep);
    }
  }

  // ── what lies beside each other ─────────────────────────────────────────────────────────────────────────────────────────────

  private settleCopy(conflict: Conflict, choice: Choice, merged: MergedContent | null): string {
    const { ino, at, winner, loser } = conflict;
    const copy = this.core.store.copy(ino)!;
    const source = this.core.inode(copy.source);
    const version = attributesOf(source).heads.find((head) => sameOp(head, copy))!;
    const path = pathText(winner.path!);
    if (choice === 'both') {
      this.changes.settle(ino);
      return `${path}: kept, and ${pathText(loser.path!)} is a file of its own`;
    }
    this.reversible.noteCopy(at, copy.source, version);
    if (choice === 'shown') {
      this.names.unlink(at.parent, at.name);
      return `${path}: kept as written at ${winner.site}`;
    }
    // The file itself takes the other content: its other names, its owner and its inode number stay what they are.
    const content = choice === 'hidden' ? version : { ...merged!, mtime: this.core.clock.now() };
    this.reversible.replaceContent(copy.source, content, [version]);
    return choice === 'hidden' ? `${path}: is as written at ${loser.site}` : `${path}: has the merged content`;
  }

  private settleName(conflict: Conflict, choice: Choice, merged: MergedContent | null): string {
    const { ino, at, other, winner, loser } = conflict;
    const path = pathText(winner.path!);
    if (choice === 'both') return this.keepShown(conflict, `${path}: kept, and ${pathText(loser.path!)} too`);
    if (choice === 'shown') {
      this.reversible.remove(at);
      return `${path}: kept as made at ${winner.site}`;
    }
    if (choice === 'merge') {
      const content = { ...merged!, mtime: this.core.clock.now() };
      this.reversible.replaceContent(this.core.entry(other!.parent, other!.name).ino, content, []);
      this.reversible.remove(at);
      return `${path}: has the merged content`;
    }
    this.reversible.remove(other!);
    this.reversible.rename(ino, at, other!);
    return `${path}: is what was made at ${loser.site}`;
  }

  /** Makes what is shown the only thing that the registers say. */
  private keepShown({ ino, link }: Conflict, done: string): string {
    const step: Step = () => placeAsShown(this.core.tree, this.core.inode(ino), link);
    this.core.perform([step], this.core.clock.now(), [], [ino], { entries: [], inodes: [] });
    return done;
  }

  // ── moves ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private move({ ino, at, other, winner, loser }: Conflict): string {
    this.checkVacant(other!, loser.path!);
    this.reversible.rename(ino, at, other!);
    return `${pathText(winner.path!)}: moved to ${pathText(loser.path!)}`;
  }

  private checkVacant({ parent, name }: Place, path: readonly Name[]): void {
    if (!this.reversible.isLive(parent)) throw new Error(`the directory of ${pathText(path)} is gone: move it by hand`);
    if (!this.core.store.lookup(parent, name)) return;
    throw new Error(`there is another ${pathText(path)} already: rename it, then resolve again`);
  }

  /** A move that would lead into itself becomes possible once a directory on the way goes back to where it was. */
  private moveDeferred({ ino, at, other, path, loser }: Conflict): string {
    if (other!.name === '')
      throw new Error(`${pathText(path)} was merged elsewhere into a directory below it: move it by hand`);
    this.checkVacant(other!, loser.path!);
    const blocker = this.blockerOf(ino, other!.parent);
    if (blocker) {
      this.checkVacant(blocker.to, [blocker.to.name]);
      this.reversible.rename(blocker.ino, blocker.from, blocker.to);
    }
    const now = this.placeOf(ino);
    // With nothing in its way the move may have taken effect by itself.
    const isThere = now.parent === other!.parent && now.name === other!.name;
    if (isThere) this.reversible.note({ undo: 'rename', ino, from: now, to: at });
    else this.reversible.rename(ino, now, other!);
    return `${pathText(path)}: moved to ${pathText(loser.path!)}`;
  }

  /** The nearest directory from `within` up to `top` that was moved there from a place outside `top`, and that place. */
  private blockerOf(top: Ino, within: Ino): { ino: Ino; from: Place; to: Place } | undefined {
    if (!this.isBelow(within, top)) return undefined;
    const tree = new DirectoryTree(this.core.store, this.core.actors);
    for (let at = within; at !== top; at = this.names.parentOf(at)) {
      const edge = tree.edge(at)!;
      const value = edge.into || edge.lowest ? undefined : parseLink(edge.entry.value);
      if (value?.kind !== 'place' || !value.prev) continue;
      const to = { parent: this.core.directory(value.prev.parent), name: value.prev.name };
      const isOutside = this.reversible.isLive(to.parent) && !this.isBelow(to.parent, top);
      if (isOutside) return { ino: at, from: this.placeOf(at), to };
    }
    throw new Error('what is in the way of this move was not moved there: move it away by hand, then resolve');
  }

  private isBelow(directory: Ino, top: Ino): boolean {
    for (let at = directory; ; at = this.names.parentOf(at)) {
      if (at === top) return true;
      if (at === ROOT_INO) return false;
    }
  }

  /** Where a directory is shown. */
  private placeOf(ino: Ino): Place {
    const { store } = this.core;
    const parent = this.names.parentOf(ino);
    const tree = new DirectoryTree(store, this.core.actors);
    const { name } = tree.edge(ino)!;
    const shown = store.claims(parent, name).find((claim) => claim.ino === ino)?.shown;
    return { parent, name: shown ?? name };
  }

  // ── attributes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private settleAttribute(conflict: Conflict, choice: Choice, keep: string): string {
    const { kind, ino, attribute, path, winner, loser } = conflict;
    const field = attribute === undefined ? FIELDS[kind as Numeric] : xattrField(attribute);
    // Of permissions the shown ones may be nobody's: who says a site's name means what that site set.
    const own = settingsOf(this.core.inode(ino), field).settings[0]!.value;
    const value = choice === 'hidden' ? loser.value : keep === winner.site ? own : winner.value;
    if (attribute !== undefined) this.reversible.setAttribute(ino, attribute, value ?? null);
    else {
      const number = kind === 'mode' ? Number.parseInt(value!, 8) : Number(value);
      this.reversible.setNumber(kind as Numeric, ino, number);
    }
    return `${pathText(path)}: ${attribute ?? kind} is ${value ?? 'not set'}`;
  }
}

function pathText(path: readonly Name[]): string {
  return `/${path.join('/')}`;
}

/** A refusal of the filesystem, in words that say what to do. */
function explained(error: unknown, path: readonly Name[]): unknown {
  const { code } = error as { code?: unknown };
  if (code === posixError('ENOTEMPTY').code) {
    return new Error(
      `a directory that would go is not empty: move out of it what you need and empty it (${pathText(path)})`,
    );
  }
  if (code === posixError('ENOENT').code) {
    return new Error(
      `what is in conflict was moved or removed just now: weft conflicts lists what is left (${pathText(path)})`,
    );
  }
  return error;
}
