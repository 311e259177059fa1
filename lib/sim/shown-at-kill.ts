// shown-at-kill.ts — what a site showed when it was killed, it shows when it starts again.
// Excepted is what is in conflict: what was written and was no version yet is one then, and may be in conflict with what came meanwhile. So is
// what programs have open and did not write to since it became a version: until the last of them closes it, it is shown as it was, past the
// site, and in it where another site has overwritten that version.

import { attributesOf } from '../crdt/inode-attributes.js';
import { sameOp } from '../crdt/register.js';
import type { Draft } from '../volume/draft.js';
import type { Volume } from '../volume/volume.js';
import { treeShownBy } from './checks.js';
import type { Process } from './process.js';
import type { Site } from './site.js';

export class ShownAtKill {
  private readonly shown = new Map<Site, readonly string[]>();

  /** It is about to be killed, with nothing of it under way. */
  note(site: Site, process: Process): void {
    const { files, server } = site.life!;
    const isHeldBack = (ino: number): boolean => {
      const draft = server.volume['drafts'].get(ino);
      if (draft?.dirty) return false;
      return files.isOpenPastSite(ino) || (draft !== undefined && isOverwritten(server.volume, draft));
    };
    this.shown.set(
      site,
      treeShownBy(process).filter((line) => !isHeldBack(Number(line.split(' ')[1]))),
    );
  }

  /** What is wrong with what it shows after its first start since. */
  check(site: Site, process: Process): string[] {
    const before = this.shown.get(site);
    if (!before) return [];
    this.shown.delete(site);
    const now = treeShownBy(process);
    const contested = new Set([...before, ...now].filter((line) => line.includes('.~')).map(baseOf));
    // Bytes that were damaged on the disk may have been in memory until then: none are read before another site gave them again.
    const isRotten = site.around.totals.of('disk faults: bit rot') > 0;
    const isShown = (line: string): boolean => now.includes(line) || (isRotten && now.includes(unreadable(line)));
    return before
      .filter((line) => !contested.has(baseOf(line)) && !isShown(line))
      .map((line) => `restart: at ${site.name}: lost ${line}`);
  }

  /** It did not come up. */
  forget(site: Site): void {
    this.shown.delete(site);
  }
}

/** Whether the version that a draft became is not the one that its file shows. */
function isOverwritten({ journal: { store } }: Volume, { ino, bases }: Draft): boolean {
  const inode = store.inode(ino);
  const head = inode && attributesOf(inode).head;
  return head !== undefined && !bases.some((base) => sameOp(base, head));
}

/** A line of treeShownBy, of a file whose bytes are not here. */
function unreadable(line: string): string {
  return line.replace(/\S+ (?=\[)/, ' ');
}

/** The path of a line of treeShownBy, without the suffixes of conflicts. */
function baseOf(line: string): string {
  return line.split(' ')[0]!.split('.~')[0]!;
}
