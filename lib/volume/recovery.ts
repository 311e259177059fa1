// recovery.ts — brings a volume back to what its callers were told, from the last fold and the intent log behind it.
// Invariant: the records are replayed in order on exactly the state that they were written on; the log gives a prefix, so the
// result is the state after that prefix. Replaying twice gives the same. Where power loss took the bytes of a version that is in the
// state, they are packed again from the records that the log still has of them. It may have taken what the log said last of a draft, and
// what was not synced of a local file: neither comes to stand above a version that other sites may have.

import { AbsentObjects } from '../chunks/absent-objects.js';
import { ByteReader, CorruptionError } from '../codec/bytes.js';
import type { ActorTable, Ino, ObjectId, OpId } from '../crdt/ids.js';
import {
  formatOp,
  formatTombstone,
  isTombstone,
  LINK_PREFIX,
  mergedIn,
  parseHead,
  parseLink,
  type Tombstone,
} from '../crdt/fields.js';
import type { WriteDraft } from '../crdt/local-writes.js';
import type { Timestamp } from '../crdt/inode.js';
import { sameOp } from '../crdt/register.js';
import type { IntentLog, IntentRecord } from '../journal/intent-log.js';
import type { VersionHistory } from '../journal/version-history.js';
import { encodeManifest, inlineManifest } from '../chunks/manifest.js';
import { ObjectKind } from '../chunks/object-kind.js';
import type { ObjectStore } from '../chunks/object-store.js';
import { SmallContent } from '../chunks/small-content.js';
import { WorkingCopy } from '../chunks/working-copy.js';
import type { Commits } from './commits.js';
import type { Draft } from './draft.js';
import type { DraftRecovery } from './draft-recovery.js';
import type { Drafts } from './drafts.js';
import {
  decodeDraftBegun,
  decodeDraftChanged,
  decodeWrites,
  type DraftBegun,
  RECORD,
  UNTOUCHED,
  type WritesRecord,
} from './intent-records.js';

/** After these a working copy's file holds what no record does. */
const UNLOGGED_KINDS: ReadonlySet<number> = new Set([
  RECORD.extent,
  RECORD.resize,
  RECORD.allocate,
  RECORD.spill,
  RECORD.share,
]);

/** What power loss means for a recovery. */
export interface PowerLoss {
  /** Told of a file that shows the version before what was last written to it, which fsync(2) did not cover. */
  readonly gaveUp: (ino: Ino) => void;
}

export class Recovery {
  /** Operations and draft changes that were replayed. */
  replayed = 0;
  /** By inode: the log position up to which its drafts are over and done with, in the state as it was folded. */
  private readonly draftsEnded = new Map<Ino, number>();
  /** When the last operation that is brought back was carried out, microseconds since 1970. */
  private lastUs = 0;
  /** By inode: when its last draft was last written to, microseconds since 1970. */
  private readonly draftsWrittenUs = new Map<Ino, number>();
  private readonly draftsFrom: Map<Ino, number>;
  /** By inode: the log position of the last change of its working copy that the log does not hold; all before it was synced. */
  private readonly unlogged = new Map<Ino, number>();
  /** Inodes whose last draft began from a version that power loss undid: what follows of it in the log cannot be placed. */
  private readonly baseless = new Set<Ino>();
  /** By inode: where the draft began that is there at the end of the log. */
  private readonly openAtEnd = new Map<Ino, number>();
  /** Where drafts began whose local file was given back afterwards. */
  private readonly givenBack = new Set<number>();
  /**
   * Log positions of versions that an earlier recovery passed over, though its commits count them as folded: the state still has the drafts
   * that they were made of.
   */
  private readonly passedOver = new Set<number>();
  /** Actors from this index on were new in commits that the crash undid; it may be another one's by now. */
  private readonly actorsBefore: number;
  /**
   * By inode: what stands for the versions of it that the log made last. The operations that wrote them have other numbers now, or were
   * passed over, and what was written next cites them by those that they had.
   */
  private readonly standIns = new Map<Ino, readonly OpId[]>();
  /** By inode: the draft that holds what the version was that the log made last, and the crash undid. */
  private readonly undone = new Map<Ino, { readonly draft: Draft; readonly manifest: ObjectId }>();
  /** Drafts that power loss ended. */
  private readonly gone = new Set<Ino>();

