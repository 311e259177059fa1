// path-history.ts — what happened to a path: every version of its file with who, where and when, its names, its removal.
// Invariant: everything comes from the journal, or from its base, at the cost of what happened to the inodes that the path leads to now or led to before,
// however large the volume is. A file is followed through its renames; earlier files of its name are part of the path's history.

import { isTombstone, LINK_PREFIX, parseBorn, parseHead, parseLink } from '../crdt/fields.js';
import { attributesOf, isDirectory } from '../crdt/inode-attributes.js';
import type { Head, Place } from '../crdt/fields.js';
import type { ActorTable, Ino, Name, OpId } from '../crdt/ids.js';
import { ROOT_INO, VOLUME_INO } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { parseKey } from '../crdt/register-schema.js';
import { siteOfActor } from '../crdt/snapshots.js';
import type { TreeStore } from '../crdt/tree-store.js';
import type { HistoryIndex, IndexedChange } from './history-index.js';

const ACTOR_DIGITS = 6;
const VERSION = /^([1-9]\d{0,15})-([0-9a-f]{1,32})$/;
/** No path is deeper; names of removed directories might lead in a circle. */
const MAX_DEPTH = 4096;

export type HistoryEvent = 'created' | 'written' | 'merged' | 'renamed' | 'linked' | 'returned' | 'removed' | 'changed';

export interface HistoryRow {
  readonly event: HistoryEvent;
  /** Of a version of content: its id, for `weft restore PATH@VERSION`. */
  readonly version: string | null;
  /** Whether the path shows this version now. */
  readonly current: boolean;
  /** Microseconds since 1970. */
  readonly stamp: number;
  /** The name of the site where it was done. */
  readonly site: string;
  /** The file's owner then. */
  readonly uid: number;
  /** Bytes; of a version. */
  readonly size: number | null;
  /** Where it was then, by the names that directories have now: from the root of the volume, latin1 characters for bytes. */
  readonly path: string;
  /** Of a rename: where it was before; of a change: what was changed. */
  readonly detail: string;
  readonly ino: Ino;
}

/** A version of a file's content. */
export interface FoundVersion extends Head {
  readonly ino: Ino;
  readonly id: string;
  readonly op: OpId;
}

/** What a path leads to. */
export interface PathInodes {
  /** Now. Of a conflict copy the file that it is a version of. */
  readonly present: Ino | undefined;
  /** Now or at some time. */
  readonly all: readonly Ino[];
}

/** What an inode was after a change. */
interface Facts {
  readonly uid: number;
  readonly place: Place | undefined;
}

export function versionId({ counter, actor }: OpId, actors: ActorTable): string {
  return `${counter}-${actors.id(actor).slice(0, ACTOR_DIGITS)}`;
}

/** The names of a path from the root of the volume. */
export function namesIn(path: string): Name[] {
  return path.split('/').filter((name) => name !== '');
}

export class PathHistory {
  private readonly timelines = new Map<Ino, ReadonlyMap<number, Facts>>();

  /** @param present the tree as it is now; the index is caught up with it */
  constructor(
    private readonly index: HistoryIndex,
    private readonly present: TreeStore,
  ) {}

  /** The inodes that a path leads to, now or at some time. */
  resolve(names: readonly Name[]): PathInodes {
    if (names.length === 0) return { present: ROOT_INO, all: [ROOT_INO] };
    const last = names.at(-1)!;
    const all = new Set<Ino>();
    let present: Ino | undefined;
    const parents = this.directories(names.slice(0, -1));
    const [shown] = parents;
    if (shown !== undefined && this.isShown(names.slice(0, -1), shown)) {
      const ino = this.present.lookup(shown, last)?.ino;
      present = ino === undefined ? undefined : (this.present.copy(ino)?.source ?? ino);
      if (present !== undefined) all.add(present);
    }
    for (const parent of parents) for (const ino of this.index.placedIn(parent, last)) all.add(ino);
    return { present, all: [...all] };
  }

