// reversible-changes.ts — operations that note what takes them back, and the taking back.
// Invariant: several that belong together are carried out whole or not at all. An undo step needs nothing but what the site keeps:
// removed inodes keep their registers, replaced versions their objects. It is checked against the tree as it has become: what
// somebody did since is never undone with it.

import {
  DIRECTORY_DIRENT_TYPE,
  formatTimestamp,
  formatXattr,
  isTombstone,
  linkField,
  parseTimestamp,
  type Place,
  xattrField,
} from '../crdt/fields.js';
import { attributesOf, type HeadVersion, xattrNames, xattrOf } from '../crdt/inode-attributes.js';
import type { Ino, LinkId, ObjectId } from '../crdt/ids.js';
import { settleBeforeWrite, settleRevived } from '../crdt/local-writes.js';
import { createWithContent, replaceVersions, restoreLink } from '../crdt/settle-writes.js';
import { chunksOf, decodeManifest } from '../chunks/manifest.js';
import { ObjectKind } from '../chunks/object-kind.js';
import type { Step } from './commits.js';
import type { Core } from './core.js';
import type { Caller, FileSystem } from './file-system.js';
import type { InodeChanges } from './inode-changes.js';
import type { Namespace } from './namespace.js';

/** Attributes that are one number. */
export type Numeric = 'mode' | 'owner' | 'group';

/** What takes back one operation. Plain data: it is kept until somebody asks for it. */
export type UndoStep =
  | { readonly undo: 'rename'; readonly ino: Ino; readonly from: Place; readonly to: Place }
  /** A link that was removed, back at its place. */
  | { readonly undo: 'link'; readonly ino: Ino; readonly link: LinkId; readonly to: Place }
  /** Content that was replaced by `settled`. */
  | {
      readonly undo: 'content';
      readonly ino: Ino;
      readonly settled: ObjectId;
      readonly manifest: ObjectId;
      readonly size: number;
      readonly blocks?: number | undefined;
      readonly mtime: string;
    }
  /** A conflict copy that was dropped, back as a file of its own. */
  | {
      readonly undo: 'file';
      readonly to: Place;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly xattrs: readonly (readonly [string, string])[];
      readonly manifest: ObjectId;
      readonly size: number;
      readonly blocks?: number | undefined;
      readonly mtime: string;
    }
  /** An attribute that was set to `settled`; null: removed. */
  | { readonly undo: Numeric; readonly ino: Ino; readonly settled: number; readonly value: number }
  | {
      readonly undo: 'attribute';
      readonly ino: Ino;
      readonly name: string;
      readonly settled: string | null;
      readonly value: string | null;
    };

const DAEMON: Caller = { uid: 0, gid: 0, pid: 0 };
const FIELDS = { mode: 'mode', owner: 'uid', group: 'gid' } as const;
const NOBODY_ASKED = { entries: [], inodes: [] };

export class ReversibleChanges {
  /** What takes back the operations of the {@link whole} that is being carried out, in their order. */
  private done: UndoStep[] = [];

  constructor(
    private readonly core: Core,
    private readonly names: Namespace,
    private readonly changes: InodeChanges,
    private readonly fileSystem: Pick<FileSystem, 'setattr' | 'setxattr' | 'removexattr'>,
  ) {}

  /**
   * Carries out operations that belong together. When one throws, those before it are taken back.
   * @returns what `call` does, and what takes all of it back, in the order in which that is to be carried out
   */
  whole<T>(call: () => T): { result: T; undo: readonly UndoStep[] } {
    return this.core.unasked(() => {
      this.done = [];
      try {
        const result = call();
        return { result, undo: this.done.toReversed() };
      } catch (error) {
        for (const step of this.done.toReversed()) this.carryOut(step);
        throw error;
      }
    });
  }

  /** Notes what takes back something that happened by itself, or is about to. */
  note(step: UndoStep): void {
    this.done.push(step);
  }

