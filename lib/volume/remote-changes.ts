// remote-changes.ts — changes that come from other sites, from their bytes to the tree. Those that do not count (crdt/acceptance.ts) wait.
// Invariant: a change is applied once, after everything it builds on, whatever the order, repetition or batching of delivery; one
// that breaks a rule is set aside whole, by name and sender (quarantine.ts), and others go on. Bytes that are no change are refused.

import { ROLE_PREFIX, SNAPSHOT_PREFIX } from '../crdt/volume-fields.js';
import { CorruptionError } from '../codec/bytes.js';
import type { Change, Dot, Value } from '../crdt/change.js';
import { claimError } from '../crdt/claims.js';
import { type ActorId, type Ino, type ObjectId, type SiteId, VOLUME_INO } from '../crdt/ids.js';
import { isMoved, LINK_PREFIX, parseHead, timeOfStamp, xattrField } from '../crdt/fields.js';
import { attributesOf } from '../crdt/inode-attributes.js';
import { MERGE_POLICY_XATTR } from '../crdt/merge-policy.js';
import { validateOp } from '../crdt/register-schema.js';
import type { Acceptance } from '../crdt/acceptance.js';
import { decodeChange, type PlacedChange } from '../journal/change-codec.js';
import type { Core } from './core.js';
import type { Quarantine } from './quarantine.js';

/** A change is a few milliseconds of work; one of this size is none of ours. */
const MAX_CHANGE_BYTES = 4 * 2 ** 20;
const POLICY_KEY_END = `.${xattrField(MERGE_POLICY_XATTR)}`;

/** 366 days: so far ahead no clock goes by itself. What is stamped behind it waits at its sender until this site's clock agrees. */
const FAR_FUTURE_US = 366 * 86_400_000_000;
/** 2026-01-01: a clock that says an earlier time is wrong itself, and judges nobody. */
const PLAUSIBLE_US = 1_767_225_600_000_000;

/** So many changes follow at most when a slice is over, because one of them may be the other half of what was seen. */
const GOES_ON_MAX = 8;

interface Delivery {
  readonly changes: readonly Uint8Array[];
  /** For each of them: where those stand that it builds on, as its sender says. */
  readonly deps: readonly (readonly Dot[])[];
  readonly from: SiteId;
  next: number;
  readonly done: (error: Error | null) => void;
}
/** The key of a snapshot's register, as far as its name. */
const SNAPSHOT_KEY = `${VOLUME_INO}.${SNAPSHOT_PREFIX}`;
const ROLE_KEY = `${VOLUME_INO}.${ROLE_PREFIX}`;

export class RemoteChanges {
  private readonly queue: Delivery[] = [];
  private readonly awaitingCommit: Delivery[] = [];
  private rolesChanged = false;
  /** Files that got a name in this slice, and have no content yet. */
  private readonly empty = new Set<Ino>();
  /** Changes that were applied in this slice after its time was over. */
  private wentOn = 0;

  constructor(
    private readonly core: Core,
    /** Told of the manifest and the size of a version that another site wrote … */
    private readonly named: (ino: Ino, manifest: ObjectId, size: number) => void,
    /** … and of the file. */
    private readonly changed: (ino: Ino) => void,
    /** Told of a file or directory of which another site set or removed the merge policy, or that it put in another place. */
    private readonly policyChanged: (ino: Ino) => void,
    /** Told of a snapshot that another site made or deleted. */
    private readonly snapshotChanged: (name: string) => void,
    /** Which changes count, as the registers say now. */
    private readonly acceptance: () => Acceptance,
    /** Told of each change before it is applied. */
    private readonly coming: (change: Change) => void,
    private readonly quarantine: Quarantine,
    /** This run. */
    private readonly actorId: ActorId,
  ) {}

  /** Whether a change of roles was applied since the last call. */
  tookRoles(): boolean {
    const { rolesChanged } = this;
    this.rolesChanged = false;
    return rolesChanged;
  }

