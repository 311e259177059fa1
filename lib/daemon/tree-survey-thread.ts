// tree-survey-thread.ts — takes one survey of a snapshot of the state, and ends.

import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { listConflicts } from '../crdt/conflicts.js';
import { digestOf } from '../crdt/digest.js';
import { StateSnapshot } from '../journal/state-snapshot.js';
import { describeConflict } from './conflict-rows.js';
import type { Survey, SurveyThreadData } from './tree-survey.js';

const { stateDirectory } = workerData as SurveyThreadData;
const snapshot = StateSnapshot.open(stateDirectory);
try {
  const { store, actors } = snapshot;
  const survey: Survey = {
    digest: digestOf(store, (bytes) => createHash('sha256').update(bytes).digest()),
    inodes: snapshot.inodeCount(),
    conflicts: listConflicts(store, actors).map((conflict) => describeConflict(conflict)),
  };
  parentPort!.postMessage(survey);
} finally {
  snapshot.close();
}
