// tree-survey-thread.ts — takes one survey and ends; see tree-survey.ts.

import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { listConflicts } from '../crdt/conflicts.js';
import { digestOf } from '../crdt/digest.js';
import { StateSnapshot } from '../journal/state-snapshot.js';
import { describeConflict, type LocatedConflict } from './conflict-rows.js';
import type { Survey, SurveyThreadData } from './tree-survey.js';

function surveyTree(snapshot: StateSnapshot): Survey {
  const { store, actors } = snapshot;
  return {
    digest: digestOf(store, (bytes) => createHash('sha256').update(bytes).digest()),
    inodes: snapshot.inodeCount(),
    conflicts: listConflicts(store, actors).length,
  };
}

function listAll({ store, actors }: StateSnapshot): LocatedConflict[] {
  return listConflicts(store, actors).map((conflict) => describeConflict(conflict));
}

const { stateDirectory, what } = workerData as SurveyThreadData;
const snapshot = StateSnapshot.open(stateDirectory);
try {
  parentPort!.postMessage(what === 'tree' ? surveyTree(snapshot) : listAll(snapshot));
} finally {
  snapshot.close();
}
