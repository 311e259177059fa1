// file-contents.ts — open, read, write and what else reaches a file's bytes.
// Invariant: a handle shows one version, or the draft that was begun on it; a write goes to a draft, which cites the heads that its writer
// saw. How a draft becomes a version is in publishing.ts: nothing is hashed on the way of a write(2).

import { PosixError, posixError } from '../errno.js';
import type { Ino, OpId } from '../crdt/ids.js';
import { attributesOf } from '../crdt/inode-attributes.js';
import { shownHeads } from '../crdt/local-writes.js';
import type { Timestamp } from '../crdt/inode.js';
import { findVersion } from '../crdt/version-graph.js';
import type { VersionHistory } from '../journal/version-history.js';
import { takesSpace } from '../chunks/fallocate-rules.js';
import { nextData, nextHole } from '../chunks/manifest.js';
import { readManifest } from '../chunks/manifest-reader.js';
import { SMALL_CONTENT_MAX } from '../chunks/small-content.js';
import { WorkingCopy } from '../chunks/working-copy.js';
import { FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, holeBytes } from '../chunks/writable-content.js';
import type { Attributes, Caller, Opened } from './file-system.js';
import type { Core } from './core.js';
import type { Draft } from './draft.js';
import { Drafts } from './drafts.js';
import type { KeptCopies } from './kept-copies.js';
import { NewFileSizes } from './new-file-sizes.js';
import type { OpenFile, OpenVersion } from './open-files.js';
import type { InodeChanges } from './inode-changes.js';
import type { Publishing } from './publishing.js';
import type { ReadAhead } from './read-ahead.js';
import type { StableStorage } from './stable-storage.js';
import type { BasedWrites } from './truncating.js';

const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
const O_DSYNC = 0o10000;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** A copy_file_range(2) copies no more than this at once, in bytes: others wait for it. The caller goes on from where it ended. */
const COPIED_AT_ONCE_BYTES = 16 << 20;

export class FileContents {
  /** Inodes that were written to behind the back of the kernel's page cache, which may hold older pages of them. */
  private readonly stalePages = new Set<Ino>();
  private readonly newFiles: NewFileSizes;

  constructor(
    private readonly core: Core,
    private readonly history: VersionHistory,
    private readonly stable: StableStorage,
    private readonly changes: InodeChanges,
    private readonly kept: KeptCopies,
    private readonly publishing: Publishing,
    private readonly ahead: ReadAhead,
  ) {
    this.newFiles = new NewFileSizes(() => core.clock.monotonicMs());
  }

  // ── open files ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws PosixError ESTALE when it was removed and its content is gone: the kernel looks for the name again */
  open(ino: Ino, flags: number, killSuidGid: boolean, caller: Caller): Opened {
    try {
      return this.openExisting(ino, flags, killSuidGid, caller);
    } catch (error) {
      this.endUnopened(ino);
      throw error;
    }
  }

  private openExisting(ino: Ino, flags: number, killSuidGid: boolean, caller: Caller): Opened {
    const sibling = this.core.openFiles.any(ino);
    if (!sibling && this.isDropped(ino)) throw posixError('ESTALE');
    // A local file shows one version: who opens it while others have it open sees what they see.
    const version = sibling?.backed ? sibling.version : this.shownVersion(ino);
    if (flags & O_TRUNC) {
      this.core.space.check();
      if (!sibling && this.willBeLarge(ino, flags, version)) this.beginEmptied(ino, version);
      this.truncate(ino, 0, killSuidGid, caller);
    }
    const backing = sibling && !sibling.backed ? undefined : this.backingOf(ino, flags, version);
    if (backing) {
      const { handle } = this.core.openFiles.open(ino, flags, version, true);
      return { handle, keepCache: true, directIo: false, backing: backing.fd };
    }
    const directIo = !this.core.drafts.get(ino) && this.core.openFiles.showsOther(ino, version.manifestId);
    const { handle } = this.core.openFiles.open(ino, flags, version, false);
    return { handle, keepCache: directIo || !this.stalePages.delete(ino), directIo };
  }

  private isDropped(ino: Ino): boolean {
    const { dropped, drafts, store } = this.core;
    return dropped.of(ino) !== undefined && !drafts.get(ino) && store.inode(ino)?.nlink === 0;
  }

  /** The local file that holds all bytes of what an open shows, if there is one and the kernel may use it. */
  private backingOf(ino: Ino, flags: number, version: OpenVersion): WorkingCopy | undefined {
    if (!this.kept.passthrough) return undefined;
    const writes = (flags & O_ACCMODE) !== 0;
    let draft = this.core.drafts.get(ino);
    if (!draft) {
      const kept = this.kept.get(ino, version.manifestId);
      if (!kept || !writes) return kept?.content;
      draft = this.draftFor(ino, version);
    }
    const { content } = draft;
    if (!(content instanceof WorkingCopy && content.isComplete)) return undefined;
    if (writes) {
      this.core.drafts.share(draft);
      this.stalePages.add(ino);
      if (flags & O_DSYNC) this.core.drafts.keepSynced(draft);
    }
    return content;
  }

