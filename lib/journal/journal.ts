// journal.ts — the durable history and state of a site: changes in the order they arrived, and the tree they add up to.
// Invariant: one SQLite transaction holds a change, every register and dirent it produced, and the intent-log position folded
// into it; so after a crash state and history agree. Changes are causally ordered: one is appended only when all it builds on is
// there; others are parked. A transaction is open from open() to close(), so that reads see uncommitted writes. The journal
// neither applies changes (volume does) nor makes commits durable (checkpointer.ts does). The oldest changes may be dropped
// (truncation.ts): what they add up to is kept (floor.ts).

import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { CorruptionError } from '../codec/bytes.js';
import type { Change, ChangeOp, VersionVector } from '../crdt/change.js';
import type { ActorId } from '../crdt/ids.js';
import type { ActorTable } from '../crdt/ids.js';
import type { ErrnoCode } from '../errno.js';
import { syncPath } from '../file-sync.js';
import { writeInPlace } from '../in-place-writes.js';
import { ActorEnds } from './actor-ends.js';
import type { BaseOffer } from './base-part.js';
import { BaseRegisters } from './base-registers.js';
import { encodeChange } from './change-codec.js';
import type { EncodedChange, PlacedChange } from './change-codec.js';
import { encodeDots, type LocalDot } from './dots.js';
import { Floor, type FloorChange, FLOOR_KEY, joinHeads } from './floor.js';
import type { Lsn } from './intent-log.js';
import { MetaTable } from './meta-table.js';
import { NAME_HASH_KEY, NAME_HASH_KEY_BYTES, nameHash } from './name-hash.js';
import { ParkedChanges } from './parked-changes.js';
import { RemovedPacking, type RemovedPackingOptions } from './removed-packing.js';
import { ReservedSequences } from './reserved-sequences.js';
import type { Connection, Statement } from './schema.js';
import { LastOperations } from './last-operations.js';
import { LostChanges } from './lost-changes.js';
import { ProgressRow } from './progress.js';
import { damagedRow, explain, openState, settleState, spillPages, statePath } from './schema.js';
import { giveBackStateRoom, takeWalRoom, walRoomBytes } from './state-room.js';
import { SqliteTreeStore } from './sqlite-tree-store.js';
import type { TreeStoreOptions } from './sqlite-tree-store.js';
import { type OldestChange, Truncation } from './truncation.js';
import { DEFAULT_WAL_TARGET_BYTES, SHORT_WAL_BYTES, SHORT_WAL_FILE_BYTES, Wal } from './wal.js';
import { WalSync } from './wal-sync.js';

export interface JournalOptions extends TreeStoreOptions {
  /** WAL size from which it is worth having it started over; see {@link Journal.relax}. */
  readonly walTargetBytes?: number;
  readonly removed?: RemovedPackingOptions;
  /** Told of damage in the state file that was put right when it was opened. */
  readonly healed?: (what: string) => void;
}

/** What {@link Journal.relax} moves itself at most: some milliseconds' worth, two syncs included. */
const MAX_RELAX_BYTES = 2 * 2 ** 20;
/** From this many times its target, commit() itself stops the WAL from growing, however long that takes. */
const WAL_LIMIT_FACTOR = 4;
const CHECKPOINT_RETRY_MS = 1;
const CHECKPOINT_WAIT_MS = 2_000;
/** A read that another thread was put aside in is waited for; one that takes long, as a collection's may, must not stop the site. */
const READ_WAIT_MS = 20;

export class Journal {
  /** For tables of the layers above; their writes are part of the open transaction. */
  readonly db: Connection;
  readonly store: SqliteTreeStore;
  /** Interned actors. New ones are kept with the next commit. */
  readonly actors: ActorTable;
  private readonly path: string;

  private folded: Lsn;
  private highestOp: number;
  private headHashes: Set<string>;
  private bytesOfChanges: number;
  private nextLsn: number;
  private readonly ends: ActorEnds;
  private readonly parkedChanges: ParkedChanges;
  private readonly lost: LostChanges;
  /** Where the journal begins. */
  readonly floor: Floor;
  /** What the changes make that were dropped. */
  readonly base: BaseRegisters;
  private readonly truncation: Truncation;
  private readonly removed: RemovedPacking;
  private readonly lastOperations: LastOperations;
  private readonly progress: ProgressRow;