  /** rename(2) to a place where nothing is. */
  rename(ino: Ino, from: Place, to: Place): void {
    this.names.rename(from.parent, from.name, to.parent, to.name, 0, DAEMON);
    this.core.settle();
    this.note({ undo: 'rename', ino, from: to, to: from });
  }

  /** unlink(2) or rmdir(2). */
  remove({ parent, name }: Place): void {
    const { ino, link, type } = this.core.entry(parent, name);
    if (type === DIRECTORY_DIRENT_TYPE) this.names.rmdir(parent, name);
    else this.names.unlink(parent, name);
    this.core.settle();
    this.note({ undo: 'link', ino, link, to: { parent, name } });
  }

  /** Notes what brings back a version that is shown as a copy at `to` and is about to go. */
  noteCopy(to: Place, source: Ino, { manifest, size, blocks, mtime }: HeadVersion): void {
    const inode = this.core.inode(source);
    const { mode, uid, gid } = attributesOf(inode);
    const xattrs = xattrNames(inode).map((name) => [name, xattrOf(inode, name)!] as const);
    this.note({ undo: 'file', to, mode, uid, gid, xattrs, manifest, size, blocks, mtime: formatTimestamp(mtime) });
  }

  /** Gives a file a content in place of the one that it shows, and of `others` of its versions. */
  replaceContent(
    ino: Ino,
    { manifest, size, blocks, mtime }: Pick<HeadVersion, 'manifest' | 'size' | 'blocks' | 'mtime'>,
    others: readonly HeadVersion[],
  ): void {
    const { head } = attributesOf(this.core.inode(ino));
    this.core.objects.name(manifest, ObjectKind.manifest, size); // a collection that is under way leaves it
    const steps: Step[] = [
      () => settleBeforeWrite(this.core.tree, ino),
      () => {
        const copyIno = this.core.allocate();
        return [replaceVersions(this.core.inode(ino), others, { manifest, size, blocks, mtime, copyIno })];
      },
    ];
    this.core.perform(steps, this.core.clock.now(), [], [ino], NOBODY_ASKED);
    if (!head) return;
    const was = { manifest: head.manifest, size: head.size, blocks: head.blocks, mtime: formatTimestamp(head.mtime) };
    this.note({ undo: 'content', ino, settled: manifest, ...was });
  }

  setNumber(kind: Numeric, ino: Ino, value: number): void {
    const { mode, uid, gid } = attributesOf(this.core.inode(ino));
    if (kind === 'mode') this.fileSystem.setattr(ino, { mode: value }, DAEMON, undefined);
    // Not chown(2): nobody gives the file away, so it keeps its set-id bits.
    else this.changes.change(ino, [{ ino, field: FIELDS[kind], value }], this.core.clock.now());
    this.core.settle();
    const before = { mode, owner: uid, group: gid }[kind];
    if (before !== value) this.note({ undo: kind, ino, settled: value, value: before });
  }

  /** @param value null: no such attribute */
  setAttribute(ino: Ino, name: string, value: string | null): void {
    const before = xattrOf(this.core.inode(ino), name);
    if (value !== null) this.fileSystem.setxattr(ino, name, Buffer.from(value, 'latin1'), 0, false, DAEMON);
    else if (before !== undefined) this.fileSystem.removexattr(ino, name, DAEMON);
    else {
      const removal = { ino, field: xattrField(name), value: formatXattr(undefined) };
      this.changes.change(ino, [removal], this.core.clock.now());
    }
    this.core.settle();
    if ((before ?? null) !== value) this.note({ undo: 'attribute', ino, name, settled: value, value: before ?? null });
  }

  isLive(directory: Ino): boolean {
    return (this.core.store.inode(directory)?.nlink ?? 0) > 0;
  }

  /** Takes operations back. Every step is checked before the first is carried out. */
  undo(steps: readonly UndoStep[]): void {
    const leaving = new Set(steps.flatMap((step) => (step.undo === 'rename' ? [placeText(step.from)] : [])));
    for (const step of steps) this.check(step, leaving);
    this.whole(() => {
      for (const step of steps) this.carryOut(step);
    });
  }

