// small-journal.ts — does the journal become small again, once all have everything and no history is wanted?

import { setTimeout as sleep } from 'node:timers/promises';
import { sizeText } from '../../lib/cli/text-table.js';
import { JournalReader } from '../../lib/journal/journal-reader.js';
import { runChecked } from '../sites/command.js';
import { SHARED } from './load-messages.js';
import type { Member } from './member.js';

const POLL_MS = 2000;
/** Of the state that is live. */
const MAX_SHARE = 2;
const PART_BYTES = 1 << 20;
const BEFORE_ALL = -1;

export interface JournalSizes {
  readonly name: string;
  readonly beforeBytes: number;
  afterBytes: number;
  /** What a site is sent that joins now, without the content of files; 0: nothing was dropped from the journal. */
  liveBytes: number;
  heldBy: string | null;
}

/** Conflicts keep the journal: they are settled, and what is shared is removed. Then no history is kept any more. */
export async function shrinkJournals(
  members: readonly Member[],
  timeoutMs: number,
): Promise<{ sizes: JournalSizes[]; wrong: string[] }> {
  const sizes = await Promise.all(
    members.map(async ({ name, site }): Promise<JournalSizes> => {
      const beforeBytes = (await site.status()).journalBytes;
      return { name, beforeBytes, afterBytes: beforeBytes, liveBytes: 0, heldBy: null };
    }),
  );
  const [first] = members;
  await runChecked('rm', ['-rf', `${first!.site.mountpoint}/${SHARED}`], { timeoutMs });
  for (const { id } of await first!.site.conflicts()) {
    await first!.site.weftChecked(['resolve', id, '--keep', 'both'], { cwd: first!.site.mountpoint });
  }
  for (const { site } of members) await site.weftChecked(['gc', site.mountpoint, '--keep-history', '0', '--run']);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    for (const [i, size] of sizes.entries()) {
      const { site } = members[i]!;
      const status = await site.status();
      size.afterBytes = status.journalBytes;
      size.heldBy = status.journalHeldBy;
      size.liveBytes = liveBytes(site.state);
    }
    const large = sizes.filter(({ afterBytes, liveBytes: live }) => afterBytes >= MAX_SHARE * live);
    if (large.length === 0) return { sizes, wrong: [] };
    if (performance.now() > deadline) {
      const shown = large.map(
        ({ name, afterBytes, liveBytes: live, heldBy }) =>
          `the journal of ${name} is ${sizeText(afterBytes)}, of a state of ${sizeText(live)}; kept for ${heldBy ?? 'nothing'}`,
      );
      return { sizes, wrong: shown };
    }
    await sleep(POLL_MS);
  }
}

/** What a site that joins is sent as the state: the registers of everything that is there, and what was settled. */
function liveBytes(stateDirectory: string): number {
  const reader = JournalReader.open(stateDirectory);
  try {
    const offer = reader.baseOffer();
    if (!offer) return 0;
    let bytes = 0;
    let after: number | null = BEFORE_ALL;
    while (after !== null) {
      const part = reader.readBase(offer.id, after, PART_BYTES);
      if (!part) return 0; // it is another one by now
      bytes += part.bytes.length;
      after = part.done ? null : part.last;
    }
    return bytes;
  } finally {
    reader.close();
  }
}
