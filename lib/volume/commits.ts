// commits.ts — the one writer of replicated state: local operations become register writes, the writes of a few milliseconds one
// commit, of one change or, where they are many, of several; changes of other sites are applied between commits.
// Invariant: an operation is in the intent log before its caller is answered, so what a caller was told survives SIGKILL; SQLite
// follows at the next fold. All writes of an operation are in one change. A change is never applied while a local commit is open (its
// ops would get ids that were already taken).

import assert from 'node:assert/strict';
import type { WriteDraft } from '../crdt/local-writes.js';
import type { RegisterWrite, Replica } from '../crdt/replica.js';
import type { ViewChange } from '../crdt/view-change.js';
import type { Change, ChangeOp, Value } from '../crdt/change.js';
import type { ActorTable, Ino, OpId, SiteId } from '../crdt/ids.js';
import { VOLUME_INO } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';
import { compareTimes, formatTimestamp, parseHead, parseOp, timeOfStamp } from '../crdt/fields.js';
import { sameOp } from '../crdt/register.js';
import { findVersion, type VersionLookup } from '../crdt/version-graph.js';
import { validateOp } from '../crdt/register-schema.js';
import type { HybridClock } from '../crdt/stamp.js';
import type { Journal } from '../journal/journal.js';
import type { IntentLog } from '../journal/intent-log.js';
import { ByteWriter } from '../codec/bytes.js';
import { encodeBasis, encodeWrites, RECORD, type WritesRecord } from './intent-records.js';
import type { VolumeClock } from './ports.js';

/** The writes of a part of an operation, or how to find them once the parts before it were applied. */
export type Step = readonly WriteDraft[] | (() => readonly WriteDraft[]);

/** The draft that an operation makes a version of, or gives up, and what becomes of it. */
export interface DraftFate {
  readonly ino: Ino;
  readonly ends: boolean;
  /** See {@link WritesRecord.staysSynced}. */
  readonly staysSynced: boolean;
}

/**
 * A change that has so many register writes gets no further operation. Other sites apply a change in one go, some 10 µs for each write,
 * and the calls of their programs wait meanwhile.
 */
export const WRITES_OF_CHANGE = 100;
/** A version may be the last in a change that is full: other sites see it with the rename before it that put its file in place. */
const WRITES_WITH_VERSION = WRITES_OF_CHANGE + 20;

/** More than the record of nearly every operation of several steps takes in the log. */
const STEPS_MAX_BYTES = 16 * 1024;
export const NO_DRAFT: DraftFate = { ino: 0, ends: false, staysSynced: false };

export class Commits {
  /** Of the change that is being written. */
  private readonly ops: ChangeOp[] = [];
  /** The open commit has changes that are in the journal already. */
  private hasAuthored = false;
  private stamp = 0;
  private wroteMs = 0;
  private counter: number;
  /** Recovery: when the operations that it brings back were carried out, microseconds since 1970. */
  private recoveredUs = Infinity;
  private actor = -1;
  private actorSuffix = '';
  private remote = false;
  private readonly scratch = new ByteWriter(4096);
  private unsettled: (() => void) | undefined;
  /** Modification times of directories that the open commit changed; they become `times` registers when it is folded. */
  private directoryTimes = new Map<Ino, Timestamp>();

  constructor(
    private readonly journal: Journal,
    private readonly log: IntentLog,
    private readonly replica: Replica,
    private readonly hybridClock: HybridClock,
    private readonly clock: VolumeClock,
    private readonly siteId: SiteId,
    private readonly actorId: string,
    /** Told of every write that is about to be applied, this site's and others'. */
    private readonly note: (ino: Ino, field: string, value: Value) => void,
  ) {
    this.counter = journal.maxOp;
  }

  /** Whether anything waits for a fold. */
  get open(): boolean {
    return this.hasAuthored || this.writesChange;
  }

  /** Whether the next fold adds a change to the journal. */
  get writesChange(): boolean {
    return this.ops.length > 0 || this.directoryTimes.size > 0;
  }

  /** Whether the next fold holds changes of other sites. */
  get holdsRemoteChanges(): boolean {
    return this.remote;
  }

  /** Monotonic milliseconds of the last operation. */
  get lastWriteMs(): number {
    return this.wroteMs;
  }

  /** The modification time that the open commit gives a directory. */
  directoryTime(ino: Ino): Timestamp | undefined {
    return this.directoryTimes.get(ino);
  }