  private check(step: UndoStep, leaving: ReadonlySet<string>): void {
    if ('to' in step) {
      const { parent, name } = step.to;
      if (!this.isLive(parent)) throw new Error(`the directory of ${name} was removed since: nothing was undone`);
      if (this.core.store.lookup(parent, name) && !leaving.has(placeText(step.to))) {
        throw new Error(`there is another ${name} now: rename it, then undo again; nothing was undone`);
      }
    }
    if (step.undo === 'rename' && this.core.store.lookup(step.from.parent, step.from.name)?.ino !== step.ino) {
      throw new Error(`${step.from.name} was moved or removed since: nothing was undone`);
    }
    if (step.undo === 'link') {
      const value = this.core.inode(step.ino).registers.get(linkField(step.link))?.[0]?.value;
      if (value === undefined || !isTombstone(value)) {
        throw new Error(`${step.to.name} is back already: nothing was undone`);
      }
    }
    if ('settled' in step) this.checkUnchanged(step);
    if ('manifest' in step && !this.isHeld(step.manifest)) {
      throw new Error('the bytes that were there are not kept here any more: nothing was undone');
    }
  }

  private isHeld(manifest: ObjectId): boolean {
    const { objects } = this.core;
    return objects.has(manifest) && chunksOf(decodeManifest(objects.get(manifest))).every((id) => objects.has(id));
  }

  private checkUnchanged(step: Extract<UndoStep, { settled: unknown }>): void {
    const inode = this.core.inode(step.ino);
    if (inode.nlink === 0) throw new Error('it was removed since: nothing was undone');
    const { mode, uid, gid, head } = attributesOf(inode);
    const isUnchanged =
      step.undo === 'content'
        ? head?.manifest === step.settled
        : step.undo === 'attribute'
          ? (xattrOf(inode, step.name) ?? null) === step.settled
          : { mode, owner: uid, group: gid }[step.undo] === step.settled;
    if (isUnchanged) return;
    const change = step.undo === 'content' ? 'the file was written' : 'the attribute was set';
    throw new Error(`${change} since: undoing would drop that; nothing was undone`);
  }

  private carryOut(step: UndoStep): void {
    switch (step.undo) {
      case 'rename':
        this.rename(step.ino, step.from, step.to);
        break;
      case 'link':
        this.place(step.to, [restoreLink(step.ino, step.link, step.to.parent, step.to.name)], [step.ino]);
        break;
      case 'content':
        this.replaceContent(step.ino, { ...step, mtime: parseTimestamp(step.mtime) }, []);
        break;
      case 'file':
        this.remake(step);
        break;
      case 'attribute':
        this.setAttribute(step.ino, step.name, step.value);
        break;
      default:
        this.setNumber(step.undo, step.ino, step.value);
    }
  }

  private remake(step: Extract<UndoStep, { undo: 'file' }>): void {
    const { to, mode, uid, gid, xattrs, manifest, size, blocks, mtime } = step;
    const btime = this.core.clock.now();
    const ino = this.core.allocate();
    const creation = { ino, type: 'f' as const, ...to, btime, mode, uid, gid, xattrs: new Map(xattrs) };
    const head = { manifest, size, blocks, mtime: parseTimestamp(mtime), copyIno: this.core.allocate() };
    this.core.objects.name(manifest, ObjectKind.manifest, size);
    this.place(to, createWithContent(creation, head), []);
  }

  private place({ parent }: Place, writes: Step, changed: readonly Ino[]): void {
    const steps: Step[] = [() => settleRevived(this.core.tree, parent), writes];
    this.core.perform(steps, this.core.clock.now(), [parent], changed, NOBODY_ASKED);
  }
}

function placeText({ parent, name }: Place): string {
  return `${parent}/${name}`;
}