  constructor(
    private readonly commits: Commits,
    private readonly drafts: Drafts,
    private readonly draftRecovery: DraftRecovery,
    private readonly objects: ObjectStore,
    private readonly history: VersionHistory,
    private readonly foldedLsn: number,
    /** Objects that power loss took, though the state names them. */
    private readonly lostObjects: ReadonlySet<ObjectId>,
    private readonly lost: (ino: Ino, error: CorruptionError) => void,
    /** Undefined where all that was written is there, synced or not: only the process ended. */
    private readonly powerLoss: PowerLoss | undefined,
  ) {
    this.draftsFrom = draftRecovery.restore(lost);
    this.actorsBefore = commits.actorCount;
  }

  run(log: IntentLog): void {
    let lastLsn = 0;
    for (const record of log.recover(0)) {
      this.lookAhead(record);
      lastLsn = record.lsn;
    }
    if (this.powerLoss) this.endUnnoted(lastLsn);
    if (this.lastUs > 0) this.commits.recoverAs(this.lastUs);
    for (const record of log.recover(0)) this.replay(record);
    if (this.powerLoss) {
      this.giveUpUnsynced(this.powerLoss);
      this.draftRecovery.truncateAsLogged();
    }
    // What was still open becomes a version now; its last write may be older than the last fold.
    for (const [ino, writtenUs] of this.draftsWrittenUs)
      if (this.drafts.get(ino)) this.lastUs = Math.max(this.lastUs, writtenUs);
    if (this.lastUs > 0) this.commits.recoverAs(this.lastUs);
    this.draftRecovery.removeStrays();
    // Their records are still in the log, and the next start may have no reason to pass over them.
    const time = { s: Math.floor(this.lastUs / 1e6), ns: (this.lastUs % 1e6) * 1000 };
    for (const ino of this.gone) this.commits.logEnd(ino, time);
  }

  private lookAhead({ lsn, kind, payload }: IntentRecord): void {
    if (kind === RECORD.writes) {
      const record = decodeWrites(payload);
      if (this.wasPassedOver(record, lsn)) {
        this.passedOver.add(lsn);
        return;
      }
      if (record.ends) this.openAtEnd.delete(record.draft);
      if (lsn > this.foldedLsn) this.noteTime(record.time);
      else if (record.ends && !this.isLost(record)) this.draftsEnded.set(record.draft, lsn);
      return;
    }
    if (kind === RECORD.basis) return;
    if (kind === RECORD.draftBegun) {
      const { ino, base, file, mtime } = decodeDraftBegun(new ByteReader(payload));
      this.openAtEnd.set(ino, lsn);
      if (file !== '' && base === '') this.draftsWrittenUs.set(ino, microseconds(mtime)); // when it was created
    }
    // Their times are the file's, which callers choose.
    if (kind === RECORD.draftBegun || kind === RECORD.touch || kind === RECORD.synced || kind === RECORD.whole) return;
    const { ino, time, mode } = decodeDraftChanged(kind, payload);
    if (kind === RECORD.givenBack) {
      this.givenBack.add(this.openAtEnd.get(ino)!);
      if (mode === UNTOUCHED) this.openAtEnd.delete(ino);
      return;
    }
    if (lsn > this.foldedLsn) this.noteTime(time);
    this.draftsWrittenUs.set(ino, microseconds(time));
    if (UNLOGGED_KINDS.has(kind)) this.unlogged.set(ino, lsn);
  }

  private wasPassedOver({ draft }: WritesRecord, lsn: number): boolean {
    const noted = draft !== 0 && lsn <= this.foldedLsn ? this.draftRecovery.noted.get(draft) : undefined;
    if (!noted || noted.key > lsn || noted.publishedLsn >= lsn) return false;
    return noted.key === (this.openAtEnd.get(draft) ?? noted.key);
  }

  /**
   * Where the state outlived the end of the log: of a draft that gave a version beyond the log, or is not there any more in the state, the
   * log's records make an older version than that.
   */
  private endUnnoted(lastLsn: number): void {
    if (lastLsn >= this.foldedLsn) return;
    for (const [ino, key] of this.openAtEnd) {
      const noted = this.draftRecovery.noted.get(ino);
      const reached = Math.max(lastLsn, this.draftsFrom.get(ino) ?? 0);
      if (noted?.key === key && noted.publishedLsn <= reached) continue;
      this.draftsEnded.set(ino, this.foldedLsn);
      this.gone.add(ino);
      const draft = this.drafts.get(ino);
      if (draft) this.drafts.end(draft);
    }
  }