  /**
   * Logs and applies one operation. Its steps are applied one after the other, because each builds on what the one before left;
   * they are one record in the log and part of one commit, so the operation is atomic here and everywhere. Where it fails when a part
   * of it was applied, the open commit is given up, and the site ends.
   * @param touched directories whose modification time becomes `time`
   * @param fate what the operation means for a draft
   * @param applied called when the tree shows the operation, with what changed
   * @param mayWait whether the last step may be applied by {@link settle}: it is in the log, and the caller knows its answer
   */
  write(
    steps: readonly Step[],
    time: Timestamp,
    touched: readonly Ino[],
    fate = NO_DRAFT,
    applied: (changes: readonly ViewChange[]) => void = () => {},
    mayWait = false,
  ): void {
    this.openCommit(fate === NO_DRAFT ? WRITES_OF_CHANGE : WRITES_WITH_VERSION);
    const changes: ViewChange[] = [];
    const writes: WriteDraft[] = [];
    let last: readonly WriteDraft[] = [];
    let hasBegun = false;
    const applyLast = (): void => {
      if (last.length === 0) return;
      hasBegun = true;
      for (const change of this.applyOwn(last)) changes.push(change);
      last = [];
    };
    try {
      for (const step of steps) {
        // What is applied before the record of it is in the log must not be missing there.
        if (last.length > 0) this.log.makeRoom(STEPS_MAX_BYTES);
        if (typeof step === 'function') applyLast();
        const drafts = typeof step === 'function' ? step() : step;
        if (drafts.length === 0) continue;
        // What people name and say is in these; one that other sites refuse would stop all that this one sends behind it.
        if (drafts[0]!.ino === VOLUME_INO)
          for (const { ino, field, value } of drafts) validateOp(`${ino}.${field}`, value);
        applyLast();
        last = drafts;
        for (const draft of drafts) writes.push(draft);
      }
      const { ino: draft, ends, staysSynced } = fate;
      this.append({ time, touched, draft, ends, staysSynced, writes });
    } catch (error) {
      if (hasBegun) this.journal.giveUp(error);
      throw error;
    }
    this.touch(touched, writes, time);
    this.unsettled = (): void => {
      applyLast();
      applied(changes);
    };
    if (!mayWait) this.settle();
  }

  private append(record: WritesRecord): void {
    if (this.recoveredUs !== Infinity && record.draft !== 0) {
      // A version that a start makes of what was written before is no later than that, for the next start too, should this one be killed.
      const latest = timeOfStamp(this.recoveredUs);
      if (compareTimes(record.time, latest) > 0) record = { ...record, time: latest };
    }
    encodeWrites(this.scratch.reset(), record);
    this.log.append(RECORD.writes, this.scratch.view());
  }

  /** Recovery: the log says from now on that a draft is over, which made no version. */
  logEnd(ino: Ino, time: Timestamp): void {
    this.append({ time, touched: [], draft: ino, ends: true, staysSynced: false, writes: [] });
  }

  /** Applies what {@link write} left. To be called before anything looks at the tree. */
  settle(): void {
    const settle = this.unsettled;
    this.unsettled = undefined;
    settle?.();
  }

  /**
   * Recovery: what is committed next was done then, before the crash, and competes with what other sites did as if it had been
   * committed in time.
   * @param timeUs microseconds since 1970
   */
  recoverAs(timeUs: number): void {
    this.recoveredUs = timeUs;
  }

  /** Recovery: applies what the log already holds. */
  replay(writes: readonly WriteDraft[], time: Timestamp, touched: readonly Ino[]): void {
    // That a draft is over is no change. One without anything in it would be of now, and what is recovered next as late.
    if (writes.length === 0 && touched.length === 0) return;
    this.openCommit();
    for (const draft of writes) this.apply([this.identify(draft)]);
    this.touch(touched, writes, time);
  }

  /**
   * The op of the head that these writes gave an inode, also when another site overwrote it since; none when they gave it none, or the
   * journal knows it no more.
   */
  headOf(ino: Ino, writes: readonly WriteDraft[], lookup: VersionLookup): OpId[] {
    const written = writes.find((write) => write.ino === ino && write.field === 'head');
    if (!written) return [];
    const entries = this.journal.store.inode(ino)?.registers.get('head') ?? [];
    // An inode number is reserved for one version alone.
    const { copyIno } = parseHead(written.value);
    const op =
      entries.find(({ value }) => value === written.value) ??
      findVersion(entries, lookup, ({ head }) => head.copyIno === copyIno);
    return op ? [{ counter: op.counter, actor: op.actor }] : [];
  }

  /** Whether the op wrote a version of a file that the state knows, as its current one or as an earlier one. */
  knowsVersion(ino: Ino, op: OpId, lookup: VersionLookup): boolean {
    const current = this.journal.store.inode(ino)?.registers.get('head') ?? [];
    return current.some((entry) => sameOp(entry, op)) || lookup(op) !== undefined;
  }

  get actors(): ActorTable {
    return this.journal.actors;
  }

  /** Actors that the state knows have indexes below this. */
  get actorCount(): number {
    return this.journal.actors.size;
  }

  private touch(touched: readonly Ino[], writes: readonly WriteDraft[], time: Timestamp): void {
    for (const ino of touched) this.directoryTimes.set(ino, time);
    for (const write of writes) {
      // An explicit time wins over the one that an earlier operation of this commit left to the fold.
      if (write.field === 'times') this.directoryTimes.delete(write.ino);
    }
  }

  private openCommit(fullAt = WRITES_OF_CHANGE): void {
    assert(!this.unsettled, 'the operation before is not settled');
    this.journal.check();
    this.wroteMs = this.clock.monotonicMs();
    if (this.ops.length >= fullAt) this.authorChange();
    if (!this.writesChange) this.beginChange();
  }

