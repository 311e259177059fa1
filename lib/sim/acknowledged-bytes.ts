// acknowledged-bytes.ts — the model of what callers were told is written: what must be in some file once all sites have merged.
// A mark is asked for from the moment its write was acknowledged until somebody overwrites, cuts off or removes bytes that hold it,
// having seen them. Besides, no file may ever hold what no caller saw it hold: versions are whole, never a mixture. Large files are
// excepted, and those whose bytes go past the site: what stays open is read by the ingest worker while callers go on writing to it.

import { SMALL_CONTENT_MAX } from '../chunks/small-content.js';
import type { Ino } from '../crdt/ids.js';
import { fingerprint, marksIn } from './contents.js';

/** Files above are written to working copies. */
const LARGE_BYTES = SMALL_CONTENT_MAX;

/** A file as a site shows it. */
export interface ShownFile {
  readonly ino: Ino;
  readonly content: Buffer;
}

export class AcknowledgedBytes {
  private readonly required = new Map<string, { readonly step: string; readonly site: string; isSynced: boolean }>();
  private readonly given = new Set<string>();
  private readonly seen = new Set<string>([fingerprint(Buffer.alloc(0))]);
  /** Files that may be mixtures, and the marks in them. */
  private readonly mixed = new Set<Ino>();
  private readonly marksOfMixed = new Set<string>();
  /** Versions that somebody did away with whose bytes no running site held at the time. */
  readonly discardedVersions = new Set<string>();

  /** Marks that are asked for. */
  get count(): number {
    return this.required.size;
  }

  /** The file of a call held `before` and holds `after` now; acknowledged. */
  changed(ino: Ino, before: Buffer, after: Buffer, site: string, step: string): void {
    const kept = marksIn(after);
    for (const mark of marksIn(before)) if (!kept.has(mark)) this.required.delete(mark);
    for (const mark of kept) {
      // Of a mark that was done away with elsewhere some bytes may be left.
      if (this.given.has(mark)) continue;
      this.given.add(mark);
      this.required.set(mark, { step, site, isSynced: false });
    }
    this.noteMixture(ino, before, after);
    this.saw(after);
  }

  /** The same, and nobody knows whether: the call was cut off, or the file removed. */
  perhapsChanged(ino: Ino, before: Buffer, after: Buffer): void {
    this.discarded(before);
    this.discarded(after);
    this.noteMixture(ino, before, after);
    this.saw(after);
  }

  private noteMixture(ino: Ino, before: Buffer, after: Buffer): void {
    if (Math.max(before.length, after.length) > LARGE_BYTES) this.mayMix(ino);
    if (!this.mixed.has(ino)) return;
    for (const content of [before, after]) for (const mark of marksIn(content)) this.marksOfMixed.add(mark);
  }

  /** A call that changes content failed: what was synced in vain is in the file nevertheless (write(2), O_SYNC). */
  failed(before: Buffer, after: Buffer): void {
    const kept = marksIn(after);
    for (const mark of marksIn(before)) if (!kept.has(mark)) this.required.delete(mark);
    this.saw(after);
  }

  /** Versions of a file may be mixtures of what was written to it, from now on. */
  mayMix(ino: Ino): void {
    this.mixed.add(ino);
  }

  /** Versions of a file that is a mixture may have this in them. */
  mayHold(ino: Ino, data: Buffer): void {
    this.noteMixture(ino, data, data);
  }

  /** A file may hold this. */
  saw(content: Buffer): void {
    this.seen.add(fingerprint(content));
  }

  /** Whether some file held just this after some call. */
  wasWritten(content: Buffer): boolean {
    return this.seen.has(fingerprint(content));
  }

  /** fsync(2) of a file that holds this returned. */
  synced(content: Buffer): void {
    for (const mark of marksIn(content)) {
      const required = this.required.get(mark);
      if (required) required.isSynced = true;
    }
  }

  /** Power failed at a site: what was not synced there is not asked for any more, unless other sites show it already. */
  powerLost(site: string, shownElsewhere: ReadonlySet<string>): void {
    for (const [mark, required] of this.required)
      if (required.site === site && !required.isSynced && !shownElsewhere.has(mark)) this.required.delete(mark);
  }

  /** Marks that fsync(2) covered at a site, and that are asked for. */
  syncedAt(site: string): Set<string> {
    const marks = [...this.required].filter(([, required]) => required.site === site && required.isSynced);
    return new Set(marks.map(([mark]) => mark));
  }

  /** Somebody did away with what they saw. */
  discarded(content: Buffer): void {
    for (const mark of marksIn(content)) {
      this.given.add(mark);
      this.required.delete(mark);
    }
  }

  /** What is wrong with these files, which are all that there are. */
  check(files: ReadonlyMap<string, ShownFile>): string[] {
    const wrong: string[] = [];
    const held = new Set<string>();
    for (const [path, { ino, content }] of files) {
      const marks = marksIn(content);
      for (const mark of marks) held.add(mark);
      // A file of which power loss left the length, and none of the marks, is told by its number.
      const isMixture =
        [...marks].some((mark) => this.marksOfMixed.has(mark)) || (marks.size === 0 && this.mixed.has(ino));
      const mayBeMixed = content.length > LARGE_BYTES || isMixture;
      if (!mayBeMixed && !this.seen.has(fingerprint(content))) {
        wrong.push(`mixed bytes: ${path} holds ${describe(content)}, which nobody ever wrote`);
      }
    }
    for (const [mark, { step }] of this.required) {
      if (!held.has(mark)) wrong.push(`lost bytes: ${mark} of "${step}" is in no file`);
    }
    return wrong;
  }
}

function describe(content: Buffer): string {
  return `${content.length} bytes with ${[...marksIn(content)].join(' ') || 'no mark'}`;
}