  /** A local file that was never synced since the last version holds some of that version's bytes, and some of those written since. */
  private giveUpUnsynced({ gaveUp }: PowerLoss): void {
    for (const draft of this.drafts.all()) {
      // What began from nothing in place of a version cites it.
      const hasVersion = draft.bases.length > 0 || draft.publishedLsn > 0;
      if (!(draft.content instanceof WorkingCopy) || draft.synced || !(hasVersion || draft.isUnproven)) continue;
      this.drafts.end(draft);
      this.gone.add(draft.ino);
      if (draft.dirty && !draft.suspected) gaveUp(draft.ino);
    }
  }

  private noteTime(time: Timestamp): void {
    this.lastUs = Math.max(this.lastUs, microseconds(time));
  }

  private replay(record: IntentRecord): void {
    if (record.kind === RECORD.basis) return; // the state has it, or the log would end here
    if (record.kind === RECORD.writes) {
      this.replayWrites(record);
      return;
    }
    try {
      this.replayDraft(record);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.abandonDraft(record, error);
    }
  }

  private replayWrites({ lsn, payload }: IntentRecord): void {
    if (this.passedOver.has(lsn)) return;
    const record = decodeWrites(payload);
    const folded = lsn <= this.foldedLsn;
    if ((record.draft !== 0 || isMerge(record)) && !folded && !this.holdsVersion(record)) {
      // Its objects were indexed in the transaction that the crash undid. The draft is still whole: it is published again. So are
      // the versions of a merge.
      for (const { ino, field, value, bases } of record.writes) {
        if (field !== 'head') continue;
        if (bases) this.standIns.set(ino, this.placed(ino, bases));
        const draft = this.drafts.get(ino);
        if (draft && ino === record.draft) this.undone.set(ino, { draft, manifest: parseHead(value).manifest });
      }
      return;
    }
    if (!folded) this.applyAgain(record);
    const draft = this.drafts.get(record.draft);
    if (!draft || this.isIncluded(record.draft, lsn)) return;
    if (folded && this.isLost(record)) this.packAgain(draft);
    if (record.ends) {
      // Given up because it holds no more than its version: that is still to be made of it.
      const isNeeded = record.writes.length === 0 && this.undone.get(record.draft)?.draft === draft;
      if (!isNeeded) this.drafts.end(draft);
    }
    // It went on from the version that this operation made: the next one is based on that.
    else {
      draft.bases = this.commits.headOf(record.draft, record.writes, this.history.versionsOf(record.draft).version);
      draft.publishedLsn = lsn;
      draft.synced = record.staysSynced;
      const head = record.writes.find(({ field }) => field === 'head');
      // After power loss less of it may be here than of the one before.
      if (head && !this.powerLoss) this.draftRecovery.published(draft, parseHead(head.value).manifest);
    }
  }

  private applyAgain({ writes, time, touched }: WritesRecord): void {
    const placed = writes.map((write) => this.placedWrite(write));
    this.commits.replay(placed, time, touched);
    for (const { ino, field } of placed)
      if (field === 'head')
        this.standIns.set(ino, this.commits.headOf(ino, placed, this.history.versionsOf(ino).version));
    this.replayed++;
  }

  /** A write that cites versions cites them as the state that is being brought back knows them. */
  private placedWrite(write: WriteDraft): WriteDraft {
    const { ino, field, value, bases } = write;
    if (bases) return { ...write, bases: this.placed(ino, bases) };
    if (!this.standIns.has(ino) || !field.startsWith(LINK_PREFIX) || !isTombstone(value)) return write;
    const { parent, name, cites } = parseLink(value) as Tombstone;
    if (cites.length === 0) return write; // one of several names: it takes no version with it
    const { actors } = this.commits;
    const cited = cites.map((cite) => citedOp(cite, actors));
    const placed = this.placed(ino, cited).map(({ counter, actor }) => formatOp(counter, actors.id(actor)));
    return { ...write, value: formatTombstone(parent, name, placed) };
  }

  /** What a version is based on, as the state that is being brought back knows it. */
  private placed(ino: Ino, bases: readonly OpId[]): OpId[] {
    const standIns = this.standIns.get(ino);
    if (!standIns) return [...bases];
    const { version: lookup } = this.history.versionsOf(ino);
    const known = bases.filter((op) => op.actor < this.actorsBefore && this.commits.knowsVersion(ino, op, lookup));
    if (known.length === bases.length) return known;
    return [...known, ...standIns.filter((op) => !known.some((base) => sameOp(base, op)))];
  }

  /** Whether what the record says of an inode's draft is in the draft that was restored, or in a version. */
  private isIncluded(ino: Ino, lsn: number): boolean {
    return lsn <= Math.max(this.draftsFrom.get(ino) ?? 0, this.draftsEnded.get(ino) ?? 0);
  }

