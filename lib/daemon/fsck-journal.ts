// fsck-journal.ts — reads the journal of a state that may be damaged, and folds its changes into a state made from nothing.
// Invariant: reads only; what it returns of a change is intact. Every row is asked for by itself where a scan fails, so that one bad
// page costs what is on it. Works beside a running site: short reads, no transaction between them.

import type { ActorId } from '../crdt/ids.js';
import type { Change } from '../crdt/change.js';
import { Inode } from '../crdt/inode.js';
import { parseOp, timeOfStamp } from '../crdt/fields.js';
import { writeRegister } from '../crdt/register.js';
import { BaseRows } from '../journal/base-rows.js';
import { decodeChange } from '../journal/change-codec.js';
import { decodeDots } from '../journal/dots.js';
import { type FloorChange, FLOOR_KEY, parseFloorMark, readFloor } from '../journal/floor.js';
import type { Journal } from '../journal/journal.js';
import { isIntactChange } from '../journal/lost-changes.js';
import type { Connection } from '../journal/schema.js';
import type { Fault, Tell } from './fsck-report.js';

const ROWS_PER_READ = 200;
const COMMIT_EVERY = 2_000;

type ChangeRow = [lsn: number, actor: number, seq: number, hash: Buffer, stamp: number, bytes: Buffer, deps: Buffer];

/** A change that the journal holds no more: its place, as far as the indexes still tell. */
export interface LostPlace {
  readonly lsn: number;
  readonly actor: number;
  readonly seq: number;
  /** null: not known. */
  readonly hash: Buffer | null;
}

export class JournalCheck {
  readonly lost: LostPlace[] = [];
  changes = 0;
  private floor: ReadonlyMap<number, FloorChange> = new Map();
  private mark: string | undefined;
  private isBaseWhole = true;
  private last = 0;
  /** The first place. */
  first = 1;
  private readonly hashes = new Set<string>();
  private readonly seqs = new Map<ActorId, number>();
  private readonly lastHashes = new Map<ActorId, string>();
  /** Those that no other builds on. */
  private readonly heads = new Set<string>();
  private maxOp = 0;
  private bytes = 0;
  private readonly known: ReadonlyMap<number, LostPlace>;

  /**
   * @param db the state that is checked
   * @param scratch an empty journal; it gets the registers, and the actors under the same indexes
   */
  constructor(
    private readonly db: Connection,
    private readonly scratch: Journal,
    private readonly faults: Fault[],
  ) {
    this.known = new Map(this.readLost().map((place) => [place.lsn, place]));
    this.internActors();
    // A site that runs may drop changes between two reads.
    const isAlone = !db.inTransaction;
    if (isAlone) db.exec('begin');
    this.takeFloor();
    if (isAlone) db.exec('commit');
  }

  /** Whether changes were dropped since it began: those that it had yet to read it takes for lost. */
  get isOutdated(): boolean {
    try {
      return this.readMark() !== this.mark;
    } catch {
      return false; // damage, which is told where it is compared
    }
  }

  /** What of the state the changes alone say. */
  get summary(): {
    seqs: ReadonlyMap<ActorId, number>;
    lastHashes: ReadonlyMap<ActorId, string>;
    heads: ReadonlySet<string>;
    maxOp: number;
    bytes: number;
  } {
    const { seqs, lastHashes, heads, maxOp, bytes } = this;
    return { seqs, lastHashes, heads, maxOp, bytes };
  }

  /** Whether every change of the journal was read and folded. */
  get isWhole(): boolean {
    return this.lost.length === 0 && this.isBaseWhole;
  }

  /** The last place that was read. */
  get end(): number {
    return this.last;
  }

  /** An intact change's row with what its bytes say of it. */
  corrected([lsn, , , , , bytes, deps]: ChangeRow): ChangeRow {
    const { actor, seq, hash, stamp } = decodeChange(bytes, Infinity);
    return [lsn, this.indexOf(actor), seq, Buffer.from(hash, 'hex'), stamp, bytes, deps];
  }

  /** Reads on from where it was to the last change there is now. */
  run(tell: Tell): void {
    const end = this.lastLsn();
    while (this.last < end) {
      for (const row of this.read(this.last + 1, Math.min(this.last + ROWS_PER_READ, end))) this.take(row);
      this.last = Math.min(this.last + ROWS_PER_READ, end);
      tell('changes', this.last, end);
    }
    this.scratch.commit(0);
  }

  private lastLsn(): number {
    const ask = (sql: string): number => {
      try {
        return (this.db.prepare(sql).pluck().get() as number | null) ?? 0;
      } catch {
        return 0; // the other one says it, or nothing does
      }
    };
    const since = 'select sum(last_seq - coalesce(seq, 0)) from actor left join floor on floor.actor = actor.id';
    return Math.max(ask('select max(lsn) from change'), this.first - 1 + ask(since), this.last);
  }

