// duels.ts — the rows of lib/crdt/MERGE.md, and what a crash may cut in two, as short histories.
// Random calls alone make most of these situations once in thousands of schedules.

import {
  createAndCreate,
  createAndMakeDirectory,
  longNames,
  makeDirectoryTwice,
  moveDirectoryOnto,
  twins,
} from './name-duels.js';
import {
  attributesAndRemove,
  changeInRemovedTree,
  copyOpenMeanwhile,
  copiesOfCopies,
  linkTwice,
  openMeanwhile,
  renameAndRemove,
  renameToOneName,
  renameTwice,
  replaceAndWrite,
  severalNames,
  takenSuffix,
  writeAndRemove,
  writeAndWrite,
} from './file-duels.js';
import { cycle, cycleBackToBirth, cycleOfThree } from './cycle-duels.js';
import {
  changeModes,
  changeOwners,
  changeTimes,
  changeXattrs,
  dropSetId,
  exchangeAndAnything,
} from './attribute-duels.js';
import { mergeApart, mergeContents, mergeTwice } from './content-duels.js';
import {
  draftInOldLog,
  killedBeforeFold,
  lostLink,
  syncedAfterFailedSync,
  syncedOnUnsynced,
  syncedThenFolded,
  syncedThenPowerLost,
} from './crash-duels.js';
import { type Choice, Duel } from './duel.js';
import {
  evictedWhileWritten,
  fetchedWhileGivenUp,
  givenUpBehindThird,
  packedThenPowerLost,
  packedWhileGivenUp,
  writtenUnfetched,
} from './eviction-duels.js';
import {
  newFilesThenKilled,
  newFilesThenPowerLost,
  oldFileThenKilled,
  oldFileThenPowerLost,
  readMeanwhile,
  reopenedThenKilled,
  reopenedThenPowerLost,
  shownThenPowerLost,
  syncedThenGivenBack,
  untoldThenKilled,
  untoldThenPowerLost,
} from './kernel-duels.js';
import { comesBackWhileCollected, rewrittenWhilePacked } from './packing-duels.js';
import type { Random } from './random.js';

/** How often people settle what came of it, with `weft resolve`. */
const SETTLED_SHARE = 0.2;

type Row = (duel: Duel) => void;

const ROWS: readonly (readonly [weight: number, row: Row])[] = [
  [3, createAndCreate],
  [4, twins],
  [1, longNames],
  [2, createAndMakeDirectory],
  [4, makeDirectoryTwice],
  [2, moveDirectoryOnto],
  [4, writeAndWrite],
  [4, writeAndRemove],
  [4, changeInRemovedTree],
  [2, attributesAndRemove],
  [3, renameAndRemove],
  [3, renameTwice],
  [2, renameToOneName],
  [5, cycle],
  [4, cycleOfThree],
  [2, cycleBackToBirth],
  [4, severalNames],
  [2, linkTwice],
  [2, replaceAndWrite],
  [4, changeModes],
  [3, dropSetId],
  [2, changeOwners],
  [3, changeXattrs],
  [2, changeTimes],
  [2, exchangeAndAnything],
  [7, mergeContents],
  [2, mergeTwice],
  [5, mergeApart],
  [2, copiesOfCopies],
  [3, openMeanwhile],
  [4, copyOpenMeanwhile],
  [3, takenSuffix],
  [3, killedBeforeFold],
  [3, draftInOldLog],
  [3, lostLink],
  [6, newFilesThenKilled],
  [6, oldFileThenKilled],
  [3, untoldThenKilled],
  [3, reopenedThenKilled],
  [4, readMeanwhile],
  [5, evictedWhileWritten],
  [5, packedWhileGivenUp],
  [4, fetchedWhileGivenUp],
  [4, givenUpBehindThird],
  [4, writtenUnfetched],
  [4, rewrittenWhilePacked],
  [6, comesBackWhileCollected],
];
const FAULT_ROWS: readonly (readonly [weight: number, row: Row])[] = [
  ...ROWS,
  [9, syncedThenPowerLost],
  [8, syncedAfterFailedSync],
  [6, syncedOnUnsynced],
  [6, syncedThenFolded],
  [12, newFilesThenPowerLost],
  [12, oldFileThenPowerLost],
  [6, reopenedThenPowerLost],
  [5, untoldThenPowerLost],
  [5, syncedThenGivenBack],
  [8, shownThenPowerLost],
  [6, packedThenPowerLost],
];

/** The steps of one row. */
export function duel(
  random: Random,
  sites: readonly string[],
  hasFaults: boolean,
  mark: (site: string) => string,
): Choice[] {
  const rows = hasFaults ? FAULT_ROWS : ROWS;
  const weights = Object.fromEntries(rows.map(([weight], i) => [String(i), weight]));
  const made = new Duel(random, sites, mark);
  rows[Number(random.weighted(weights))]![1](made);
  if (random.chance(SETTLED_SHARE)) made.settle();
  return made.choices;
}