  /** Whether the version that the operation made is in the state without its bytes. */
  private isLost(record: WritesRecord): boolean {
    return record.writes.some(
      ({ field, value }) => field === 'head' && this.lostObjects.has(parseHead(value).manifest),
    );
  }

  /** The log still has what a version was made of: the same bytes make the same object. */
  private packAgain({ content }: Draft): void {
    if (!(content instanceof SmallContent)) return; // of a large one other threads pack the bytes, and sync them first
    this.objects.put(ObjectKind.manifest, encodeManifest(inlineManifest(content.bytes(), content.holes())));
    this.replayed++;
  }

  private holdsVersion({ writes }: WritesRecord): boolean {
    return writes.every(({ field, value }) => field !== 'head' || this.objects.holdsWhole(parseHead(value).manifest));
  }

  /** What was written since the last version is gone with its local file; the last version is still there. */
  private abandonDraft({ kind, payload }: IntentRecord, error: CorruptionError): void {
    const input = new ByteReader(payload);
    const { ino } = kind === RECORD.draftBegun ? decodeDraftBegun(input) : decodeDraftChanged(kind, payload);
    const draft = this.drafts.get(ino);
    if (draft) this.drafts.end(draft);
    this.lost(ino, error);
  }

  private replayDraft({ lsn, kind, payload }: IntentRecord): void {
    if (kind === RECORD.draftBegun) {
      const begun = decodeDraftBegun(new ByteReader(payload));
      if (this.isIncluded(begun.ino, lsn)) return;
      this.replayBegun({ ...begun, bases: this.placed(begun.ino, begun.bases) }, lsn);
      return;
    }
    const change = decodeDraftChanged(kind, payload);
    // Without a draft it was lost, or skipped with the operation that it followed.
    if (this.isIncluded(change.ino, lsn) || !this.drafts.get(change.ino) || this.baseless.has(change.ino)) return;
    const isInFile = lsn < (this.unlogged.get(change.ino) ?? 0) || (kind === RECORD.whole && !this.powerLoss);
    this.draftRecovery.changed(change, isInFile);
    this.replayed++;
  }

  /** Of a draft whose version the crash undid, one that began from that version goes on with its bytes, as far as they were synced. */
  private replayBegun(begun: DraftBegun, lsn: number): void {
    try {
      if (this.givenBack.has(lsn)) this.draftRecovery.begunElsewhere(begun, lsn);
      else this.draftRecovery.begun(begun, lsn);
      this.baseless.delete(begun.ino);
      this.replayed++;
    } catch (error) {
      if (!(error instanceof AbsentObjects)) throw error;
      if (this.goesOn(begun, lsn)) return;
      if (!this.powerLoss) {
        this.draftRecovery.begunBeside(begun, lsn);
        this.baseless.delete(begun.ino);
        const text = `it stands beside version ${begun.base}, which is damaged here, with zeros for what is there`;
        this.lost(begun.ino, new CorruptionError(text));
        return;
      }
      this.baseless.add(begun.ino);
      this.lost(begun.ino, new CorruptionError(`version ${begun.base} was not on stable storage`));
    }
  }

  /** A draft that began from a version which the crash undid has the bytes of the one that the version was made of. */
  private goesOn(begun: DraftBegun, lsn: number): boolean {
    const undone = this.undone.get(begun.ino);
    if (undone?.manifest !== begun.base || this.drafts.get(begun.ino) !== undone.draft) return false;
    // A version that is made between calls is in the state before the next one: only what is small is made within one.
    if (begun.file !== '' || !(undone.draft.content instanceof SmallContent)) return false;
    const draft = this.draftRecovery.begunFrom(undone.draft.content, begun, lsn);
    this.undone.set(begun.ino, { draft, manifest: begun.base });
    return true;
  }
}

function microseconds({ s, ns }: Timestamp): number {
  return s * 1e6 + Math.floor(ns / 1000);
}

/** An op as a tombstone spells it. One by an actor that the state has nothing of is none that it knows. */
function citedOp(text: string, actors: ActorTable): OpId {
  const [counter, id] = text.split('@') as [string, string];
  return { counter: Number(counter), actor: actors.indexOf(id) ?? Infinity };
}

/** Whether the operation merged versions of a file. */
function isMerge({ writes }: WritesRecord): boolean {
  return writes.some(({ field, value }) => field === 'head' && mergedIn(value).length > 0);
}
