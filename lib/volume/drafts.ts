// drafts.ts — all drafts of a volume: how writes reach them and the log. How they come back after a crash is in draft-recovery.ts.
// Invariant: of a small draft the log holds every byte; of a large one the working copy does, and the log which ranges. A draft
// whose log records would hold back too much of the log is written to the database with its position instead. Each commit holds which
// drafts there are, and which versions they gave: power loss may take the end of the log, and what it said of them.
//
// Two syncs cost twice as much as one. So once fsync(2) was called on a large draft, its small writes are written to the log with
// their bytes, as to the working copy, and syncing the log is enough. Before anything else changes such a working copy it is
// synced: recovery writes again only what was logged after the last such change, and never old bytes over newer ones.

import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Statement } from 'better-sqlite3';
import { PosixError, posixError } from '../errno.js';
import { ByteWriter, CorruptionError } from '../codec/bytes.js';
import type { Ino, OpId } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';
import type { IntentLog } from '../journal/intent-log.js';
import type { Journal } from '../journal/journal.js';
import { rowSum, seal } from '../journal/row-sum.js';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { sizeAfter } from '../chunks/fallocate-rules.js';
import type { FileStamp } from '../chunks/local-file.js';
import { chunksOf, decodeManifest, type Manifest } from '../chunks/manifest.js';
import type { ObjectStore } from '../chunks/object-store.js';
import { readManifest } from '../chunks/manifest-reader.js';
import { SMALL_CONTENT_MAX, SmallContent } from '../chunks/small-content.js';
import { WorkingCopy } from '../chunks/working-copy.js';
import { FALLOC_COLLAPSE_RANGE, FALLOC_INSERT_RANGE } from '../chunks/writable-content.js';
import { Draft } from './draft.js';
import { encodeDraft, encodeNotedDraft } from './draft-state.js';
import { type DraftBegun, encodeDraftBegun, encodeDraftChanged, RECORD, UNTOUCHED } from './intent-records.js';
import type { VolumeClock } from './ports.js';
import { SpareFiles } from './spare-files.js';
import { NO_COMMIT, type StableStorage } from './stable-storage.js';

const NOTHING = Buffer.alloc(0);
const NEVER_WRITTEN: FileStamp = { size: 0, mtimeNs: 0n };
const NS_PER_S = 1_000_000_000n;
const NS_PER_US = 1_000n;
/** Longest tick of file times. */
const COARSE_TIME_NS = 20_000n * NS_PER_US;
/** More than two records of a draft take in the log, without the bytes that follow. */
const RECORDS_MAX_BYTES = 256;
/** Longer writes are not worth writing twice. */
const LOGGED_DATA_MAX = 64 << 10;

function timeOf({ mtimeNs }: FileStamp): Timestamp {
  return { s: Number(mtimeNs / NS_PER_S), ns: Number(mtimeNs % NS_PER_S) };
}

function fileName(ino: Ino, key: number): string {
  return `${ino.toString(36)}.${key.toString(36)}`;
}

/** Where the local files of drafts are. */
export function localFilesPath(stateDirectory: string): string {
  return join(stateDirectory, 'work');
}

export class Drafts {
  private readonly byIno = new Map<Ino, Draft>();
  private readonly scratch = new ByteWriter(4096);
  /** Of the local files. */
  readonly directory: string;
  /** Local files that nothing reads any more. */
  private readonly ended = new Set<string>();
  private readonly spares: SpareFiles;
  private readonly putRow: Statement;
  private readonly deleteRow: Statement;

  constructor(
    journal: Journal,
    private readonly log: IntentLog,
    private readonly objects: ObjectStore,
    stateDirectory: string,
    private readonly clock: VolumeClock,
    private readonly stable: StableStorage,
    /** Told of a file from which was cut what the kernel wrote beyond the longest that a file can be. */
    private readonly wasCut: (ino: Ino) => void,
  ) {
    this.directory = localFilesPath(stateDirectory);
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    this.spares = new SpareFiles(this.directory, objects, () => log.upcomingLsn);
    this.putRow = journal.db.prepare('replace into draft(ino, lsn, state) values (?, ?, ?)');
    this.deleteRow = journal.db.prepare('delete from draft where ino = ?');
  }

  get(ino: Ino): Draft | undefined {
    return this.byIno.get(ino);
  }

  all(): Iterable<Draft> {
    return this.byIno.values();
  }

  get count(): number {
    return this.byIno.size;
  }

