// change.ts — what travels between sites: a group of register operations by one actor, atomic everywhere.
// It is an Automerge change on a flat root map (lib/journal/change-codec.ts gives the bytes); `stamp` rides in its time field.

import type { ActorId } from './ids.js';

/** What a register may hold: an Automerge string or int. */
export type Value = string | number;

/** One `set` on the root map. The op's own id is (change.startOp + its index, change.actor). */
export interface ChangeOp {
  /** `<ino>.<field>` */
  readonly key: string;
  readonly value: Value;
  /** The ops it overwrites, as `counter@actor`, in the order Automerge wants (counter, then actor). */
  readonly pred: readonly string[];
}

export interface Change {
  readonly actor: ActorId;
  /** 1, 2, 3 … per actor, without gaps. */
  readonly seq: number;
  readonly startOp: number;
  /** Hybrid logical clock, microseconds since 1970: see stamp.ts. */
  readonly stamp: number;
  /** SHA-256 hex of the changes this one builds on: the document's heads and the actor's own last change, sorted. */
  readonly deps: readonly string[];
  readonly ops: readonly ChangeOp[];
  /** SHA-256 hex of this change's bytes past the chunk header: its identity. */
  readonly hash: string;
}

/** A change by its place in its actor's sequence. */
export interface Dot {
  readonly actor: ActorId;
  readonly seq: number;
}

/** Highest seq held per actor. */
export type VersionVector = ReadonlyMap<ActorId, number>;
