// absent-reads.ts — callers that wait for bytes which this site does not hold: how long, and what the log says when they wait in vain.
// Invariant: what is needed either comes or is given up in bounded time. As long as anything comes a caller goes on waiting, for what it
// needs is asked for first but may queue behind what was asked for before. Pure but for the clock that it is given.

import type { ObjectId } from '../crdt/ids.js';
import type { SyncClock } from '../sync/ports.js';
import type { Log } from './daemon-interface.js';
import { pathText } from './path-text.js';

export interface AbsentReadsOptions {
  readonly clock: Pick<SyncClock, 'now' | 'setTimer'>;
  readonly log: Log;
  /** Every site that was met. */
  readonly peers: () => readonly { readonly site: string; readonly state: string; readonly keepsAll: boolean | null }[];
  readonly holds: (id: ObjectId) => boolean;
  /** Callers that wait for these get an error. */
  readonly giveUp: (ids: readonly ObjectId[]) => void;
}

/** Without anything coming a caller waits so long: time enough to link up after a start, and for a stalled link to be cut off. */
const PATIENCE_MS = 15_000;
/** The kernel asks again, page by page, for what it could not read ahead: what was just given up is not waited for once more. */
const GIVEN_UP_MS = 10_000;
/** However much comes, not longer than this. */
const LONGEST_MS = 5 * 60_000;

export class AbsentReads {
  /** What callers wait for, since when, and in which file. */
  private readonly waiting = new Map<ObjectId, { readonly sinceMs: number; readonly file: string | null }>();
  /** What was waited for in vain, and when that was given up. */
  private readonly givenUp = new Map<ObjectId, number>();
  /** The sites that were linked then. */
  private linkedThen: ReadonlySet<string> = new Set();
  private progressMs = -Infinity;
  private cancel: (() => void) | null = null;

  constructor(private readonly options: AbsentReadsOptions) {}

  /** Callers wait for these bytes of the file at a path; null: it is not known which. */
  needed(ids: readonly ObjectId[], file: string | null): void {
    const now = this.options.clock.now();
    // Another one can be asked now.
    if (this.linked().some((site) => !this.linkedThen.has(site))) this.givenUp.clear();
    for (const [id, sinceMs] of this.givenUp) if (sinceMs + GIVEN_UP_MS <= now) this.givenUp.delete(id);
    const hopeless = ids.filter((id) => this.givenUp.has(id));
    if (hopeless.length > 0) this.options.giveUp(hopeless);
    for (const id of ids)
      if (!this.givenUp.has(id) && !this.waiting.has(id)) this.waiting.set(id, { sinceMs: now, file });
    this.look();
  }

  /** What callers wait for, the longest first. */
  get urgent(): Iterable<ObjectId> {
    return this.waiting.keys();
  }

  /** These are held now. */
  arrived(ids: readonly ObjectId[]): void {
    this.progressMs = this.options.clock.now();
    this.givenUp.clear();
    for (const id of ids) this.waiting.delete(id);
  }

  /** No linked peer holds these. One that is not linked may; and one that holds what is read there has just begun to seek them. */
  absentEverywhere(ids: readonly ObjectId[]): void {
    if (this.options.peers().every(({ state, keepsAll }) => state === 'connected' && keepsAll !== false))
      this.fail(ids.filter((id) => this.waiting.has(id)));
  }

  close(): void {
    this.cancel?.();
    this.waiting.clear();
  }

  /** Gives up what is due, and comes back when the next is. */
  private look(): void {
    this.cancel?.();
    this.cancel = null;
    const { clock, peers } = this.options;
    const now = clock.now();
    const isAlone = peers().length === 0;
    const due: ObjectId[] = [];
    let nextMs = Infinity;
    for (const [id, { sinceMs }] of this.waiting) {
      const deadlineMs = Math.min(Math.max(sinceMs, this.progressMs) + PATIENCE_MS, sinceMs + LONGEST_MS);
      if (isAlone || deadlineMs <= now) due.push(id);
      else nextMs = Math.min(nextMs, deadlineMs);
    }
    if (due.length > 0) this.fail(due);
    if (nextMs < Infinity) this.cancel = clock.setTimer(nextMs - now, () => this.look());
  }

  private fail(ids: readonly ObjectId[]): void {
    const files = new Set<string>();
    for (const id of ids) {
      const file = this.waiting.get(id)?.file;
      if (typeof file === 'string') files.add(pathText(file));
      this.waiting.delete(id);
    }
    const absent = ids.filter((id) => !this.options.holds(id)); // it may have come by another way
    if (absent.length === 0) return;
    for (const id of absent) this.givenUp.set(id, this.options.clock.now());
    const notAt = this.linked();
    this.linkedThen = new Set(notAt);
    const mayBeAt = this.options
      .peers()
      .filter(({ state }) => state !== 'connected')
      .map(({ site }) => site);
    this.options.log.warn(
      { files: [...files], objects: absent.length, first: absent[0], mayBeAt, notAt },
      mayBeAt.length > 0
        ? `a read${ofFiles(files)} failed: its bytes are at a site that cannot be reached now (${mayBeAt.join(', ')})`
        : `a read${ofFiles(files)} failed: no site has its bytes`,
    );
    this.options.giveUp(absent);
  }

  private linked(): string[] {
    return this.options
      .peers()
      .filter(({ state }) => state === 'connected')
      .map(({ site }) => site);
  }
}

function ofFiles(files: ReadonlySet<string>): string {
  const [first] = files;
  if (first === undefined) return '';
  return files.size === 1 ? ` of ${first}` : ` of ${first} and ${files.size - 1} other files`;
}