  /** Each draft has a local file of its own, if any: that of an earlier draft of the inode may still be needed for recovery. */
  path(ino: Ino, key: number): string {
    return join(this.directory, fileName(ino, key));
  }

  /**
   * Detaches an inode's content from its version.
   * @throws AbsentObjects when the bytes of a small file are not held here
   */
  begin(ino: Ino, base: string, bases: readonly OpId[], mtime: Timestamp): Draft {
    const key = this.log.upcomingLsn;
    const content = this.startFrom(base, (manifest) =>
      WorkingCopy.create(this.path(ino, key), base, manifest, this.objects),
    );
    return this.logBegun(ino, key, content, { ino, base, bases, mtime, file: '' });
  }

  /** Like {@link begin}, from a local file that holds all of the base's bytes. */
  beginFrom(ino: Ino, content: WorkingCopy, base: string, bases: readonly OpId[], mtime: Timestamp): Draft {
    return this.logBegun(ino, this.log.upcomingLsn, content, { ino, base, bases, mtime, file: basename(content.path) });
  }

  /** Begins empty content, of a file that is new or was emptied, in a local file that the kernel writes to. ENOSPC, ENFILE: nothing was begun. */
  beginShared(ino: Ino, bases: readonly OpId[], mtime: Timestamp): Draft {
    const content = this.spares.take();
    const key = this.log.upcomingLsn;
    encodeDraftBegun(this.scratch.reset(), { ino, base: '', bases, mtime, file: basename(content.path) });
    try {
      this.log.append(RECORD.draftBegun, this.scratch.view());
    } catch (error) {
      this.spares.giveBack(content, false);
      throw error;
    }
    const draft = this.addShared(ino, key, content, bases, mtime);
    draft.baseCommit = NO_COMMIT;
    draft.isSpare = true;
    return draft;
  }

  /** A draft is there from now on that the kernel wrote to, if anybody did. */
  addShared(ino: Ino, key: number, content: WorkingCopy, bases: readonly OpId[], mtime: Timestamp): Draft {
    content.share();
    const draft = this.add(ino, key, content, bases, mtime);
    draft.seen = NEVER_WRITTEN;
    draft.sharedAtNs = BigInt(this.clock.nowUs()) * NS_PER_US;
    return draft;
  }

  /**
   * After the last release, and {@link refresh}: what stayed small goes to the log, and its local file serves others.
   * @returns false when nothing was ever written: the draft is gone
   */
  giveBack(draft: Draft): boolean {
    const { content, seen } = draft;
    if (!draft.isSpare || !seen || !(content instanceof WorkingCopy) || seen.size > SMALL_CONTENT_MAX) return true;
    const bytes = content.denseBytes(seen.size);
    if (!bytes) return true;
    try {
      this.record(RECORD.givenBack, draft.ino, draft.mtime, draft.dirty ? 0 : UNTOUCHED, 0, bytes.length, bytes);
    } catch (error) {
      if (!(error instanceof PosixError)) throw error;
      return true; // no room in the log: the local file keeps the bytes
    }
    if (draft.dirty) draft.detach(new SmallContent(bytes));
    else this.release(draft);
    this.spares.giveBack(content, draft.dirty);
    return draft.dirty;
  }

  /** Some microseconds of work that begins of files will need; false when there is none. */
  prepareSome(): boolean {
    return this.spares.emptyOne();
  }

  private logBegun(ino: Ino, key: number, content: Draft['content'], begun: DraftBegun): Draft {
    encodeDraftBegun(this.scratch.reset(), begun);
    this.log.append(RECORD.draftBegun, this.scratch.view());
    const draft = this.add(ino, key, content, begun.bases, begun.mtime);
    draft.baseCommit = begun.base === '' ? NO_COMMIT : this.stable.lastCommit;
    draft.base = begun.base;
    if (begun.base !== '') this.objects.citeVersion(begun.base); // what is under way leaves it
    return draft;
  }

  /** A draft is there from now on. */
  add(ino: Ino, key: number, content: Draft['content'], bases: readonly OpId[], mtime: Timestamp): Draft {
    const draft = new Draft(ino, key, content, bases, mtime, this.clock.monotonicMs());
    this.byIno.set(ino, draft);
    // Recovery: one that began from a kept file has the file of the draft before, which ended.
    if (content instanceof WorkingCopy) this.ended.delete(content.path);
    return draft;
  }