  /** The directories that a path led to at some time, with those merged into them; the one that it leads to now first. */
  directories(names: readonly Name[]): Ino[] {
    let found: Ino[] = [ROOT_INO, ...this.present.aliasesOf(ROOT_INO)];
    for (const name of names) {
      const next = new Set<Ino>();
      for (const directory of found) {
        const shown = this.present.lookup(this.present.alias(directory) ?? directory, name)?.ino;
        if (shown !== undefined && this.isDirectory(shown)) next.add(shown);
      }
      for (const directory of found) {
        for (const ino of this.index.placedIn(directory, name)) if (this.isDirectory(ino)) next.add(ino);
      }
      found = [...next].flatMap((ino) => [ino, ...this.present.aliasesOf(ino)]);
    }
    return found;
  }

  private isShown(names: readonly Name[], directory: Ino): boolean {
    let at: Ino = ROOT_INO;
    for (const name of names) {
      const next = this.present.lookup(at, name)?.ino;
      if (next === undefined) return false;
      at = next;
    }
    return at === directory;
  }

  private isDirectory(ino: Ino): boolean {
    const inode = this.present.inode(ino);
    return inode !== undefined && isDirectory(inode);
  }

  /**
   * What happened, the latest first: to a file and earlier ones of its name; to a directory, and in it.
   * @param limit so many rows at most
   */
  rows({ all, present }: PathInodes, limit: number): HistoryRow[] {
    const inos = new Set(all);
    for (const ino of all) {
      if (!this.isDirectory(ino)) continue;
      for (const member of [ino, ...this.present.aliasesOf(ino)]) {
        for (const child of this.index.placedIn(member)) inos.add(child);
      }
    }
    const byChange = new Map<number, Ino[]>();
    for (const ino of inos) {
      for (const lsn of this.index.told(ino)) {
        const others = byChange.get(lsn);
        if (others) others.push(ino);
        else byChange.set(lsn, [ino]);
      }
    }
    const rows: HistoryRow[] = [];
    // What is before the journal stands in no order of places.
    const later = (a: number, b: number): number =>
      a < 0 && b < 0 ? this.index.change(b).stamp - this.index.change(a).stamp : b - a;
    for (const lsn of [...byChange.keys()].toSorted(later)) {
      if (rows.length >= limit) break;
      const change = this.index.change(lsn);
      const described = byChange.get(lsn)!.flatMap((ino) => this.describe(change, ino, present));
      for (const { row } of described.toSorted((a, b) => b.position - a.position)) rows.push(row);
    }
    return rows.toSorted((a, b) => b.stamp - a.stamp).slice(0, limit);
  }

  /** The versions of a path's file, and of earlier ones of its name, the latest first. */
  versions({ all }: PathInodes): FoundVersion[] {
    const found: (FoundVersion & { stamp: number })[] = [];
    for (const ino of all) {
      for (const lsn of this.index.told(ino)) {
        const change = this.index.change(lsn);
        for (const position of change.byInode.get(ino) ?? []) {
          const { key, value } = change.ops[position]!;
          if (!key.endsWith('.head')) continue;
          const op = { counter: change.startOp + position, actor: change.actor };
          found.push({ ...parseHead(value), ino, op, id: versionId(op, this.index.actors), stamp: change.stamp });
        }
      }
    }
    return found.toSorted((a, b) => b.stamp - a.stamp);
  }

  /** Those of the versions that an id means: several when it is too short. */
  static matching(versions: readonly FoundVersion[], id: string, actors: ActorTable): FoundVersion[] {
    const [, counter, digits] = VERSION.exec(id) ?? [];
    if (counter === undefined) return [];
    return versions.filter(({ op }) => op.counter === Number(counter) && actors.id(op.actor).startsWith(digits!));
  }