  /** What inode numbers of this site are made of. */
  readonly sequences: ReservedSequences;
  private readonly metas: MetaTable;
  private readonly wal: Wal;
  private readonly walSync: WalSync;
  /** Why nothing can be committed any more. */
  private failure: unknown;
  private readonly walTargetBytes: number;
  /** From so many bytes on the WAL is started over. */
  private restartBytes: number;
  private walBytesAtCommit = 0;
  private changesAtCommit = 0;

  private readonly beginStatement: Statement;
  private readonly commitStatement: Statement;
  private readonly insertChange: Statement;
  private readonly selectHash: Statement;
  private readonly totalChanges: Statement;

  private constructor(db: Connection, path: string, options: JournalOptions) {
    this.db = db;
    this.path = path;
    this.walTargetBytes = options.walTargetBytes ?? DEFAULT_WAL_TARGET_BYTES;
    this.restartBytes = this.walTargetBytes;
    this.wal = new Wal(db);
    this.walSync = new WalSync(dirname(path));
    this.beginStatement = db.prepare('begin immediate');
    this.commitStatement = db.prepare('commit');
    this.insertChange = db.prepare(
      'insert into change(lsn, actor, seq, hash, stamp, bytes, deps) values (?, ?, ?, ?, ?, ?, ?)',
    );
    this.selectHash = db.prepare('select actor, seq from change where hash = ?');
    this.metas = new MetaTable(db, path);
    this.totalChanges = db.prepare('select total_changes()').pluck();

    this.progress = new ProgressRow(db, path);
    const { foldedLsn, maxOp, heads, journalBytes, sequence } = this.progress.atOpen;
    this.folded = foldedLsn;
    this.highestOp = maxOp;
    this.bytesOfChanges = journalBytes;
    this.headHashes = new Set(heads);
    this.sequences = new ReservedSequences(sequence);
    this.ends = new ActorEnds(db, path);
    this.actors = this.ends.table;
    this.floor = new Floor(db, this.meta(FLOOR_KEY), (text) => this.setMeta(FLOOR_KEY, text));
    this.lastOperations = new LastOperations(db, this.floor);
    this.removed = new RemovedPacking(db, options.removed);
    this.base = new BaseRegisters(db, this.actors, this.removed);
    this.truncation = new Truncation(db, this.floor, this.base);
    const lastLsn = db.prepare('select max(lsn) from change').pluck().get() as number | null;
    this.nextLsn = Math.max(lastLsn ?? 0, this.floor.lsn) + 1;
    this.beginStatement.run();
    this.store = new SqliteTreeStore(db, nameHash(this.nameHashKey()), options);
    this.lost = new LostChanges(db);
    this.parkedChanges = new ParkedChanges(db, (hash, dot) => this.dotOf(hash, dot) !== undefined);
    this.commit(this.folded); // reserves inode numbers
    syncPath(dirname(path)); // the files' directory entries
  }

  /**
   * Opens the state of `directory`, creating both if need be. The caller is the only writer.
   * @throws CorruptionError naming the file and the remedy when it is damaged or foreign
   */
  static open(directory: string, options: JournalOptions = {}): Journal {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeInPlace(directory);
    const path = statePath(directory);
    const db = openState(path, options.healed);
    try {
      return new Journal(db, path, options);
    } catch (error) {
      db.close();
      throw explain(path, error);
    }
  }

  /** What of the intent log is in this state, uncommitted folds not counted. */
  get foldedLsn(): Lsn {
    return this.folded;
  }

  /** Highest operation counter in the document; the next local change starts one above. */
  get maxOp(): number {
    return this.highestOp;
  }

  /** The latest stamp of all changes; 0 when there is none. */
  lastStamp(): number {
    const last = this.db.prepare('select max(stamp) from change').pluck().get() as number | null;
    return Math.max(last ?? 0, this.floor.stamp);
  }

  /** The document's heads, ascending: hashes of the changes that no other builds on. */
  get heads(): readonly string[] {
    return [...this.headHashes].toSorted();
  }