  private beginChange(): void {
    this.stamp = this.hybridClock.next(Math.min(this.clock.nowUs(), this.recoveredUs));
    this.counter = this.journal.maxOp;
    if (this.actor >= 0) return;
    // The first commit of an actor says which site it belongs to.
    this.actor = this.journal.actors.intern(this.actorId);
    this.actorSuffix = `@${this.actorId}`;
    this.apply([this.identify({ ino: VOLUME_INO, field: `actor:${this.actorId}`, value: this.siteId })]);
  }

  /**
   * Applies writes of this site to the open commit. Their stamp is the commit's, not the time at which the inode changed: ctime stays as
   * it was, for the operation to set. Otherwise it would move once more when a version is published or directory times are written.
   */
  private applyOwn(drafts: readonly WriteDraft[]): ViewChange[] {
    const inodes = drafts.map(({ ino }) => this.journal.store.inode(ino));
    const ctimes = inodes.map((inode) => inode?.ctime);
    const changes = this.apply(drafts.map((draft) => this.identify(draft)));
    for (const [index, inode] of inodes.entries()) if (inode) inode.ctime = ctimes[index]!;
    return changes;
  }

  /** A batch that is applied by half would be shown by half for good. */
  private apply(writes: Iterable<RegisterWrite>): ViewChange[] {
    return this.journal.changeWhole(() => this.replica.apply(writes));
  }

  /** Gives a write its op id and adds it to the open commit. */
  private identify(draft: WriteDraft): RegisterWrite {
    const { ino, field, value } = draft;
    const pred: readonly OpId[] = draft.bases ?? this.journal.store.inode(ino)?.registers.get(field) ?? [];
    this.note(ino, field, value);
    const counter = ++this.counter;
    this.ops.push({ key: `${ino}.${field}`, value, pred: this.formatOps(pred) });
    // The entries are copied: the register's array is what the replica is about to change.
    return { ino, field, value, counter, actor: this.actor, stamp: this.stamp, pred: pred.slice() };
  }

  private formatOps(ops: readonly OpId[]): string[] {
    if (ops.length === 0) return [];
    const { actors } = this.journal;
    if (ops.length === 1) {
      const op = ops[0]!;
      return [op.actor === this.actor ? op.counter + this.actorSuffix : `${op.counter}@${actors.id(op.actor)}`];
    }
    return ops
      .toSorted((a, b) => a.counter - b.counter || actors.compare(a.actor, b.actor))
      .map((op) => `${op.counter}@${actors.id(op.actor)}`);
  }

  /** Adds what was written to the journal, as one Automerge change, the times of the directories that its operations changed included. */
  private authorChange(): void {
    if (this.directoryTimes.size > 0) {
      const times = [...this.directoryTimes];
      this.directoryTimes = new Map();
      if (this.ops.length === 0) this.beginChange();
      this.applyOwn(times.map(([ino, time]) => ({ ino, field: 'times', value: formatTimestamp(time) })));
    }
    const { bytes, change } = this.journal.author(this.actorId, this.ops, this.stamp);
    this.journal.appendChange(bytes, change);
    this.ops.length = 0;
    this.hasAuthored = true;
  }

  /**
   * Ends the open commit: one SQLite transaction. What the log holds up to now is in SQLite afterwards.
   * @returns whether there was anything to commit
   */
  fold(): boolean {
    assert(!this.unsettled, 'the last operation is not settled');
    if (this.writesChange) this.authorChange();
    const changed = this.hasAuthored;
    this.hasAuthored = false;
    this.recoveredUs = Infinity;
    this.remote = false;
    this.journal.commit(this.log.lastLsn);
    return changed;
  }

  /**
   * Applies a part of what the base of another site brings. {@link tookBase} follows the last one. No local commit may be open.
   * @param stamp the latest of its changes
   */
  applyBase(writes: Iterable<RegisterWrite>, stamp: number): ViewChange[] {
    this.remote = true;
    this.hybridClock.observe(stamp, this.clock.nowUs());
    return this.apply(writes);
  }

  /** The journal counts the changes of the base. */
  tookBase(): void {
    this.log.precede(RECORD.basis, encodeBasis(this.journal.changeCount));
  }

  /** Applies a change of another site, or one of an earlier actor of this one. No local commit may be open. */
  applyRemote(change: Change): ViewChange[] {
    const { actors } = this.journal;
    const actor = actors.intern(change.actor);
    this.remote = true;
    this.log.precede(RECORD.basis, encodeBasis(this.journal.changeCount));
    this.hybridClock.observe(change.stamp, this.clock.nowUs());
    const writes = change.ops.map((op, i): RegisterWrite => {
      const dot = op.key.indexOf('.');
      const field = op.key.slice(dot + 1);
      const ino = Number(op.key.slice(0, dot));
      this.note(ino, field, op.value);
      return {
        ino,
        field,
        value: op.value,
        counter: change.startOp + i,
        actor,
        stamp: change.stamp,
        pred: op.pred.map((text) => parseOp(text, actors)),
      };
    });
    return this.apply(writes);
  }
}
