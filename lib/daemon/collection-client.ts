// collection-client.ts — starts the thread of one collection or eviction, and passes on what it asks.

import { Worker } from 'node:worker_threads';
import type { CollectionAnswer, CollectionData, CollectionQuestion, EvictionData } from './collector.js';

export type CollectionThreadData = CollectionData | EvictionData;

export type FromCollection =
  { readonly id: number; readonly question: CollectionQuestion } | { readonly answer: CollectionAnswer };

/** What a question is answered with. */
export interface ToCollection {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Resolves to what the thread found and did; `carryOut` answers what it asks. Rejects with why it ended otherwise. */
export function runInThread(
  workerData: CollectionThreadData,
  carryOut: (question: CollectionQuestion) => Promise<unknown>,
): Promise<CollectionAnswer> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('collection-thread.js', import.meta.url), { workerData });
    worker.on('message', (message: FromCollection) => {
      if ('answer' in message) return resolve(message.answer);
      const { id, question } = message;
      carryOut(question).then(
        (value) => tell(worker, { id, value }),
        (error: Error) => tell(worker, { id, error: error.message }),
      );
    });
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the collection thread ended with code ${code}`)));
  });
}

function tell(worker: Worker, answer: ToCollection): void {
  worker.postMessage(answer, []);
}