  /** The content of a draft that begins from a version ('': from nothing); `large` makes it of one that is not small. */
  startFrom(base: string, large: (manifest: Manifest) => WorkingCopy): Draft['content'] {
    if (base === '') return new SmallContent();
    const manifest = this.manifest(base);
    if (manifest.size > SMALL_CONTENT_MAX) return large(manifest);
    const bytes = Buffer.alloc(manifest.size);
    try {
      readManifest(this.objects, manifest, 0, manifest.size, bytes, 0);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      throw new AbsentObjects(chunksOf(manifest).filter((id) => !this.objects.has(id)));
    }
    return new SmallContent(bytes, manifest.holes);
  }

  /** @throws AbsentObjects when it is not held, or damaged here: another site may have it */
  manifest(id: string): Manifest {
    try {
      return decodeManifest(this.objects.get(id));
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      throw new AbsentObjects([id]);
    }
  }

  /** Takes all of `data`. */
  write(draft: Draft, offset: number, data: Buffer, time: Timestamp): void {
    this.makeRoom(data.length);
    if (draft.content instanceof SmallContent && offset + data.length > SMALL_CONTENT_MAX) this.spill(draft, time);
    const content = draft.content;
    if (content instanceof SmallContent) {
      this.record(RECORD.data, draft.ino, time, 0, offset, data.length, data);
      content.write(offset, data);
    } else if (draft.logsData && data.length <= LOGGED_DATA_MAX) {
      content.write(offset, data);
      this.record(RECORD.data, draft.ino, time, 0, offset, data.length, data);
      draft.logHoldsData = true;
    } else {
      this.beforeUnlogged(draft);
      content.write(offset, data);
      this.record(RECORD.extent, draft.ino, time, 0, offset, data.length, NOTHING);
    }
    draft.changed(time, this.clock.monotonicMs());
  }

  /** The local file is about to change in a way that the log does not hold: the log's bytes must not be needed any more. */
  private beforeUnlogged(draft: Draft): void {
    if (draft.logHoldsData) this.syncFile(draft);
    draft.unsyncedFile = true;
    draft.logsData = false;
  }

  private syncFile(draft: Draft): void {
    draft.isSpare = false;
    (draft.content as WorkingCopy).sync();
    draft.unsyncedFile = false;
    draft.logHoldsData = false;
  }

  /** fsync(2): data, what it began from, then the log that says which data there are. EFBIG once when some could not be kept. */
  sync(draft: Draft): void {
    this.refresh(draft);
    this.syncContent(draft);
    this.stable.sync(draft.baseCommit);
    if (!draft.wasCut) return;
    draft.wasCut = false;
    throw posixError('EFBIG');
  }

  /** The kernel is about to sync each write to the local file by itself (O_DSYNC): that counts after power loss as fsync(2) does. */
  keepSynced(draft: Draft): void {
    draft.isSpare = false;
    this.sync(draft);
  }

  private syncContent(draft: Draft): void {
    if (draft.content instanceof WorkingCopy) {
      if (!this.logWhole(draft, draft.content)) this.syncLocal(draft);
    }
    if (!draft.synced) this.record(RECORD.synced, draft.ino, draft.mtime, 0, 0, 0, NOTHING);
    draft.synced = true;
    draft.syncedSinceAsked = true;
  }

  /** What only the local file holds is on stable storage then; of a draft that has one. */
  private syncLocal(draft: Draft): void {
    const isShared = draft.seen !== null; // what the kernel writes, only the file holds
    const isInLog = draft.logHoldsData;
    if (isShared) this.makeRoom();
    if (isShared || draft.unsyncedFile) this.syncFile(draft);
    if (isShared && isInLog) this.recordShare(draft); // those bytes are older than the file's
    draft.logsData = !isShared;
  }

  /**
   * A version is about to be committed of a draft on which fsync(2) is called while it was made. After power loss the local file counts for
   * more than that version, which other sites may have by then: it must not hold less. EIO: it cannot be relied on.
   */
  beforeVersion(draft: Draft): void {
    this.syncLocal(draft);
  }

  /** Instead of syncing the local file of a small draft; false where that has to be done. */
  private logWhole(draft: Draft, content: WorkingCopy): boolean {
    if (!draft.isSpare) return false;
    this.refresh(draft);
    const { size } = content;
    const bytes = size > LOGGED_DATA_MAX ? undefined : content.denseBytes(size);
    if (!bytes) return false;
    this.record(RECORD.whole, draft.ino, draft.mtime, 0, 0, size, bytes);
    draft.logHoldsData = true;
    return true;
  }

