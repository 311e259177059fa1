// base-transfer.ts — takes over the base of another site's journal, where this one lacks changes that are in nobody's journal any more.
// Invariant: parts are kept as they come and show nothing; with the last one, in one commit, the registers become those of who has seen
// all that both have (crdt/state-merge.ts). What this site wrote and nobody has yet stays in its journal, and goes to the others as
// ever: concurrent with what it had not seen, and with nothing else.

import { CorruptionError } from '../codec/bytes.js';
import type { Change } from '../crdt/change.js';
import { parseHead, xattrField } from '../crdt/fields.js';
import type { Ino, ObjectId, OpId, SiteId } from '../crdt/ids.js';
import { VOLUME_INO } from '../crdt/ids.js';
import type { Entry, Inode } from '../crdt/inode.js';
import { isDirectory } from '../crdt/inode-attributes.js';
import { MERGE_POLICY_XATTR } from '../crdt/merge-policy.js';
import { formatKey } from '../crdt/register-schema.js';
import { sameOp } from '../crdt/register.js';
import type { RegisterWrite } from '../crdt/replica.js';
import { type HasSeen, mergeEntries } from '../crdt/state-merge.js';
import { SNAPSHOT_PREFIX } from '../crdt/volume-fields.js';
import { baseId, type BaseOffer, type BasePart, decodeBasePart } from '../journal/base-part.js';
import { bareInode } from '../journal/base-rows.js';
import { INCOMING_KEY, IncomingBase } from '../journal/incoming-base.js';
import type { Core } from './core.js';
import type { Folding } from './folding.js';
import type { RemoteChanges } from './remote-changes.js';

/** Who is told of what a base brings; as of changes of other sites. */
export interface BaseListener {
  /** Before it is applied. */
  coming(write: Pick<Change, 'actor' | 'ops'>): void;
  named(ino: Ino, manifest: ObjectId, size: number): void;
  changed(ino: Ino): void;
  policyChanged(ino: Ino): void;
  snapshotChanged(name: string): void;
  /** All of it is applied. */
  applied(): void;
}

/** Writes between two flushes of the inodes that they changed: these are in memory until then. */
const WRITES_PER_FLUSH = 20_000;
/** A part as it comes takes 1.4 times its size in SQLite's log, and once more in the database. */
const PART_ROOM = 4;
/** What is made of all parts: rows of the base, inodes and dirents, which take 2.6 to 3 times what came, likewise twice. */
const BASE_ROOM = 8;
const NO_ENTRIES: readonly Entry[] = [];

export class BaseTransfer {
  /** The simulator, whose volumes are small, has fewer. */
  static filesPerBatch = 4_096;
  private readonly incoming: IncomingBase;

  constructor(
    private readonly core: Core,
    private readonly folding: Folding,
    private readonly remote: RemoteChanges,
    private readonly actorId: string,
    private readonly note: (ino: Ino, field: string, value: Entry['value']) => void,
    private readonly listener: BaseListener,
  ) {
    const { journal } = core;
    this.incoming = new IncomingBase(journal.db, journal.meta(INCOMING_KEY), (text) =>
      journal.setMeta(INCOMING_KEY, text),
    );
  }

  /** While a base comes, the journal's own stays as it is. One whose changes came by another way is of no use any more. */
  get isUnderWay(): boolean {
    const { offer } = this.incoming;
    if (offer && this.isHeld(offer)) this.incoming.forget();
    return this.incoming.offer !== null;
  }

  private isHeld({ actors }: BaseOffer): boolean {
    const held = this.core.journal.heldVector();
    return actors.every(({ actor, seq }) => seq <= (held.get(actor) ?? 0));
  }

  /**
   * Another site offers its base, because this one lacks changes that are in no journal.
   * @returns the inode behind which it is to send; null: nothing of it is lacking here
   * @throws CorruptionError
   */
  offered(offer: BaseOffer): Ino | null {
    this.check(offer);
    if (this.isHeld(offer)) return null;
    const after = this.incoming.begin(offer);
    this.folding.commitSoon();
    return after;
  }