  /** The rows of these places, intact or not; undefined where there is none, or where it cannot be read. */
  private read(from: number, to: number): [lsn: number, row: ChangeRow | undefined][] {
    const columns = 'lsn, actor, seq, hash, stamp, bytes, deps';
    const found = new Map<number, ChangeRow>();
    try {
      const all = this.db.prepare(`select ${columns} from change where lsn between ? and ?`).raw().all(from, to);
      for (const row of all as ChangeRow[]) found.set(row[0], row);
    } catch {
      const one = this.db.prepare(`select ${columns} from change where lsn = ?`).raw();
      for (let lsn = from; lsn <= to; lsn++) {
        try {
          const row = one.get(lsn) as ChangeRow | undefined;
          if (row) found.set(lsn, row);
        } catch {
          // Told below as one that cannot be read.
        }
      }
    }
    const rows: [number, ChangeRow | undefined][] = [];
    for (let lsn = from; lsn <= to; lsn++) rows.push([lsn, found.get(lsn)]);
    return rows;
  }

  private take([lsn, row]: [number, ChangeRow | undefined]): void {
    const change = row && this.decode(row);
    if (!row || !change) {
      this.lose(lsn, row);
      return;
    }
    const [, actor, seq, hash, stamp, bytes, deps] = row;
    const wrong: string[] = [];
    if (this.indexOf(change.actor) !== actor || change.seq !== seq)
      wrong.push(`stands as change ${seq} of actor ${actor}`);
    if (change.hash !== hash.toString('hex') || change.stamp !== stamp) wrong.push('stands under another hash or time');
    const before = this.seqs.get(change.actor) ?? 0;
    if (this.isWhole && change.seq !== before + 1) wrong.push(`follows change ${before} of its actor`);
    const missing = change.deps.find((dep, i) => !this.hashes.has(dep) && !this.isBelow(deps, i));
    if (this.isWhole && missing !== undefined) wrong.push(`builds on ${missing}, which is not before it`);
    if (wrong.length > 0) this.fault(lsn, `${nameOf(change)}: ${wrong.join(', ')}`, change);
    this.changes++;
    this.bytes += bytes.length;
    this.hashes.add(change.hash);
    this.seqs.set(change.actor, Math.max(before, change.seq));
    this.lastHashes.set(change.actor, change.hash);
    for (const dep of change.deps) this.heads.delete(dep);
    this.heads.add(change.hash);
    this.maxOp = Math.max(this.maxOp, change.startOp + change.ops.length - 1);
    this.fold(change);
    if (this.changes % COMMIT_EVERY === 0) this.scratch.commit(0);
  }

  /** Whether the i-th change that another one builds on is below the floor. */
  private isBelow(deps: Buffer, i: number): boolean {
    const dot = decodeDots(deps)[i];
    return dot !== undefined && dot.seq <= (this.floor.get(dot.actor)?.seq ?? 0);
  }

  private decode([, , , hash, , bytes]: ChangeRow): Change | undefined {
    if (!Buffer.isBuffer(bytes)) return undefined;
    try {
      // Its own checksum and form say that it is one; the row's hash may be what is damaged.
      const change = decodeChange(bytes, Infinity);
      return isIntactChange(Buffer.from(change.hash, 'hex'), bytes) || isIntactChange(hash, bytes) ? change : undefined;
    } catch {
      return undefined;
    }
  }

  private lose(lsn: number, row: ChangeRow | undefined): void {
    const known = this.known.get(lsn);
    const place = known ?? this.placeOf(lsn, row);
    this.lost.push(place);
    if (place.hash) this.hashes.add(place.hash.toString('hex'));
    const actor = place.actor < this.scratch.actors.size ? this.scratch.actors.id(place.actor) : undefined;
    if (actor !== undefined) this.seqs.set(actor, Math.max(this.seqs.get(actor) ?? 0, place.seq));
    const name = actor === undefined ? `the change at place ${lsn}` : `change ${place.seq} of actor ${actor}`;
    this.faults.push({
      class: 'change',
      what: `${name}: ${known ? 'was found damaged before, and has not come again' : 'its bytes are damaged'}`,
      paths: [],
      repaired: false,
      remedy: 'a linked site that has it sends it again: weft link resume, or wait until one can be reached',
      isLost: true,
      ...(actor === undefined ? {} : { change: { actor, seq: place.seq } }),
    });
  }