  /** The rows of a change that are about an inode, and which of its operations each comes from. */
  private describe(
    change: IndexedChange,
    ino: Ino,
    present: Ino | undefined,
  ): { readonly row: HistoryRow; readonly position: number }[] {
    const facts = this.timeline(ino).get(change.lsn);
    const place = facts?.place;
    const base = {
      stamp: change.stamp,
      site: siteOfActor(this.present.inode(VOLUME_INO), this.index.actors.id(change.actor)),
      uid: facts?.uid ?? 0,
      path: place ? this.pathOf(place) : '/',
      ino,
      version: null,
      current: false,
      size: null,
      detail: '',
    };
    const rows: { row: HistoryRow; position: number }[] = [];
    const changed: string[] = [];
    let lastChanged = 0;
    for (const position of change.byInode.get(ino) ?? []) {
      const add = (row: Partial<HistoryRow> & Pick<HistoryRow, 'event'>): void => {
        rows.push({ row: { ...base, ...row }, position });
      };
      const { key, value, pred } = change.ops[position]!;
      const { field } = parseKey(key);
      if (field === 'born') add({ event: 'created' });
      else if (field === 'head') {
        const op = { counter: change.startOp + position, actor: change.actor };
        const { size, merged } = parseHead(value);
        const version = versionId(op, this.index.actors);
        const current = ino === present && this.isHead(ino, op);
        add({ event: merged ? 'merged' : 'written', version, size, current });
      } else if (field.startsWith(LINK_PREFIX)) {
        const link = parseLink(value);
        const path = this.pathOf(link);
        if (link.kind === 'tombstone') add({ event: 'removed', path });
        else if (link.prev) add({ event: 'renamed', path, detail: `from ${this.pathOf(link.prev)}` });
        else if (link.moved) add({ event: pred.length > 0 ? 'returned' : 'linked', path });
      } else if (field !== 'times' && field !== 'target') {
        changed.push(nameOf(field, value));
        lastChanged = position;
      }
    }
    const isNew = rows.some(({ row }) => row.event === 'created');
    if (changed.length > 0 && !isNew) {
      rows.push({ row: { ...base, event: 'changed', detail: changed.join(', ') }, position: lastChanged });
    }
    return rows;
  }

  private isHead(ino: Ino, op: OpId): boolean {
    const inode = this.present.inode(ino);
    const head = inode && attributesOf(inode).head;
    return head !== undefined && head.counter === op.counter && head.actor === op.actor;
  }

  /** What an inode was after each change to it. */
  private timeline(ino: Ino): ReadonlyMap<number, Facts> {
    let timeline = this.timelines.get(ino) as Map<number, Facts> | undefined;
    if (timeline) return timeline;
    timeline = new Map();
    let facts: Facts = { uid: 0, place: undefined };
    for (const lsn of this.index.told(ino)) {
      const change = this.index.change(lsn);
      for (const position of change.byInode.get(ino) ?? []) {
        const { key, value } = change.ops[position]!;
        const { field } = parseKey(key);
        if (field === 'born') {
          const born = parseBorn(value);
          facts = { uid: born.uid, place: born.name === '' ? undefined : born };
        } else if (field === 'uid') facts = { ...facts, uid: Number(value) };
        else if (field.startsWith(LINK_PREFIX) && !isTombstone(value)) facts = { ...facts, place: parseLink(value) };
      }
      timeline.set(lsn, facts);
    }
    this.timelines.set(ino, timeline);
    return timeline;
  }

  /** A place by the names that its directories have, or had last. */
  pathOf({ parent, name }: Place): string {
    const names = [name];
    let at = parent;
    for (let depth = 0; at !== ROOT_INO && depth < MAX_DEPTH; depth++) {
      const place = placeOfDirectory(this.present.inode(this.present.alias(at) ?? at));
      if (!place) break;
      names.push(place.name);
      at = place.parent;
    }
    return `/${names.toReversed().join('/')}`;
  }
}

/** Where a directory is, or was last. */
function placeOfDirectory(inode: Inode | undefined): Place | undefined {
  const entries = inode?.registers.get('link:0') ?? [];
  const entry = entries.find(({ value }) => !isTombstone(value)) ?? entries[0];
  return entry && parseLink(entry.value);
}

/** What people call a register. */
function nameOf(field: string, value: string | number): string {
  if (field === 'mode') return `mode ${(Number(value) % 65536).toString(8).padStart(4, '0')}`;
  if (field === 'uid') return `owner ${value}`;
  if (field === 'gid') return `group ${value}`;
  return field.startsWith('x:') ? `attribute ${field.slice(2)}` : field;
}