  /** Changes of all sites so far, those of the open transaction and those that were dropped included. */
  get changeCount(): number {
    return this.nextLsn - 1;
  }

  /** Bytes of all changes. */
  get journalBytes(): number {
    return this.bytesOfChanges;
  }

  /** Highest seq held of each actor. Follows the journal. */
  vector(): VersionVector {
    return this.ends.vector;
  }

  /** The vector as far as this site can hand changes on: without those whose bytes were damaged here, and what their actors made after. */
  heldVector(): VersionVector {
    return this.lost.size === 0 ? this.vector() : this.lost.lower(this.vector(), this.actors);
  }

  /** The number of an actor's last change; 0: there is none. */
  lastSeqOf(actor: ActorId): number {
    return this.ends.seqOf(actor);
  }

  /** The changes that were dropped: the last of each actor, by its index. */
  floorChanges(): ReadonlyMap<number, FloorChange> {
    return this.floor.changes;
  }

  /** Commits of this state so far, over all starts. */
  get commits(): number {
    return this.progress.commits;
  }

  lastHashOf(actor: ActorId): string | undefined {
    return this.ends.hashOf(actor);
  }

  has(actor: ActorId, seq: number): boolean {
    return seq <= this.ends.seqOf(actor);
  }

  /** Whether this very change is in the journal, or was dropped from it. */
  holds({ actor, seq, hash }: Pick<Change, 'actor' | 'seq' | 'hash'>): boolean {
    if (!this.has(actor, seq)) return false;
    return this.floor.covers({ actor: this.actors.intern(actor), seq }) || this.hasHash(hash);
  }

  hasHash(hash: string): boolean {
    return this.dotOf(hash) !== undefined;
  }

  /**
   * Where a change stands that is in the journal, or was.
   * @param said where its sender says that it stands: of those that were dropped nothing else tells
   */
  private dotOf(hash: string, said?: LocalDot): LocalDot | undefined {
    const known = this.ends.dotOf(hash) ?? this.lost.find(hash);
    if (known) return known;
    if (said && this.floor.covers(said)) return said;
    return this.selectHash.get(Buffer.from(hash, 'hex')) as LocalDot | undefined;
  }

  /** Where those stand that a change builds on; undefined when one of them is not here. */
  private dotsOf({ deps }: Change, said: readonly LocalDot[] | undefined): LocalDot[] | undefined {
    const dots: LocalDot[] = [];
    for (const [i, hash] of deps.entries()) {
      const dot = this.dotOf(hash, said?.length === deps.length ? said[i] : undefined);
      if (!dot) return undefined;
      dots.push(dot);
    }
    return dots;
  }

  /**
   * Looks at a change as the journal has it. Where its bytes are damaged they go, and the change counts as one to be had again from
   * another site: what it did is in the registers. Part of the open transaction.
   * @returns false when it is damaged, or was
   */
  verifyChange(actor: ActorId, seq: number): boolean {
    return this.lost.verify(this.actors.intern(actor), seq);
  }

  /** Takes the bytes of a change that was damaged here. @returns false when it is none of these */
  restoreChange(bytes: Uint8Array, change: Change): boolean {
    return this.lost.restore(bytes, change, this.dotsOf(change, undefined) ?? []);
  }

  /** Changes whose bytes were damaged here, and have not come again. */
  get lostChanges(): number {
    return this.lost.size;
  }

  /**
   * Whether everything that a change builds on is here, so that it can be appended.
   * @param deps where that stands, as its sender says
   */
  isReady(change: Change, deps?: readonly LocalDot[]): boolean {
    return this.dotsOf(change, deps) !== undefined;
  }

  /** Makes a change of local operations, the next one of `actor`. It is not appended yet. */
  author(actor: ActorId, ops: readonly ChangeOp[], stamp: number): EncodedChange {
    const deps = new Set(this.headHashes);
    const last = this.ends.hashOf(actor);
    if (last !== undefined) deps.add(last);
    return encodeChange({
      actor,
      seq: this.ends.seqOf(actor) + 1,
      startOp: this.highestOp + 1,
      stamp,
      deps: [...deps].toSorted(),
      ops,
    });
  }