  /** What row and indexes still tell of a change that cannot be read. */
  private placeOf(lsn: number, row: ChangeRow | undefined): LostPlace {
    if (row) return { lsn, actor: row[1], seq: row[2], hash: Buffer.isBuffer(row[3]) ? row[3] : null };
    const ask = <Row>(sql: string): Row | undefined => {
      try {
        return this.db.prepare(sql).raw().get(lsn) as Row | undefined;
      } catch {
        return undefined;
      }
    };
    const place = ask<[number, number]>('select actor, seq from change indexed by change_of_actor where +lsn = ?');
    const hash = ask<[Buffer]>('select hash from change indexed by change_by_hash where +lsn = ?');
    return { lsn, actor: place?.[0] ?? Number.MAX_SAFE_INTEGER, seq: place?.[1] ?? 0, hash: hash?.[0] ?? null };
  }

  private fault(lsn: number, what: string, change: Change): void {
    const remedy = 'weft umount, then weft fsck --repair';
    const { actor, seq } = change;
    this.faults.push({
      class: 'change',
      what: `place ${lsn}: ${what}`,
      paths: [],
      repaired: false,
      remedy,
      change: { actor, seq },
    });
  }

  /** Registers alone: what they add up to is the projection's. */
  private fold(change: Change): void {
    const { store, actors } = this.scratch;
    const actor = this.indexOf(change.actor);
    const time = timeOfStamp(change.stamp);
    for (const [i, { key, value, pred }] of change.ops.entries()) {
      const dot = key.indexOf('.');
      const ino = Number(key.slice(0, dot));
      const field = key.slice(dot + 1);
      let inode = store.inode(ino);
      if (!inode) store.insert((inode = new Inode(ino, new Map(), 0, time, time)));
      const op = { counter: change.startOp + i, actor, stamp: change.stamp, value };
      const preds = pred.map((cited) => parseOp(cited, actors));
      inode.write(field, writeRegister(inode.registers.get(field), { ...op, pred: preds }, actors));
      inode.memo = undefined;
      store.touch(inode);
    }
  }

  private indexOf(actor: ActorId): number {
    return this.scratch.actors.intern(actor);
  }

  /** Begins where the journal begins: with what the changes make that were dropped. */
  private takeFloor(): void {
    const { store, actors } = this.scratch;
    try {
      this.mark = this.readMark();
      this.floor = readFloor(this.db);
      const { lsn, heads } = parseFloorMark(this.mark);
      this.last = lsn;
      this.first = lsn + 1;
      for (const [index, { seq, op, hash }] of this.floor) {
        const actor = actors.id(index);
        this.seqs.set(actor, seq);
        this.lastHashes.set(actor, hash);
        this.hashes.add(hash);
        this.maxOp = Math.max(this.maxOp, op);
      }
      for (const head of heads) this.heads.add(head);
      let done = 0;
      for (const { inode } of new BaseRows(this.db).after(-1)) {
        const { ino, registers } = inode;
        let stamp = 0;
        for (const entries of registers.values()) for (const entry of entries) stamp = Math.max(stamp, entry.stamp);
        const time = timeOfStamp(stamp);
        store.insert(new Inode(ino, new Map(registers), 0, time, time));
        if (++done % COMMIT_EVERY === 0) this.scratch.commit(0);
      }
    } catch (error) {
      this.isBaseWhole = false;
      this.faults.push({
        class: 'change',
        what: `what the journal begins from: ${(error as Error).message}`,
        paths: [],
        repaired: false,
        remedy: 'weft umount, then weft fsck --repair: the rows of the state stand for what is damaged',
      });
    }
  }

  private readMark(): string | undefined {
    return this.db.prepare('select value from meta where key = ?').pluck().get(FLOOR_KEY) as string | undefined;
  }

  private readLost(): LostPlace[] {
    try {
      const rows = this.db.prepare('select lsn, actor, seq, hash from lost_change').raw().all();
      return (rows as [number, number, number, Buffer][]).map(([lsn, actor, seq, hash]) => ({ lsn, actor, seq, hash }));
    } catch {
      return [];
    }
  }

  /** As the state has them, so that indexes mean the same; a damaged name is what the first change under its index says. */
  private internActors(): void {
    const names = new Map<number, ActorId>();
    const bytesOf = this.db.prepare('select bytes from change where actor = ? order by seq limit 1').pluck();
    try {
      const rows = this.db.prepare('select id, name from actor').raw().all() as [number, ActorId][];
      for (const [id, name] of rows) names.set(id, name);
    } catch {
      // The changes name them.
    }
    for (let index = 0; ; index++) {
      let name = names.get(index);
      try {
        const bytes = bytesOf.get(index) as Buffer | undefined;
        if (bytes) name = decodeChange(bytes, Infinity).actor;
      } catch {
        // Damaged: the table's word is what there is.
      }
      if (name === undefined || this.indexOf(name) !== index) return;
    }
  }
}

function nameOf({ actor, seq }: Change): string {
  return `change ${seq} of actor ${actor}`;
}
