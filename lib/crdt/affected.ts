// affected.ts — the inodes whose claims must be worked out anew in this batch, with what they claimed before it.
// Invariant: what is not in here claims exactly what the store's tree shows of it.

import type { Ino } from './ids.js';
import type { Claimant } from './placement.js';

export interface Before {
  /** Its claims in the store's tree. */
  readonly claims: readonly Claimant[];
  /** The directory that it was placed in, or merged into, whether or not it was alive. */
  readonly parent: Ino | undefined;
}

export class AffectedInodes {
  /** Those of another type than they had, or named before they were born, which no site does: their link counts say nothing. */
  readonly retyped = new Set<Ino>();
  #before = new Map<Ino, Before>();

  get size(): number {
    return this.#before.size;
  }

  has(ino: Ino): boolean {
    return this.#before.has(ino);
  }

  before(ino: Ino): Before | undefined {
    return this.#before.get(ino);
  }

  /** Only the first call counts: later ones see a state between. */
  add(ino: Ino, before: Before): void {
    if (!this.#before.has(ino)) this.#before.set(ino, before);
  }

  /** Those that are in now; more may be added meanwhile. */
  list(): [Ino, Before][] {
    return [...this.#before];
  }

  clear(): void {
    this.#before = new Map(); // see tree-editor.ts
    if (this.retyped.size > 0) this.retyped.clear();
  }
}