  /** Before an orderly end: all that was written to drafts can be relied on afterwards. */
  syncAll(): void {
    for (const draft of this.byIno.values()) this.syncContent(draft);
    if (this.byIno.size > 0) this.stable.sync();
  }

  /** The open commit has a version of a draft, which stays. `staysSynced`: as its record says. */
  published(draft: Draft, staysSynced: boolean): void {
    draft.isSpare = false;
    draft.publishedLsn = this.log.lastLsn;
    // What fsync covered beyond the version is found by the record that says so, which the commit must not outlive.
    if (staysSynced) this.stable.sync();
  }

  /** The effect comes before its record: recovery finds either both or, by the file's length, the effect alone. */
  truncate(draft: Draft, size: number, time: Timestamp): void {
    this.makeRoom();
    if (draft.content instanceof SmallContent && size > SMALL_CONTENT_MAX) this.spill(draft, time);
    if (draft.content instanceof WorkingCopy) this.beforeUnlogged(draft);
    draft.content.truncate(size);
    this.record(RECORD.resize, draft.ino, time, 0, size, 0, NOTHING);
    draft.changed(time, this.clock.monotonicMs());
  }

  allocate(draft: Draft, mode: number, offset: number, length: number, time: Timestamp): void {
    this.makeRoom();
    if (
      draft.content instanceof SmallContent &&
      sizeAfter(mode, offset, length, draft.content.size) > SMALL_CONTENT_MAX
    ) {
      this.spill(draft, time);
    }
    const { content } = draft;
    if (content instanceof WorkingCopy) {
      this.beforeUnlogged(draft);
      if (mode & (FALLOC_COLLAPSE_RANGE | FALLOC_INSERT_RANGE)) this.localiseTail(draft, content, offset, time);
    }
    content.fallocate(mode, offset, length);
    this.record(RECORD.allocate, draft.ino, time, mode, offset, length, NOTHING);
    draft.changed(time, this.clock.monotonicMs());
  }

  /** What moves must be local first, and the log must say so: a crash in between then finds the bytes where it looks for them. */
  private localiseTail(draft: Draft, content: WorkingCopy, offset: number, time: Timestamp): void {
    const tail = Math.max(0, content.size - offset);
    content.localise(offset, tail);
    this.record(RECORD.extent, draft.ino, time, 0, offset, tail, NOTHING);
  }

  /** False when there is nothing that the time could travel with: nothing was written so far. */
  touch(draft: Draft, mtime: Timestamp): boolean {
    this.refresh(draft); // what was written before has had its time
    if (draft.isSpare && !draft.dirty) {
      draft.mtime = mtime;
      return false;
    }
    this.record(RECORD.touch, draft.ino, mtime, 0, 0, 0, NOTHING);
    draft.changed(mtime, this.clock.monotonicMs());
    return true;
  }

  /** The kernel may write to the draft's local file from now on: recovery has to look whether it did. */
  share(draft: Draft): void {
    if (draft.seen) return;
    this.makeRoom();
    const content = draft.content as WorkingCopy;
    this.beforeUnlogged(draft);
    content.share();
    draft.seen = content.stamp();
    draft.sharedAtNs = BigInt(this.clock.nowUs()) * NS_PER_US;
    this.recordShare(draft);
  }

  private recordShare({ ino, seen }: Draft): void {
    this.record(RECORD.share, ino, timeOf(seen!), 0, seen!.size, 0, NOTHING);
  }

  /** Takes note of what the kernel wrote by itself; false when it wrote nothing that can be told. */
  refresh(draft: Draft): boolean {
    if (!draft.seen) return false;
    const content = draft.content as WorkingCopy;
    const stamp = content.stamp();
    if (content.takeCut()) {
      draft.wasCut = true;
      this.wasCut(draft.ino);
    }
    // The kernel never shortens a file by itself: what is empty as it was, nobody wrote to.
    const isEmpty = stamp.size === 0 && draft.seen.size === 0;
    if (isEmpty || (stamp.size === draft.seen.size && stamp.mtimeNs === draft.seen.mtimeNs)) return false;
    draft.seen = stamp;
    content.noteForeignWrites();
    draft.changed(timeOf(stamp), this.clock.monotonicMs());
    return true;
  }

  /**
   * Like {@link refresh}, when nobody can write any more. Where file times are coarse, a write soon after a look leaves no trace:
   * what was written to since it was shared counts as changed once more, and its chunks tell whether it was. Until then it shows the mtime
   * that it has: utimensat(2) may have set that.
   */
  refreshAtClose(draft: Draft): void {
    this.refresh(draft);
    const { seen } = draft;
    if (seen && seen.mtimeNs >= draft.sharedAtNs - COARSE_TIME_NS) this.suspect(draft);
  }

