// site-server.ts — the site thread's side of the message port: answers the main thread, reports commits, runs background work.
// Invariant: everything that touches replicated state runs here, on one thread. It is driven from outside (site-thread.ts): by the
// kernel session's loop, or by an event loop when nothing is mounted.

import { randomInt } from 'node:crypto';
import type { ActorId, Ino, ObjectId, SiteId } from '../crdt/ids.js';
import type { Member } from '../crdt/members.js';
import { pastQuestion } from '../volume/past-files.js';
import { Volume } from '../volume/volume.js';
import type { KernelCache, VolumeClock } from '../volume/ports.js';
import type { Log } from './daemon-interface.js';
import { SystemClock } from './system-clock.js';
import type { FromSite, RequestName, Requests, ShownHold, SiteThreadData, ToSite } from './thread-protocol.js';

/** What serves the mount, as far as messages concern it. */
export interface Server {
  /** Handles what the kernel has queued. */
  drain(): void;
  resume(ids: readonly ObjectId[]): void;
  fail(ids: readonly ObjectId[]): void;
  requestCounts(): ReadonlyMap<string, number>;
  readonly cachesSettled: boolean;
}

/** Where messages go to and come from. */
export interface SitePort {
  postMessage(message: FromSite): void;
  /** The next message that waits, if one does. */
  next(): ToSite | undefined;
}

/** What a site has of the machine besides its disk. */
export interface Machine {
  readonly clock: VolumeClock;
  /** 0 … n − 1, at random. */
  readonly pick: (n: number) => number;
}

/** What a site that may only read does for nobody. */
const WRITES: ReadonlySet<RequestName> = new Set([
  'restore',
  'placeAgain',
  'setTimes',
  'createSnapshot',
  'deleteSnapshot',
  'resolve',
  'undoResolve',
  'admitMember',
  'setRole',
]);
/** How often it is looked whether a flush can be answered. */
const FLUSH_POLL_MS = 1;

/** When nothing is mounted. */
const NO_SERVER: Server = {
  drain: () => {},
  resume: () => {},
  fail: () => {},
  requestCounts: () => new Map(),
  cachesSettled: true,
};

/** A volume without a mount has no kernel caches to keep right. */
export const NO_KERNEL_CACHE: KernelCache = {
  invalidateEntry: () => {},
  entryDeleted: () => {},
  invalidateInode: () => {},
};

interface PendingFlush {
  readonly id: number;
}

export class SiteServer {
  readonly volume: Volume;
  readonly log: Log;
  server: Server = NO_SERVER;
  stopped = false;
  /** The mount is to be served no longer, though it is in use. */
  sessionEnds = false;
  private kernel: KernelCache = NO_KERNEL_CACHE;
  private readonly reported = new Map<ActorId, number>();
  /** The version of the membership that was reported last. */
  private reportedMembers = -1;
  private readonly flushes: PendingFlush[] = [];

  constructor(
    data: SiteThreadData,
    private readonly port: SitePort,
    machine: Machine = { clock: new SystemClock(), pick: (n) => randomInt(n) },
  ) {
    this.log = {
      debug: (details, message) => this.post({ type: 'log', level: 'debug', details, message }),
      info: (details, message) => this.post({ type: 'log', level: 'info', details, message }),
      warn: (details, message) => this.post({ type: 'log', level: 'warn', details, message }),
      error: (details, message) => this.post({ type: 'log', level: 'error', details, message }),
    };
    this.volume = Volume.open({
      stateDirectory: data.stateDirectory,
      siteId: data.config.siteId,
      siteName: data.config.site,
      slot: data.config.slot,
      actorId: data.actorId,
      afterPowerLoss: data.afterPowerLoss,
      clock: machine.clock,
      kernel: {
        invalidateEntry: (parent, name) => this.kernel.invalidateEntry(parent, name),
        entryDeleted: (parent, name, child) => this.kernel.entryDeleted(parent, name, child),
        invalidateInode: (ino, content) => this.kernel.invalidateInode(ino, content),
      },
      ingester: { ingest: (job) => this.post({ type: 'ingest', job }) },
      onReadAhead: (ids) => this.post({ type: 'ahead', ids }),
      onCommit: () => this.reportCommit(),
      pick: machine.pick,
      onSlot: (slot, why) => {
        this.log.warn({ slot, why }, 'new files get numbers of a new range');
        this.post({ type: 'slot', slot });
      },
      onQuarantine: (from, change, reason) => {
        this.log.warn({ from: this.siteText(from), change, reason }, 'a change was quarantined; others go on');
        this.post({ type: 'quarantined', from, change, reason });
      },
      onLost: (what) => this.log.warn({ what }, 'what was not synced is lost'),
      onCorrupt: (what) => this.log.error({ what }, 'what was stored is damaged'),
    });
    this.volume.registers.begin();
    this.volume.fold();
    this.volume.wanted.pin(data.config.pins ?? []);
    if (data.config.content === 'on-demand') this.volume.wanted.keepAll(false);
  }