  private check(offer: BaseOffer): void {
    const { journal } = this.core;
    if (baseId(offer.actors) !== offer.id) throw new CorruptionError('base: its id is of another one');
    const lasts = new Set(offer.actors.map(({ hash }) => hash));
    if (!offer.heads.every((head) => lasts.has(head))) throw new CorruptionError('base: a head that is no last change');
    for (const { actor, seq, hash } of offer.actors) {
      const held = journal.vector().get(actor) ?? 0;
      if (seq === held && journal.lastHashOf(actor) !== hash)
        throw new CorruptionError(
          `base: change ${seq} of actor ${actor} is another one here; the actor was used twice`,
        );
      if (actor === this.actorId && seq > held)
        throw new CorruptionError(`base: holds change ${seq} of this site, which has made ${held}`);
    }
  }

  /**
   * Takes a part of the base that was offered. With the last one, all is as if its changes had come.
   * @returns the inode behind which the next one begins; null: that was the last
   * @throws CorruptionError; Error that says how much room the disk lacks: it may be sent again
   */
  take(part: BasePart, from: SiteId): Ino | null {
    const { offer } = this.incoming;
    if (!offer || !this.incoming.fits(part)) throw new CorruptionError('base: a part that was not asked for');
    const { journal } = this.core;
    this.checkRoom(part);
    const hasSeen = this.seenHere();
    const isCovered = coverOf(offer, journal.actors.intern.bind(journal.actors));
    const covers = (actor: number, counter: number): boolean => isCovered({ actor, counter });
    const inodes = decodeBasePart(part, journal.actors, covers);
    this.incoming.take(inodes, part.last, (inode) => this.changesOf(inode, hasSeen, isCovered).length > 0);
    if (part.done) this.install(offer, from);
    this.folding.commit();
    return part.done ? null : part.last;
  }

  /** Before, for half of it would be of no use. A commit that has no room ends the site. */
  private checkRoom({ bytes, done }: BasePart): void {
    const partBytes = PART_ROOM * bytes.length;
    const neededBytes = done ? partBytes + BASE_ROOM * (this.incoming.bytes() + bytes.length) : partBytes;
    if (this.core.space.hasRoom(neededBytes)) return;
    const neededMb = Math.ceil(neededBytes / 1e6);
    throw new Error(
      `the disk has no room for the state of the volume: free ${neededMb} MB of it, beside the 64 MiB that are kept in reserve`,
    );
  }

  private install(offer: BaseOffer, from: SiteId): void {
    const { journal, commits } = this.core;
    this.folding.fold();
    const hasSeen = this.seenHere();
    const isCovered = coverOf(offer, journal.actors.intern.bind(journal.actors));
    const floor = new Map(journal.floor.changes);
    const below: HasSeen = ({ actor, counter }) => counter <= (floor.get(actor)?.op ?? 0);
    journal.changeMuch(() => {
      journal.base.join((own, other) => mergeInodes(own, below, other, isCovered, this.core));
      for (const inodes of this.batches()) {
        const written: RegisterWrite[] = [];
        const changes = commits.applyBase(this.writes(inodes, hasSeen, isCovered, written), offer.stamp);
        this.core.store.flush();
        for (const write of written) this.tell(write);
        for (const change of changes) this.core.tell(change);
      }
      journal.join(offer);
      this.core.objects.countedAnew(journal.changeCount);
      commits.tookBase();
      journal.base.joined();
      this.incoming.forget();
    });
    this.remote.retry(from);
    this.listener.applied();
  }

  /**
   * The inodes of which the registers lack something, so many at a time that what they change can be in memory. The directories come first
   * and all at once: a name needs its directory, and each of these may lie in any other.
   */
  private *batches(): Generator<Iterable<Inode>> {
    yield this.due(isInPath);
    let files: Inode[] = [];
    for (const inode of this.due((other) => !isInPath(other))) {
      if (files.push(inode) < BaseTransfer.filesPerBatch) continue;
      yield files;
      files = [];
    }
    yield files;
  }

  private *due(isMeant: (inode: Inode) => boolean): Generator<Inode> {
    for (const inode of this.incoming.due()) if (isMeant(inode)) yield inode;
  }

