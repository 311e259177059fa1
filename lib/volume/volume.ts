// volume.ts — one volume at one site: POSIX calls in, commits out; changes and objects of other sites in, kernel notices out.
// Invariant: everything happens on one thread, call by call. A call returns after its effect is in the intent log; hashing,
// folding and merging happen between calls, in slices. It knows neither FUSE nor the network: ports.ts says what it asks of them.

import { join } from 'node:path';
import { posixError } from '../errno.js';
import type { ActorId, Ino, ObjectId, SiteId } from '../crdt/ids.js';
import { inoOf, MAX_SLOT, ROOT_INO, VOLUME_INO } from '../crdt/ids.js';
import type { Value } from '../crdt/change.js';
import { isDirectory, isTombstone, LINK_PREFIX, parseHead } from '../crdt/fields.js';
import { createWrites, type WriteDraft } from '../crdt/local-writes.js';
import { Replica } from '../crdt/replica.js';
import { HybridClock } from '../crdt/stamp.js';
import type { Retention } from '../crdt/volume-fields.js';
import { IntentLog, intentPath } from '../journal/intent-log.js';
import { Journal } from '../journal/journal.js';
import { VersionHistory } from '../journal/version-history.js';
import type { IngestResult } from '../chunks/ingest.js';
import { chunksOf, decodeManifest } from '../chunks/manifest.js';
import { type MissingObject, ObjectKind } from '../chunks/object-kind.js';
import type { PackedObject } from '../chunks/pack.js';
import { type MovedObject, ObjectStore, type UnusedObject } from '../chunks/object-store.js';
import { Commits, type VolumeClock } from './commits.js';
import { ContentMerges } from './content-merges.js';
import { Core } from './core.js';
import { Drafts } from './drafts.js';
import { ExtendedAttributes } from './extended-attributes.js';
import { FileContents } from './file-contents.js';
import type { Caller } from './file-system.js';
import { IngestJobs } from './ingest-jobs.js';
import { InodeChanges } from './inode-changes.js';
import { Namespace } from './namespace.js';
import { OpenFiles } from './open-files.js';
import { PastFiles } from './past-files.js';
import type { Ingester, KernelCache } from './ports.js';
import { Recovery } from './recovery.js';
import { RemoteChanges } from './remote-changes.js';
import { Restoring } from './restoring.js';
import { ReversibleChanges, type UndoStep } from './reversible-changes.js';
import { type Decision, type Settled, Settlement } from './settlement.js';
import { SpaceGuard } from './space-guard.js';
import { VolumeFiles } from './volume-files.js';
import { VolumePast } from './volume-past.js';

export interface VolumeOptions {
  readonly stateDirectory: string;
  readonly siteId: SiteId;
  readonly siteName: string;
  /** Inode slot of this site; null while it has claimed none: nothing can be created then. */
  readonly slot: number | null;
  /** 32 hex digits, never used before. */
  readonly actorId: string;
  readonly clock: VolumeClock;
  readonly kernel: KernelCache;
  readonly ingester: Ingester;
  /** Called after each commit that holds something new. */
  readonly onCommit: () => void;
  readonly onCorrupt: (what: string) => void;
}

/** Log records that may wait for drafts before these are written to the database instead, in bytes. */
const LOG_LIMIT_BYTES = 64 * 2 ** 20;
const IDLE_CHECK_MS = 250;
/** A commit is folded when nothing was added to it for this long: a single change is at the peers soon after … */
const FOLD_QUIET_MS = 1.5;
/** … and when it is this old: callers in a row share one fold, whose cost is mostly that of the pages it touches. */
const FOLD_AGE_MS = 15;
/** Merging may hold up what arrived for so long. */
const MERGE_SLICE_MS = 5;

export class Volume {
  readonly journal: Journal;
  readonly objects: ObjectStore;
  /** The calls of the mount. */
  readonly files: VolumeFiles;
  /** What the last start replayed from the intent log. */
  readonly replayedRecords: number;
  private readonly log: IntentLog;
  private readonly commits: Commits;
  private readonly core: Core;
  private readonly drafts: Drafts;
  private readonly jobs: IngestJobs;
  private readonly contents: FileContents;
  private readonly merges: ContentMerges;
  private readonly changes: InodeChanges;
  private readonly names: Namespace;
  private readonly xattrs: ExtendedAttributes;
  private readonly reversible: ReversibleChanges;
  private readonly settlement: Settlement;
  private readonly remote: RemoteChanges;
  /** Of what the history still has. */
  readonly restoring: Restoring;
  /** The tree as it was. */
  readonly past: PastFiles;
  private readonly volumePast: VolumePast;
  private readonly clock: VolumeClock;
  private slot: number | null;
  /** Numbers this commit; the durable ones come back through {@link durable}. */
  private commitNumber = 0;
  private readonly foldedAt = new Map<number, { lsn: number; ended: string[] }>();
  private idleCheckMs = 0;
  private pendingSinceMs = Infinity;
  private uncommitted = false;
  /** An object was found damaged: the links learn from a commit that it is missing. */
  private wantsCommit = false;

