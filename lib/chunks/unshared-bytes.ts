// unshared-bytes.ts — how much of what this site holds no other one is known to keep: bytes by the place in the journal from which on a
// site that has everything up to there has them too. Site thread only, part of its transactions.
// Invariant: the sum is never too small; it may be too large, because places are brought together so that there are few, and because what
// a collection gave up is not known here.

import type { Database, Statement } from 'better-sqlite3';

const SCHEMA = 'CREATE TABLE IF NOT EXISTS unshared (position INTEGER PRIMARY KEY, bytes INTEGER NOT NULL)';
/** What all places hold, as of the last commit. */
export const SUM_UNSHARED = 'SELECT coalesce(sum(bytes), 0) FROM unshared';
/** More places than this are brought together two by two. */
const MAX_PLACES = 256;

export class UnsharedBytes {
  /** By position, rising. */
  private places: { position: number; bytes: number }[];
  private total: number;
  /** Added since the last {@link note}. */
  private fresh = 0;
  private readonly put: Statement<[number, number]>;
  private readonly dropUpTo: Statement<[number]>;

  constructor(db: Database) {
    db.exec(SCHEMA);
    this.put = db.prepare(
      'INSERT INTO unshared VALUES (?, ?) ON CONFLICT (position) DO UPDATE SET bytes = excluded.bytes',
    );
    this.dropUpTo = db.prepare('DELETE FROM unshared WHERE position <= ?');
    this.places = db.prepare('SELECT position, bytes FROM unshared ORDER BY position').all() as typeof this.places;
    this.total = this.places.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get bytes(): number {
    return this.total + this.fresh;
  }

  /** The first place, as of the last {@link note}. */
  get first(): number | null {
    return this.places[0]?.position ?? null;
  }

  /** An object came that no site which keeps everything sent. */
  add(bytes: number): void {
    this.fresh += bytes;
  }

  /** What was added is named by changes up to this one, counted in the order in which they arrived here. */
  note(position: number): void {
    if (this.fresh === 0) return;
    const last = this.places.at(-1);
    if (last && last.position >= position) last.bytes += this.fresh;
    else this.places.push({ position, bytes: this.fresh });
    this.total += this.fresh;
    this.fresh = 0;
    const { position: at, bytes } = this.places.at(-1)!;
    this.put.run(at, bytes);
    if (this.places.length > MAX_PLACES) this.bringTogether();
  }

  /** The changes got other places, up to this one. */
  moved(position: number): void {
    const { total } = this;
    this.shared(Number.MAX_SAFE_INTEGER);
    this.add(total);
    this.note(position);
  }

  /** A site keeps all that the changes up to this one name. Whether that is news. */
  shared(position: number): boolean {
    if (this.places.length === 0 || this.places[0]!.position > position) return false;
    this.places = this.places.filter((place) => place.position > position);
    this.total = this.places.reduce((sum, { bytes }) => sum + bytes, 0);
    this.dropUpTo.run(position);
    return true;
  }

  /** The later position holds for both. */
  private bringTogether(): void {
    const places: typeof this.places = [];
    for (const [index, place] of this.places.entries()) {
      if (index % 2 === 0) places.push({ ...place });
      else places[places.length - 1] = { position: place.position, bytes: places.at(-1)!.bytes + place.bytes };
    }
    this.places = places;
    this.dropUpTo.run(Number.MAX_SAFE_INTEGER);
    for (const { position, bytes } of places) this.put.run(position, bytes);
  }
}