  post(message: FromSite): void {
    this.port.postMessage(message);
  }

  /** Directs notices to a mount's caches. */
  attach(kernel: KernelCache, server: Server): void {
    this.kernel = kernel;
    this.server = server;
  }

  /** Takes the messages that wait, one at least; true when `isOver` said that it is time for something else. */
  takeMessages(isOver: () => boolean): boolean {
    for (let next = this.port.next(); next; next = this.port.next()) {
      this.take(next);
      if (isOver()) return true;
    }
    return false;
  }

  take(message: ToSite): void {
    switch (message.type) {
      case 'request':
        this.answer(message);
        break;
      case 'durable':
        this.post({ type: 'unused', files: this.volume.folding.durable(message.commit) });
        break;
      case 'ingested':
        this.volume.arrivals.ingested(message.result);
        break;
      case 'ingestFailed':
        this.volume.arrivals.ingestFailed(message.jobId, message.absent);
        break;
      case 'answered':
        this.volume.past.answer(message.id, message.answer);
        if (message.answer === undefined) this.server.fail([message.id]);
        else this.server.resume([message.id]);
        break;
      case 'unavailable':
        this.server.fail(message.ids);
        break;
    }
  }

  /** A caller waits for these: bytes that a peer may have, or answers about the past. `ino`: of the file, if that is known. */
  absent(ids: readonly ObjectId[], ino?: Ino): void {
    const questions = this.volume.past.takeQuestions(ids);
    if (questions.length > 0) this.post({ type: 'asked', ids: questions });
    const objects = ids.filter((id) => !pastQuestion(id));
    if (objects.length === 0) return;
    this.volume.arrivals.needed(objects);
    const file = ino === undefined ? undefined : this.volume.pathOf(ino);
    this.post({ type: 'needed', ids: objects, file: file ?? null });
  }

  /** A slice of background work; true while more waits. */
  background(isOver: () => boolean): boolean {
    const more = this.volume.background.run(isOver);
    this.answerFlushes();
    return more;
  }

  get nextTimeoutMs(): number {
    // Nobody tells this thread when the kernel has taken a notice.
    if (this.flushes.length > 0) return FLUSH_POLL_MS;
    return this.volume.background.nextTimeoutMs;
  }

  /** The mount is gone: keeps what is left to keep. */
  close(): void {
    this.volume.publishAll();
    this.volume.close();
  }

  private reportCommit(): void {
    const { journal, objects } = this.volume;
    const vector: [ActorId, number][] = [];
    for (const [actor, seq] of this.volume.sharedVector()) {
      if (this.reported.get(actor) === seq) continue;
      this.reported.set(actor, seq);
      vector.push([actor, seq]);
    }
    const { lastCommit: commit, logPressing: pressing } = this.volume.folding;
    const { commits } = journal;
    const missing = objects.missingCount();
    const { unsharedFrom } = objects;
    const unsynced = objects.takeUnsynced(commit);
    const members = this.changedMembers();
    this.post({
      type: 'committed',
      commit,
      vector,
      missing,
      unsharedFrom,
      unsynced,
      pressing,
      commits,
      ...(members && { members }),
    });
  }

