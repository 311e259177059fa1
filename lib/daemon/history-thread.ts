// history-thread.ts — answers questions about the past from the journal, on a thread of its own.
// Invariant: it reads the committed state and writes nothing but the index of the history; the site thread takes no part. An answer is
// of a commit at least as new as the last when the question was asked.

import { parentPort, workerData } from 'node:worker_threads';
import { HistoryIndex } from '../journal/history-index.js';
import { namesIn, PathHistory } from '../journal/path-history.js';
import type { HistoryRow } from '../journal/path-history.js';
import { StateSnapshot } from '../journal/state-snapshot.js';
import type { FromHistory, HistoryThreadData, ToHistory } from './history-requests.js';
import { pathText } from './path-text.js';

const { stateDirectory } = workerData as HistoryThreadData;
const port = parentPort!;
const index = HistoryIndex.open(stateDirectory);

/** Calls `use` with the history up to the present commit. */
function withHistory<T>(use: (history: PathHistory, present: StateSnapshot) => T): T {
  const present = StateSnapshot.open(stateDirectory);
  try {
    index.catchUp();
    return use(new PathHistory(index, present.store), present);
  } finally {
    present.close();
  }
}

function historyOf(path: string, limit: number): readonly HistoryRow[] {
  return withHistory((history) => {
    const inodes = history.resolve(namesIn(path));
    if (inodes.all.length === 0) {
      throw new Error(`${pathText(path)}: nothing ever had this name; weft history of its directory lists the names`);
    }
    return history.rows(inodes, limit);
  });
}

function answer(message: ToHistory): unknown {
  switch (message.name) {
    case 'history':
      return historyOf(message.args.path, message.args.limit);
  }
}

port.on('message', (message: ToHistory) => {
  let reply: FromHistory;
  try {
    reply = { id: message.id, value: answer(message) };
  } catch (error) {
    reply = { id: message.id, error: (error as Error).message };
  }
  port.postMessage(reply);
});
