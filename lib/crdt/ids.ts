// ids.ts — the identifiers of the replicated state, and how an operation is named.
// An inode number is 53 bits: 14 of slot (claimed by a site), 39 of sequence; never reused, the same at every site.

/** Inode number, a safe integer. 1 is the root; 0 carries the volume's own registers (sites, slots). */
export type Ino = number;
/** A name's bytes, one latin1 char per byte: lossless for any bytes. Never holds '/' or NUL, 1 to 255 chars. */
export type Name = string;
/** Names a hard link within its inode: 0 for the link it was born with, else a number drawn like an inode number. */
export type LinkId = number;
/** 32 lower-case hex digits; a fresh one for every start of a daemon. */
export type ActorId = string;
/** 32 lower-case hex digits; stable for the life of a site. */
export type SiteId = string;
/** 64 lower-case hex digits: SHA-256 of an object's bytes. */
export type ObjectId = string;

export const VOLUME_INO: Ino = 0;
export const ROOT_INO: Ino = 1;
export const FIRST_LINK: LinkId = 0;

const SEQUENCE_SPAN = 2 ** 39;
/** Of a slot's numbers the last one. */
export const MAX_SEQUENCE = SEQUENCE_SPAN - 1;
/** Slots 1 … MAX_SLOT are claimable; slot 0 holds the volume and the root. */
export const MAX_SLOT = 2 ** 14 - 1;

/** The inode number of a slot's n-th allocation; sequence starts at 1. */
export function inoOf(slot: number, sequence: number): Ino {
  if (!(slot >= 1 && slot <= MAX_SLOT && sequence >= 1 && sequence < SEQUENCE_SPAN)) {
    throw new RangeError(`no inode number for slot ${slot}, sequence ${sequence}`);
  }
  return slot * SEQUENCE_SPAN + sequence;
}

export function slotOf(ino: Ino): number {
  return Math.floor(ino / SEQUENCE_SPAN);
}

export function sequenceOf(ino: Ino): number {
  return ino % SEQUENCE_SPAN;
}

/** Names one register operation: Automerge's operation id `counter@actor`, with the actor interned. */
export interface OpId {
  readonly counter: number;
  /** Index in the local ActorTable. Local only: never written to a change, a digest or the wire. */
  readonly actor: number;
}

/** Actors interned to small local indexes. Compare actors by {@link ActorTable.compare}, never by index. */
export class ActorTable {
  private readonly ids: ActorId[] = [];
  private readonly indexes = new Map<ActorId, number>();

  intern(id: ActorId): number {
    let index = this.indexes.get(id);
    if (index === undefined) {
      index = this.ids.length;
      this.ids.push(id);
      this.indexes.set(id, index);
    }
    return index;
  }

  indexOf(id: ActorId): number | undefined {
    return this.indexes.get(id);
  }

  id(index: number): ActorId {
    const id = this.ids[index];
    if (id === undefined) throw new RangeError(`no actor ${index}`);
    return id;
  }

  get size(): number {
    return this.ids.length;
  }

  /** Order of two actors by their ids: the same at every site. */
  compare(a: number, b: number): number {
    if (a === b) return 0;
    return this.id(a) < this.id(b) ? -1 : 1;
  }
}
