// file-contents.ts — open, read, write and what else reaches a file's bytes; and how a draft becomes a version.
// Invariant: a version cites the heads that its writer saw. Hashing never happens on the way of a write(2): small drafts become
// versions in the fold after they were closed, large ones are ingested by a worker.

import { PosixError, posixError } from '../errno.js';
import type { Ino, ObjectId, OpId } from '../crdt/ids.js';
import { fileClaims } from '../crdt/placement.js';
import { attributesOf, compareTimes, formatHead, formatTimestamp } from '../crdt/fields.js';
import { settleBeforeWrite, shownHeads } from '../crdt/local-writes.js';
import { sameOp } from '../crdt/register.js';
import type { Timestamp } from '../crdt/inode.js';
import type { IntentLog } from '../journal/intent-log.js';
import type { IngestResult } from '../chunks/ingest.js';
import {
  decodeManifest,
  encodeManifest,
  inlineManifest,
  type Manifest,
  nextData,
  nextHole,
  sparseBlocksOf,
} from '../chunks/manifest.js';
import { readManifest } from '../chunks/manifest-reader.js';
import { ObjectKind } from '../chunks/object-kind.js';
import { SmallContent } from '../chunks/small-content.js';
import { WorkingCopy } from '../chunks/working-copy.js';
import { FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE } from '../chunks/writable-content.js';
import type { Caller, Opened } from './file-system.js';
import type { Core } from './core.js';
import type { Draft } from './draft.js';
import { Drafts } from './drafts.js';
import { KeptCopies } from './kept-copies.js';
import type { OpenFile, OpenVersion } from './open-files.js';
import type { IngestJobs } from './ingest-jobs.js';
import type { InodeChanges } from './inode-changes.js';

const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** A copy_file_range(2) copies no more than this at once, in bytes: others wait for it. The caller goes on from where it ended. */
const COPIED_AT_ONCE_BYTES = 16 << 20;
/** A file that stays open is published when nothing was written to it for this long … */
const IDLE_PUBLISH_MS = 1_000;
/** … and at the latest this long after its first unpublished write. */
const LATEST_PUBLISH_MS = 10_000;

export class FileContents {
  private readonly closed = new Set<Draft>();
  private readonly kept: KeptCopies;
  /** Inodes that were written to behind the back of the kernel's page cache, which may hold older pages of them. */
  private readonly stalePages = new Set<Ino>();
  /** Whether the kernel can be given local files to read and write by itself. */
  passthrough = false;

  constructor(
    private readonly core: Core,
    private readonly log: IntentLog,
    private readonly changes: InodeChanges,
    private readonly jobs: IngestJobs,
    stateDirectory: string,
    /** Told of a file that this site wrote a version of. */
    private readonly published: (ino: Ino) => void,
  ) {
    this.kept = new KeptCopies(
      stateDirectory,
      (ino) => core.openFiles.isOpen(ino),
      (path) => core.drafts.discard(path),
    );
  }