  /** Queues changes; `done` is called after the commit that holds the last of them, or with what is wrong with one. */
  deliver(
    changes: readonly Uint8Array[],
    from: SiteId,
    done: (error: Error | null) => void,
    deps: readonly (readonly Dot[])[] = [],
  ): void {
    this.queue.push({ changes, from, deps, next: 0, done });
  }

  /** Whether some wait to be applied, and can be. */
  get waiting(): boolean {
    return this.queue.length > 0 && !this.core.space.isFull;
  }

  /** They wait for room on the disk: what is allocated for commits is left to those of what is acknowledged here. */
  get lackRoom(): boolean {
    return this.queue.length > 0 && this.core.space.isFull;
  }

  /** Applies queued changes until none is left or `isOver` says that the slice is used up. */
  apply(isOver: () => boolean): void {
    this.empty.clear();
    this.wentOn = 0;
    for (let delivery = this.queue[0]; delivery; delivery = this.queue[0]) {
      while (delivery.next < delivery.changes.length) {
        try {
          this.take(delivery.changes[delivery.next]!, delivery.from, delivery.deps[delivery.next]);
        } catch (error) {
          if (!(error instanceof CorruptionError) || !this.core.journal.isUsable) throw error;
          this.queue.shift();
          delivery.done(error);
          break;
        }
        delivery.next++;
        if (isOver() && !this.mayGoOn()) break;
      }
      if (this.queue[0] === delivery) {
        if (delivery.next < delivery.changes.length) return;
        this.queue.shift();
        this.awaitingCommit.push(delivery);
      }
      if (isOver()) return;
    }
  }

  /** Whether the next change is to come without a call between: it may bring the content of a file that got its name just now. */
  private mayGoOn(): boolean {
    return this.empty.size > 0 && this.wentOn++ < GOES_ON_MAX;
  }

  /** A file that was renamed or linked, and has no content so far, comes to its name with the version that follows (awaited-versions.ts). */
  private noteEmpty(ino: Ino, field: string, value: Value): void {
    if (field === 'head') this.empty.delete(ino);
    else if (field.startsWith(LINK_PREFIX)) {
      const inode = isMoved(value) ? this.core.store.inode(ino) : undefined;
      if (inode && !inode.registers.has('head') && attributesOf(inode).type === 'f') this.empty.add(ino);
      else this.empty.delete(ino);
    }
  }

  /** A commit holds everything that was applied. */
  committed(): void {
    for (const delivery of this.awaitingCommit.splice(0)) delivery.done(null);
  }

  private take(bytes: Uint8Array, from: SiteId, said: readonly Dot[] | undefined): void {
    const { journal } = this.core;
    const change = decodeChange(bytes, MAX_CHANGE_BYTES);
    if (journal.restoreChange(bytes, change)) return; // what it did is here
    if (journal.holds(change)) return;
    const malformed = schemaError(change);
    if (malformed !== undefined) return this.quarantine.add(change, from, malformed);
    const acceptance = this.acceptance();
    const deps = said?.map(({ actor, seq }) => ({ actor: journal.actors.intern(actor), seq }));
    const isReady = journal.isReady(change, deps);
    if (isReady && !acceptance.bars(change)) this.append({ bytes, change, deps }, from);
    else {
      if (!isReady && this.quarantine.holdsBack(change)) return;
      journal.park(bytes, change, deps);
      // It may be what makes one count that waits.
      if (!isReady && acceptance.takesAll) return;
    }
    this.retry(from);
  }

  /** Takes what waited and can go in now. */
  retry(from: SiteId): void {
    const { journal } = this.core;
    for (let ready = this.unpark(); ready.length > 0; ready = this.unpark()) {
      for (const [i, parked] of ready.entries()) {
        try {
          this.append(parked, from);
        } catch (error) {
          // Nobody sends them again as long as the link stands that they came by.
          if (journal.isUsable) for (const { bytes, change, deps } of ready.slice(i)) journal.park(bytes, change, deps);
          throw error;
        }
      }
    }
  }