  /** How a change contradicts what is here of its actor; undefined: it does not, or is here. */
  contradiction(change: Change): string | undefined {
    const { actor, seq } = change;
    const lastSeq = this.ends.seqOf(actor);
    if (seq <= lastSeq)
      return this.holds(change) ? undefined : 'another one with this number is here; the actor was used twice';
    return seq === lastSeq + 1 ? undefined : `does not build on its change ${lastSeq}`;
  }

  /** The number of the last operation of a change; undefined where its bytes were dropped, or are damaged. */
  lastOpOf(hash: string): number | undefined {
    return this.lastOperations.of(hash);
  }

  /**
   * Appends a change whose dependencies are here; it is committed together with what the caller writes to the store for it.
   * @returns false when the journal has it already: do not apply it again
   * @param said where that stands which it builds on, as its sender says
   * @throws CorruptionError when it contradicts another change of its actor, or leaves a gap behind the actor's last one
   */
  appendChange(bytes: Uint8Array, change: Change, said?: readonly LocalDot[]): boolean {
    const { actor, seq, hash, deps } = change;
    const contradiction = this.contradiction(change);
    if (contradiction !== undefined) throw new CorruptionError(`change ${seq} of actor ${actor}: ${contradiction}`);
    if (this.has(actor, seq)) return false;
    const dots = this.dotsOf(change, said);
    if (!dots) throw new Error(`change ${hash}: appended before what it builds on; park it`);

    const index = this.actors.intern(actor);
    const hashBytes = Buffer.from(hash, 'hex');
    this.insertChange.run(this.nextLsn++, index, seq, hashBytes, change.stamp, bytes, encodeDots(dots));
    for (const dep of deps) this.headHashes.delete(dep);
    this.headHashes.add(hash);
    const lastOp = change.startOp + change.ops.length - 1;
    this.highestOp = Math.max(this.highestOp, lastOp);
    this.lastOperations.note(hash, lastOp);
    this.bytesOfChanges += bytes.length;
    this.ends.note({ actor: index, seq }, hash);
    this.parkedChanges.arrived(hash);
    return true;
  }

  /**
   * Keeps a change until what it builds on arrives; it survives a restart like any other once committed.
   * @returns false when too many wait already and it was not kept: its sender will send it again
   */
  park(bytes: Uint8Array, change: Change, deps?: readonly LocalDot[]): boolean {
    return this.parkedChanges.add({ bytes, change, deps });
  }

  parked(): readonly Change[] {
    return this.parkedChanges.all();
  }

  /** Removes and returns the parked changes that can be appended now, and that may be. Append and apply them, then ask again. */
  unparkReady(mayGoIn: (change: Change) => boolean = () => true): readonly PlacedChange[] {
    return this.parkedChanges.takeReady(mayGoIn);
  }

  /**
   * Drops the oldest changes, as long as they `mayGo`, packs what was removed by them, and gives their space back. Part of the open
   * transaction.
   * @returns whether there is more to do
   */
  truncate(mayGo: (change: OldestChange) => boolean, isOver: () => boolean): boolean {
    this.store.flush(); // whether an inode has a name, its row says
    const { bytes, more } = this.truncation.drop(mayGo, isOver);
    this.bytesOfChanges -= bytes;
    return more || this.removed.pack(isOver) || this.truncation.giveBack(isOver);
  }

  /** Highest operation of an actor that this site has seen, as far as its changes are here intact. */
  lastOpBy(actor: number): number {
    return this.lastOperations.by(actor, this.ends.seqOf(this.actors.id(actor)));
  }

