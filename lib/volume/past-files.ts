// past-files.ts — `.weft/snapshots` in the root of the mount: the tree as it was, read-only, by the name of a snapshot or by a moment.
// Invariant: nothing here is worked out on this thread. What is not remembered is asked for like bytes that are not held: the call
// throws AbsentObjects, another thread finds the answer (journal/past-views.ts), and the driver repeats the call. Inodes are
// numbered in slot 0, which no site has. `.weft` is in no listing of the root; an entry of that name that is in the tree goes before.

import { LRUCache } from 'lru-cache';
import { posixError } from '../errno.js';
import type { Ino, Name } from '../crdt/ids.js';
import { inoOf, ROOT_INO } from '../crdt/ids.js';
import { DIRECTORY_DIRENT_TYPE } from '../crdt/fields.js';
import { attributesOf } from '../crdt/inode-attributes.js';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { ObjectKind } from '../chunks/object-kind.js';
import type { PastInode, PastPage } from '../journal/past-views.js';
import type { Core } from './core.js';
import type { Attributes, DirectoryEntry, Opened } from './file-system.js';

/** In the root; entered, never listed. */
export const HIDDEN_NAME: Name = '.weft';
const SNAPSHOTS_NAME: Name = 'snapshots';
const HIDDEN_INO: Ino = 2;
export const SNAPSHOTS_INO: Ino = 3;
const FIRST_LIVE_INO = inoOf(1, 1);

const S_IFDIR = 0o040000;
const TYPE_SHIFT = 12;
const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
/** Inodes that answers hold, together. */
const INODES_REMEMBERED = 50_000;
/** A name below `snapshots` may mean something else after so long. */
const NAME_SECONDS = 1;
const ID_PREFIX = 'past:';

/** What another thread is asked about the past. */
export type PastQuestion =
  | { readonly kind: 'snapshots' }
  | { readonly kind: 'snapshot'; readonly name: Name }
  | { readonly kind: 'inode'; readonly number: number }
  | { readonly kind: 'entry'; readonly number: number; readonly name: Name }
  | { readonly kind: 'list'; readonly number: number; readonly after: number };

/** An inode, a page of a directory, the snapshots as a page; null: there is none. */
export type PastAnswer = PastInode | PastPage | null;

interface Remembered {
  readonly answer: PastAnswer;
  readonly untilMs: number;
}

/** The question that the id of something absent stands for; undefined for an object's. */
export function pastQuestion(id: string): PastQuestion | undefined {
  return id.startsWith(ID_PREFIX) ? (JSON.parse(id.slice(ID_PREFIX.length)) as PastQuestion) : undefined;
}

export class PastFiles {
  private readonly answers = new LRUCache<string, Remembered>({
    maxSize: INODES_REMEMBERED,
    sizeCalculation: ({ answer }) => (answer && 'entries' in answer ? answer.entries.length + 1 : 1),
  });
  private readonly asked = new Set<string>();
  private readonly handles = new Set<number>();

  constructor(private readonly core: Core) {}

  /** Whether an inode number is of the past. */
  owns(ino: Ino): boolean {
    return ino < FIRST_LIVE_INO && ino > ROOT_INO;
  }

  /** Whether a name in the live tree leads here. */
  isEntrance(parent: Ino, name: Name): boolean {
    return parent === ROOT_INO && name === HIDDEN_NAME && !this.core.store.lookup(parent, name);
  }

  /** @throws PosixError EROFS for what would change something here */
  checkWritable(parent: Ino, name?: Name): void {
    if (this.owns(parent) || (name !== undefined && this.isEntrance(parent, name))) throw posixError('EROFS');
  }

  // ── questions ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Those of absent objects that are questions nobody asked yet. */
  takeQuestions(ids: readonly string[]): string[] {
    const fresh = ids.filter((id) => pastQuestion(id) && !this.asked.has(id));
    for (const id of fresh) this.asked.add(id);
    return fresh;
  }

  /** @param answer undefined: it could not be found out, and may be asked again */
  answer(id: string, answer: PastAnswer | undefined): void {
    this.asked.delete(id);
    if (answer === undefined) return;
    const question = pastQuestion(id)!;
    const changes = question.kind === 'snapshots' || question.kind === 'snapshot';
    const untilMs = changes ? this.core.clock.monotonicMs() + NAME_SECONDS * 1000 : Infinity;
    this.answers.set(id, { answer, untilMs });
  }

  /** The snapshots that there are changed. */
  snapshotsChanged(name: Name): void {
    for (const id of this.answers.keys()) if (pastQuestion(id)!.kind.startsWith('snapshot')) this.answers.delete(id);
    // Whatever the name: this makes the kernel forget the listing.
    this.core.kernel.invalidateEntry(SNAPSHOTS_INO, name);
  }

  private ask(question: PastQuestion): PastAnswer {
    const id = ID_PREFIX + JSON.stringify(question);
    const known = this.answers.get(id);
    if (known && known.untilMs > this.core.clock.monotonicMs()) return known.answer;
    throw new AbsentObjects([id]);
  }

  private inode(number: number): PastInode {
    const inode = this.ask({ kind: 'inode', number }) as PastInode | null;
    if (!inode) throw posixError('ESTALE');
    return inode;
  }