  // ── open files ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  open(ino: Ino, flags: number, killSuidGid: boolean, caller: Caller): Opened {
    const sibling = this.core.openFiles.any(ino);
    // A local file shows one version: who opens it while others have it open sees what they see.
    const version = sibling?.backed ? sibling.version : this.shownVersion(ino);
    if (flags & O_TRUNC) {
      this.core.space.check();
      this.truncate(ino, 0, killSuidGid, caller);
    }
    const backing = sibling && !sibling.backed ? undefined : this.backingOf(ino, flags, version);
    if (backing) {
      const { handle } = this.core.openFiles.open(ino, flags, version, true);
      return { handle, keepCache: true, directIo: false, backing: backing.fd };
    }
    const directIo = !this.core.drafts.get(ino) && this.core.openFiles.showsOther(ino, version.manifestId);
    const { handle } = this.core.openFiles.open(ino, flags, version, false);
    return { handle, keepCache: !this.stalePages.delete(ino) && !directIo, directIo };
  }

  /** The local file that holds all bytes of what an open shows, if there is one and the kernel may use it. */
  private backingOf(ino: Ino, flags: number, version: OpenVersion): WorkingCopy | undefined {
    if (!this.passthrough) return undefined;
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
    }
    return content;
  }

  /** Opens an inode that this site just made. */
  openNew(ino: Ino, flags: number): Opened {
    const file = this.core.openFiles.open(ino, flags, { manifestId: '', size: 0, bases: [] }, false);
    return { handle: file.handle, keepCache: true, directIo: false };
  }

  /** The version that a path to the inode shows now. */
  private shownVersion(ino: Ino): OpenVersion {
    const copy = this.core.store.copy(ino);
    const inode = this.core.inode(copy ? copy.source : ino);
    const { head: shown, heads } = attributesOf(inode);
    if (copy) {
      const head = heads.find((h) => h.counter === copy.counter && h.actor === copy.actor);
      if (!head) throw posixError('ESTALE');
      return { manifestId: head.manifest, size: head.size, bases: [] };
    }
    if (!shown) return { manifestId: '', size: 0, bases: [] };
    // A write through a path overwrites what the path shows; other heads stay, as the copies that they are shown as.
    return { manifestId: shown.manifest, size: shown.size, bases: shownHeads(inode) };
  }

  release(handle: number): void {
    const file = this.core.openFiles.get(handle);
    const { ino } = file;
    if (!this.core.openFiles.close(file)) return;
    const draft = this.core.drafts.get(ino);
    if (draft) {
      this.core.drafts.refreshAtClose(draft);
      this.closed.add(draft);
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
    return readManifest(this.core.objects, this.manifestOf(file), offset, length, into, at);
  }

  private manifestOf(file: OpenFile) {
    return (file.manifest ??= this.core.drafts.manifest(file.version.manifestId));
  }

  write(handle: number, offset: number, data: Buffer, killSuidGid: boolean): number {
    const file = this.core.openFiles.writable(handle);
    this.core.space.check();
    Drafts.checkRange(offset, data.length);
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
    const kept = this.kept.take(ino, version.manifestId);
    if (kept) return this.core.drafts.beginFrom(ino, kept, version.manifestId, version.bases, mtime);
    return this.core.drafts.begin(ino, emptied ? '' : version.manifestId, version.bases, mtime);
  }

  /** Sets the size by path or handle; publishes at the next fold when nobody has the file open. */
  truncate(ino: Ino, size: number, killSuidGid: boolean, _caller: Caller, handle?: number): void {
    const file = handle === undefined ? undefined : this.core.openFiles.writable(handle);
    const sibling = this.core.openFiles.any(ino);
    const shown = sibling?.backed ? sibling.version : undefined;
    const draft = this.draftFor(ino, file?.version ?? shown ?? this.shownVersion(ino), size === 0);
    const now = this.core.clock.now();
    this.core.drafts.truncate(draft, size, now);
    this.wroteTo(ino, now, killSuidGid);
    if (!this.core.openFiles.isOpen(ino)) this.closed.add(draft);
  }

  /** An explicit modification time of what is being written travels with the version. */
  touchDraft(ino: Ino, mtime: Timestamp): boolean {
    const draft = this.core.drafts.get(ino);
    if (!draft) return false;
    this.core.drafts.touch(draft, mtime);
    return true;
  }

  fallocate(handle: number, mode: number, offset: number, length: number): void {
    const file = this.core.openFiles.writable(handle);
    if (length <= 0) throw posixError('EINVAL');
    Drafts.checkRange(offset, length);
    this.core.space.check();
    const draft = this.draftFor(file.ino, file.version);
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
    const draft = this.core.drafts.get(this.core.openFiles.get(handle).ino);
    if (draft) this.core.drafts.sync(draft);
    else this.log.sync();
  }

  // ── versions ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Turns what was closed, or lies idle, into versions. Called before each fold; cheap when there is nothing. */
  publish(): void {
    for (const draft of this.closed) {
      if (this.core.openFiles.isOpen(draft.ino)) this.closed.delete(draft);
      else this.publishClosed(draft);
    }
  }

  /** Another site's version is shown, or the inode is gone: what is kept of it is of no use. */
  forget(ino: Ino): void {
    if (!this.core.openFiles.isOpen(ino)) this.kept.drop(ino);
  }

  /** The versions that open files show, and those that drafts and local files are laid over. */
  *versionsInUse(): Generator<ObjectId> {
    yield* this.core.openFiles.versions();
    yield* this.kept.versions();
    for (const { content } of this.core.drafts.all())
      if (content instanceof WorkingCopy && content.baseId !== undefined) yield content.baseId;
  }

  /** Publishes files that stay open: idle ones, and those whose oldest change is old. */
  publishIdle(): void {
    const now = this.core.clock.monotonicMs();
    for (const draft of this.core.drafts.all()) {
      this.core.drafts.refresh(draft);
      if (!draft.dirty || draft.ingesting !== 0 || this.closed.has(draft)) continue;
      const idle = now - draft.lastChangeMs >= IDLE_PUBLISH_MS;
      if (idle || now - draft.dirtySinceMs >= LATEST_PUBLISH_MS) this.publishDraft(draft);
    }
  }

  /** Publishes everything that was written, open or not. */
  publishAll(): void {
    for (const draft of this.core.drafts.all()) {
      this.core.drafts.refresh(draft);
      if (draft.dirty && draft.ingesting === 0) this.publishDraft(draft);
    }
  }

  /** Whether a version is being made of something that was written. */
  get ingesting(): boolean {
    for (const draft of this.core.drafts.all()) if (draft.ingesting !== 0) return true;
    return false;
  }

  /** Whether a fold would publish or drop something. */
  get hasClosed(): boolean {
    for (const draft of this.closed) if (draft.ingesting === 0) return true;
    return false;
  }

  private publishClosed(draft: Draft): void {
    if (draft.ingesting !== 0) return;
    if (draft.dirty && this.isReachable(draft.ino)) this.publishDraft(draft);
    else this.abandon(draft);
  }

  /** Drops a draft that holds nothing new, or that nothing can reach. The log must say so: recovery would look for its bytes. */
  private abandon(draft: Draft): void {
    const fate = { ino: draft.ino, ends: true };
    this.core.perform([], this.core.clock.now(), [], [], { entries: [], inodes: [] }, fate);
    const { content } = draft;
    const unchanged = !draft.dirty && content instanceof WorkingCopy && this.isReachable(draft.ino);
    this.finish(draft, unchanged ? (content.baseId ?? '') : '');
    if (!this.isShown(draft)) this.core.kernel.invalidateInode(draft.ino, true);
  }

  /** Whether a path to the inode shows the version that the draft was based on last: else the kernel has its pages of that one. */
  private isShown({ ino, bases }: Draft): boolean {
    const inode = this.core.store.inode(ino);
    const { head } = inode ? attributesOf(inode) : {};
    return !head || bases.some((base) => sameOp(base, head));
  }

  /** Ends a draft. Its local file is kept under the version that it holds all bytes of, if it does ('': none). */
  private finish(draft: Draft, manifestId: string): void {
    this.closed.delete(draft);
    const { content, ino } = draft;
    if (this.passthrough && manifestId !== '' && content instanceof WorkingCopy && content.isComplete) {
      this.core.drafts.release(draft);
      this.kept.keep(ino, manifestId, content);
    } else this.core.drafts.end(draft);
  }

  /** What this site itself removed is written by nobody else's wish; what another site removed meanwhile comes back with its bytes. */
  private isReachable(ino: Ino): boolean {
    const inode = this.core.store.inode(ino);
    if (!inode) return false;
    // A file that is hidden behind one that looks the same has no links to count, but its names.
    const hasNames = inode.nlink > 0 || fileClaims(inode, this.core.actors).length > 0;
    return hasNames || this.changes.wasRemovedElsewhere(inode);
  }

  private publishDraft(draft: Draft): void {
    if (!this.isReachable(draft.ino)) return;
    const { content } = draft;
    if (content instanceof SmallContent) {
      const manifest = inlineManifest(content.bytes(), content.holes());
      const id = this.core.objects.put(ObjectKind.manifest, encodeManifest(manifest));
      // The log may let go of these bytes once the fold is durable, and a fold may become durable before the pack is.
      if (draft.synced) this.core.objects.sync();
      this.commitVersion(draft, draft.generation, id, manifest);
      return;
    }
    draft.ingesting = draft.generation;
    this.jobs.ask(content, {
      ingested: (result) => this.ingested(draft, content, result),
      failed: () => this.ingestFailed(draft, content),
      outdated: () => this.ingestFailed(draft, content),
    });
  }

  /** A worker packed a draft's bytes. */
  private ingested(draft: Draft, content: WorkingCopy, result: IngestResult): void {
    const generation = draft.ingesting;
    draft.ingesting = 0;
    // Written to meanwhile, and closed: what the worker read is not the whole truth, so it reads again. What stays open is
    // published nevertheless, or a log that is never quiet would never reach the peers.
    if (draft.generation !== generation && !this.core.openFiles.isOpen(draft.ino)) {
      content.unpublished();
      return;
    }
    this.core.objects.adopt(result.objects);
    // Removed here meanwhile: a version that the removal did not see would bring it back.
    if (!this.isReachable(draft.ino)) {
      content.unpublished();
      return;
    }
    const manifest = decodeManifest(Buffer.from(result.manifest));
    content.published(result.manifestId, manifest);
    this.commitVersion(draft, generation, result.manifestId, manifest);
  }

  /** A worker could not; the draft stays, and is tried again when it is next due. */
  private ingestFailed(draft: Draft, content: WorkingCopy): void {
    draft.ingesting = 0;
    draft.lastChangeMs = this.core.clock.monotonicMs();
    content.unpublished();
  }

  private commitVersion(draft: Draft, generation: number, manifestId: ObjectId, manifest: Manifest): void {
    const { ino } = draft;
    const { size } = manifest;
    const ends = !this.core.openFiles.isOpen(ino);
    if (this.isOwnHead(draft, manifestId)) {
      // Nothing new after all: saved unchanged, or a recovered draft whose version was committed before the crash.
      this.commitTime(draft);
      draft.published = generation;
      draft.synced = false;
      if (ends) this.abandon(draft);
      return;
    }
    const copyIno = this.core.allocate();
    const blocks = sparseBlocksOf(manifest);
    const value = formatHead({ manifest: manifestId, size, mtime: draft.mtime, copyIno, blocks });
    const steps = [() => settleBeforeWrite(this.core.tree, ino), [{ ino, field: 'head', value, bases: draft.bases }]];
    const now = this.core.clock.now();
    this.core.perform(steps, now, [], [], { entries: [], inodes: [ino] }, { ino, ends });
    this.noteUntoldWrite(draft, now);
    const bases = this.ownHead(ino, value);
    draft.published = generation;
    draft.synced = false;
    draft.bases = bases;
    this.core.openFiles.adopt(ino, { manifestId, size, bases });
    if (ends) this.finish(draft, manifestId);
    this.published(ino);
  }

  /** What the kernel wrote by itself changed the inode then, and nobody said so. */
  private noteUntoldWrite({ ino, mtime }: Draft, now: Timestamp): void {
    const isUntold = compareTimes(mtime, this.core.inode(ino).ctime) > 0 && compareTimes(mtime, now) <= 0;
    if (isUntold) this.core.setCtime(ino, mtime);
  }

  /** Of a draft that changed no byte: a version of its own would be in conflict with what another site writes meanwhile. */
  private commitTime(draft: Draft): void {
    const { ino } = draft;
    const { head, mtime } = attributesOf(this.core.inode(ino));
    if (compareTimes(head!.mtime, draft.mtime) === 0 || compareTimes(mtime, draft.mtime) === 0) return;
    const now = this.core.clock.now();
    const write = { ino, field: 'times', value: formatTimestamp(draft.mtime) };
    this.core.perform([[write]], now, [], [], { entries: [], inodes: [ino] });
    this.noteUntoldWrite(draft, now);
  }

  /** Whether the only head is the one that the draft is based on, with the same bytes. */
  private isOwnHead(draft: Draft, manifestId: ObjectId): boolean {
    const { head, heads } = attributesOf(this.core.inode(draft.ino));
    const [base] = draft.bases;
    if (!head || heads.length !== 1 || base?.counter !== head.counter || base.actor !== head.actor) return false;
    return head.manifest === manifestId;
  }

  private ownHead(ino: Ino, value: string): readonly OpId[] {
    const entry = this.core
      .inode(ino)
      .registers.get('head')
      ?.find((head) => head.value === value);
    return entry ? [{ counter: entry.counter, actor: entry.actor }] : [];
  }

  close(): void {
    this.kept.close();
  }

  /** Recovery: nobody has anything open. */
  closeAll(): void {
    for (const draft of this.core.drafts.all()) this.closed.add(draft);
  }
}
