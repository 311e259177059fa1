// publishing.ts — how a draft becomes a version: when it is due, who packs its bytes, and the register that names them.
// Invariant: a version cites the heads that its writer saw, and holds what its writer wrote. Small drafts become versions in the fold
// after they were closed, large ones are ingested by a worker. What changed no byte becomes no version: it would be in conflict with
// what another site writes meanwhile.

import { isNoRoom, PosixError } from '../errno.js';
import type { Ino, ObjectId, OpId } from '../crdt/ids.js';
import { fileClaims } from '../crdt/placement.js';
import { compareTimes, formatHead, formatTimestamp } from '../crdt/fields.js';
import { attributesOf } from '../crdt/inode-attributes.js';
import { settleBeforeWrite } from '../crdt/local-writes.js';
import { sameOp } from '../crdt/register.js';
import type { Timestamp } from '../crdt/inode.js';
import type { VersionHistory } from '../journal/version-history.js';
import type { IngestResult } from '../chunks/ingest.js';
import { decodeManifest, encodeManifest, inlineManifest, type Manifest, sparseBlocksOf } from '../chunks/manifest.js';
import { ObjectKind } from '../chunks/object-kind.js';
import { SmallContent } from '../chunks/small-content.js';
import { WorkingCopy } from '../chunks/working-copy.js';
import type { AwaitedVersions } from './awaited-versions.js';
import type { Core } from './core.js';
import type { Draft } from './draft.js';
import type { IngestJobs } from './ingest-jobs.js';
import type { InodeChanges } from './inode-changes.js';
import type { KeptCopies } from './kept-copies.js';
import type { Removals } from './removals.js';

/** A file that stays open is published when nothing was written to it for this long … */
const IDLE_PUBLISH_MS = 1_000;
/** … and at the latest this long after its first unpublished write. */
const LATEST_PUBLISH_MS = 10_000;
/** A closed file that could not be packed (the disk fails, bytes of its base are not here) is tried again after this long. */
const RETRY_MS = 1_000;
/** Who waits for versions waits no longer than this for one that cannot be made: what was written is safe where it is. */
const FAILING_WAIT_MS = 3_000;

export class Publishing {
  /** Drafts that nobody has open any more. */
  private readonly due = new Set<Draft>();

  constructor(
    private readonly core: Core,
    private readonly changes: InodeChanges,
    private readonly history: VersionHistory,
    private readonly removals: Removals,
    private readonly jobs: IngestJobs,
    private readonly kept: KeptCopies,
    /** Told of a file that this site wrote a version of. */
    private readonly published: (ino: Ino) => void,
    /** Versions that changes of this site wait for. */
    readonly awaited: AwaitedVersions,
  ) {}

  // ── when ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Nobody has the file of this draft open: it is due at the next fold. */
  closed(draft: Draft): void {
    this.due.add(draft);
  }

  /** Recovery: nobody has anything open. */
  closedAll(): void {
    for (const draft of this.core.drafts.all()) {
      draft.isForgotten = true;
      this.due.add(draft);
    }
  }

  /** The kernel refers to the file of this draft no more. If it was removed, nothing leads to it from now on. */
  forgotten(draft: Draft): void {
    if (!this.isReachable(draft)) draft.isForgotten = true;
  }

  /**
   * A name leads to this file or directory now, often in the place of another one, as programs do to change a file as a whole. Other
   * sites are to see that no earlier than what was written before: they would show an empty file. Below a directory any closed file may lie.
   * @param victim what the name led to before
   */
  named(ino: Ino, victim?: Ino): void {
    const replaced = victim === undefined ? undefined : this.core.drafts.get(victim);
    const inode = this.core.store.inode(ino);
    if (inode && attributesOf(inode).type === 'd') for (const draft of this.due) this.publishNamed(draft);
    else {
      const draft = this.core.drafts.get(ino);
      if (draft) this.publishNamed(draft, replaced);
    }
  }

  private publishNamed(draft: Draft, replaced?: Draft): void {
    this.changes.noteForeignWrites(draft);
    if (!draft.dirty) return;
    if (draft.ingesting === 0 && !this.isPutOff(draft)) this.tryToPublish(draft);
    if (draft.ingesting !== 0 || this.isPutOff(draft)) this.awaited.add(draft, replaced);
  }

