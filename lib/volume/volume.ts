// volume.ts — one volume at one site: POSIX calls in, commits out; changes and objects of other sites in, kernel notices out. Here its
// parts are made and told of each other; what they do is in their own files.
// Invariant: everything happens on one thread, call by call. A call returns after its effect is in the intent log; hashing,
// folding and merging happen between calls, in slices. It knows neither FUSE nor the network: ports.ts says what it asks of them.

import { join } from 'node:path';
import type { Value, VersionVector } from '../crdt/change.js';
import { type Ino, type ObjectId, type SiteId, VOLUME_INO } from '../crdt/ids.js';
import { Replica } from '../crdt/replica.js';
import { HybridClock } from '../crdt/stamp.js';
import { clearFailedSync, hasFailedSync } from '../failed-sync-mark.js';
import { IntentLog, intentPath } from '../journal/intent-log.js';
import { Journal } from '../journal/journal.js';
import { VersionHistory } from '../journal/version-history.js';
import { MAX_FILE_BYTES } from '../chunks/manifest.js';
import { ObjectStore } from '../chunks/object-store.js';
import { Arrivals } from './arrivals.js';
import { AwaitedVersions } from './awaited-versions.js';
import { BackgroundWork } from './background-work.js';
import { BaseTransfer } from './base-transfer.js';
import { CollectionSteps } from './collection-steps.js';
import { Commits } from './commits.js';
import { ContentMerges } from './content-merges.js';
import { Core } from './core.js';
import { DraftRecovery } from './draft-recovery.js';
import { Drafts } from './drafts.js';
import { ExtendedAttributes } from './extended-attributes.js';
import { FileContents } from './file-contents.js';
import { Folding } from './folding.js';
import { IngestJobs } from './ingest-jobs.js';
import { InodeChanges } from './inode-changes.js';
import { isBaseless } from './intent-records.js';
import { KeptCopies } from './kept-copies.js';
import { LostVersions, noteLost } from './lost-versions.js';
import { Membership } from './membership.js';
import { NamedVersions } from './named-versions.js';
import { Namespace } from './namespace.js';
import { OpenFiles } from './open-files.js';
import { PastFiles } from './past-files.js';
import { PinnedTrees } from './pinned-trees.js';
import type { Ingester, KernelCache, VolumeClock } from './ports.js';
import { Publishing } from './publishing.js';
import { Removals } from './removals.js';
import { ReadAhead } from './read-ahead.js';
import { Recovery } from './recovery.js';
import { Quarantine } from './quarantine.js';
import { RemoteChanges } from './remote-changes.js';
import { Restoring } from './restoring.js';
import { rewriteState } from './rewriting.js';
import { ReversibleChanges } from './reversible-changes.js';
import { Settlement } from './settlement.js';
import { shownPath } from './shown-path.js';
import { SpaceGuard } from './space-guard.js';
import { StableStorage } from './stable-storage.js';
import { Truncating } from './truncating.js';
import { VersionsInUse } from './versions-in-use.js';
import { VolumeFiles } from './volume-files.js';
import { VolumePast } from './volume-past.js';
import { VolumeRegisters } from './volume-registers.js';
import { WantedContent } from './wanted-content.js';

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
  /** Called with what readers will soon want and is not held here. */
  readonly onReadAhead: (ids: readonly ObjectId[]) => void;
  /** Called after each commit that holds something new. */
  readonly onCommit: () => void;
  readonly onCorrupt: (what: string) => void;
  /** Told, in words, of what power loss took of a file that this site wrote. */
  readonly onLost?: (what: string) => void;
  /** What was written and not synced before the last end may be gone: the machine was started since, or this is a copy. */
  readonly afterPowerLoss?: boolean;
  /** 0 … n − 1, at random. */
  readonly pick: (n: number) => number;
  /** Told of a further share of the inode numbers that this site claimed by itself, and why. */
  readonly onSlot: (slot: number, why: string) => void;
  /** Told of a change that another site sent and that is taken nowhere. */
  readonly onQuarantine: (from: SiteId, change: string, reason: string) => void;
}

export class Volume {
  readonly journal: Journal;
  readonly objects: ObjectStore;
  /** The calls of the mount. */
  readonly files: VolumeFiles;
  /** What the last start replayed from the intent log. */
  readonly replayedRecords: number;
  /** Commits, their numbers, and what may go once they are durable. */
  readonly folding: Folding;
  /** What is done between calls. */
  readonly background: BackgroundWork;
  /** Changes of other sites. */
  readonly remote: RemoteChanges;
  /** … and those that are taken nowhere. */
  readonly quarantine: Quarantine;
  /** Objects of other sites, and what other threads made or found. */
  readonly arrivals: Arrivals;
  readonly collection: CollectionSteps;
  readonly wanted: WantedContent;
  /** Which sites the volume has; its root. */
  readonly registers: VolumeRegisters;
  /** The sites that belong to the volume. */
  readonly membership: Membership;
  /** The state of another site, where this one lacks what nobody's journal has any more. */
  readonly base: BaseTransfer;
  /** What of the journal may go. */
  readonly truncating: Truncating;
  /** The tree as it was. */
  readonly past: PastFiles;
  /** Snapshots, and how much of the past is kept. */
  readonly ownPast: VolumePast;
  /** Of what the history still has. */
  readonly restoring: Restoring;
  /** Conflicts that people settle … */
  readonly settlement: Settlement;
  /** … and take back. */
  readonly reversible: ReversibleChanges;
  private readonly log: IntentLog;
  private readonly drafts: Drafts;
  private readonly changes: InodeChanges;
  private readonly kept: KeptCopies;
  private readonly publishing: Publishing;
  private readonly contents: FileContents;
  private readonly awaited: AwaitedVersions;

