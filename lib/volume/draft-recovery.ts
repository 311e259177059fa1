// draft-recovery.ts — how drafts come back after a crash: from the database, then from the records behind what it holds.
// Invariant: the bytes of a working copy are in its file already, and are only taken note of again; those of a small draft, and those that
// fsync(2) put into the log, are written again. Replaying twice gives the same. Which records count is for recovery.ts to say.

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { CorruptionError } from '../codec/bytes.js';
import type { Ino, ObjectId } from '../crdt/ids.js';
import type { Connection } from '../journal/schema.js';
import { rowSum, unseal } from '../journal/row-sum.js';
import type { Manifest } from '../chunks/manifest.js';
import type { ObjectStore } from '../chunks/object-store.js';
import { SmallContent } from '../chunks/small-content.js';
import { WorkingCopy } from '../chunks/working-copy.js';
import type { Draft } from './draft.js';
import { decodeDraft, type DraftState, type NotedDraft } from './draft-state.js';
import type { Drafts } from './drafts.js';
import { type DraftBegun, type DraftChanged, RECORD, UNTOUCHED } from './intent-records.js';

const NS_PER_S = 1_000_000_000n;

interface DraftRow {
  readonly ino: Ino;
  readonly lsn: number;
  readonly state: Buffer;
}

export class DraftRecovery {
  /** By inode: what the last commit says of its draft. */
  readonly noted = new Map<Ino, Pick<NotedDraft, 'key' | 'publishedLsn'>>();
  /** Drafts whose bytes a later record has: nothing before it can be looked at any more. */
  private readonly awaitBytes = new Set<Draft>();
  /** How long the log says that the local files are of drafts that were truncated; of those to which the kernel wrote it does not know. */
  private readonly truncated = new Map<Draft, number>();

  constructor(
    private readonly db: Connection,
    private readonly drafts: Drafts,
    private readonly objects: ObjectStore,
    private readonly monotonicMs: () => number,
    /** Local files may lack what was not synced, and their names. */
    private readonly afterPowerLoss: boolean,
  ) {}

  /**
   * Brings back what {@link Drafts.persist} wrote, and returns the log position that each row includes; takes note of what
   * {@link Drafts.note} wrote.
   * @param lost told of a draft whose local file is gone: power failed before any fsync(2) covered it
   */
  restore(lost: (ino: Ino, error: CorruptionError) => void): Map<Ino, number> {
    const upTo = new Map<Ino, number>();
    const rows = this.db.prepare('select ino, lsn, state from draft').all() as DraftRow[];
    for (const { ino, lsn, state } of rows) {
      try {
        const draft = decodeDraft(unseal(`what was written to inode ${ino}`, rowSum(ino, lsn), state));
        this.noted.set(ino, draft);
        if (!draft.isNoted) this.bringBack(ino, lsn, draft);
      } catch (error) {
        if (error instanceof AbsentObjects)
          lost(ino, new CorruptionError(`version ${error.ids[0]} was not on stable storage`));
        else if (error instanceof CorruptionError) lost(ino, error);
        else throw error;
      }
      upTo.set(ino, lsn);
    }
    this.db.prepare('delete from draft where lsn = 0').run(); // the next commit notes them anew
    return upTo;
  }

  private bringBack(ino: Ino, lsn: number, state: DraftState): void {
    const { isSmall, key, file, isShared, mtime, bases, body, holes } = state;
    const content = isSmall
      ? new SmallContent(body, holes)
      : WorkingCopy.restore(join(this.drafts.directory, basename(file)), body, this.objects);
    const draft = this.drafts.add(ino, key, content, bases, mtime);
    draft.logStart = lsn + 1;
    draft.generation++;
    draft.publishedLsn = draft.rowPublishedLsn = state.publishedLsn;
    draft.synced = state.synced;
    draft.hasWholeRow = true;
    if (!isShared) return;
    // Written to by the kernel until the crash: all of it may be new.
    draft.isHeldByOthers = true;
    (draft.content as WorkingCopy).noteForeignWrites();
    this.drafts.share(draft);
  }

  /** A draft began with the record `lsn`. */
  begun({ ino, base, bases, mtime, file }: DraftBegun, lsn: number): void {
    if (file !== '' && base === '') {
      const draft = this.drafts.addShared(ino, lsn, this.openSpare(file), bases, mtime);
      draft.isUnproven = draft.isHeldByOthers = true;
      this.drafts.refresh(draft);
      return;
    }
    const path = file === '' ? this.drafts.path(ino, lsn) : join(this.drafts.directory, basename(file));
    const reopen = (manifest: Manifest): WorkingCopy => WorkingCopy.reopen(path, base, manifest, this.objects);
    // A kept file goes on as one, also of a version that has become small.
    const content = file === '' ? this.drafts.startFrom(base, reopen) : reopen(this.drafts.manifest(base));
    if (file !== '') (content as WorkingCopy).noteForeignWrites();
    this.drafts.add(ino, lsn, content, bases, mtime).base = base; // the next start begins it from that, too
  }

  /**
   * A draft goes on from the version that was made of it: what its local file does not have is read from that one. Of what only the version
   * before has, this site may have given up its copy, and the others theirs.
   */
  published({ content }: Draft, manifestId: ObjectId): void {
    if (!(content instanceof WorkingCopy) || !this.objects.has(manifestId)) return;
    try {
      content.published(manifestId, this.drafts.manifest(manifestId));
    } catch (error) {
      // It is damaged: then it goes on from the one before.
      if (!(error instanceof AbsentObjects)) throw error;
    }
  }