  /** For a call that was carried out: a disk that does not take the version does not make it fail. The version is made later. */
  private tryToPublish(draft: Draft): void {
    try {
      this.publishDraft(draft);
    } catch (error) {
      if (!(error instanceof PosixError)) throw error;
      this.putOff(draft);
    }
  }

  /** Whether changes that waited for a version wait no longer, though none came of it: a commit is to say so. */
  gaveUpWaiting(): boolean {
    return this.awaited.giveUp((draft) => draft.dirty && this.core.drafts.get(draft.ino) === draft);
  }

  /** Turns what was closed, or lies idle, into versions. Called before each fold; cheap when there is nothing. */
  publish(): void {
    for (const draft of this.due) {
      if (this.core.openFiles.isOpen(draft.ino)) this.due.delete(draft);
      else this.publishClosed(draft);
    }
  }

  /** Publishes files that stay open: idle ones, and those whose oldest change is old. */
  publishIdle(): void {
    const now = this.core.clock.monotonicMs();
    for (const draft of this.core.drafts.all()) {
      this.changes.noteForeignWrites(draft);
      if (!draft.dirty || draft.ingesting !== 0 || this.due.has(draft)) continue;
      const idle = now - draft.lastChangeMs >= IDLE_PUBLISH_MS;
      if (idle || now - draft.dirtySinceMs >= LATEST_PUBLISH_MS) this.publishDraft(draft);
    }
  }

  /** Publishes everything that was written, open or not. */
  publishAll(): void {
    for (const draft of this.core.drafts.all()) {
      this.changes.noteForeignWrites(draft);
      if (draft.dirty && draft.ingesting === 0) this.publishDraft(draft);
    }
  }

  /** Whether a version is being made of something that was written, or will be once more, and may succeed. */
  get ingesting(): boolean {
    for (const draft of this.core.drafts.all()) if (draft.ingesting !== 0 && !this.isStuck(draft)) return true;
    for (const draft of this.due) if (draft.failedAtMs !== -Infinity && !this.isStuck(draft)) return true;
    return false;
  }

  /** Written files of which no version could be made so far. */
  get unpackedCount(): number {
    let count = 0;
    for (const { failingSinceMs } of this.core.drafts.all()) if (failingSinceMs !== Infinity) count++;
    return count;
  }

  /** Whether a fold would publish or drop something. */
  get hasClosed(): boolean {
    for (const draft of this.due)
      if (draft.ingesting === 0 && !this.isPutOff(draft) && !this.mayBeOpened(draft)) return true;
    return false;
  }