  /**
   * Takes over where the base of another site ends, which was merged into this one's base and registers: its changes count as held
   * and dropped. Part of the open transaction.
   */
  join({ actors, heads, stamp }: BaseOffer): void {
    const floor = new Map<number, FloorChange>();
    for (const { actor, seq, op, hash } of actors) floor.set(this.actors.intern(actor), { seq, op, hash });
    const offered = new Map([...floor].map(([actor, { seq, hash }]) => [hash, { actor, seq }]));
    const own = {
      heads: this.headHashes,
      covers: ({ actor, seq }: LocalDot) => seq <= this.ends.seqOf(this.actors.id(actor)),
    };
    const other = {
      heads: new Set(heads),
      covers: ({ actor, seq }: LocalDot) => seq <= (floor.get(actor)?.seq ?? 0),
    };
    this.headHashes = joinHeads(own, other, (hash) => this.ends.dotOf(hash) ?? offered.get(hash));
    for (const [actor, { seq, op, hash }] of floor) {
      this.highestOp = Math.max(this.highestOp, op);
      if (seq > this.ends.seqOf(this.actors.id(actor))) this.ends.note({ actor, seq }, hash);
    }
    // The log of operations tells by the number of changes whether what they build on is there: this counts as one.
    this.floor.join(floor, heads, stamp, this.nextLsn++);
    const left = this.truncation.dropBelow(this.lost, this.nextLsn);
    this.nextLsn = left.nextLsn;
    this.bytesOfChanges = left.bytes;
    this.floor.save();
    this.parkedChanges.reconsider((change) => this.holds(change));
  }

  /** The changes that no other builds on, but for those that were dropped or whose bytes are damaged here. */
  headChanges(): Change[] {
    return [...this.headHashes].flatMap((hash) => this.lastOperations.changeOf(hash) ?? []);
  }

  meta(key: string): string | undefined {
    return this.metas.get(key);
  }

  /** Part of the open transaction; undefined forgets the key. */
  setMeta(key: string, value: string | undefined): void {
    this.metas.set(key, value);
  }

  /**
   * Commits everything written since the last commit, and opens the next transaction. SIGKILL cannot undo it; power loss can
   * until the checkpointer made it durable.
   * @param foldedLsn what of the intent log it includes
   * @throws Error when it cannot be written (a full disk, say): the journal is closed then, nothing of the commit is in the
   *   state, and all that was acknowledged is in the intent log for the next start
   */
  commit(foldedLsn: Lsn): void {
    const sequenceLimit = this.sequences.nextLimit();
    this.write(foldedLsn, sequenceLimit);
    if (this.sequences.exceeds(sequenceLimit)) {
      // Before the first number of it is used: one that was used must not be handed out again after power loss.
      this.sync();
      this.sequences.reserved(sequenceLimit);
    }
    this.limitWal();
    this.begin();
  }

  /**
   * Carries out what changes more than memory should hold until the commit, for which pages leave the cache: where it fails it is half
   * done, and the state gives it up with the whole transaction.
   */
  changeMuch(work: () => void): void {
    spillPages(this.db, true);
    this.changeWhole(work);
    spillPages(this.db, false);
  }