  /** Opens an inode that this site just made. */
  openNew({ ino, mtime }: Attributes, flags: number): Opened {
    const backing = this.newBacking(ino, flags, mtime);
    const version = { manifestId: '', size: 0, bases: [] } as const;
    const { handle } = this.core.openFiles.open(ino, flags, version, backing !== undefined);
    return { handle, keepCache: true, directIo: false, ...(backing && { backing: backing.fd }) };
  }

  /** A local file for a file that is about to be written, if the kernel may use one. */
  private newBacking(ino: Ino, flags: number, mtime: Timestamp): WorkingCopy | undefined {
    if (!this.mayBeShared(flags) || this.newFiles.isNextSmall) return undefined;
    return this.beginShared(ino, [], mtime)?.content as WorkingCopy | undefined;
  }

  /** Whether the kernel may write what an open begins to write, as far as that is known before. */
  private mayBeShared(flags: number): boolean {
    // The kernel would sync each write to the local file, whose name and owner only the log knows.
    const isSynchronous = (flags & O_DSYNC) !== 0;
    return this.kept.passthrough && (flags & O_ACCMODE) !== 0 && !isSynchronous && this.core.space.isAmple;
  }

  private beginShared(ino: Ino, bases: OpenVersion['bases'], mtime: Timestamp): Draft | undefined {
    try {
      return this.core.drafts.beginShared(ino, bases, mtime);
    } catch (error) {
      if (!(error instanceof PosixError)) throw error;
      return undefined; // no room for a local file: what is small needs none
    }
  }

  /** Whether a file that is emptied to be written anew should be given a local file. What was large is likely to become so again. */
  private willBeLarge(ino: Ino, flags: number, { manifestId, size }: OpenVersion): boolean {
    if (!this.mayBeShared(flags) || this.core.drafts.get(ino) || this.core.store.copy(ino)) return false;
    return size > SMALL_CONTENT_MAX ? !this.kept.get(ino, manifestId) : !this.newFiles.isNextSmall;
  }

  private beginEmptied(ino: Ino, { bases }: OpenVersion): void {
    this.beginShared(ino, bases, attributesOf(this.core.inode(ino)).mtime);
  }

  /** The version that a path to the inode shows now. */
  private shownVersion(ino: Ino): OpenVersion {
    const copy = this.core.store.copy(ino);
    const inode = this.core.inode(copy ? copy.source : ino);
    const { head: shown, heads } = attributesOf(inode);
    if (copy) {
      const head = heads.find((h) => h.counter === copy.counter && h.actor === copy.actor);
      if (!head) throw posixError('ESTALE');
      return { manifestId: head.manifest, size: head.size, blocks: head.blocks, bases: [] };
    }
    if (!shown) return { manifestId: '', size: 0, bases: [] };
    // A write through a path overwrites what the path shows; other heads stay, as the copies that they are shown as.
    return { manifestId: shown.manifest, size: shown.size, blocks: shown.blocks, bases: shownHeads(inode) };
  }

  release(handle: number): void {
    const file = this.core.openFiles.get(handle);
    const { ino } = file;
    if (!this.core.openFiles.close(file)) {
      // The pages may be of the version that this handle showed; who opened the file later went past them.
      if (!this.core.drafts.get(ino) && this.core.openFiles.showsOther(ino, file.version.manifestId))
        this.stalePages.add(ino);
      return;
    }
    const draft = this.core.drafts.get(ino);
    if (file.writable && (file.version.manifestId === '' || draft?.base === ''))
      this.newFiles.closed(draft?.content.size ?? 0);
    if (draft) this.changes.noteForeignWrites(draft);
    if (draft && this.core.drafts.giveBack(draft)) {
      this.core.drafts.refreshAtClose(draft);
      this.publishing.closed(draft);
    }
    // While it was open the kernel kept the pages of the version that this handle showed.
    else if (file.version.manifestId !== this.shownManifest(ino)) this.core.kernel.invalidateInode(ino, true);
  }

  private shownManifest(ino: Ino): string {
    return this.core.store.inode(ino) || this.core.store.copy(ino) ? this.shownVersion(ino).manifestId : '';
  }

  // ── bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  read(handle: number, offset: number, length: number, into: Buffer, at: number): number {
    const file = this.core.openFiles.get(handle);
    const draft = this.core.drafts.get(file.ino);
    if (draft) return draft.content.read(offset, length, into, at);
    if (file.version.manifestId === '') return 0;
    const manifest = this.manifestOf(file);
    this.ahead.note(file, manifest, offset, length);
    return readManifest(this.core.objects, manifest, offset, length, into, at);
  }

  private manifestOf(file: OpenFile) {
    return (file.manifest ??= this.core.drafts.manifest(file.version.manifestId));
  }

  write(handle: number, offset: number, data: Buffer, killSuidGid: boolean): number {
    const file = this.core.openFiles.writable(handle);
    Drafts.checkRange(offset, data.length);
    this.core.space.check(data.length);
    if (data.length === 0) return 0;
    const draft = this.draftFor(file.ino, file.version);
    const now = this.core.clock.now();
    const end = draft.content.size;
    this.core.drafts.write(draft, file.appends ? end : offset, data, now);
    // The kernel took the size of a version that another site wrote meanwhile for the end of this one: so are its pages.
    if (file.appends && offset !== end) this.core.kernel.invalidateInode(file.ino, true);
    this.wroteTo(file.ino, now, killSuidGid);
    if (file.synchronous) this.core.drafts.sync(draft);
    return data.length;
  }

  /** What every change of content does to the inode: ctime, and the loss of privileges (write(2), capabilities(7)). */
  private wroteTo(ino: Ino, now: Timestamp, killSuidGid: boolean): void {
    this.core.setCtime(ino, now);
    this.changes.dropPrivileges(ino, killSuidGid, now);
  }

  /** @param emptied nothing of the version is going to be used: its bytes need not be held here */
  private draftFor(ino: Ino, version: OpenVersion, emptied = false): Draft {
    const existing = this.core.drafts.get(ino);
    if (existing) return existing;
    if (this.core.store.copy(ino)) {
      this.changes.settle(ino);
      version = this.shownVersion(ino);
      this.core.openFiles.adopt(ino, version);
    }
    const { mtime } = attributesOf(this.core.inode(ino));
    const bases = this.basesOf(ino, version);
    const kept = this.kept.take(ino, version.manifestId);
    if (kept) return this.core.drafts.beginFrom(ino, kept, version.manifestId, bases, mtime);
    return this.core.drafts.begin(ino, emptied ? '' : version.manifestId, bases, mtime);
  }

  /**
   * What is overwritten by a write to what a handle shows. Of a conflict copy that became a file of its own elsewhere since it was opened
   * that is what it began with there.
   */
  private basesOf(ino: Ino, { manifestId, bases }: OpenVersion): readonly OpId[] {
    const inode = bases.length > 0 || manifestId === '' ? undefined : this.core.store.inode(ino);
    if (!inode) return bases;
    const { heads } = attributesOf(inode);
    const same = heads.filter(({ manifest }) => manifest === manifestId);
    if (same.length > 0) return same.map(({ counter, actor }) => ({ counter, actor }));
    const { version } = this.history.versionsOf(ino);
    const begin = findVersion(heads, version, ({ head, preds }) => head.manifest === manifestId && preds.length === 0);
    return begin ? [{ counter: begin.counter, actor: begin.actor }] : bases;
  }

  /** The same, of a handle: it goes on knowing that when the journal does not any more. */
  private basesOfHandle(file: OpenFile): readonly OpId[] {
    const bases = this.basesOf(file.ino, file.version);
    if (bases !== file.version.bases) file.version = { ...file.version, bases };
    return bases;
  }

  /** Sets the size by path or handle; publishes at the next fold when nobody has the file open. */
  truncate(ino: Ino, size: number, killSuidGid: boolean, _caller: Caller, handle?: number): void {
    const file = handle === undefined ? undefined : this.core.openFiles.writable(handle);
    const sibling = this.core.openFiles.any(ino);
    const shown = sibling?.backed ? sibling.version : undefined;
    try {
      const draft = this.draftFor(ino, file?.version ?? shown ?? this.shownVersion(ino), size === 0);
      const now = this.core.clock.now();
      this.core.drafts.truncate(draft, size, now);
      this.wroteTo(ino, now, killSuidGid);
    } finally {
      this.endUnopened(ino);
    }
  }

  /** What a call by path wrote is due for a version; what it began and could not write, because the disk failed, is dropped. */
  private endUnopened(ino: Ino): void {
    const draft = this.core.drafts.get(ino);
    if (draft && !this.core.openFiles.isOpen(ino)) this.publishing.closed(draft);
  }

  /** An explicit modification time of what is being written travels with the version. */
  touchDraft(ino: Ino, mtime: Timestamp): boolean {
    const draft = this.core.drafts.get(ino);
    return draft !== undefined && this.core.drafts.touch(draft, mtime);
  }

  fallocate(handle: number, mode: number, offset: number, length: number): void {
    const file = this.core.openFiles.writable(handle);
    if (length <= 0) throw posixError('EINVAL');
    Drafts.checkRange(offset, length);
    if (!takesSpace(mode)) this.core.space.checkRemoval();
    const draft = this.draftFor(file.ino, file.version);
    if (takesSpace(mode)) this.core.space.check(length, () => holeBytes(draft.content, offset, offset + length));
    const now = this.core.clock.now();
    this.core.drafts.allocate(draft, mode, offset, length, now);
    this.wroteTo(file.ino, now, false);
  }

  lseek(handle: number, offset: number, whence: number): number {
    const file = this.core.openFiles.get(handle);
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw posixError('EINVAL');
    const draft = this.core.drafts.get(file.ino);
    if (draft) return whence === SEEK_DATA ? draft.content.seekData(offset) : draft.content.seekHole(offset);
    if (file.version.manifestId === '') throw posixError('ENXIO');
    const found = (whence === SEEK_DATA ? nextData : nextHole)(this.manifestOf(file), offset);
    if (found < 0) throw posixError('ENXIO');
    return found;
  }

  copyFileRange(source: number, sourceOffset: number, target: number, targetOffset: number, length: number): number {
    const from = this.core.openFiles.get(source);
    const to = this.core.openFiles.writable(target);
    if (!from.readable) throw posixError('EBADF');
    if (from.ino === to.ino && sourceOffset < targetOffset + length && targetOffset < sourceOffset + length)
      throw posixError('EINVAL');
    const block = Buffer.allocUnsafe(Math.min(length, 1 << 20));
    let copied = 0;
    for (let written = 0; copied < length && written < COPIED_AT_ONCE_BYTES;) {
      const at = sourceOffset + copied;
      const hole = Math.min(this.holeAt(from, at), length - copied);
      if (hole > 0) {
        this.makeHole(to, targetOffset + copied, hole);
        copied += hole;
        continue;
      }
      const n = this.read(source, at, Math.min(block.length, length - copied, this.dataAt(from, at)), block, 0);
      if (n === 0) break;
      // Set-id bits are not ours to take: the kernel has asked for that before, where the caller is one to lose them.
      this.write(target, targetOffset + copied, block.subarray(0, n), false);
      copied += n;
      written += n;
    }
    return copied;
  }

  private sizeOf(file: OpenFile): number {
    return this.core.drafts.get(file.ino)?.content.size ?? file.version.size;
  }

  /** How many bytes of data begin at an offset that is not in a hole. */
  private dataAt(file: OpenFile, offset: number): number {
    return offset < this.sizeOf(file) ? this.lseek(file.handle, offset, SEEK_HOLE) - offset : 0;
  }

  /** How many bytes of hole begin at an offset: 0 in data, and from the end of the file on. */
  private holeAt(file: OpenFile, offset: number): number {
    const size = this.sizeOf(file);
    if (offset >= size) return 0;
    try {
      return this.lseek(file.handle, offset, SEEK_DATA) - offset;
    } catch (error) {
      if (!(error instanceof PosixError && error.code === 'ENXIO')) throw error;
      return size - offset;
    }
  }

  /** Zeros that take no space; the file grows where they end past its end. */
  private makeHole(file: OpenFile, offset: number, length: number): void {
    this.core.space.check();
    const draft = this.draftFor(file.ino, file.version);
    const now = this.core.clock.now();
    const end = offset + length;
    const { size } = draft.content;
    // Grown first: what is punched is whole blocks then.
    if (end > size) this.core.drafts.truncate(draft, end, now);
    if (offset < size) this.core.drafts.allocate(draft, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, offset, length, now);
    this.wroteTo(file.ino, now, false);
  }

  // ── stable storage ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  fsync(handle: number): void {
    const { ino } = this.core.openFiles.get(handle);
    const draft = this.core.drafts.get(ino);
    if (draft) {
      this.changes.noteForeignWrites(draft);
      this.core.drafts.sync(draft);
    } else this.stable.syncVersion(ino);
  }

  /** The kernel refers to the inode no more. */
  forgotten(ino: Ino): void {
    const draft = this.core.drafts.get(ino);
    if (draft) this.publishing.forgotten(draft);
  }

  /** Another site's version is shown, or the inode is gone: what is kept of it is of no use. */
  forget(ino: Ino): void {
    if (!this.core.openFiles.isOpen(ino)) this.kept.drop(ino);
  }

  /** What is written to files now, or would be through the handles that there are. */
  *writtenOn(): Generator<BasedWrites> {
    const { drafts, openFiles } = this.core;
    for (const { ino, bases } of drafts.all()) yield { ino, bases };
    // Through a local file all handles write on what the first of them showed.
    for (const file of openFiles.all())
      if ((file.writable || file.backed) && !drafts.get(file.ino))
        yield { ino: file.ino, bases: this.basesOfHandle(file) };
  }

  /** Drops the local files that nobody has open. */
  dropKept(): void {
    this.kept.dropClosed();
  }

  close(): void {
    this.kept.close();
  }
}