  /** A site for people: its name and id. */
  private siteText(siteId: SiteId): string {
    const name = this.volume.membership.all().find((member) => member.siteId === siteId)?.name ?? '?';
    return `${name} (${siteId})`;
  }

  private changedMembers(): Member[] | undefined {
    const { membership } = this.volume;
    if (membership.version === this.reportedMembers) return undefined;
    this.reportedMembers = membership.version;
    return membership.all();
  }

  private reply<N extends RequestName>(id: number, _name: N, value: Requests[N]['reply']): void {
    this.post({ type: 'reply', id, value });
  }

  private answer(message: Extract<ToSite, { type: 'request' }>): void {
    const { id } = message;
    try {
      this.carryOut(message);
    } catch (error) {
      this.post({ type: 'refused', id, error: (error as Error).message });
      // The site cannot go on without its journal: it ends for what went wrong, and not later for what comes of it.
      if (!this.volume.journal.isUsable) throw error;
    }
  }

  private carryOut(message: Extract<ToSite, { type: 'request' }>): void {
    const { id, name } = message;
    const { volume } = this;
    if (WRITES.has(name)) volume.membership.checkWritable();
    switch (name) {
      case 'changes':
        volume.remote.deliver(
          message.args.changes,
          message.args.from,
          (error) => {
            if (error) this.post({ type: 'refused', id, error: error.message });
            else this.reply(id, name, null);
          },
          message.args.deps,
        );
        break;
      case 'baseOffered':
        this.reply(id, name, { after: volume.base.offered(message.args.offer) });
        break;
      case 'basePart':
        this.reply(id, name, { after: volume.base.take(message.args.part, message.args.from) });
        break;
      case 'objects':
        volume.arrivals.adopt(message.args.packed, message.args.areShared);
        this.reply(id, name, null);
        this.server.resume(message.args.packed.map((object) => object.id));
        break;
      case 'shared':
        volume.arrivals.shared(message.args.position);
        this.reply(id, name, null);
        break;
      case 'report':
        this.reported.clear();
        this.reportedMembers = -1;
        this.reportCommit();
        this.reply(id, name, null);
        break;
      case 'verify':
        for (const objectId of message.args.ids) volume.arrivals.verify(objectId);
        this.reply(id, name, null);
        break;
      case 'verifyChanges':
        this.reply(id, name, { damaged: volume.arrivals.verifyChanges(message.args.changes) });
        break;
      case 'flush':
        this.server.drain();
        volume.publishAll();
        this.flushes.push({ id });
        this.answerFlushes();
        break;
      case 'fold':
        this.reply(id, name, { commit: volume.fold() });
        break;
      case 'restore': {
        const { ino, version, to } = message.args;
        if (to) volume.restoring.restoreTo(ino, version, to);
        else volume.restoring.restore(ino, version);
        volume.fold();
        this.reply(id, name, null);
        break;
      }
      case 'placeAgain': {
        const names = volume.restoring.placeAgain(message.args.lost, message.args.touch);
        volume.fold();
        this.reply(id, name, { names });
        break;
      }
      case 'setTimes':
        volume.restoring.setTimes(message.args.times);
        volume.fold();
        this.reply(id, name, null);
        break;
      case 'createSnapshot':
        volume.ownPast.create(message.args.name);
        this.reply(id, name, null);
        break;
      case 'deleteSnapshot':
        volume.ownPast.delete(message.args.name);
        this.reply(id, name, null);
        break;
      case 'keep':
        volume.ownPast.keep(message.args.where, message.args.retention);
        this.reply(id, name, null);
        break;
      case 'versionsInUse':
        this.reply(id, name, { inUse: volume.collection.versionsInUse() });
        break;
      case 'beginCollection':
        this.reply(id, name, { inUse: volume.collection.begin() });
        break;
      case 'collect': {
        const { unused, moved, areEvicted } = message.args;
        this.reply(id, name, { kept: volume.collection.collect(unused, moved, areEvicted) });
        break;
      }
      case 'retirePacks':
        this.reply(id, name, volume.collection.retire(message.args.packs));
        break;
      case 'correctWants':
        volume.collection.correctWants(message.args.needed, message.args.unneeded);
        this.reply(id, name, null);
        break;
      case 'truncate': {
        const { args } = message;
        volume.truncating.ask(args && { ...args, frontier: new Map(args.frontier) });
        this.reply(id, name, null);
        break;
      }
      case 'endCollection':
        volume.collection.end(message.args.removed);
        this.reply(id, name, null);
        break;
      case 'versionsWritten':
        volume.collection.giveUpKept();
        this.reply(id, name, { written: volume.collection.versionsWritten() });
        break;
      case 'resolvePaths':
        this.reply(id, name, { inos: message.args.paths.map((path) => volume.wanted.pinned.resolve(path) ?? null) });
        break;
      case 'pin':
        volume.wanted.pin(message.args.inos);
        this.reply(id, name, null);
        break;
      case 'pinnedBy': {
        const pin = volume.wanted.pinned.covering(message.args.ino);
        this.reply(id, name, { pinnedBy: pin === undefined ? null : (volume.pathOf(pin) ?? `/inode ${pin}`) });
        break;
      }
      case 'keepAll':
        volume.wanted.keepAll(message.args.keepsAll);
        this.reply(id, name, null);
        break;
      case 'status':
        this.reply(id, name, this.status());
        break;
      case 'resolve':
        this.reply(id, name, volume.settlement.resolve(message.args));
        break;
      case 'undoResolve':
        volume.reversible.undo(message.args.steps);
        this.reply(id, name, null);
        break;
      case 'claimSlot':
        this.reply(id, name, { slot: volume.registers.claimSlot() });
        break;
      case 'admitMember': {
        const { siteId, name: siteName, identity } = message.args;
        this.reply(id, name, { commit: volume.membership.admit(siteId, siteName, identity) });
        break;
      }
      case 'setRole':
        this.reply(id, name, { commit: volume.membership.setRole(message.args.siteId, message.args.kind) });
        break;
      case 'renameSite':
        this.reply(id, name, { commit: volume.membership.rename(message.args.name) });
        break;
      case 'announce': {
        const { identity, addresses } = message.args;
        this.reply(id, name, { commit: volume.membership.announce(identity, addresses) });
        break;
      }
      case 'createRoot':
        volume.registers.createRoot({ ...message.args, pid: 0 });
        this.reply(id, name, null);
        break;
      case 'stop':
        this.close();
        this.stopped = true;
        this.reply(id, name, null);
        break;
      case 'endSession':
        this.sessionEnds = true;
        this.reply(id, name, null);
        break;
    }
  }

  /** A flush is answered when nothing that was written waits for its version, and the kernel forgot what changed. */
  private answerFlushes(): void {
    const { background } = this.volume;
    if (this.flushes.length === 0 || background.isPublishing || !this.server.cachesSettled) return;
    const commit = this.volume.fold();
    for (const { id } of this.flushes.splice(0))
      this.reply(id, 'flush', { commit, unpacked: background.unpackedCount });
  }

  private journalHold(): ShownHold | null {
    const hold = this.volume.truncating.heldBy;
    return hold && 'ino' in hold ? { by: hold.by, path: this.volume.pathOf(hold.ino) ?? '?' } : hold;
  }

  private status(): Requests['status']['reply'] {
    const { journal, objects } = this.volume;
    return {
      journalBytes: journal.journalBytes,
      journalSinceUs: journal.floor.stamp,
      journalHeldBy: this.journalHold(),
      chunkBytes: objects.bytes(),
      missing: objects.missingCount(),
      missingBytes: objects.missingBytes(),
      unsharedBytes: objects.unsharedBytes(),
      quarantined: this.volume.quarantine.all,
      requests: Object.fromEntries(this.server.requestCounts()),
    };
  }
}