  private constructor(options: VolumeOptions) {
    const { stateDirectory, siteId, clock, onCorrupt } = options;
    const monotonicMs = (): number => clock.monotonicMs();

    // What is stored.
    const mayLackWrites = hasFailedSync(stateDirectory);
    if (mayLackWrites) rewriteState(stateDirectory);
    this.journal = Journal.open(stateDirectory, { healed: onCorrupt });
    const { changeCount } = this.journal;
    this.log = IntentLog.open(intentPath(stateDirectory), this.journal.foldedLsn, {
      isBaseless: (record) => isBaseless(record, changeCount),
      afterPowerLoss: options.afterPowerLoss ?? false,
      damaged: onCorrupt,
    });
    this.objects = new ObjectStore(this.journal.db, join(stateDirectory, 'packs'), {
      onCorrupt: (id, error) => {
        onCorrupt(`object ${id}, to be had again from another site: ${error.message}`);
        this.folding.commitSoon(); // the links learn from a commit that it is missing
      },
    });
    const { store, actors } = this.journal;
    const stable = new StableStorage(this.log, this.journal, this.objects, () => this.folding.commitSoon());

    // What all parts share.
    const space = new SpaceGuard(stateDirectory, monotonicMs, this.journal);
    const named = new NamedVersions(store, this.objects);
    const note = (ino: Ino, field: string, value: Value): void => {
      if (ino === VOLUME_INO) this.membership.version++;
      else named.note(ino, field, value);
    };
    const commits = new Commits(
      this.journal,
      this.log,
      new Replica(store, actors),
      new HybridClock(this.journal.lastStamp()),
      clock,
      siteId,
      options.actorId,
      note,
    );
    this.drafts = new Drafts(this.journal, this.log, this.objects, stateDirectory, clock, stable, (ino) => {
      const path = this.pathOf(ino) ?? `inode ${ino}`;
      (options.onLost ?? onCorrupt)(
        `${path} can be no longer than ${MAX_FILE_BYTES} bytes: what was written beyond is gone`,
      );
    });
    const core = new Core(
      this.journal,
      this.objects,
      commits,
      this.drafts,
      new OpenFiles((manifest) => this.objects.citeVersion(manifest)),
      clock,
      options.kernel,
      space,
      () => this.registers.allocate(),
    );

    // The calls of the mount.
    this.changes = new InodeChanges(core);
    const jobs = new IngestJobs(options.ingester, this.objects);
    const history = new VersionHistory(this.journal);
    const forget = (ino: Ino): void => this.contents.forget(ino);
    const merged = (ino: Ino): void => {
      stable.wroteVersion(ino);
      forget(ino);
    };
    const merges = new ContentMerges(core, history, jobs, stateDirectory, merged, onCorrupt);
    const published = (ino: Ino): void => {
      stable.wroteVersion(ino);
      merges.note(ino);
    };
    this.kept = new KeptCopies(
      stateDirectory,
      (ino) => core.openFiles.isOpen(ino),
      (path) => this.drafts.discard(path),
    );
    this.awaited = new AwaitedVersions(options.actorId, (actor) => this.journal.lastSeqOf(actor), monotonicMs);
    this.publishing = new Publishing(
      core,
      this.changes,
      history,
      new Removals(core, history, siteId),
      jobs,
      this.kept,
      published,
      this.awaited,
    );
    const ahead = new ReadAhead(this.objects, options.onReadAhead);
    this.contents = new FileContents(core, history, stable, this.changes, this.kept, this.publishing, ahead);
    const names = new Namespace(core, this.changes, {
      named: (ino, victim) => {
        this.publishing.named(ino, victim);
        merges.policyChanged(ino);
      },
      // Local files of what has no name left are of no use.
      unnamed: (ino) => {
        if (store.inode(ino)?.nlink === 0) forget(ino);
      },
    });
    const policyChanged = (ino: Ino): void => merges.policyChanged(ino);
    const xattrs = new ExtendedAttributes(core, this.changes, policyChanged);
    this.past = new PastFiles(core);
    this.files = new VolumeFiles(
      core,
      stable,
      names,
      this.changes,
      this.contents,
      xattrs,
      this.past,
      stateDirectory,
      () => this.membership.mayWrite && this.membership.hasNumbers,
    );

    // What comes from elsewhere, or is asked for at the command line.
    const changed = (ino: Ino): void => {
      forget(ino);
      merges.note(ino);
      this.wanted.overtaken(ino);
    };
    const wants = (ino: Ino, manifest: ObjectId, size: number): void => this.wanted.named(ino, manifest, size);
    this.quarantine = new Quarantine(options.onQuarantine);
    this.remote = new RemoteChanges(
      core,
      wants,
      changed,
      policyChanged,
      (name) => this.past.snapshotsChanged(name),
      () => this.membership.acceptance,
      (change) => this.registers.watch(change),
      this.quarantine,
      options.actorId,
    );
    this.folding = new Folding(
      this.journal,
      this.log,
      this.objects,
      commits,
      this.drafts,
      this.publishing,
      stable,
      space,
      clock,
      () => {
        options.onCommit();
        this.remote.committed();
      },
    );
    this.registers = new VolumeRegisters(
      core,
      this.folding,
      siteId,
      options.siteName,
      options.slot,
      options.pick,
      options.onSlot,
    );
    this.membership = new Membership(core, this.folding, siteId, options.siteName);
    this.base = new BaseTransfer(core, this.folding, this.remote, options.actorId, note, {
      coming: (write) => this.registers.watch(write),
      applied: () => {
        this.registers.settleSlot();
        this.wanted.allOvertaken();
        merges.noteAll();
      },
      named: wants,
      changed,
      policyChanged,
      snapshotChanged: (name) => this.past.snapshotsChanged(name),
    });
    this.truncating = new Truncating(this.journal, history, this.folding, this.base, () => this.contents.writtenOn());
    this.background = new BackgroundWork(
      clock,
      this.folding,
      this.drafts,
      this.publishing,
      merges,
      this.remote,
      this.registers,
      this.membership,
      this.truncating,
    );
    const { journal, objects, folding, background } = this;
    this.arrivals = new Arrivals(clock, journal, objects, folding, jobs, merges, background, onCorrupt);
    const inUse = new VersionsInUse(core, this.kept);
    this.collection = new CollectionSteps(objects, this.contents, inUse, folding, jobs);
    this.wanted = new WantedContent(objects, merges, folding, store, inUse, new PinnedTrees(store, actors));
    this.ownPast = new VolumePast(core, this.past, folding);
    this.restoring = new Restoring(core, changed);
    this.reversible = new ReversibleChanges(core, names, this.changes, this.files);
    this.settlement = new Settlement(core, names, this.changes, this.reversible);

    const lost = noteLost(objects.recover(mayLackWrites), journal);
    clearFailedSync(stateDirectory);
    const draftRecovery = new DraftRecovery(
      journal.db,
      this.drafts,
      objects,
      monotonicMs,
      options.afterPowerLoss ?? false,
    );
    const recovery = new Recovery(
      commits,
      this.drafts,
      draftRecovery,
      objects,
      history,
      journal.foldedLsn,
      new Set(lost),
      (ino, error) => onCorrupt(`what was last written to inode ${ino} and not synced: ${error.message}`),
      options.afterPowerLoss ? { gaveUp: (ino) => this.gaveUp(ino, options) } : undefined,
    );
    recovery.run(this.log);
    this.replayedRecords = recovery.replayed;
    new LostVersions(core, history, siteId, options.onLost ?? onCorrupt).giveUp(lost);
    this.publishing.closedAll();
    merges.noteAll();
  }