  /** Of those that wait, the ones that can go in now. */
  private unpark(): readonly PlacedChange[] {
    const { journal } = this.core;
    const acceptance = this.acceptance();
    if (acceptance.takesAll) return journal.unparkReady();
    const released = acceptance.released(journal.parked());
    return journal.unparkReady((parked) => released.has(parked.hash) || !acceptance.bars(parked));
  }

  private append({ bytes, change, deps }: PlacedChange, from: SiteId): void {
    const wrong = this.claimError(change);
    if (wrong !== undefined) return this.quarantine.add(change, from, wrong);
    this.readWritten(change);
    this.quarantine.release(change);
    if (!this.core.journal.appendChange(bytes, change, deps)) return;
    this.coming(change);
    const viewChanges = this.core.commits.applyRemote(change);
    this.noteTimes(change);
    for (const op of change.ops) {
      const dot = op.key.indexOf('.');
      this.noteEmpty(Number(op.key.slice(0, dot)), op.key.slice(dot + 1), op.value);
      if (op.key.endsWith('.head')) {
        const ino = Number(op.key.slice(0, -'.head'.length));
        const { manifest, size } = parseHead(String(op.value));
        this.named(ino, manifest, size);
        this.changed(ino);
      } else if (op.key.startsWith(LINK_PREFIX, dot + 1)) this.placed(Number(op.key.slice(0, dot)));
      else if (op.key.endsWith(POLICY_KEY_END)) this.policyChanged(Number(op.key.slice(0, -POLICY_KEY_END.length)));
      else if (op.key.startsWith(ROLE_KEY)) this.rolesChanged = true;
      else if (op.key.startsWith(SNAPSHOT_KEY)) this.snapshotChanged(op.key.slice(SNAPSHOT_KEY.length));
    }
    for (const viewChange of viewChanges) this.core.tell(viewChange);
  }

  /** Reads the inodes that a change writes to: where a row of these is damaged, the change has no effect, and the site goes on. */
  private readWritten({ ops }: Change): void {
    let born = -1; // there is no row of it
    for (const { key } of ops) {
      const ino = Number(key.slice(0, key.indexOf('.')));
      if (key.endsWith('.born')) born = ino;
      if (ino !== born) this.core.store.inode(ino);
    }
  }

  private placed(ino: Ino): void {
    if (this.core.store.inode(ino)?.nlink === 0) this.changed(ino);
    else this.policyChanged(ino);
  }

  private claimError(change: Change): string | undefined {
    const { journal, store, clock } = this.core;
    const contradiction = journal.contradiction(change);
    if (contradiction !== undefined) return contradiction;
    if (change.actor === this.actorId) return 'it is in the name of this very run';
    const nowUs = clock.nowUs();
    if (nowUs > PLAUSIBLE_US && change.stamp > nowUs + FAR_FUTURE_US) {
      const when = timeOfStamp(change.stamp).s;
      return `it is from the far future (${Math.round((when - nowUs / 1e6) / 86_400)} days ahead): is the clock right where it was made, and here?`;
    }
    return claimError(change, store.inode(VOLUME_INO), (hash) => journal.lastOpOf(hash), journal.maxOp);
  }

  /** ctime is at least as late as every change seen; atime starts with the first. */
  private noteTimes(change: Change): void {
    const time = timeOfStamp(change.stamp);
    for (const op of change.ops) {
      const ino = Number(op.key.slice(0, op.key.indexOf('.')));
      const inode = ino === VOLUME_INO ? undefined : this.core.store.inode(ino);
      if (!inode) continue;
      const { ctime } = inode;
      if (ctime.s > time.s || (ctime.s === time.s && ctime.ns >= time.ns)) continue;
      inode.ctime = time;
      if (inode.atime.s === 0) inode.atime = time;
      this.core.store.touch(inode);
    }
  }
}

function schemaError(change: Change): string | undefined {
  try {
    for (const op of change.ops) validateOp(op.key, op.value);
    return undefined;
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return error.message;
  }
}