  /** What the registers lack, announced as it is applied. @param written gets what is to be told afterwards */
  private *writes(
    inodes: Iterable<Inode>,
    hasSeen: HasSeen,
    isCovered: HasSeen,
    written: RegisterWrite[],
  ): Generator<RegisterWrite> {
    let count = 0;
    for (const inode of inodes) {
      for (const write of this.changesOf(inode, hasSeen, isCovered)) {
        this.announce(write);
        if (isToldOf(write)) written.push(write);
        yield write;
        if (++count % WRITES_PER_FLUSH === 0) this.core.store.flush();
      }
    }
  }

  private announce({ ino, field, value, actor }: RegisterWrite): void {
    this.note(ino, field, value);
    if (field !== 'born') return;
    this.listener.coming({ actor: this.core.actors.id(actor), ops: [{ key: formatKey(ino, field), value, pred: [] }] });
  }

  /** The writes that make of this site's registers those of who has seen both. */
  private changesOf({ ino, registers }: Inode, hasSeen: HasSeen, isCovered: HasSeen): RegisterWrite[] {
    const own = this.core.store.inode(ino)?.registers;
    const writes: RegisterWrite[] = [];
    for (const [field, entries] of registers) {
      const before = own?.get(field) ?? NO_ENTRIES;
      const after = mergeEntries({ entries: before, hasSeen }, { entries, hasSeen: isCovered }, this.core.actors);
      if (after === before) continue;
      let pred: readonly OpId[] = before.filter((entry) => !has(after, entry));
      const added = after.filter((entry) => !has(before, entry));
      // One that is there already is written again to take away what it overwrote.
      for (const entry of added.length > 0 ? added : after.slice(0, 1)) {
        writes.push({ ino, field, ...entry, pred });
        pred = [];
      }
    }
    return writes.toSorted((a, b) => Number(b.field === 'born') - Number(a.field === 'born'));
  }

  /** The operations that this site has seen. */
  private seenHere(): HasSeen {
    const { journal } = this.core;
    const lastOps = new Map<number, number>();
    return ({ actor, counter }) => {
      let last = lastOps.get(actor);
      if (last === undefined) lastOps.set(actor, (last = journal.lastOpBy(actor)));
      return counter <= last;
    };
  }

  private tell({ ino, field, value }: RegisterWrite): void {
    const { listener } = this;
    if (ino === VOLUME_INO) {
      if (field.startsWith(SNAPSHOT_PREFIX)) listener.snapshotChanged(field.slice(SNAPSHOT_PREFIX.length));
    } else if (field === 'head') {
      const { manifest, size } = parseHead(value);
      listener.named(ino, manifest, size);
      listener.changed(ino);
    } else listener.policyChanged(ino);
  }
}

function has(entries: readonly Entry[], op: OpId): boolean {
  return entries.some((entry) => sameOp(entry, op));
}

/** The registers of the volume say how sites are called, which names of conflict copies are made of. */
function isInPath(inode: Inode): boolean {
  return inode.ino === VOLUME_INO || isDirectory(inode);
}

function isToldOf({ ino, field }: RegisterWrite): boolean {
  if (ino === VOLUME_INO) return field.startsWith(SNAPSHOT_PREFIX);
  return field === 'head' || field === xattrField(MERGE_POLICY_XATTR);
}

/** Whether an operation is one of those that a base is made of. */
function coverOf({ actors }: BaseOffer, intern: (actor: string) => number): HasSeen {
  const ops = new Map(actors.map(({ actor, op }) => [intern(actor), op]));
  return ({ actor, counter }) => counter <= (ops.get(actor) ?? 0);
}

function mergeInodes(own: Inode, ownSeen: HasSeen, other: Inode, otherSeen: HasSeen, { actors }: Core): Inode {
  const registers = new Map<string, readonly Entry[]>();
  for (const field of new Set([...own.registers.keys(), ...other.registers.keys()])) {
    const merged = mergeEntries(
      { entries: own.registers.get(field) ?? NO_ENTRIES, hasSeen: ownSeen },
      { entries: other.registers.get(field) ?? NO_ENTRIES, hasSeen: otherSeen },
      actors,
    );
    if (merged.length > 0) registers.set(field, merged);
  }
  return bareInode(own.ino, registers);
}