  /**
   * Opens the state of a site and recovers it. What recovery brought back is committed by the first fold.
   * @throws CorruptionError naming the file and the remedy
   */
  static open(options: VolumeOptions): Volume {
    return new Volume(options);
  }

  /** Publishes what was closed and commits everything up to now. Returns the number of the last commit. */
  fold(): number {
    return this.folding.fold();
  }

  /** Publishes everything that was written, open files too, and commits. */
  publishAll(): number {
    this.publishing.publishAll();
    return this.folding.fold();
  }

  /** The changes that other sites may have, of those that are here: the last of each actor. */
  sharedVector(): VersionVector {
    return this.awaited.lower(this.journal.heldVector());
  }

  private gaveUp(ino: Ino, { onLost, onCorrupt }: VolumeOptions): void {
    const path = this.pathOf(ino) ?? `inode ${ino}`;
    (onLost ?? onCorrupt)(
      `${path} shows its last version: power failed before what was written to it since was synced`,
    );
  }

  /** Where an inode is shown, for messages to people; undefined for what has no name, or is of the past. */
  pathOf(ino: Ino): string | undefined {
    return shownPath(ino, this.journal.store, this.journal.actors);
  }

  /** Some microseconds of what the next fold would have to do; false when nothing of it can be done yet. */
  workMeanwhile(): boolean {
    return this.journal.store.flushSome() || this.drafts.prepareSome();
  }

  /** The kernel can be given local files to read and write by itself. */
  allowPassthrough(): void {
    this.kept.passthrough = true;
  }

  close(): void {
    this.contents.close();
    this.changes.writeAccessTimes();
    this.folding.fold();
    this.drafts.syncAll();
    this.drafts.persist();
    this.drafts.close();
    this.objects.settle();
    this.journal.close(this.log.lastLsn);
    this.objects.close();
    this.log.close();
  }
}
