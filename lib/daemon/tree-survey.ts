// tree-survey.ts — what takes a look at the whole tree: its digest, its size, its conflicts; on a thread of its own.
// Invariant: a survey is of one commit, at least as new as the one asked for. The site thread takes no part, so that a look at a
// million files delays no local call. The answer is kept until there is a newer commit.

import { Worker } from 'node:worker_threads';
import type { ConflictRow } from './daemon-interface.js';

export interface Survey {
  /** 64 hex digits; equal at two sites exactly when they show the same tree. */
  readonly digest: string;
  readonly inodes: number;
  readonly conflicts: readonly ConflictRow[];
}

export interface SurveyThreadData {
  readonly stateDirectory: string;
}

export class TreeSurvey {
  private last: { commit: number; survey: Promise<Survey> } | null = null;

  constructor(private readonly stateDirectory: string) {}

  /** @param commit the number of the last commit */
  at(commit: number): Promise<Survey> {
    if (this.last?.commit !== commit) {
      const survey = this.take();
      this.last = { commit, survey };
      survey.catch(() => (this.last = null));
    }
    return this.last.survey;
  }

  private take(): Promise<Survey> {
    const workerData: SurveyThreadData = { stateDirectory: this.stateDirectory };
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL('tree-survey-thread.js', import.meta.url), { workerData });
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the survey of the tree ended with code ${code}`)));
    });
  }
}