  private constructor(private readonly options: VolumeOptions) {
    const { stateDirectory, clock } = options;
    const monotonicMs = (): number => clock.monotonicMs();
    this.clock = clock;
    this.slot = options.slot;
    this.journal = Journal.open(stateDirectory, { healed: options.onCorrupt });
    this.log = IntentLog.open(intentPath(stateDirectory), this.journal.foldedLsn, { damaged: options.onCorrupt });
    this.objects = new ObjectStore(this.journal.db, join(stateDirectory, 'packs'), {
      onCorrupt: (id, error) => {
        options.onCorrupt(`object ${id}, to be had again from another site: ${error.message}`);
        this.wantsCommit = true;
      },
    });
    const replica = new Replica(this.journal.store, this.journal.actors);
    const hybridClock = new HybridClock(this.lastStamp());
    this.commits = new Commits(
      this.journal,
      this.log,
      replica,
      hybridClock,
      clock,
      options.siteId,
      options.actorId,
      (ino, field, value) => this.noteWrite(ino, field, value),
    );
    this.drafts = new Drafts(this.journal, this.log, this.objects, stateDirectory, monotonicMs, () => {
      this.objects.sync();
      this.journal.sync();
    });
    this.core = new Core(
      this.journal,
      this.objects,
      this.commits,
      this.drafts,
      new OpenFiles((manifest) => this.objects.citeVersion(manifest)),
      clock,
      options.kernel,
      new SpaceGuard(stateDirectory, monotonicMs),
      () => this.allocate(),
    );
    this.changes = new InodeChanges(this.core, options.siteId);
    this.past = new PastFiles(this.core);
    this.volumePast = new VolumePast(this.core, this.past);
    this.jobs = new IngestJobs(options.ingester, this.objects);
    this.merges = new ContentMerges(
      this.core,
      new VersionHistory(this.journal),
      this.jobs,
      stateDirectory,
      (ino) => this.contents.forget(ino),
      options.onCorrupt,
    );
    this.contents = new FileContents(this.core, this.log, this.changes, this.jobs, stateDirectory, (ino) =>
      this.merges.note(ino),
    );
    this.names = new Namespace(this.core, this.changes, (ino) => {
      // Local files of what has no name left are of no use.
      if (this.journal.store.inode(ino)?.nlink === 0) this.contents.forget(ino);
    });
    const policyChanged = (ino: Ino): void => this.policyChanged(ino);
    this.xattrs = new ExtendedAttributes(this.core, this.changes, policyChanged);
    this.files = new VolumeFiles(
      this.core,
      this.log,
      this.names,
      this.changes,
      this.contents,
      this.xattrs,
      this.past,
      stateDirectory,
    );
    const changed = (ino: Ino): void => {
      this.contents.forget(ino);
      this.merges.note(ino);
    };
    this.restoring = new Restoring(this.core, changed);
    const snapshotChanged = (name: string): void => this.past.snapshotsChanged(name);
    this.remote = new RemoteChanges(this.core, changed, policyChanged, snapshotChanged);
    this.reversible = new ReversibleChanges(this.core, this.names, this.changes, this.files);
    this.settlement = new Settlement(this.core, this.names, this.changes, this.reversible);
    const recovery = new Recovery(this.commits, this.drafts, this.objects, this.journal.foldedLsn, (ino, error) =>
      options.onCorrupt(`what was last written to inode ${ino} and not synced: ${error.message}`),
    );
    recovery.run(this.log);
    this.replayedRecords = recovery.replayed;
    this.contents.closeAll();
    this.merges.noteAll();
  }

  /**
   * Opens the state of a site and recovers it. What recovery brought back is committed by the first fold.
   * @throws CorruptionError naming the file and the remedy
   */
  static open(options: VolumeOptions): Volume {
    return new Volume(options);
  }