  /** Carries out what must not be committed by half: where it fails, the state is {@link giveUp given up}. */
  changeWhole<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.giveUp(error);
    }
  }

  /** Makes every commit so far survive power loss, and waits for it. Fails for good once it failed. */
  sync(): void {
    this.walSync.run();
  }

  /** @throws what made {@link sync} fail, or the state give up what it was to commit */
  check(): void {
    this.walSync.check();
    if (this.failure !== undefined) throw this.failure;
  }

  /**
   * On a disk that is nearly full the WAL is started over early, and its file is made short then.
   * The checkpointer is told the same by its thread.
   */
  shortenWal(isShort: boolean): void {
    if (!this.db.open) return; // a commit failed, and is about to be told
    this.restartBytes = isShort ? Math.min(SHORT_WAL_BYTES, this.walTargetBytes) : this.walTargetBytes;
    this.db.pragma(`journal_size_limit = ${isShort ? SHORT_WAL_FILE_BYTES : -1}`);
  }

  /** What further commits can take before the WAL needs more of the disk. */
  walRoomBytes(): number {
    return walRoomBytes(this.path, this.walBytesAtCommit);
  }

  /** Takes so much of the disk for further commits, if they have less. Returns ENOSPC or EDQUOT when the disk does not give it. */
  takeWalRoom(bytes: number): ErrnoCode | undefined {
    return takeWalRoom(this.path, this.walBytesAtCommit, Math.min(bytes, this.walTargetBytes));
  }

  /** Bytes of the WAL in use; it stays bounded as long as {@link relax} is called now and then. */
  walBytes(): number {
    this.requireClean('walBytes');
    this.commitStatement.run();
    const { walBytes } = this.wal.read();
    this.begin();
    return walBytes;
  }

  /**
   * Leaves the gap between two transactions that a checkpoint needs to finish, and finishes it when little is left to do. Call
   * it right after commit() when nothing waits: about 20 µs when there is nothing to do, else two syncs of the disk.
   */
  relax(): void {
    this.requireClean('relax');
    this.commitStatement.run();
    const { walBytes, backlogBytes } = this.wal.read();
    if (walBytes >= this.restartBytes && backlogBytes > 0 && backlogBytes <= MAX_RELAX_BYTES) this.wal.checkpoint();
    this.begin();
  }

  /** False when a commit failed, or SQLite gave up the transaction for want of room: what the caches hold is not what the state holds. */
  get isUsable(): boolean {
    return this.db.open && this.db.inTransaction;
  }

  /** Commits and closes. */
  close(foldedLsn: Lsn = this.folded): void {
    if (!this.db.open) return;
    this.write(foldedLsn, this.sequences.unused);
    this.walSync.close();
    this.db.close();
    giveBackStateRoom(this.path);
    settleState(this.path); // does nothing while somebody else has it open
  }

  /** Closes without a commit: what the open transaction holds is given up. */
  abandon(): void {
    this.walSync.close();
    this.db.close();
  }

  private begin(): void {
    this.beginStatement.run();
    this.changesAtCommit = this.totalChanges.get() as number;
  }

  private write(foldedLsn: Lsn, sequence: number): void {
    try {
      this.store.flush();
      this.ends.write();
      const { highestOp: maxOp, headHashes: heads, bytesOfChanges: journalBytes } = this;
      this.progress.write({ foldedLsn, maxOp, heads, journalBytes, sequence });
      this.commitStatement.run();
      this.progress.committed();
      this.folded = foldedLsn;
    } catch (error) {
      this.giveUp(error);
    }
  }

  /**
   * Closes without a commit, because of what went wrong: SQLite rolls back, but the caches do not. Nothing may be read or written here any
   * more; the next start goes on from the last commit and the intent log.
   */
  giveUp(error: unknown): never {
    this.failure ??=
      error instanceof CorruptionError ? damagedRow(this.path, error.message) : explain(this.path, error);
    if (this.db.open) this.abandon();
    throw this.failure;
  }

  /** The last resort against a WAL that grows faster than another thread can move it: work here, between two transactions. */
  private limitWal(): void {
    const limitBytes = this.walTargetBytes * WAL_LIMIT_FACTOR;
    for (let waitedMs = 0; ; waitedMs += CHECKPOINT_RETRY_MS) {
      // Read anew: a checkpoint that another connection is at says nothing of the log.
      const { walBytes, backlogBytes, isBusy } = this.wal.read();
      if (!isBusy) this.walBytesAtCommit = walBytes;
      if (walBytes < limitBytes || backlogBytes === 0) return;
      const state = this.wal.checkpoint();
      if (state.lacksRoom) return;
      const waitMs = state.isBusy ? CHECKPOINT_WAIT_MS : state.backlogBytes > 0 ? READ_WAIT_MS : 0;
      if (waitedMs >= waitMs) return;
      sleep(CHECKPOINT_RETRY_MS);
    }
  }

  private requireClean(method: string): void {
    if (this.store.hasUnflushed || (this.totalChanges.get() as number) !== this.changesAtCommit) {
      throw new Error(`Journal.${method}() between commit() and the next write only`);
    }
  }

  /** Kept as long as the dirents that it places. */
  private nameHashKey(): Buffer {
    const kept = this.meta(NAME_HASH_KEY);
    if (kept !== undefined) return Buffer.from(kept, 'hex');
    const key = randomBytes(NAME_HASH_KEY_BYTES);
    this.setMeta(NAME_HASH_KEY, key.toString('hex'));
    return key;
  }
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread. */
function sleep(delayMs: number): void {
  Atomics.wait(sleeper, 0, 0, delayMs);
}