  /** fsync(2) of what is in the log makes not even the name of the local file durable. */
  private openSpare(file: string): WorkingCopy {
    const path = join(this.drafts.directory, basename(file));
    const isGone = this.afterPowerLoss && !existsSync(path);
    return isGone ? WorkingCopy.ofNothing(path, this.objects) : WorkingCopy.adoptSpilled(path, this.objects);
  }

  /** A draft began with the record `lsn`, in a local file that it gave back: that record, which is to come, has its bytes. */
  begunElsewhere({ ino, bases, mtime }: DraftBegun, lsn: number): void {
    this.awaitBytes.add(this.drafts.add(ino, lsn, new SmallContent(), bases, mtime));
  }

  /**
   * A draft began with the record `lsn`, from a version whose bytes are damaged: as if it had begun from nothing, so that it takes no version's
   * place. A local file has all that was written, and nothing else says whether there is one.
   */
  begunBeside({ ino, mtime, file }: DraftBegun, lsn: number): void {
    const path = file === '' ? this.drafts.path(ino, lsn) : join(this.drafts.directory, basename(file));
    const content = existsSync(path) ? WorkingCopy.adoptSpilled(path, this.objects) : new SmallContent();
    this.drafts.add(ino, lsn, content, [], mtime);
  }

  /** A draft began with the record `lsn`, from a version that there is no longer: these are its bytes. */
  begunFrom(content: SmallContent, { ino, bases, mtime }: DraftBegun, lsn: number): Draft {
    const draft = this.drafts.add(ino, lsn, content, bases, mtime);
    draft.changed(mtime, this.monotonicMs());
    return draft;
  }

  /**
   * A draft that is there changed. The bytes of a working copy are in its file already.
   * @param isInFile so are those of a `data` or `whole` record, and newer ones may have followed
   */
  changed(change: DraftChanged, isInFile: boolean): void {
    const draft = this.drafts.get(change.ino)!;
    const { content } = draft;
    this.noteLength(draft, change);
    if (this.awaitBytes.has(draft) && change.kind !== RECORD.givenBack) {
      if (change.kind === RECORD.synced) draft.synced = true;
      return;
    }
    switch (change.kind) {
      case RECORD.data:
        if (content instanceof WorkingCopy && isInFile) content.adopt(change.offset, change.length);
        else {
          content.write(change.offset, change.data!);
          draft.logHoldsData = content instanceof WorkingCopy;
        }
        break;
      case RECORD.whole:
        if (!isInFile) {
          content.truncate(0);
          content.write(0, change.data!);
        }
        draft.logHoldsData = true;
        break;
      case RECORD.givenBack:
        this.awaitBytes.delete(draft);
        if (change.mode === UNTOUCHED) {
          this.drafts.end(draft);
          return;
        }
        draft.content = new SmallContent(Buffer.from(change.data!));
        break;
      case RECORD.extent:
        (content as WorkingCopy).adopt(change.offset, change.length);
        break;
      case RECORD.resize:
        if (content instanceof SmallContent) content.truncate(change.offset);
        else {
          content.adoptTruncate(change.offset);
          if (draft.seen === null) this.truncated.set(draft, change.offset);
        }
        break;
      case RECORD.allocate:
        if (content instanceof SmallContent) content.fallocate(change.mode, change.offset, change.length);
        else content.adoptFallocate(change.mode, change.offset, change.length);
        break;
      case RECORD.spill:
        draft.content = WorkingCopy.adoptSpilled(this.drafts.path(change.ino, draft.key), this.objects);
        break;
      case RECORD.touch:
        break;
      case RECORD.share:
        this.shared(draft, change);
        return;
      case RECORD.synced:
        draft.synced = true;
        return;
      default:
        throw new CorruptionError(`intent log: unknown record kind ${change.kind}`);
    }
    draft.changed(change.time, this.monotonicMs());
  }

  private noteLength(draft: Draft, { kind, offset, length }: DraftChanged): void {
    const logged = this.truncated.get(draft);
    if (logged === undefined) return;
    if (kind === RECORD.data || kind === RECORD.extent) this.truncated.set(draft, Math.max(logged, offset + length));
    else if (kind !== RECORD.touch && kind !== RECORD.synced) this.truncated.delete(draft);
  }

  /**
   * Power failed: of a truncation that was not synced the log may have the record, and the disk not the effect. What the file has beyond
   * are no bytes of the draft's.
   */
  truncateAsLogged(): void {
    for (const [draft, length] of this.truncated)
      if (this.drafts.get(draft.ino) === draft && draft.content.size > length) draft.content.truncate(length);
  }

  private shared(draft: Draft, { time, offset: size }: DraftChanged): void {
    const content = draft.content as WorkingCopy;
    content.share();
    draft.seen = { size, mtimeNs: BigInt(time.s) * NS_PER_S + BigInt(time.ns) };
    this.drafts.refreshRecovered(draft);
  }

  /** Removes working copies that no draft owns: left by a crash between their creation and their record. */
  removeStrays(): void {
    const owned = new Set<string>();
    for (const { content } of this.drafts.all()) if (content instanceof WorkingCopy) owned.add(basename(content.path));
    for (const name of readdirSync(this.drafts.directory)) {
      if (!owned.has(name)) rmSync(join(this.drafts.directory, name), { force: true });
    }
  }
}