  private lastStamp(): number {
    return (this.journal.db.prepare('select max(stamp) from change').pluck().get() as number | null) ?? 0;
  }

  /** A number that no inode or link of this volume has or had. */
  private allocate(): Ino {
    if (this.slot === null) throw posixError('EROFS');
    return inoOf(this.slot, this.journal.nextCounter());
  }

  // ── the volume's own registers ──────────────────────────────────────────────────────────────────────────────────────────────

  /** First commit of a new volume: its root directory, owned by `owner`. */
  createRoot(owner: Caller): void {
    const btime = this.clock.now();
    const root = {
      ino: ROOT_INO,
      type: 'd' as const,
      parent: VOLUME_INO,
      name: undefined,
      btime,
      mode: 0o755,
      uid: owner.uid,
      gid: owner.gid,
    };
    this.commits.write([createWrites(root)], btime, []);
    this.core.setCtime(ROOT_INO, btime);
    this.fold();
  }

  get hasRoot(): boolean {
    return this.journal.store.inode(ROOT_INO) !== undefined;
  }

  /** Claims an inode slot for this site; `pick(n)` draws one of n at random. Returns the slot. */
  claimSlot(pick: (n: number) => number): number {
    const taken = new Set<number>();
    for (const field of this.volumeRegisters().keys()) if (field.startsWith('slot:')) taken.add(Number(field.slice(5)));
    const free: number[] = [];
    for (let slot = 1; slot <= MAX_SLOT; slot++) if (!taken.has(slot)) free.push(slot);
    if (free.length === 0) throw new Error(`all ${MAX_SLOT} sites of the volume are taken`);
    const slot = taken.size === 0 ? 1 : free[pick(free.length)]!;
    const { siteId, siteName } = this.options;
    const writes: WriteDraft[] = [
      { ino: VOLUME_INO, field: `site:${siteId}`, value: siteName },
      { ino: VOLUME_INO, field: `slot:${slot}`, value: siteId },
    ];
    this.commits.write([writes], this.clock.now(), []);
    this.slot = slot;
    this.fold();
    return slot;
  }

  /**
   * A snapshot of everything up to now.
   * @throws Error with the remedy when the name is taken or none
   */
  createSnapshot(name: string): void {
    this.fold();
    this.volumePast.create(name);
    this.fold();
  }

  /** @throws Error with the remedy when there is none of that name */
  deleteSnapshot(name: string): void {
    this.volumePast.delete(name);
    this.fold();
  }

  /** How much of the past is kept by all sites, or by this one. */
  keep(where: 'volume' | 'site', retention: Retention): void {
    this.volumePast.keep(where, retention);
    this.uncommitted = true;
    this.fold();
  }

  private volumeRegisters(): ReadonlyMap<string, readonly { value: string | number }[]> {
    return this.journal.store.inode(VOLUME_INO)?.registers ?? new Map();
  }

  // ── between calls ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Work for when no call waits, and now and then when calls keep coming: until nothing is left that could be done now (false), or
   * `isOver` says that the slice is used up (true).
   */
  background(isOver: () => boolean): boolean {
    if (this.wantsCommit) {
      this.wantsCommit = false;
      this.uncommitted = true;
      this.fold();
    }
    if (this.foldInMs() <= 0) this.fold();
    if (this.remote.waiting && !isOver()) {
      // Op ids of an open commit were given out already: nothing may come in between.
      this.fold();
      this.remote.apply(isOver);
      this.mergeVersions(isOver);
      this.uncommitted = true;
      this.fold();
    }
    const now = this.clock.monotonicMs();
    if (this.drafts.count > 0 && now - this.idleCheckMs >= IDLE_CHECK_MS) {
      this.idleCheckMs = now;
      this.contents.publishIdle();
      if (this.commits.open) this.fold();
    }
    if (this.mergesDue) {
      this.mergeVersions(isOver);
      if (this.commits.open) this.fold();
    }
    return this.remote.waiting || this.mergesDue;
  }

  /** A site without a slot of inode numbers writes nothing. */
  private get mergesDue(): boolean {
    return this.merges.busy && this.slot !== null;
  }

  /** A slice of merging; what it gives is part of the open commit. */
  private mergeVersions(isOver: () => boolean): void {
    if (!this.mergesDue || isOver()) return;
    if (this.commits.open) this.fold(); // a merge asks the journal for the versions that it is made of
    this.merges.work(isOver);
  }

