// inode.ts — one inode's registers, and what the projection derived from them.
// Invariant: each register's entries are sorted winner first (stamp, then actor id, then counter, all descending); more than
// one entry means that they are concurrent. Only Replica mutates registers and nlink; atime and ctime are local to the site.

import type { Ino } from './ids.js';
import type { Value } from './change.js';
import { LINK_PREFIX } from './fields.js';

/** One value of a register, and the operation that wrote it. */
export interface Entry {
  readonly counter: number;
  /** Index in the local ActorTable. */
  readonly actor: number;
  /** Stamp of the change that carried it, microseconds. */
  readonly stamp: number;
  readonly value: Value;
}

/** A point in time: seconds since 1970 (may be negative) and nanoseconds 0 … 999,999,999. */
export interface Timestamp {
  readonly s: number;
  readonly ns: number;
}

/** Of an inode with many names, whose links are kept apart from the rest (journal/inode-rows.ts): one write need not look at all. */
export class LinksApart {
  /** The fields that are no links. */
  readonly others: Set<string>;
  /** Links that were written since they were last kept. */
  unkept: Set<string>;

  constructor(others: Set<string>, unkept: Set<string>) {
    this.others = others;
    this.unkept = unkept;
  }
}

export class Inode {
  readonly ino: Ino;
  /** field → entries. Fields: born, link:<id>, mode, uid, gid, target, head, times, into, x:<name>; see fields.ts. */
  readonly registers: ReadonlyMap<string, readonly Entry[]>;
  /** Visible links; 2 + visible subdirectories for a directory that is shown; 0 for what is not in the tree. Derived. */
  nlink: number;
  atime: Timestamp;
  ctime: Timestamp;
  /** Memo of inode-attributes.ts:attributesOf; Replica clears it when a register changes. */
  memo: unknown = undefined;
  /** Undefined while its links are kept with the rest: of nearly every inode. */
  linksApart: LinksApart | undefined = undefined;
  readonly #registers: Map<string, readonly Entry[]>;

  constructor(ino: Ino, registers: Map<string, readonly Entry[]>, nlink: number, atime: Timestamp, ctime: Timestamp) {
    this.ino = ino;
    this.registers = registers;
    this.#registers = registers;
    this.nlink = nlink;
    this.atime = atime;
    this.ctime = ctime;
  }

  /** Replaces the entries of a register. What was read of it before, see `memo`, is the caller's to forget. */
  write(field: string, entries: readonly Entry[]): void {
    this.#registers.set(field, entries);
    if (this.linksApart === undefined) return;
    if (field.startsWith(LINK_PREFIX)) this.linksApart.unkept.add(field);
    else this.linksApart.others.add(field);
  }

  /** The fields of all registers but the links. */
  *otherFields(): Iterable<string> {
    if (this.linksApart) yield* this.linksApart.others;
    else for (const field of this.registers.keys()) if (!field.startsWith(LINK_PREFIX)) yield field;
  }
}
