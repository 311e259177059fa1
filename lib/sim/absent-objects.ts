// absent-objects.ts — what a simulated site does about objects that no link has: as lib/daemon/collector.ts, without its thread.
// Versions that power loss took are such ones, to the sites that hear of them. Nothing is removed: packs stay as they are.

import type { ObjectId } from '../crdt/ids.js';
import { surveyObjects } from '../volume/collection-survey.js';
import type { Volume } from '../volume/volume.js';

const KEEP_HISTORY_MS = 30 * 86_400_000;

/** Gives up waiting for those of the objects that only old versions need. */
export function giveUpAbsent(
  volume: Volume,
  stateDirectory: string,
  reportedAbsent: readonly ObjectId[],
  nowUs: number,
): void {
  const inUse = volume.collection.begin();
  const rules = { nowUs, keepHistoryMs: KEEP_HISTORY_MS, acknowledged: null };
  const { needed, unneeded } = surveyObjects({ stateDirectory, rules, inUse, reportedAbsent, keepsAll: true });
  volume.collection.correctWants(needed, unneeded);
  volume.collection.end([]);
}