  /**
   * Like {@link refresh}, after a crash. The file's time does not tell: times are coarse, and fdatasync(2) makes bytes durable without the
   * time at which they were written.
   */
  refreshRecovered(draft: Draft): void {
    draft.isHeldByOthers = true;
    this.refresh(draft);
    this.suspect(draft);
  }

  /** The kernel may have written to a local file: its bytes will tell. */
  private suspect(draft: Draft): void {
    (draft.content as WorkingCopy).noteForeignWrites();
    const now = this.clock.monotonicMs();
    if (!draft.dirty) draft.perhapsChanged(timeOf(draft.seen!), now);
    // A worker may have read those bytes before.
    else if (draft.ingesting !== 0) draft.changed(draft.mtime, now);
  }

  private spill(draft: Draft, time: Timestamp): void {
    draft.content = WorkingCopy.spill(this.path(draft.ino, draft.key), draft.content as SmallContent, this.objects);
    // What fsync(2) covered in the log, this record takes out of it.
    if (draft.synced) this.syncFile(draft);
    this.record(RECORD.spill, draft.ino, time, 0, 0, draft.content.size, NOTHING);
  }

  /** Before a call has its effect, for the records that tell of it: it is not to fail between the two for want of room on the disk. */
  private makeRoom(dataBytes = 0): void {
    this.log.makeRoom(RECORDS_MAX_BYTES + dataBytes);
  }

  private record(
    kind: number,
    ino: Ino,
    time: Timestamp,
    mode: number,
    offset: number,
    length: number,
    data: Buffer,
  ): void {
    encodeDraftChanged(this.scratch.reset(), ino, time, mode, offset, length);
    this.log.append(kind, this.scratch.view(), data);
  }

  /** Forgets a draft: its bytes are a version now, or unreachable. Recovery may need its local file until that is committed. */
  end(draft: Draft): void {
    if (draft.content instanceof WorkingCopy) this.ended.add(draft.content.path);
    draft.content.close();
    this.release(draft);
  }

  /** Forgets a draft whose content goes on as a kept copy. */
  release(draft: Draft): void {
    this.byIno.delete(draft.ino);
    if (draft.rowPublishedLsn >= 0) this.deleteRow.run(draft.ino);
  }

  /** A local file that nothing reads any more. Recovery may need it until the commits up to now are durable. */
  discard(path: string): void {
    this.ended.add(path);
  }

  /** The local files of the drafts that ended; to be removed once the commits up to now are durable. */
  takeEnded(): string[] {
    const paths = [...this.ended];
    this.ended.clear();
    return paths;
  }

  /** The log position from which every draft can be rebuilt. */
  get logFloor(): number {
    let floor = Infinity;
    for (const draft of this.byIno.values()) floor = Math.min(floor, draft.logStart);
    return floor;
  }

  /** Writes every draft to the database, so that the log up to now may go once the next commit is durable. */
  persist(): void {
    for (const draft of this.byIno.values()) this.persistWhole(draft);
  }

  private persistWhole(draft: Draft): void {
    const { lastLsn } = this.log;
    if (draft.logHoldsData) this.syncFile(draft);
    draft.logStart = lastLsn + 1;
    draft.hasWholeRow = true;
    draft.isSpare = false;
    this.writeRow(draft, lastLsn, encodeDraft(draft));
  }

  /** The commit that is about to be made says which drafts there are. */
  note(): void {
    for (const draft of this.byIno.values()) {
      if (draft.rowPublishedLsn === draft.publishedLsn) continue;
      if (draft.hasWholeRow) this.persistWhole(draft);
      else this.writeRow(draft, 0, encodeNotedDraft(draft));
    }
  }

  /** `lsn`: the log position that the state includes. */
  private writeRow(draft: Draft, lsn: number, state: Buffer): void {
    this.putRow.run(draft.ino, lsn, seal(rowSum(draft.ino, lsn), state));
    draft.rowPublishedLsn = draft.publishedLsn;
  }

  close(): void {
    this.spares.close();
    for (const draft of this.byIno.values()) draft.content.close();
  }

  /** @throws PosixError EFBIG */
  static checkRange(offset: number, length: number): void {
    if (!Number.isSafeInteger(offset + length)) throw posixError('EFBIG');
  }
}
