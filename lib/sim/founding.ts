// founding.ts — the state directories of a new volume whose sites have all met: where every simulation begins.
// Made once per list of names and process; a simulation gets copies.

import { join } from 'node:path';
import { JournalReader } from '../journal/journal-reader.js';
import { Volume } from '../volume/volume.js';
import { Random } from './random.js';
import { EPOCH_US } from './site-clock.js';
import type { SiteIdentity } from './site.js';

/** Names for the sites of a simulation that needs none in particular. */
export const SITE_NAMES = ['oslo', 'paris', 'rome', 'lima', 'kyiv', 'bonn', 'bern', 'cork'];
export const MOST_SITES = SITE_NAMES.length;

export interface Founding {
  readonly sites: readonly (SiteIdentity & { readonly directory: string })[];
}

const made = new Map<string, Founding>();

/** A volume of sites of these names; its directories are below `root` and not to be changed. */
export function founded(names: readonly string[], root: string): Founding {
  const key = names.join('-');
  let founding = made.get(key);
  if (!founding) made.set(key, (founding = found(names, join(root, `founding-${key}`))));
  return founding;
}

function found(names: readonly string[], root: string): Founding {
  const random = new Random(`founding ${names.length}`);
  let us = EPOCH_US - 3_600_000_000;
  const clock = {
    nowUs: () => (us += 1000),
    now: () => ({ s: Math.floor((us += 1000) / 1e6), ns: (us % 1e6) * 1000 }),
    monotonicMs: () => (us += 1000) / 1000,
  };
  const sites = names.map((name, index) => {
    const directory = join(root, name);
    const siteId = random.hex(16);
    const volume = Volume.open({
      stateDirectory: directory,
      siteId,
      siteName: name,
      slot: null,
      actorId: random.hex(16),
      clock,
      kernel: { invalidateEntry: () => {}, entryDeleted: () => {}, invalidateInode: () => {} },
      ingester: { ingest: () => {} },
      pick: (n) => random.below(n),
      onSlot: () => {},
      onQuarantine: (_from, change, reason) => {
        throw new Error(`${change}: ${reason}`);
      },
      onReadAhead: () => {},
      onCommit: () => {},
      onCorrupt: (what) => {
        throw new Error(what);
      },
    });
    return { index, name, siteId, directory, volume };
  });
  const slots = sites.map(({ volume }, i) => {
    if (i > 0) hand(sites[0]!, volume);
    const slot = volume.registers.claimSlot();
    if (i === 0) volume.registers.createRoot({ uid: 0, gid: 0, pid: 0 });
    else hand(sites[i]!, sites[0]!.volume);
    return slot;
  });
  for (const { volume } of sites.slice(1)) hand(sites[0]!, volume);
  for (const { volume } of sites) volume.close();
  return {
    sites: sites.map(({ index, name, siteId, directory }, i) => ({ index, name, siteId, directory, slot: slots[i]! })),
  };
}

/** Gives a volume all changes that a site has. */
function hand(from: { readonly directory: string }, to: Volume): void {
  const reader = JournalReader.open(from.directory);
  const changes = reader.changesAfter(to.journal.vector(), Infinity).map(({ bytes }) => bytes);
  reader.close();
  to.remote.deliver(changes, '', (error) => {
    if (error) throw error;
  });
  while (to.background.run(() => false));
  to.fold();
}