  private page(number: number, after: number): PastPage {
    const question: PastQuestion = number === SNAPSHOTS_INO ? { kind: 'snapshots' } : { kind: 'list', number, after };
    const page = this.ask(question) as PastPage | null;
    if (!page) throw posixError('ESTALE');
    // What was listed is looked at next.
    for (const { inode } of page.entries) this.answer(inodeId(inode.number), inode);
    return page;
  }

  // ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws PosixError ENOENT: what is not there now may be a moment later, so the kernel is not to remember it */
  lookup(parent: Ino, name: Name): Attributes {
    this.core.checkName(name);
    if (parent === HIDDEN_INO) {
      if (name === SNAPSHOTS_NAME) return this.attributes(SNAPSHOTS_INO);
      throw posixError('ENOENT');
    }
    const question: PastQuestion =
      parent === SNAPSHOTS_INO ? { kind: 'snapshot', name } : { kind: 'entry', number: parent, name };
    const inode = this.ask(question) as PastInode | null;
    if (!inode) throw posixError('ENOENT');
    this.answer(inodeId(inode.number), inode);
    return this.attributesOf(inode);
  }

  /** Of the directory that the entrance leads to. */
  entrance(): Attributes {
    return this.attributes(HIDDEN_INO);
  }

  attributes(ino: Ino): Attributes {
    if (ino === HIDDEN_INO || ino === SNAPSHOTS_INO) return this.ownDirectory(ino);
    return this.attributesOf(this.inode(ino));
  }

  readlink(ino: Ino): string {
    const { target } = this.inode(ino);
    if (target === '') throw posixError('EINVAL');
    return target;
  }

  open(ino: Ino, flags: number): Opened {
    if ((flags & O_ACCMODE) !== 0 || flags & O_TRUNC) throw posixError('EROFS');
    const { manifest, size } = this.inode(ino);
    if (manifest !== '' && !this.core.objects.has(manifest))
      this.core.objects.name(manifest, ObjectKind.manifest, size);
    const { handle } = this.core.openFiles.open(ino, flags, { manifestId: manifest, size, bases: [] }, false);
    this.handles.add(handle);
    return { handle, keepCache: true, directIo: false };
  }

  /** @returns false for a handle of the live tree */
  release(handle: number): boolean {
    if (!this.handles.delete(handle)) return false;
    this.core.openFiles.close(this.core.openFiles.get(handle));
    return true;
  }

  readdir(ino: Ino, cookie: number, emit: (entry: DirectoryEntry) => boolean): void {
    const dot = (name: Name, at: Ino, position: number): boolean =>
      cookie >= position || emit({ name, ino: at, type: DIRECTORY_DIRENT_TYPE, cookie: position });
    if (!dot('.', ino, 1) || !dot('..', this.parentOf(ino), 2)) return;
    if (ino === HIDDEN_INO) {
      dot(SNAPSHOTS_NAME, SNAPSHOTS_INO, 3);
      return;
    }
    let after = Math.max(0, cookie - 2);
    for (let more = true; more;) {
      const page = this.page(ino, after);
      for (const { name, position, inode } of page.entries) {
        if (position <= after) continue;
        const type = inode.mode >> TYPE_SHIFT;
        if (!emit({ name, ino: inode.number, type, cookie: position + 2 })) return;
        after = position;
      }
      more = page.more;
    }
  }

  getxattr(ino: Ino, name: string): Buffer {
    const value = this.xattrs(ino).find(([key]) => key === name)?.[1];
    if (value === undefined) throw posixError('ENODATA');
    return Buffer.from(value, 'latin1');
  }

  listxattr(ino: Ino): string[] {
    return this.xattrs(ino).map(([name]) => name);
  }

  private xattrs(ino: Ino): PastInode['xattrs'] {
    return ino === HIDDEN_INO || ino === SNAPSHOTS_INO ? [] : this.inode(ino).xattrs;
  }

  private parentOf(ino: Ino): Ino {
    if (ino === HIDDEN_INO) return ROOT_INO;
    return ino === SNAPSHOTS_INO ? HIDDEN_INO : this.inode(ino).parent || SNAPSHOTS_INO;
  }

  /** The two directories that are no part of any tree: the root's owner, and nobody may write. */
  private ownDirectory(ino: Ino): Attributes {
    const root = this.core.inode(ROOT_INO);
    const { uid, gid, btime } = attributesOf(root);
    const times = { atime: btime, mtime: btime, ctime: btime, btime };
    return { ino, mode: S_IFDIR | 0o555, nlink: 1, uid, gid, rdev: 0, size: 0, blocks: 0, ...times };
  }

  private attributesOf(inode: PastInode): Attributes {
    const { number, mode, nlink, uid, gid, rdev, size, mtime, ctime, btime, blocks } = inode;
    const attributes = { ino: number, mode, nlink, uid, gid, rdev, size, blocks, atime: mtime, mtime, ctime, btime };
    return inode.parent === 0 ? { ...attributes, nameSeconds: NAME_SECONDS } : attributes;
  }
}

function inodeId(number: number): string {
  return ID_PREFIX + JSON.stringify({ kind: 'inode', number } satisfies PastQuestion);
}
