// acknowledged-bytes.ts — the model of what callers were told is written: what must be in some file once all sites have merged.
// A mark is asked for from the moment its write was acknowledged until somebody overwrites, cuts off or removes bytes that hold it,
// having seen them. Besides, no file may ever hold what no caller saw it hold: versions are whole, never a mixture.

import type { Ino } from '../crdt/ids.js';
import { fingerprint, marksIn } from './contents.js';

export class AcknowledgedBytes {
  private readonly required = new Map<string, { readonly ino: Ino; readonly step: string }>();
  private readonly given = new Set<string>();
  private readonly seen = new Set<string>([fingerprint(Buffer.alloc(0))]);
  /** Hard links: how many were made besides the first, how many were removed while others were left. */
  private readonly links = new Map<Ino, number>();
  /** Versions that somebody did away with whose bytes no running site held at the time. */
  readonly discardedVersions = new Set<string>();

  /** Marks that are asked for. */
  get count(): number {
    return this.required.size;
  }

  /** The file of a call held `before` and holds `after` now; acknowledged. */
  changed(ino: Ino, before: Buffer, after: Buffer, step: string): void {
    const kept = marksIn(after);
    for (const mark of marksIn(before)) if (!kept.has(mark)) this.required.delete(mark);
    for (const mark of kept) {
      // Of a mark that was done away with elsewhere some bytes may be left.
      if (this.given.has(mark)) continue;
      this.given.add(mark);
      this.required.set(mark, { ino, step });
    }
    this.saw(after);
  }

  linked(ino: Ino): void {
    this.links.set(ino, (this.links.get(ino) ?? 0) + 1);
  }

  /** One name of several is gone. Sites that remove different ones at once remove the file, though neither meant to. */
  unlinked(ino: Ino): void {
    this.links.set(ino, (this.links.get(ino) ?? 0) - 1);
  }

  /** A file may hold this. */
  saw(content: Buffer): void {
    this.seen.add(fingerprint(content));
  }

  /** Somebody did away with what they saw. */
  discarded(content: Buffer): void {
    for (const mark of marksIn(content)) {
      this.given.add(mark);
      this.required.delete(mark);
    }
  }

  /** What is wrong with these files, which are all that there are. */
  check(files: ReadonlyMap<string, Buffer>): string[] {
    const wrong: string[] = [];
    const held = new Set<string>();
    for (const [path, content] of files) {
      for (const mark of marksIn(content)) held.add(mark);
      if (!this.seen.has(fingerprint(content))) {
        wrong.push(`mixed bytes: ${path} holds ${describe(content)}, which nobody ever wrote`);
      }
    }
    for (const [mark, { ino, step }] of this.required) {
      if (!held.has(mark) && (this.links.get(ino) ?? 0) >= 0)
        wrong.push(`lost bytes: ${mark} of "${step}" is in no file`);
    }
    return wrong;
  }
}

function describe(content: Buffer): string {
  return `${content.length} bytes with ${[...marksIn(content)].join(' ') || 'no mark'}`;
}
