// crash-states.ts — what power loss at this moment would leave of a site, tried without the site going on from it: any of the sectors and
// names that were not synced, again and again, from one recorded history.
// Must hold of each: the state opens, its view is the one from nothing, it has every change that other sites were told of, and every byte
// that fsync covered and nobody did away with since.

import { rmSync } from 'node:fs';
import { VOLUME_INO } from '../crdt/ids.js';
import type { ActorId, Ino } from '../crdt/ids.js';
import { ROOT_INO } from '../crdt/ids.js';
import { checkInvariants } from '../crdt/invariants.js';
import { compareWithStore, projectAll } from '../crdt/projection.js';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { Volume } from '../volume/volume.js';
import { marksIn } from './contents.js';
import type { Random } from './random.js';

export interface CrashSite {
  readonly siteId: string;
  readonly name: string;
  readonly slot: number | null;
  /** Leaves in an empty directory what power loss would leave of the site's. */
  readonly loseTo: (random: Random, directory: string) => void;
  /** What other sites were told is durable here. */
  readonly durable: ReadonlyMap<ActorId, number>;
  /** Microseconds since 1970. */
  readonly nowUs: number;
}

const ROOT_CALLER = { uid: 0, gid: 0, pid: 1 };

/** @param synced marks of bytes that fsync(2) covered at this site. @returns what is wrong */
export function tryCrashState(
  site: CrashSite,
  directory: string,
  random: Random,
  synced: ReadonlySet<string>,
): string[] {
  site.loseTo(random, directory);
  const wrong: string[] = [];
  let us = site.nowUs;
  const volume = Volume.open({
    stateDirectory: directory,
    siteId: site.siteId,
    siteName: site.name,
    slot: site.slot,
    actorId: random.hex(16),
    afterPowerLoss: true,
    clock: {
      nowUs: () => (us += 1000),
      now: () => ({ s: Math.floor((us += 1000) / 1e6), ns: (us % 1e6) * 1000 }),
      monotonicMs: () => (us += 1000) / 1000,
    },
    kernel: { invalidateEntry: () => {}, entryDeleted: () => {}, invalidateInode: () => {} },
    ingester: { ingest: () => {} },
    pick: (n) => random.below(n),
    onSlot: () => {},
    onQuarantine: () => {},
    onReadAhead: () => {},
    onCommit: () => {},
    onLost: () => {},
    onCorrupt: () => {}, // said of what was not synced, too
  });
  try {
    volume.fold();
    const { store, actors } = volume.journal;
    wrong.push(...compareWithStore(projectAll(store, actors), store).map((what) => `view from nothing: ${what}`));
    wrong.push(...checkInvariants(store, actors).map((what) => `invariant: ${what}`));
    const vector = volume.journal.vector();
    for (const [actor, seq] of site.durable) {
      const held = vector.get(actor) ?? 0;
      if (held < seq) wrong.push(`told: others were told of change ${seq} of ${actor}, here are ${held}`);
    }
    if (synced.size > 0) wrong.push(...lostMarks(volume, synced));
  } finally {
    volume.close();
    rmSync(directory, { recursive: true, force: true });
  }
  return wrong;
}

function lostMarks(volume: Volume, synced: ReadonlySet<string>): string[] {
  const left = new Set(synced);
  for (const ino of volume.journal.store.inodes()) {
    if (ino === VOLUME_INO || ino === ROOT_INO) continue;
    for (const mark of marksOf(volume, ino)) left.delete(mark);
  }
  for (const ino of volume.journal.store.copies().keys()) for (const mark of marksOf(volume, ino)) left.delete(mark);
  return [...left].map((mark) => `lost: ${mark} was synced and is in no file`);
}

function marksOf(volume: Volume, ino: Ino): Set<string> {
  const { files } = volume;
  try {
    const { size } = files.getattr(ino);
    const { handle } = files.open(ino, 0, false, ROOT_CALLER);
    const bytes = Buffer.alloc(size);
    const length = files.read(handle, 0, size, bytes, 0);
    files.release(handle);
    return marksIn(bytes.subarray(0, length));
  } catch (error) {
    // A directory, or what has no name any more, or whose bytes are at another site.
    if (error instanceof AbsentObjects || (error as { code?: unknown }).code !== undefined) return new Set();
    throw error;
  }
}