  /** A version that a register is about to name, or a file that is about to get a name again, needs its bytes from now on. */
  private noteWrite(ino: Ino, field: string, value: Value): void {
    const { objects } = this;
    if (field === 'head') {
      if (objects.collecting) objects.citeVersion(parseHead(value).manifest);
    } else if (field.startsWith(LINK_PREFIX) && !isTombstone(value)) {
      const inode = this.journal.store.inode(ino);
      if (!inode || (inode.nlink > 0 && !objects.collecting)) return;
      for (const head of inode.registers.get('head') ?? []) {
        const { manifest } = parseHead(head.value);
        objects.want(manifest, ObjectKind.manifest);
        objects.citeVersion(manifest);
      }
    }
  }

  private policyChanged(ino: Ino): void {
    const inode = this.journal.store.inode(ino);
    if (inode && isDirectory(inode)) this.merges.noteAll();
    else this.merges.note(ino);
  }

  /** Some microseconds of what the next fold would have to do; false when nothing of it can be done yet. */
  workMeanwhile(): boolean {
    return this.journal.store.flushSome();
  }

  /** How long the thread may sleep when nothing happens, in milliseconds; -1: for ever. */
  get nextTimeoutMs(): number {
    if (this.mergesDue || this.wantsCommit) return 1;
    const fold = this.foldInMs();
    if (fold !== Infinity) return Math.max(1, Math.ceil(fold));
    return this.drafts.count > 0 ? IDLE_CHECK_MS : -1;
  }

  /** Milliseconds until the next fold is due; Infinity: nothing to fold. */
  private foldInMs(): number {
    if (!this.commits.open && !this.contents.hasClosed) {
      this.pendingSinceMs = Infinity;
      return Infinity;
    }
    const now = this.clock.monotonicMs();
    this.pendingSinceMs = Math.min(this.pendingSinceMs, now);
    return Math.min(this.commits.lastWriteMs + FOLD_QUIET_MS, this.pendingSinceMs + FOLD_AGE_MS) - now;
  }

  /** Publishes what was closed and commits everything up to now. Returns the commit's number. */
  fold(): number {
    this.contents.publish();
    if (this.log.sizeBytes > LOG_LIMIT_BYTES && this.drafts.count > 0) {
      this.drafts.persist();
      this.uncommitted = true;
    }
    this.objects.flush();
    const changed = this.commits.fold();
    if (changed || this.uncommitted) {
      this.uncommitted = false;
      this.commitNumber++;
      this.drafts.lastCommit = this.commitNumber;
      this.foldedAt.set(this.commitNumber, {
        lsn: Math.min(this.journal.foldedLsn, this.drafts.logFloor - 1),
        ended: this.drafts.takeEnded(),
      });
      this.options.onCommit();
      this.remote.committed();
      this.journal.relax();
    }
    return this.commitNumber;
  }

  /** Whether commits should become durable soon, because the log that they are in has grown. */
  get logPressing(): boolean {
    return this.log.sizeBytes > LOG_LIMIT_BYTES / 2;
  }

  /** Publishes everything that was written, open files too, and commits. */
  publishAll(): number {
    this.contents.publishAll();
    return this.fold();
  }

  /** Whether a version is still being made of something that was written, or of concurrent versions that are all here. */
  get publishing(): boolean {
    return this.contents.ingesting || this.mergesDue || this.merges.ingesting;
  }

  /** The number of the last commit. */
  get lastCommit(): number {
    return this.commitNumber;
  }

  /** The commits up to this one are on stable storage: what only recovery needed may go. Returns local files to be removed. */
  durable(commit: number): string[] {
    this.drafts.durableCommit = commit;
    const files: string[] = [];
    let lsn = 0;
    for (const [number, folded] of this.foldedAt) {
      if (number > commit) break;
      lsn = folded.lsn;
      files.push(...folded.ended);
      this.foldedAt.delete(number);
    }
    if (lsn > 0) this.log.release(lsn);
    return files;
  }

  // ── from other sites and threads ────────────────────────────────────────────────────────────────────────────────────────────

  deliver(changes: readonly Uint8Array[], done: (error: Error | null) => void): void {
    this.remote.deliver(changes, done);
  }

