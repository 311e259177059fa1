// collection-thread.ts — the thread of one collection or eviction (collection-work.ts). Started by collection-client.ts.

import { parentPort, workerData } from 'node:worker_threads';
import { workOn } from './collection-work.js';
import type { CollectionThreadData, FromCollection, ToCollection } from './collection-client.js';
import type { CollectionQuestion } from './collector.js';

const port = parentPort!;
const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
let nextId = 1;

function tell(message: FromCollection): void {
  port.postMessage(message, []);
}

function ask<V>(question: CollectionQuestion): Promise<V> {
  const id = nextId++;
  return new Promise<V>((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    tell({ id, question });
  });
}

port.on('message', ({ id, value, error }: ToCollection) => {
  const { resolve, reject } = waiting.get(id)!;
  waiting.delete(id);
  if (error === undefined) resolve(value as never);
  else reject(new Error(error));
});

try {
  tell({ answer: await workOn(workerData as CollectionThreadData, ask) });
} finally {
  port.close();
}
