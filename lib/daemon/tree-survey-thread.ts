// tree-survey-thread.ts — takes one survey and ends; see tree-survey.ts.

import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { listConflicts } from '../crdt/conflicts.js';
import { sumOf } from '../crdt/digest.js';
import { StateSnapshot } from '../journal/state-snapshot.js';
import { absentBytes } from '../volume/absent-content.js';
import { describeConflict, type LocatedConflict } from './conflict-rows.js';
import type { Survey, SurveyThreadData } from './tree-survey.js';

const { stateDirectory, what, countsAbsent } = workerData as SurveyThreadData;

function surveyTree(snapshot: StateSnapshot): Survey {
  const { store, actors } = snapshot;
  return {
    ...sumOf(store, (bytes) => hash('sha256', bytes, 'buffer')),
    conflicts: listConflicts(store, actors).length,
    absentBytes: countsAbsent ? absentBytes(snapshot, stateDirectory) : null,
  };
}

function listAll({ store, actors }: StateSnapshot): LocatedConflict[] {
  return listConflicts(store, actors).map((conflict) => describeConflict(conflict));
}

const snapshot = StateSnapshot.open(stateDirectory);
try {
  parentPort!.postMessage(what === 'tree' ? surveyTree(snapshot) : listAll(snapshot));
} finally {
  snapshot.close();
}