  /** Objects that came from peers are in packs: takes them into the index and wants the chunks that new manifests name. */
  adopt(objects: readonly PackedObject[]): void {
    if (this.commits.open) this.fold();
    this.objects.adopt(objects);
    this.merges.arrived(objects.map(({ id }) => id));
    for (const { id, kind } of objects) {
      if (kind !== ObjectKind.manifest) continue;
      for (const chunk of chunksOf(decodeManifest(this.objects.get(id)))) this.objects.want(chunk, ObjectKind.chunk);
    }
    // In the commit that says that nothing is missing any more: who waits for that sees what it was waited for.
    const endMs = this.clock.monotonicMs() + MERGE_SLICE_MS;
    this.mergeVersions(() => this.clock.monotonicMs() >= endMs);
    this.uncommitted = true;
    this.fold();
  }

  /** Checks an object on disk; a damaged one becomes a missing one. */
  verify(id: ObjectId): void {
    if (this.objects.verify(id)) return;
    this.uncommitted = true;
    this.fold();
  }

  /** Looks at changes in the journal; damaged ones are to be had again from another site. Returns how many are. */
  verifyChanges(changes: readonly { readonly actor: ActorId; readonly seq: number }[]): number {
    const damaged = changes.filter(({ actor, seq }) => !this.journal.verifyChange(actor, seq));
    for (const { actor, seq } of damaged) this.options.onCorrupt(`change ${seq} of actor ${actor} in the journal`);
    if (damaged.length > 0) {
      this.uncommitted = true;
      this.fold();
    }
    return damaged.length;
  }

  ingested(result: IngestResult): void {
    this.jobs.ingested(result);
    this.uncommitted = true;
    this.fold();
  }

  /** `absent`: chunks of the base that the worker could not read. */
  ingestFailed(jobId: number, absent: readonly ObjectId[]): void {
    this.jobs.failed(jobId, absent);
    for (const id of absent) {
      this.verify(id);
      this.objects.want(id, ObjectKind.chunk); // nothing when it is held, or wanted already
    }
  }

  /** Callers wait for these objects. */
  needed(ids: readonly ObjectId[]): void {
    if (!this.objects.wantAgain(ids)) return;
    this.uncommitted = true;
    this.fold();
  }

  // ── collection: see ObjectStore ─────────────────────────────────────────────────────────────────────────────────────────────

  /** The versions that are in use here, whatever the registers say. */
  versionsInUse(): ObjectId[] {
    return [...new Set(this.contents.versionsInUse())];
  }

  /** Begins a collection. Returns the versions in use; the mark is to be of a later commit. */
  beginCollection(): ObjectId[] {
    this.uncommitted = true;
    this.fold();
    this.objects.beginCollection();
    return this.versionsInUse();
  }

  /** A slice of what a collection found; returns how many of the unused objects stay. In SQLite when it returns. */
  collect(unused: readonly UnusedObject[], moved: readonly MovedObject[]): number {
    this.objects.move(moved);
    const kept = this.objects.discard(unused);
    this.uncommitted = true;
    this.fold();
    return kept;
  }

  /** Gives up packs that hold nothing any more. They may be removed once the commit is durable. */
  retirePacks(packs: readonly string[]): { retired: string[]; commit: number } {
    const retired = this.objects.retire(packs);
    this.uncommitted = true;
    return { retired, commit: this.fold() };
  }

  endCollection(removed: readonly string[]): void {
    this.objects.endCollection(removed);
    this.uncommitted = true;
    this.fold();
  }

  /** Objects that are needed and neither held nor wanted; and others that are wanted and that nothing needs, or nobody has. */
  correctWants(needed: readonly MissingObject[], unneeded: readonly ObjectId[]): void {
    this.objects.unwant(unneeded);
    for (const { id, kind } of needed) this.objects.want(id, kind);
    this.uncommitted = true;
    this.fold();
  }

  // ── conflicts that people settle ────────────────────────────────────────────────────────────────────────────────────────────

  /** See {@link Settlement.resolve}. */
  resolveConflict(decision: Decision): Settled {
    return this.settlement.resolve(decision);
  }

  /** Takes back what {@link resolveConflict} did. */
  undoResolve(steps: readonly UndoStep[]): void {
    this.reversible.undo(steps);
  }

  /** The kernel can be given local files to read and write by itself. */
  allowPassthrough(): void {
    this.contents.passthrough = true;
  }

  close(): void {
    this.contents.close();
    this.changes.writeAccessTimes();
    this.fold();
    this.drafts.persist();
    this.drafts.close();
    this.journal.close(this.log.lastLsn);
    this.objects.close();
    this.log.close();
  }
}