  // ── how ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private isPutOff({ failedAtMs }: Draft): boolean {
    return failedAtMs !== -Infinity && this.core.clock.monotonicMs() - failedAtMs < RETRY_MS;
  }

  private isStuck({ failingSinceMs }: Draft): boolean {
    return this.core.clock.monotonicMs() - failingSinceMs >= FAILING_WAIT_MS;
  }

  private publishClosed(draft: Draft): void {
    if (draft.ingesting !== 0 || this.isPutOff(draft)) return;
    if (draft.dirty && this.isReachable(draft)) this.publishDraft(draft);
    else if (!this.mayBeOpened(draft)) this.abandon(draft);
  }

  /** Whether an O_PATH descriptor, or an open that found the name before it went, may lead to what a removed file holds. */
  private mayBeOpened(draft: Draft): boolean {
    return this.core.awaitsForget && draft.dirty && !draft.isForgotten && !this.isReachable(draft);
  }

  /** Drops a draft that holds nothing new, or that nothing can reach. The log must say so: recovery would look for its bytes. */
  private abandon(draft: Draft): void {
    // fsync(2) may have covered a version that it had already.
    if (draft.synced) this.core.objects.sync();
    const fate = { ino: draft.ino, ends: true, staysSynced: false };
    this.core.perform([], this.core.clock.now(), [], [], { entries: [], inodes: [] }, fate);
    const { ino, content, dirty, mtime } = draft;
    const isReachable = this.isReachable(draft);
    if (dirty && !isReachable) this.core.dropped.note(ino, { size: content.size, blocks: content.blocks(), mtime });
    const unchanged = !dirty && content instanceof WorkingCopy && isReachable;
    this.finish(draft, unchanged ? (content.baseId ?? '') : '');
    if (!this.isShown(draft)) this.core.kernel.invalidateInode(draft.ino, true);
  }

  /** Whether a path to the inode shows the version that the draft was based on last: else the kernel has its pages of that one. */
  private isShown({ ino, bases }: Draft): boolean {
    const inode = this.core.store.inode(ino);
    const { head } = inode ? attributesOf(inode) : {};
    return !head || bases.some((base) => sameOp(base, head));
  }

  /**
   * Ends a draft. Its local file is kept under the version that it holds all bytes of, if it does ('': none) and nobody writes to it who
   * did not open it here.
   */
  private finish(draft: Draft, manifestId: string): void {
    this.due.delete(draft);
    const { content, ino } = draft;
    const isVersion = manifestId !== '' && content instanceof WorkingCopy && content.isComplete && content.isUnchanged;
    if (this.kept.passthrough && isVersion && !content.hasFailed && !draft.isHeldByOthers) {
      this.core.drafts.release(draft);
      this.kept.keep(ino, manifestId, content);
    } else this.core.drafts.end(draft);
  }

  /** What this site itself removed is written by nobody else's wish; what another site removed meanwhile comes back with its bytes. */
  private isReachable({ ino, bases }: Draft): boolean {
    const inode = this.core.store.inode(ino);
    if (!inode) return false;
    // A file that is hidden behind one that looks the same has no links to count, but its names.
    const hasNames = inode.nlink > 0 || fileClaims(inode, this.core.actors).length > 0;
    return hasNames || this.removals.wereElsewhere(inode, bases);
  }

  private publishDraft(draft: Draft): void {
    if (!this.isReachable(draft)) return;
    const { content } = draft;
    if (content instanceof SmallContent) {
      // The log has its bytes; a pack that cannot grow would fail the commit.
      if (this.core.space.isFull) return this.putOff(draft);
      const manifest = inlineManifest(content.bytes(), content.holes());
      const id = this.pack(encodeManifest(manifest));
      if (id === null) return this.putOff(draft);
      // The log may let go of these bytes once the fold is durable, and a fold may become durable before the pack is.
      if (draft.synced) this.core.objects.sync();
      draft.syncedSinceAsked = false;
      this.commitVersion(draft, draft.generation, id, manifest);
      return;
    }
    draft.isSpare = false; // a worker reads the local file, and the version to come is laid over it
    draft.ingesting = draft.generation;
    draft.syncedSinceAsked = this.core.openFiles.isWrittenSynced(draft.ino);
    this.jobs.ask(content, {
      ingested: (result) => this.ingested(draft, content, result),
      failed: () => this.failed(draft, content),
      outdated: () => this.notIngested(draft, content),
    });
  }

  /** Its id, or null where the pack cannot grow: the disk may have become full since it was looked at. EIO: nothing was stored. */
  private pack(manifest: Uint8Array): ObjectId | null {
    try {
      return this.core.objects.put(ObjectKind.manifest, manifest);
    } catch (error) {
      if (isNoRoom(error)) return null;
      throw error;
    }
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
    // Removed here meanwhile: a version that the removal did not see would bring it back. Nor is what was packed for it of any use: a
    // collection that is under way would leave the manifest, which came since, and take the chunks that were here before.
    if (!this.isReachable(draft)) {
      content.unpublished();
      return;
    }
    this.core.objects.adopt(result.objects);
    if (!this.isFileReady(draft)) {
      this.failed(draft, content);
      return;
    }
    const manifest = decodeManifest(Buffer.from(result.manifest));
    content.published(result.manifestId, manifest);
    this.commitVersion(draft, generation, result.manifestId, manifest);
  }

  /** Makes the local file of a draft hold no less than the version that is about to be committed. False when the disk fails. */
  private isFileReady(draft: Draft): boolean {
    if (!this.staysSynced(draft)) return true;
    try {
      this.core.drafts.beforeVersion(draft);
      return true;
    } catch (error) {
      if (!(error instanceof PosixError)) throw error;
      return false;
    }
  }

  /** Whether after power loss the local file of a draft will count for more than the version that is being made of it. */
  private staysSynced({ ino, syncedSinceAsked }: Draft): boolean {
    return syncedSinceAsked && this.core.openFiles.isOpen(ino);
  }

  /** None could be made now. */
  private failed(draft: Draft, content: WorkingCopy): void {
    this.notIngested(draft, content);
    this.putOff(draft);
  }

  private putOff(draft: Draft): void {
    draft.failedAtMs = this.core.clock.monotonicMs();
    draft.failingSinceMs = Math.min(draft.failingSinceMs, draft.failedAtMs);
  }

  /** No version came of it; the draft stays, and is tried again when it is next due. */
  private notIngested(draft: Draft, content: WorkingCopy): void {
    draft.ingesting = 0;
    draft.lastChangeMs = this.core.clock.monotonicMs();
    content.unpublished();
  }

  private commitVersion(draft: Draft, generation: number, manifestId: ObjectId, manifest: Manifest): void {
    draft.failedAtMs = -Infinity;
    draft.failingSinceMs = Infinity;
    const { ino } = draft;
    const { size } = manifest;
    const ends = !this.core.openFiles.isOpen(ino);
    if (this.isVersion(draft, manifestId)) {
      // Nothing new after all: saved unchanged, or a recovered draft whose version was committed before the crash. Where another site went
      // on from that version, its own stands as it is.
      if (!draft.suspected && this.isShown(draft)) this.commitTime(draft);
      draft.published = generation;
      draft.synced = draft.syncedSinceAsked;
      if (ends) this.abandon(draft);
      return;
    }
    draft.mtime = draft.suspected ?? draft.mtime;
    const copyIno = this.core.allocate();
    const blocks = sparseBlocksOf(manifest);
    const value = formatHead({ manifest: manifestId, size, mtime: draft.mtime, copyIno, blocks });
    const steps = [() => settleBeforeWrite(this.core.tree, ino), [{ ino, field: 'head', value, bases: draft.bases }]];
    const now = this.core.clock.now();
    const staysSynced = this.staysSynced(draft);
    this.core.perform(steps, now, [], [], { entries: [], inodes: [ino] }, { ino, ends, staysSynced });
    this.core.drafts.published(draft, staysSynced);
    this.noteUntoldWrite(draft, now);
    const bases = this.ownHead(ino, value);
    draft.published = generation;
    draft.synced = staysSynced;
    draft.bases = bases;
    this.core.openFiles.adopt(ino, { manifestId, size, blocks, bases });
    this.awaited.came(draft);
    if (ends) this.finish(draft, manifestId);
    this.published(ino);
  }

  /** What the kernel wrote by itself changed the inode then, and nobody said so. */
  private noteUntoldWrite({ ino, mtime }: Draft, now: Timestamp): void {
    const isUntold = compareTimes(mtime, this.core.inode(ino).ctime) > 0 && compareTimes(mtime, now) <= 0;
    if (isUntold) this.core.setCtime(ino, mtime);
  }

  /** Of a draft that changed no byte. */
  private commitTime(draft: Draft): void {
    const { ino } = draft;
    const { head, mtime } = attributesOf(this.core.inode(ino));
    if (compareTimes(head!.mtime, draft.mtime) === 0 || compareTimes(mtime, draft.mtime) === 0) return;
    const now = this.core.clock.now();
    const write = { ino, field: 'times', value: formatTimestamp(draft.mtime) };
    this.core.perform([[write]], now, [], [], { entries: [], inodes: [ino] });
    this.noteUntoldWrite(draft, now);
  }

  /** Whether this is the version that the draft is based on. */
  private isVersion({ ino, bases }: Draft, manifestId: ObjectId): boolean {
    const { heads } = attributesOf(this.core.inode(ino));
    const { version } = this.history.versionsOf(ino);
    const manifestOf = (base: OpId): ObjectId | undefined =>
      heads.find((head) => sameOp(head, base))?.manifest ?? version(base)?.head.manifest;
    return bases.length > 0 && bases.every((base) => manifestOf(base) === manifestId);
  }

  private ownHead(ino: Ino, value: string): readonly OpId[] {
    const entry = this.core
      .inode(ino)
      .registers.get('head')
      ?.find((head) => head.value === value);
    return entry ? [{ counter: entry.counter, actor: entry.actor }] : [];
  }
}
